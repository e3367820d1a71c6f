//! Start-up: who we are, why we started, what runs, and when we are ready.

use corelog_board::identity::{self, ResetCause};
use corelog_board::{clock, memory, tasks, Exclusive};
use embassy_executor::Spawner;

use crate::program::{FIRMWARE, NAME, TITLE};
use crate::record::{info, warn};
use crate::{cages, chips, config, expect_task, flash, irq, logger, rtio, uart};

/// A firmware that does not come round for this long is started anew.
const WATCHDOG_SECONDS: u32 = 10;

static BOOT_ID: Exclusive<u64> = Exclusive::new(0);

/// Starts what every board has, then the program's `services`, and runs their tasks for ever. Besides the interrupt
/// lines of what every board has, `lines` wake tasks (see [`irq::register`]).
pub fn run(lines: &[u32], services: fn(Spawner)) -> ! {
    logger::start(boot_id());
    banner();
    config::start();
    logger::configure();
    let spawn = |spawner: Spawner| {
        identity::start_watchdog(WATCHDOG_SECONDS);
        spawner.spawn(expect_task(logger::flush_repeats()));
        spawner.spawn(expect_task(uart::run()));
        match chips::PRESENT {
            true => spawner.spawn(expect_task(bring_up(spawner, services))),
            false => serve(spawner, services),
        }
    };
    tasks::run(irq::lines(lines), spawn, turn)
}

/// What has to be done before the services can start, and takes its time.
#[embassy_executor::task]
async fn bring_up(spawner: Spawner, services: fn(Spawner)) {
    for (number, pair) in chips::set_up().await.into_iter().enumerate() {
        if let Some(pair) = pair {
            spawner.spawn(expect_task(cages::show(number, pair)));
        }
    }
    serve(spawner, services);
}

fn serve(spawner: Spawner, services: fn(Spawner)) {
    rtio::start();
    if flash::PRESENT {
        spawner.spawn(expect_task(flash::work()));
    }
    services(spawner);
    spawner.spawn(expect_task(ready()));
}

/// What is done between two rounds of tasks; `idle` if no task was ready.
fn turn(lines: u32, idle: bool) {
    identity::feed_watchdog();
    assert!(memory::stack_intact(), "stack overflow");
    irq::dispatch(lines);
    logger::turn(idle);
}

/// A number for this boot: random words, mixed so that boards that draw the same ones differ.
fn boot_id() -> u64 {
    let random = u64::from(identity::entropy()) << 32 | u64::from(identity::entropy());
    let mixed = mix(random ^ mix(identity::board_id() ^ u64::from(corelog_board::cpu::cycles())));
    // 0 is left for "no boot" in clients.
    let boot_id = mixed.max(1);
    BOOT_ID.with(|id| *id = boot_id);
    boot_id
}

/// The number of this boot.
pub fn current_boot_id() -> u64 {
    BOOT_ID.with(|id| *id).unwrap_or(0)
}

/// A bijection that spreads every bit over all (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Says in the log what started, on what, and why.
fn banner() {
    info!(target: NAME, "{TITLE} starting...");
    let mut buffer = [0; 128];
    info!(target: NAME, "gateware ident {}", identity::gateware(&mut buffer));
    info!(target: NAME, "software ident {FIRMWARE}");
    info!(target: NAME, "{}", identity::MADE_FOR);
    let cause = match identity::reset_cause() {
        ResetCause::PowerOn => "power-on",
        ResetCause::Requested => "requested",
        ResetCause::Watchdog => "watchdog",
        ResetCause::Clock => "clock",
    };
    let (board, boot) = (identity::board_id(), current_boot_id());
    info!(target: NAME, "reset cause: {cause}; board {board:016x}, boot {boot:016x}");
    if identity::reset_cause() == ResetCause::Watchdog {
        warn!(target: NAME, "the watchdog found the firmware stuck and reset the board");
    }
    let previous = logger::read(|logs| logs.previous.map(|log| (log.boot_id(), log.next_seq(), log.ended_in_panic())));
    if let Some((id, records, panicked)) = previous {
        let end = if panicked { ", which ended in a panic" } else { "" };
        info!(target: NAME, "kept the log of boot {id:016x} ({records} records){end}");
    }
    // Until the next start: something to be seen without a computer.
    let panicked = previous.is_some_and(|(_, _, panicked)| panicked);
    identity::set_error_led(panicked || identity::reset_cause() == ResetCause::Watchdog);
}

/// The first round of all services is over: clients can come.
#[embassy_executor::task]
async fn ready() {
    embassy_futures::yield_now().await;
    info!(target: NAME, "ready after {} us", clock::now());
    identity::set_ready();
}
