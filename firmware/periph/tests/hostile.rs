//! Flash images from anyone, against a plain reading of the format.

#[path = "../../testing/choices.rs"]
mod choices;
#[path = "model/hostile.rs"]
mod hostile;

use choices::{Choices, Random};
use corelog_periph::role::Role;

#[test]
fn image_is_taken_as_the_format_says_and_written_whole_or_not_at_all() {
    let mut random = Random::new();
    let taken = (0..600).filter(|_| hostile::made(&mut random)).count();
    assert!((60..540).contains(&taken), "{taken} of 600 images are sound: the test says little");
}

#[test]
fn random_bytes_are_no_image() {
    let mut random = Random::new();
    for _ in 0..1000 {
        let data: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
        assert!(!hostile::bytes(&data, Role::CoreDevice));
    }
}
