//! What subscribers of the core device get, situation by situation.

use corelog_log::{Level, Record, Ring, MAX_FRAME_BYTES, REPLICA_MIN_WORDS};
use corelog_proto::mgmt::{request, Limits, Request};
use corelog_proto::stream::{frame, Clock, Frame};
use corelog_proto::Parsed;
use corelog_relay::{Assembler, Now, Own, Relay, Stream};

fn memory(words: usize) -> &'static mut [u32] {
    Box::leak(vec![0; words].into_boxed_slice())
}

fn relay(origin: u8) -> Relay<'static> {
    let words = 4 * REPLICA_MIN_WORDS;
    Relay::new(origin, memory(words), memory(words)).expect("large enough")
}

fn ring(boot_id: u64) -> Ring<'static> {
    Ring::new(memory(32 * 1024), boot_id, 1).expect("large enough")
}

fn at(time: u64) -> Now {
    Now { time, clock: None, synchronisations: 0 }
}

/// Records of the numbers from the ring's next one up to `end`; each third is a warning.
fn write(ring: &mut Ring<'_>, end: u64) {
    for n in ring.next_seq()..end {
        let level = if n % 3 == 0 { Level::Warn } else { Level::Info };
        ring.write(n, level, "test", format_args!("record {n}"));
    }
}

fn warnings(first: u64, end: u64) -> u64 {
    (first..end).filter(|n| n % 3 == 0).count() as u64
}

/// All that the satellite has to say, straight into the relay.
fn forward(relay: &mut Relay<'_>, stream: &mut Stream<0>, own: &Own<'_>) {
    let mut assembler = Assembler::new();
    loop {
        let mut out = [0; 4096];
        let fill = stream.fill(own, &[], &mut out);
        let mut bytes = &out[..fill.bytes];
        while let Some(taken) = assembler.next(&mut bytes).expect("a stream") {
            relay.take(&taken);
        }
        if !fill.more {
            return;
        }
    }
}

/// A boot of a satellite that writes so many records and is forgotten by it afterwards.
fn pass_boot(relay: &mut Relay<'_>, boot_id: u64, records: u64) {
    let mut ring = ring(boot_id);
    write(&mut ring, records);
    let own = Own::new(&ring, None, at(0));
    forward(relay, &mut Stream::upstream(relay.origin(), relay.cursor(), &own), &own);
}

fn subscribe(bytes: &[u8], own: &Own<'_>, relays: &[Relay<'_>]) -> Stream<16> {
    match request(bytes, &Limits { value: 0, image: 0 }) {
        Ok(Parsed::Item(Request::Subscribe(request), used)) if used == bytes.len() => {
            Stream::subscribe(&request, own, relays)
        }
        other => panic!("{other:?}"),
    }
}

const OLDEST: [u8; 8] = [0x41, 1, 5, 0, 0, 0, 0, 0];

fn at_cursor(origin: u8, boot_id: u64, seq: u64, retained: u64) -> Vec<u8> {
    let fields = [boot_id, seq, retained].map(u64::to_le_bytes);
    [&[0x41, 2, 5, 1, 1, 0, 0, 0, origin], &[origin, 0, 0, 0, 0, 0, 0, 0][..], fields.as_flattened()].concat()
}

/// What frames say, in short: runs of records of an origin as one.
fn told(bytes: &[u8]) -> Vec<String> {
    let (mut at, mut told, mut run) = (0, vec![], None::<(u8, u64, u64)>);
    loop {
        let next = (at < bytes.len()).then(|| match frame(&bytes[at..]) {
            Ok(Parsed::Item(frame, used)) => (frame, used),
            other => panic!("{other:?}"),
        });
        if let (Some((origin, first, end)), Some((Frame::Record(bytes), used))) = (run, next) {
            let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let record = Record::parse(&words).expect("sound");
            if (record.origin(), record.seq()) == (origin, end) {
                (run, at) = (Some((origin, first, end + 1)), at + used);
                continue;
            }
        }
        if let Some((origin, first, end)) = run.take() {
            told.push(format!("{origin}: records {first}..{end}"));
        }
        let Some((frame, used)) = next else { return told };
        at += used;
        match frame {
            Frame::Record(bytes) => {
                let seq = u64::from(bytes[8]) | u64::from(bytes[9]) << 8;
                run = Some((bytes[32], seq, seq + 1));
            }
            Frame::Header(header) => told.push(format!("header {} {}", header.unknown_boot, header.cursor_ahead)),
            Frame::Boot(b) => {
                let previous = if b.previous { " previous" } else { "" };
                let panicked = if b.panicked { " panicked" } else { "" };
                let unknown = if b.unknown_boot { " unknown" } else { "" };
                let (origin, id, start, end) = (b.origin, b.boot_id, b.start_seq, b.next_seq);
                told.push(format!("{origin}: boot {id}{previous}{panicked}{unknown} {start}..{end}"));
            }
            Frame::Loss(l) => {
                let most = if l.exact { "" } else { "at most " };
                let (origin, first, end) = (l.origin, l.first, l.first + l.count);
                told.push(format!("{origin}: lost {first}..{end}, {most}{}", l.retained));
            }
            Frame::Heartbeat(h) => told.push(format!("{}: heartbeat {}", h.origin, h.next_seq)),
            Frame::Clock(c) => told.push(format!("{}: clock {}", c.origin, c.counter)),
            Frame::Unknown(kind) => panic!("{kind}"),
        }
    }
}

fn drain<const N: usize>(stream: &mut Stream<N>, own: &Own<'_>, relays: &[Relay<'_>]) -> Vec<String> {
    let mut all = vec![];
    loop {
        let mut out = [0; MAX_FRAME_BYTES];
        let fill = stream.fill(own, relays, &mut out);
        all.extend_from_slice(&out[..fill.bytes]);
        if !fill.more {
            assert!(!stream.ready(own, relays));
            return told(&all);
        }
    }
}

#[test]
fn reader_of_a_boot_whose_records_are_gone_gets_one_exact_loss_up_to_its_end() {
    let mut relays = [relay(3)];
    for boot_id in 1..=6 {
        pass_boot(&mut relays[0], boot_id, 10 * boot_id);
    }
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&at_cursor(3, 3, 7, warnings(0, 7)), &own, &relays);
    let expected = [
        "header false false".to_owned(),
        "3: boot 3 previous 7..30".into(),
        format!("3: lost 7..30, {}", warnings(7, 30)),
        "3: boot 4 previous 0..40".into(),
        format!("3: lost 0..40, {}", warnings(0, 40)),
        "3: boot 5 previous 0..50".into(),
        "3: records 0..50".into(),
        "3: boot 6 0..60".into(),
        "3: records 0..60".into(),
    ];
    assert_eq!(drain(&mut stream, &own, &relays), expected);
}

#[test]
fn reader_of_a_boot_that_nobody_remembers_is_told_and_starts_at_the_oldest() {
    let mut relays = [relay(3)];
    for boot_id in 1..=8 {
        pass_boot(&mut relays[0], boot_id, 10);
    }
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&at_cursor(3, 2, 7, 3), &own, &relays);
    let expected = [
        "header false false",
        "3: boot 7 previous unknown 0..10",
        "3: records 0..10",
        "3: boot 8 0..10",
        "3: records 0..10",
    ];
    assert_eq!(drain(&mut stream, &own, &relays), expected);
}

#[test]
fn reader_that_stays_while_boots_pass_gets_each_and_its_end() {
    let mut relays = [relay(3)];
    pass_boot(&mut relays[0], 1, 10);
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&OLDEST, &own, &relays);
    let first = drain(&mut stream, &own, &relays);
    assert_eq!(first, ["header false false", "0: boot 100 0..0", "3: boot 1 0..10", "3: records 0..10"]);
    for boot_id in 2..=9 {
        pass_boot(&mut relays[0], boot_id, 5);
    }
    let told = drain(&mut stream, &own, &relays);
    // Boots 2 and 3 were here and are forgotten: what followed boot 1 is not known any more, and that is told.
    assert_eq!(told[0], "3: boot 4 previous unknown 0..5");
    assert_eq!(told[1], "3: lost 0..5, 2");
    assert_eq!(told[told.len() - 2..], ["3: boot 9 0..5", "3: records 0..5"]);
}

#[test]
fn panic_of_a_satellite_is_told_with_what_its_boot_had_left_to_say() {
    let (one, other) = (memory(4096), memory(4096));
    let copy: &'static mut [u32] = memory(4096);
    let mut relays = [relay(3)];
    {
        let (mut ring, _) = corelog_log::open(&mut *one, other, 7).expect("large enough");
        write(&mut ring, 10);
        let own = Own::new(&ring, None, at(0));
        forward(&mut relays[0], &mut Stream::upstream(3, None, &own), &own);
        write(&mut ring, 12);
        ring.mark_panic();
    }
    let ring_of_core = ring(100);
    let own = Own::new(&ring_of_core, None, at(0));
    let mut stream = subscribe(&OLDEST, &own, &relays);
    drain(&mut stream, &own, &relays);
    let (satellite, previous) = corelog_log::open(one, copy, 8).expect("large enough");
    let previous = previous.expect("the boot before");
    let satellites_own = Own::new(&satellite, Some(&previous), at(0));
    let cursor = relays[0].cursor();
    forward(&mut relays[0], &mut Stream::upstream(3, cursor, &satellites_own), &satellites_own);
    let expected = ["3: boot 7 previous panicked 10..12", "3: records 10..12", "3: boot 8 0..0"];
    assert_eq!(drain(&mut stream, &own, &relays), expected);
}

#[test]
fn only_wanted_origins_are_sent_but_the_core_devices_heartbeat_always() {
    let mut relays = [relay(3), relay(4)];
    pass_boot(&mut relays[0], 1, 10);
    pass_boot(&mut relays[1], 1, 10);
    let mut ring = ring(100);
    write(&mut ring, 5);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&[0x41, 1, 5, 1, 0, 0, 0, 0, 4], &own, &relays);
    assert_eq!(drain(&mut stream, &own, &relays), ["header false false", "4: boot 1 0..10", "4: records 0..10"]);
    assert!(!stream.ready(&own, &relays));
    let later = Own::new(&ring, None, at(Stream::<16>::deadline(0)));
    assert!(stream.ready(&later, &relays));
    assert_eq!(drain(&mut stream, &later, &relays), ["0: heartbeat 5"]);
}

#[test]
fn from_now_leaves_out_what_the_satellite_had_written_even_if_it_comes_later() {
    let mut relays = [relay(3)];
    let mut satellite = ring(1);
    write(&mut satellite, 400);
    let satellites = Own::new(&satellite, None, at(0));
    let mut upstream = Stream::upstream(3, None, &satellites);
    let mut part = [0; 2000];
    let mut assembler = Assembler::new();
    let fill = upstream.fill(&satellites, &[], &mut part);
    let mut bytes = &part[..fill.bytes];
    while let Some(taken) = assembler.next(&mut bytes).expect("a stream") {
        relays[0].take(&taken);
    }
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&[0x41, 0, 5, 0, 0, 0, 0, 0], &own, &relays);
    assert_eq!(drain(&mut stream, &own, &relays)[2..], [format!("3: boot 1 400..{}", relays[0].cursor().unwrap().seq)]);
    forward(&mut relays[0], &mut upstream, &satellites);
    write(&mut satellite, 402);
    let satellites = Own::new(&satellite, None, at(0));
    forward(&mut relays[0], &mut upstream, &satellites);
    assert_eq!(drain(&mut stream, &own, &relays), ["3: records 400..402"]);
}

#[test]
fn clock_follows_the_boot_and_heartbeats_and_passes_through_the_core_device() {
    let mut relays = [relay(3)];
    let satellite = ring(1);
    let clock = |counter| Some(Clock { origin: 0, uncertainty: 1, time: 0, counter, unit_fs: 1_000_000 });
    let own = |time, counter| Own::new(&satellite, None, Now { time, clock: clock(counter), synchronisations: 1 });
    let mut upstream = Stream::upstream(3, None, &own(0, 5));
    assert_eq!(drain(&mut upstream, &own(0, 5), &[]), ["header false false", "3: boot 1 0..0", "3: clock 5"]);
    let mut upstream = Stream::upstream(3, None, &own(0, 6));
    forward(&mut relays[0], &mut upstream, &own(0, 6));
    let ring = ring(100);
    let core = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&OLDEST, &core, &relays);
    assert_eq!(drain(&mut stream, &core, &relays)[2..], ["3: boot 1 0..0", "3: clock 6"]);
    forward(&mut relays[0], &mut upstream, &own(Stream::<0>::deadline(0), 7));
    assert_eq!(drain(&mut stream, &core, &relays), ["3: heartbeat 0", "3: clock 7"]);
}

#[test]
fn flooding_origins_share_evenly_and_the_core_device_keeps_half() {
    let mut relays: Vec<_> = (1..=5).map(relay).collect();
    for relay in &mut relays {
        pass_boot(relay, 1, 900);
    }
    let mut ring = ring(100);
    write(&mut ring, 1000);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&OLDEST, &own, &relays);
    let mut bytes = [0; 6];
    for _ in 0..60 {
        let mut out = [0; 1460];
        let fill = stream.fill(&own, &relays, &mut out);
        assert!(fill.more);
        let mut at = 0;
        while let Some(Ok(Parsed::Item(frame, used))) = (at < fill.bytes).then(|| frame(&out[at..fill.bytes])) {
            if let Frame::Record(record) = frame {
                bytes[usize::from(record[32])] += used;
            }
            at += used;
        }
    }
    let all: usize = bytes.iter().sum();
    assert!(bytes[0] * 100 >= all * 45, "{bytes:?}");
    for relayed in &bytes[1..] {
        assert!((8..=12).contains(&(relayed * 100 / all)), "{bytes:?}");
    }
}

#[test]
fn records_that_come_again_in_another_session_are_taken_once() {
    let mut relays = [relay(3)];
    let mut satellite = ring(1);
    for end in [20, 50, 50, 60] {
        write(&mut satellite, end);
        let own = Own::new(&satellite, None, at(0));
        relays[0].restart();
        forward(&mut relays[0], &mut Stream::upstream(3, None, &own), &own);
    }
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&OLDEST, &own, &relays);
    assert_eq!(drain(&mut stream, &own, &relays)[2..], ["3: boot 1 0..60", "3: records 0..60"]);
}

#[test]
fn what_a_satellite_told_of_and_never_sent_is_lost_when_its_next_boot_comes() {
    let mut relays = [relay(3)];
    let mut satellite = ring(1);
    write(&mut satellite, 300);
    let satellites = Own::new(&satellite, None, at(0));
    let mut upstream = Stream::upstream(3, None, &satellites);
    let mut part = [0; 2000];
    let fill = upstream.fill(&satellites, &[], &mut part);
    let (mut assembler, mut bytes) = (Assembler::new(), &part[..fill.bytes]);
    while let Some(taken) = assembler.next(&mut bytes).expect("a stream") {
        relays[0].take(&taken);
    }
    let come = relays[0].cursor().expect("a boot").seq;
    assert!(come > 0 && come < 300);
    let ring = ring(100);
    let own = Own::new(&ring, None, at(0));
    let mut stream = subscribe(&OLDEST, &own, &relays);
    drain(&mut stream, &own, &relays);
    pass_boot(&mut relays[0], 2, 1);
    let most = 300 - come;
    let lost = format!("3: lost {come}..300, at most {most}");
    assert_eq!(drain(&mut stream, &own, &relays), [&lost, "3: boot 2 0..1", "3: records 0..1"]);
}
