use corelog_log::{text, Cursor, Item, Level, Recovered, Ring, MIN_WORDS};

/// Recovery from any memory: garbage, or a log that was damaged at the given places.
///
/// First byte even: the rest is the memory. Odd: the rest are damages of a log, each 2 bytes place and 4 bytes content.
pub fn recover(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind % 2 == 0 {
        let mut memory: Vec<u32> = rest.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        memory.resize(memory.len().max(MIN_WORDS), 0);
        read_all(&memory);
        return;
    }
    let mut memory = log(usize::from(kind / 2) * 8);
    for damage in rest.chunks_exact(6) {
        let place = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % memory.len();
        memory[place] = u32::from_le_bytes([damage[2], damage[3], damage[4], damage[5]]);
    }
    read_all(&memory);
}

fn log(records: usize) -> Vec<u32> {
    let mut memory = vec![0; MIN_WORDS + 700];
    let mut ring = Ring::new(&mut memory, 7, 3).expect("large enough");
    for n in 0..records {
        let text = "x".repeat(n * 7 % 50);
        ring.write(n as u64, Level::ALL[n % 5], "fuzz", format_args!("{n}{text}"));
        if n % 9 == 0 {
            ring.write(n as u64, Level::ALL[n % 5], "fuzz", format_args!("{n}{text}"));
        }
    }
    memory
}

/// Every reader comes to the end, and has had or lost each record once.
fn read_all(memory: &[u32]) {
    let Some(found) = Recovered::new(memory) else { return };
    let next = found.next_seq();
    for start in [0, next / 2, next.saturating_sub(1), next, u64::MAX] {
        for retained in [None, Some(0), Some(u64::MAX)] {
            let mut cursor = Cursor::new(start, retained);
            let mut seq = start.min(next);
            for _ in 0..=memory.len() {
                match found.read(&mut cursor) {
                    Item::Record(record) => {
                        assert_eq!(record.seq(), seq);
                        text::write_line(&mut String::new(), "", &record).expect("a String takes everything");
                        seq += 1;
                    }
                    Item::Loss(loss) => {
                        assert!(loss.first == seq && loss.count > 0 && loss.retained <= loss.count, "{loss:?}");
                        seq += loss.count;
                    }
                    Item::End => break,
                }
            }
            assert_eq!((seq, cursor.seq()), (next, next), "reading did not come to the end");
        }
    }
    let (mut cursor, mut out) = (found.oldest(), [0; 2000]);
    for _ in 0..=memory.len() {
        if !found.fill(&mut cursor, Level::Trace, &mut out).more {
            break;
        }
    }
    assert_eq!(cursor.seq(), next);
}
