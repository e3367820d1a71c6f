//! The routing table: which way from here to which destination.

use core::cell::RefCell;
use core::fmt;

use corelog_board::drtio;
use corelog_proto::aux::HOPS;
use critical_section::Mutex;

/// Destinations that can be told apart.
pub const DESTINATIONS: usize = 256;
/// A hop that leads nowhere.
pub const NOWHERE: u8 = 0xff;

type Path = [u8; HOPS];

struct Table {
    paths: [Path; DESTINATIONS],
    /// Of this board: hops from the core device to it. `None` until it is told.
    rank: Option<u8>,
    /// Changes so far: boards behind this one have to be told again.
    changes: u32,
}

static TABLE: Mutex<RefCell<Table>> =
    Mutex::new(RefCell::new(Table { paths: [[NOWHERE; HOPS]; DESTINATIONS], rank: None, changes: 0 }));

impl Table {
    fn hop(&self, destination: u8) -> u8 {
        let rank = self.rank.map_or(HOPS, usize::from);
        self.paths[usize::from(destination)].get(rank).copied().unwrap_or(NOWHERE)
    }

    /// Tells the gateware the hop to `destination`.
    fn apply(&self, destination: u8) {
        drtio::set_hop(destination, self.hop(destination));
    }
}

/// Sets a path.
pub fn set_path(destination: u8, hops: &Path) {
    critical_section::with(|cs| {
        let mut table = TABLE.borrow_ref_mut(cs);
        if table.paths[usize::from(destination)] != *hops {
            table.paths[usize::from(destination)] = *hops;
            table.changes = table.changes.wrapping_add(1);
            table.apply(destination);
        }
    });
}

/// Sets this board's rank; with it the gateware learns all hops.
pub fn set_rank(rank: Option<u8>) {
    let changed = critical_section::with(|cs| {
        let mut table = TABLE.borrow_ref_mut(cs);
        table.changes = table.changes.wrapping_add(u32::from(table.rank != rank));
        core::mem::replace(&mut table.rank, rank) != rank
    });
    if changed {
        for destination in 0..=u8::MAX {
            critical_section::with(|cs| TABLE.borrow_ref(cs).apply(destination));
        }
    }
}

/// Forgets everything.
pub fn clear() {
    set_rank(None);
    for destination in 0..=u8::MAX {
        set_path(destination, &[NOWHERE; HOPS]);
    }
}

/// A number that is another one after every change.
pub fn changes() -> u32 {
    critical_section::with(|cs| TABLE.borrow_ref(cs).changes)
}

/// The table of the core device: the 8192 bytes of its file, or else a star, destination n behind port n - 1.
pub fn load(file: Option<&[u8]>) {
    let paths =
        file.map(<[u8]>::as_chunks::<HOPS>).filter(|(paths, rest)| paths.len() == DESTINATIONS && rest.is_empty());
    match paths {
        Some((paths, _)) => (0..).zip(paths).for_each(|(destination, path)| set_path(destination, path)),
        None => (0..=drtio::PORTS as u8).for_each(|destination| {
            let mut path = [NOWHERE; HOPS];
            path[0] = destination;
            path[1] = if destination == 0 { NOWHERE } else { 0 };
            set_path(destination, &path);
        }),
    }
    set_rank(Some(0));
}

/// This board's rank, if it knows it.
pub fn rank() -> Option<u8> {
    critical_section::with(|cs| TABLE.borrow_ref(cs).rank)
}

/// The hop from here to `destination`: 0 this board's own RTIO core, n its port n - 1, [`NOWHERE`].
pub fn hop(destination: u8) -> u8 {
    critical_section::with(|cs| TABLE.borrow_ref(cs).hop(destination))
}

/// The path to `destination`.
pub fn path(destination: u8) -> [u8; HOPS] {
    critical_section::with(|cs| TABLE.borrow_ref(cs).paths[usize::from(destination)])
}

/// Destinations that are reached from here by `hop`.
pub fn by_hop(hop: u8) -> impl Iterator<Item = u8> {
    (0..=u8::MAX).filter(move |&destination| self::hop(destination) == hop)
}

/// The paths in use, as text: `0: 0; 1: 1 0`.
pub struct Paths;

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for destination in 0..=u8::MAX {
            let path = path(destination);
            if path[0] == NOWHERE {
                continue;
            }
            write!(f, "{separator}{destination}:")?;
            for hop in path.iter().take_while(|&&hop| hop != NOWHERE) {
                write!(f, " {hop}")?;
            }
            separator = "; ";
        }
        f.write_str(if separator.is_empty() { "empty" } else { "" })
    }
}
