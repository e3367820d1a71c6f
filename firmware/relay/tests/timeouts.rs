//! How long a sender waits for acknowledgements.

use corelog_relay::{Sender, FIRST_TIMEOUT_US, WINDOW};

const SESSION: u32 = 7;

/// A sender with `count` bytes to be sent.
fn filled(memory: &mut [u8], count: usize) -> Sender<'_> {
    let mut sender = Sender::new(memory);
    sender.open(SESSION);
    fill(&mut sender, count);
    sender
}

fn fill(sender: &mut Sender, count: usize) {
    let mut left = count;
    sender.fill(|room| {
        let now = room.len().min(left);
        left -= now;
        now
    });
}

#[test]
fn a_core_device_that_takes_long_is_not_sent_everything_again() {
    let mut memory = [0; WINDOW];
    let mut sender = filled(&mut memory, 100);
    assert!(sender.segment(0).is_some());
    assert_eq!(sender.deadline(), Some(FIRST_TIMEOUT_US));
    // The first time nobody knows: it comes again, and its acknowledgement tells nothing.
    assert!(sender.segment(60_000).is_some());
    sender.on_ack(SESSION, 100, 90_000);
    let mut now = 100_000;
    fill(&mut sender, 100);
    assert!(sender.segment(now).is_some());
    sender.on_ack(SESSION, 200, now + 90_000);
    // Then it is known.
    for round in 2..10 {
        now += 200_000;
        fill(&mut sender, 100);
        assert!(sender.segment(now).is_some());
        assert_eq!(sender.deadline(), Some(now + 180_000));
        assert!(sender.segment(now + 179_999).is_none());
        sender.on_ack(SESSION, 100 * (round + 1), now + 90_000);
    }
}

#[test]
fn a_quick_answer_shortens_the_wait_again() {
    let mut memory = [0; WINDOW];
    let mut sender = filled(&mut memory, 100);
    assert!(sender.segment(0).is_some());
    for again in [50_000, 150_000, 350_000] {
        assert!(sender.segment(again - 1).is_none());
        assert!(sender.segment(again).is_some());
    }
    sender.on_ack(SESSION, 100, 351_000);
    fill(&mut sender, 100);
    assert!(sender.segment(400_000).is_some());
    sender.on_ack(SESSION, 200, 401_000);
    fill(&mut sender, 100);
    assert!(sender.segment(500_000).is_some());
    assert_eq!(sender.deadline(), Some(500_000 + FIRST_TIMEOUT_US));
}
