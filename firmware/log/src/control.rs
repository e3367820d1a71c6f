//! The block of words at the start of the ring's memory from which a later boot finds its way.

use crate::lane::Lane;
use crate::record::join;

pub(crate) const WORDS: usize = 18;
pub(crate) type Block = [u32; WORDS];

/// "CLOG" and the version of everything in the memory: control block, division into lanes and record frame.
const MAGIC: u32 = u32::from_le_bytes(*b"CLOG");
const VERSION: u32 = 1;
const PANICKED: u32 = 0x7061_6e69;

// Words of the block. The first seven are written once and covered by a checksum; of the others each is plausible or
// not by itself, and the records' own checksums decide.
const SIZE: usize = 2;
const BOOT_ID: usize = 3;
const GENERATION: usize = 5;
const CHECK: usize = 6;
const PANIC: usize = 7;
const NEXT_SEQ: usize = 8;
const RETAINED: usize = 10;
const LANES: usize = 12;

/// What a block says, none of it checked against the records yet.
pub(crate) struct Found {
    pub boot_id: u64,
    pub generation: u32,
    pub panicked: bool,
    pub next_seq: u64,
    pub retained: u64,
    /// tail, head, wrap
    pub lanes: [[usize; 3]; 2],
}

fn check(block: &Block) -> u32 {
    let (a, b) = crate::record::sum_words(0x1234_5678, 0x9abc_def0, &block[..CHECK]);
    b ^ a.rotate_left(16)
}

/// Makes the memory this boot's: nothing of what was in it counts any more.
pub(crate) fn start(block: &mut Block, size: usize, boot_id: u64, generation: u32) {
    *block = [0; WORDS];
    block[1] = VERSION;
    block[SIZE] = size as u32;
    (block[BOOT_ID], block[BOOT_ID + 1]) = (boot_id as u32, (boot_id >> 32) as u32);
    block[GENERATION] = generation;
    block[0] = MAGIC;
    block[CHECK] = check(block);
}

pub(crate) fn read(block: &Block, size: usize) -> Option<Found> {
    let ours = block[0] == MAGIC && block[1] == VERSION && block[SIZE] == size as u32 && block[CHECK] == check(block);
    let lane = |n: usize| [0, 1, 2].map(|i| block[LANES + 3 * n + i] as usize);
    ours.then(|| Found {
        boot_id: join(block[BOOT_ID], block[BOOT_ID + 1]),
        generation: block[GENERATION],
        panicked: block[PANIC] == PANICKED,
        next_seq: join(block[NEXT_SEQ], block[NEXT_SEQ + 1]),
        retained: join(block[RETAINED], block[RETAINED + 1]),
        lanes: [lane(0), lane(1)],
    })
}

pub(crate) fn set_panicked(block: &mut Block) {
    block[PANIC] = PANICKED;
}

#[inline]
pub(crate) fn set_lane(block: &mut Block, n: usize, lane: &Lane) {
    if let Some([tail, head, wrap]) = block.get_mut(LANES + 3 * n..LANES + 3 * n + 3) {
        (*tail, *head, *wrap) = (lane.tail as u32, lane.head as u32, lane.wrap as u32);
    }
}

#[inline]
pub(crate) fn set_head(block: &mut Block, n: usize, head: usize) {
    if let Some(word) = block.get_mut(LANES + 3 * n + 1) {
        *word = head as u32;
    }
}

#[inline]
pub(crate) fn set_next_seq(block: &mut Block, next_seq: u64) {
    block[NEXT_SEQ] = next_seq as u32;
    if block[NEXT_SEQ] == 0 {
        block[NEXT_SEQ + 1] = (next_seq >> 32) as u32;
    }
}

#[inline]
pub(crate) fn set_retained(block: &mut Block, retained: u64) {
    (block[RETAINED], block[RETAINED + 1]) = (retained as u32, (retained >> 32) as u32);
}
