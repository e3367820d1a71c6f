//! The log's bytes between two boards.

#[path = "../../testing/choices.rs"]
mod choices;
mod model;

use choices::Random;
use model::channel::Faults;
use model::transport::run;

const NONE: Faults = Faults { lost: 0, doubled: 0, reordered: 0 };

#[test]
fn bytes_arrive_once_and_in_order_over_any_link() {
    let mut random = Random::new();
    for lost in [0, 10, 100, 200, 400] {
        for (doubled, reordered) in [(0, 0), (100, 0), (0, 100), (200, 200)] {
            let outcome = run(&mut random, Faults { lost, doubled, reordered }, 200_000, false);
            println!("{lost} lost {doubled} {reordered}: {} kB/s", outcome.bytes * 1000 / outcome.time);
        }
    }
}

#[test]
fn nonsense_from_elsewhere_and_resets_hold_a_log_up_but_never_spoil_it() {
    let mut random = Random::new();
    for lost in [0, 50, 200] {
        run(&mut random, Faults { lost, doubled: 50, reordered: 50 }, 300_000, true);
    }
}

#[test]
fn sound_link_carries_every_byte_once() {
    let outcome = run(&mut Random::new(), NONE, 1_000_000, false);
    assert_eq!(outcome.sessions, 1);
    // 1008 bytes a frame, except where the memory ends and at the start.
    assert!(outcome.frames < 1_000_000 / 700, "{} frames", outcome.frames);
}

/// With 2 ms there and back and 0.2 ms a frame, as here, a sound link carries a window per round trip, 2 MB/s and more.
#[test]
fn a_fifth_of_all_frames_lost_still_leaves_80_kilobytes_a_second() {
    let outcome = run(&mut Random::new(), Faults { lost: 200, ..NONE }, 2_000_000, false);
    let rate = outcome.bytes * 1000 / outcome.time;
    println!("{rate} kB/s, {} sessions, {} frames", outcome.sessions, outcome.frames);
    assert!(rate >= 80, "{rate} kB/s");
}

#[test]
fn doubled_frames_do_not_make_the_sender_send_everything_again() {
    let outcome = run(&mut Random::new(), Faults { doubled: 1000, ..NONE }, 1_000_000, false);
    let sound = run(&mut Random::new(), NONE, 1_000_000, false);
    assert!(outcome.frames < sound.frames * 3 / 2, "{} frames, not {}", outcome.frames, sound.frames);
}
