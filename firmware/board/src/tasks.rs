//! The task executor and its clock: what Embassy asks of a platform.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::Waker;

use critical_section::Mutex;
use embassy_executor::{raw::Executor, Spawner};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use static_cell::StaticCell;

use crate::{clock, cpu};

/// Set when a task became ready, so that the loop does not fall asleep over it.
static READY: AtomicBool = AtomicBool::new(false);

#[export_name = "__pender"]
fn pender(_context: *mut ()) {
    READY.store(true, Ordering::Relaxed);
}

/// Cycles the processor has slept, modulo 2^32.
static IDLE: AtomicU32 = AtomicU32::new(0);

/// Cycles the processor has slept since start, modulo 2^32.
pub fn idle_cycles() -> u32 {
    IDLE.load(Ordering::Relaxed)
}

/// Asks for another turn of the loop before the processor may sleep.
#[inline(always)]
pub fn again() {
    READY.store(true, Ordering::Relaxed);
}

/// Set to put off the processor's sleep once.
static LINGER: AtomicBool = AtomicBool::new(false);

/// Asks for one more turn of the loop before the processor sleeps, without making it look busy.
pub fn linger() {
    LINGER.store(true, Ordering::Relaxed);
}

/// What the loop of [`run`] looks at and calls.
pub struct Lines {
    /// Interrupt lines that are looked at between rounds of tasks.
    pub watched: u32,
    /// Lines that interrupt tasks: the handler of [`crate::entry`] is called at once.
    pub interrupting: u32,
}

/// Runs tasks for ever: `start` spawns the first ones, `turn` is called before each round with the watched lines that
/// are high, to wake the tasks that wait for them, and with whether no task was ready. A round runs every ready task
/// once, up to its next await.
///
/// Most lines need no handler: tasks are cooperative, so all that one could do is to wake a task, which is done as well
/// between two rounds. What must not wait for the end of a round has a line that interrupts.
///
/// # Panics
/// On the second call.
pub fn run(lines: Lines, start: impl FnOnce(Spawner), mut turn: impl FnMut(u32, bool)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    clock::enable_interrupt();
    start(executor.spawner());
    loop {
        // Interrupts are off from the look at READY to the sleep, so that what a handler makes ready is not slept over.
        cpu::interrupts_off();
        cpu::set_mask(lines.watched | lines.interrupting);
        let idle = !READY.load(Ordering::Relaxed);
        if idle && !LINGER.load(Ordering::Relaxed) {
            let before = cpu::cycles();
            cpu::wait();
            IDLE.store(
                IDLE.load(Ordering::Relaxed).wrapping_add(cpu::cycles().wrapping_sub(before)),
                Ordering::Relaxed,
            );
        }
        if idle {
            LINGER.store(false, Ordering::Relaxed);
        }
        READY.store(false, Ordering::Relaxed);
        let high = cpu::pending();
        cpu::set_mask(lines.interrupting);
        cpu::interrupts_on();
        if high & (1 << clock::INTERRUPT) != 0 {
            CLOCK.expire();
        }
        turn(high & lines.watched, idle);
        // SAFETY: called from here only, and this loop is not re-entered: `init` above panics on a second call.
        unsafe { executor.poll() };
    }
}

/// Keeps the interrupting lines from interrupting again before the next round.
pub fn hold_interrupts() {
    cpu::set_mask(0);
}

struct Clock {
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock { queue: Mutex::new(RefCell::new(Queue::new())) });

impl Clock {
    /// Wakes whom the time has come for and sets the alarm for the next.
    fn expire(&self) {
        critical_section::with(|cs| {
            let next = self.queue.borrow(cs).borrow_mut().next_expiration(clock::now());
            // A time that has passed meanwhile raises the line at once.
            clock::set_alarm(next);
        });
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let changed = critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker));
        if changed {
            self.expire();
        }
    }
}
