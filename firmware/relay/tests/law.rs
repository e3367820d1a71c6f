//! From a satellite's ring to the subscribers of the core device: delivered + declared lost = produced.

#[path = "../../testing/choices.rs"]
mod choices;
mod model;

use choices::Random;
use model::channel::Faults;
use model::tree::run;

#[test]
fn every_record_of_every_boot_is_delivered_or_declared_lost_to_every_subscriber() {
    let mut random = Random::new();
    let rounds: u64 = std::env::var("CORELOG_ROUNDS").map_or(15, |rounds| rounds.parse().expect("CORELOG_ROUNDS"));
    for round in 0..rounds {
        let faults = Faults { lost: [0, 20, 200][round as usize % 3], doubled: 20, reordered: 20 };
        let outcome = run(&mut random, 12, faults);
        println!("{outcome:?}");
        assert!(outcome.delivered > 0);
    }
}
