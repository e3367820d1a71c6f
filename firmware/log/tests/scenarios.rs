//! What the ring promises, one situation after the other.

use corelog_log::{
    open, Cursor, Item, Level, Loss, Record, Recovered, Ring, TooSmall, Written, MIN_WORDS, REPEAT_WINDOW_US,
};

const WORDS: usize = 16 * 1024;

fn ring(memory: &mut [u32]) -> Ring<'_> {
    Ring::new(memory, 0x1234, 1).expect("large enough")
}

fn write(ring: &mut Ring<'_>, level: Level, text: &str) -> Written {
    ring.write(ring.next_seq() * 1000, level, "runtime", format_args!("{text}"))
}

fn flood(ring: &mut Ring<'_>, level: Level, count: u64) {
    for n in 0..count {
        ring.write(n, level, "runtime::flood", format_args!("flood {n}/{count} with some more text to fill it up"));
    }
}

fn record<'a>(item: Item<'a>) -> Record<'a> {
    match item {
        Item::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

fn loss(item: Item<'_>) -> Loss {
    match item {
        Item::Loss(loss) => loss,
        other => panic!("{other:?}"),
    }
}

fn body(item: Item<'_>) -> String {
    String::from_utf8(record(item).body().into()).expect("UTF-8")
}

#[test]
fn memory_too_small_is_refused() {
    assert_eq!(Ring::new(&mut vec![0; MIN_WORDS - 1], 1, 1).err(), Some(TooSmall));
    assert!(Ring::new(&mut vec![0; MIN_WORDS], 1, 1).is_ok());
    assert!(open(&mut [], &mut [], 1).is_err());
}

#[test]
fn reader_that_fell_behind_gets_one_exact_loss_record() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    let mut cursor = ring.oldest();
    flood(&mut ring, Level::Debug, 100_000);
    let lost = loss(ring.read(&mut cursor));
    let (mut delivered, mut losses) = (0, 1);
    loop {
        match ring.read(&mut cursor) {
            Item::Record(_) => delivered += 1,
            Item::Loss(_) => losses += 1,
            Item::End => break,
        }
    }
    assert_eq!((lost.first, lost.retained, lost.exact, losses), (0, 0, true, 1));
    assert_eq!(delivered + lost.count, ring.next_seq());
    assert!(delivered > 300);
}

#[test]
fn flood_of_debug_records_pushes_no_error_out() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    for n in 0..100 {
        flood(&mut ring, Level::Trace, 1000);
        write(&mut ring, [Level::Error, Level::Warn][n % 2], &format!("error {n}"));
    }
    let (mut cursor, mut errors, mut produced) = (Cursor::new(0, Some(0)), 0, 0);
    loop {
        match ring.read(&mut cursor) {
            Item::Record(record) if record.level() <= Level::Warn => {
                assert_eq!(record.body(), format!("error {errors}").as_bytes());
                assert_eq!(record.retained(), errors);
                (errors, produced) = (errors + 1, produced + 1);
            }
            Item::Record(_) => produced += 1,
            Item::Loss(loss) => {
                assert!(loss.exact && loss.retained == 0, "{loss:?}");
                produced += loss.count;
            }
            Item::End => break,
        }
    }
    assert_eq!((errors, produced), (100, ring.next_seq()));
}

#[test]
fn who_wants_only_warnings_hears_of_no_lost_debug_records() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    write(&mut ring, Level::Warn, "first");
    flood(&mut ring, Level::Debug, 10_000);
    write(&mut ring, Level::Error, "second");
    let (mut cursor, mut out, mut used) = (Cursor::new(0, Some(0)), [0; 2000], 0);
    loop {
        let fill = ring.fill(&mut cursor, Level::Warn, &mut out[used..]);
        used += fill.bytes;
        if !fill.more {
            break;
        }
    }
    let words: Vec<u32> =
        out[..used].chunks(4).map(|w| u32::from_le_bytes(w.try_into().expect("whole words"))).collect();
    let first = Record::parse(&words).expect("first record");
    let second = Record::parse(&words[first.words().len()..]).expect("second record");
    assert_eq!((first.body(), second.body()), (&b"first"[..], &b"second"[..]));
    assert_eq!(first.bytes().len() + second.bytes().len(), used);
}

#[test]
fn loss_of_errors_is_counted_exactly_or_as_the_most_it_can_be() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    for _ in 0..1000 {
        flood(&mut ring, Level::Error, 1);
        flood(&mut ring, Level::Info, 1);
    }
    let known = loss(ring.read(&mut Cursor::new(10, Some(5))));
    assert!(known.exact);
    assert_eq!((known.first, known.retained), (10, known.count.div_ceil(2)));
    let unknown = loss(ring.read(&mut Cursor::new(10, None)));
    assert_eq!((unknown.first, unknown.count, unknown.exact), (10, known.count, false));
    assert!(unknown.retained >= known.retained && unknown.retained <= unknown.count);
    let contradicting = loss(ring.read(&mut Cursor::new(10, Some(5_000_000))));
    assert!(!contradicting.exact);
}

#[test]
fn cursor_ahead_of_the_log_is_taken_as_the_next_record() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    write(&mut ring, Level::Info, "one");
    for seq in [2, 1 << 40, u64::MAX] {
        let mut cursor = Cursor::new(seq, Some(seq));
        assert!(ring.view().is_ahead(&cursor));
        assert!(matches!(ring.read(&mut cursor), Item::End));
        assert_eq!((cursor.seq(), cursor.retained()), (1, Some(0)));
    }
    let mut cursor = Cursor::new(77, None);
    assert!(matches!(ring.read(&mut cursor), Item::End));
    write(&mut ring, Level::Info, "two");
    assert_eq!(body(ring.read(&mut cursor)), "two");
}

#[test]
fn storm_of_equal_errors_is_one_record_and_one_count() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    let storm = |ring: &mut Ring<'_>, n: u64| {
        let message = format_args!("RTIO collision involving channel 0x0004:ttl4");
        ring.write_with_detail(n, Level::Error, "runtime::rtio_mgt", message, format_args!(", at {} mu", n * 1_000_000))
    };
    assert_eq!(storm(&mut ring, 5), Written::Record);
    for n in 6..1006 {
        assert_eq!(storm(&mut ring, n), Written::Repeat);
    }
    let mut cursor = Cursor::new(0, Some(0));
    assert_eq!(body(ring.read(&mut cursor)), "RTIO collision involving channel 0x0004:ttl4, at 5000000 mu");
    assert!(matches!(ring.read(&mut cursor), Item::End), "still open");
    assert_eq!(ring.pending_since(), Some(6));
    assert!(ring.flush_repeats());
    assert!(!ring.flush_repeats());
    assert_eq!(ring.pending_since(), None);
    let counted = record(ring.read(&mut cursor));
    assert_eq!((counted.seq(), counted.repeat(), counted.time(), counted.retained()), (1, 1000, 1005, 1));
    assert_eq!(counted.body(), b"RTIO collision involving channel 0x0004:ttl4, at 1005000000 mu");
    // It goes on after the flush, and a different record ends it.
    assert_eq!(storm(&mut ring, 2000), Written::Repeat);
    assert_eq!(write(&mut ring, Level::Info, "calm"), Written::Record);
    let again = record(ring.read(&mut cursor));
    assert_eq!((again.seq(), again.repeat(), again.time()), (2, 1, 2000));
    assert_eq!(body(ring.read(&mut cursor)), "calm");
}

#[test]
fn error_that_comes_again_after_a_while_is_a_record_at_once() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    let busy = |ring: &mut Ring<'_>, time: u64| ring.write(time, Level::Error, "runtime::rtio", format_args!("busy"));
    assert_eq!(busy(&mut ring, 7), Written::Record);
    assert_eq!(busy(&mut ring, 7 + REPEAT_WINDOW_US), Written::Record);
    assert_eq!(busy(&mut ring, 6 + 2 * REPEAT_WINDOW_US), Written::Repeat);
    assert!(ring.flush_repeats());
    // The window goes from the last repetition on, so that a storm stays one.
    assert_eq!(busy(&mut ring, 5 + 3 * REPEAT_WINDOW_US), Written::Repeat);
    assert_eq!(busy(&mut ring, 5 + 9 * REPEAT_WINDOW_US), Written::Repeat, "one that is pending goes on");
    let mut cursor = Cursor::new(0, Some(0));
    let repeats = [0, 0, 1].map(|_| record(ring.read(&mut cursor)).repeat());
    assert_eq!(repeats, [0, 0, 1]);
}

#[test]
fn equal_texts_of_different_target_or_level_are_no_repetition() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    ring.write(0, Level::Info, "ab", format_args!("c"));
    assert_eq!(ring.write(0, Level::Info, "a", format_args!("bc")), Written::Record);
    assert_eq!(ring.write(0, Level::Debug, "a", format_args!("bc")), Written::Record);
    assert_eq!(ring.write(0, Level::Debug, "a", format_args!("bd")), Written::Record);
    assert_eq!(ring.write(0, Level::Debug, "a", format_args!("bd")), Written::Repeat);
    assert_eq!(ring.write(0, Level::Debug, "b", format_args!("bd")), Written::Record);
}

#[test]
fn long_text_is_cut_between_characters_and_marked() {
    let mut memory = vec![0; WORDS];
    let mut ring = ring(&mut memory);
    for text in ["x".repeat(1024), "x".repeat(1025), "€".repeat(400)] {
        write(&mut ring, Level::Info, &text);
    }
    let mut cursor = ring.oldest();
    let seen = [(); 3].map(|()| {
        let record = record(ring.read(&mut cursor));
        (record.body().len(), record.truncated())
    });
    assert_eq!(seen, [(1024, false), (1024, true), (1023, true)]);
    // Equal as far as they go, but nobody knows what was cut.
    assert_eq!(write(&mut ring, Level::Info, &"€".repeat(400)), Written::Record);
}

#[test]
fn next_boot_finds_the_log_with_its_open_repetitions_and_the_panic() {
    let mut blocks = [vec![0xdead_beef; WORDS], vec![0x5555_5555; WORDS]];
    for boot in 1..=5u64 {
        let [one, other] = &mut blocks;
        let (mut ring, previous) = open(one, other, boot).expect("large enough");
        assert_eq!(previous.map(|previous| previous.boot_id()), (boot > 1).then_some(boot - 1));
        if let Some(previous) = previous {
            assert_eq!((previous.ended_in_panic(), previous.next_seq()), (boot % 2 == 0, boot + 1));
            let mut cursor = previous.oldest();
            for _ in 0..boot - 1 {
                record(previous.read(&mut cursor));
            }
            assert_eq!(body(previous.read(&mut cursor)), "panic at src/main.rs:1:1: test");
            assert_eq!(record(previous.read(&mut cursor)).repeat(), 2);
            assert!(matches!(previous.read(&mut cursor), Item::End));
        }
        for n in 0..boot {
            write(&mut ring, Level::Info, &format!("record {n}"));
        }
        for _ in 0..3 {
            write(&mut ring, Level::Error, "panic at src/main.rs:1:1: test");
        }
        if boot % 2 == 1 {
            ring.mark_panic();
        }
    }
}

#[test]
fn damaged_record_costs_only_what_is_beyond_it() {
    let mut memory = vec![0; WORDS];
    let mut written = ring(&mut memory);
    for n in 0..100 {
        write(&mut written, Level::Info, &format!("record {n}"));
    }
    // The place of record 80 in memory, from its number and text.
    let at =
        (0..memory.len() - 12).find(|&at| memory[at + 2] == 80 && Record::parse(&memory[at..]).is_ok()).expect("there");
    memory[at + 5] ^= 0x10;
    let found = Recovered::new(&memory).expect("most of it is sound");
    let mut cursor = found.oldest();
    for n in 0..80 {
        assert_eq!(body(found.read(&mut cursor)), format!("record {n}"));
    }
    let lost = loss(found.read(&mut cursor));
    assert_eq!((lost.first, lost.count), (80, 20));
    assert!(matches!(found.read(&mut cursor), Item::End));
}

#[test]
fn older_records_behind_the_newest_one_are_not_taken_for_newer_ones() {
    let mut memory = vec![0; WORDS];
    let mut written = ring(&mut memory);
    // All of one length, so that what is left of the lap before lies where the next record will.
    for n in 0..2000 {
        write(&mut written, Level::Info, &format!("record {n:5}"));
    }
    let at = (0..memory.len() - 12).find(|&at| memory[at + 2] == 1999 && Record::parse(&memory[at..]).is_ok());
    let newest = Record::parse(&memory[at.expect("there")..]).expect("sound").words().len();
    // The word of the control block that says where the normal lane's newest record ends.
    memory[13] += 3 * newest as u32;
    let found = Recovered::new(&memory).expect("most of it is sound");
    let (mut cursor, mut expected) = (found.oldest(), found.oldest().seq());
    while let Item::Record(record) = found.read(&mut cursor) {
        assert_eq!((record.seq(), record.body()), (expected, format!("record {expected:5}").as_bytes()));
        expected += 1;
    }
    assert_eq!((expected, found.next_seq()), (2000, 2000));
}

#[test]
fn garbage_is_never_taken_for_a_log() {
    let mut state = 1u32;
    for _ in 0..200 {
        let mut memory = vec![0; 3000];
        memory.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ state >> 16
        });
        assert!(Recovered::new(&memory).is_none());
    }
    for word in [0, u32::MAX] {
        assert!(Recovered::new(&vec![word; WORDS]).is_none());
    }
}

#[test]
fn memory_of_another_size_or_a_moved_log_is_not_taken() {
    let mut memory = vec![0; WORDS];
    write(&mut ring(&mut memory), Level::Info, "here");
    assert!(Recovered::new(&memory).is_some());
    assert!(Recovered::new(&memory[..WORDS - 1]).is_none());
    assert!(Recovered::new(&memory[1..]).is_none());
}

#[test]
fn cursor_of_another_ring_is_legal() {
    let (mut one, mut other) = (vec![0; WORDS], vec![0; WORDS]);
    let (mut first, mut second) = (ring(&mut one), Ring::new(&mut other, 2, 2).expect("large enough"));
    flood(&mut first, Level::Info, 5000);
    write(&mut second, Level::Info, "only one");
    let mut cursor = first.oldest();
    while !matches!(first.read(&mut cursor), Item::End) {}
    assert!(matches!(second.read(&mut cursor), Item::End));
    assert_eq!(cursor.seq(), 1);
    let mut cursor = Cursor::new(0, None);
    assert_eq!(body(second.read(&mut cursor)), "only one");
    assert_eq!(loss(first.read(&mut cursor)).first, 1);
}
