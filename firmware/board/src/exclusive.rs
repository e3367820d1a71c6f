//! A value that one piece of code at a time may change, in a `static`.

use core::cell::{Cell, UnsafeCell};
use core::convert::Infallible;

use critical_section::CriticalSection;

/// A value behind a critical section. Unlike `RefCell` it never panics when it is already in use, and a dying system
/// can still get at it.
pub struct Exclusive<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: both cells are touched within critical sections only, and `busy` keeps nested users out.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub const fn new(value: T) -> Self {
        Exclusive { busy: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Lets `f` have the value; `None` if the caller is itself (indirectly) within such an `f`.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.with_section(|_, value| f(value))
    }

    /// Like [`Exclusive::with`]; `f` also gets the critical section it runs in.
    #[inline]
    pub fn with_section<R>(&self, f: impl FnOnce(CriticalSection<'_>, &mut T) -> R) -> Option<R> {
        critical_section::with(|section| {
            if self.busy.replace(true) {
                return None;
            }
            // SAFETY: `busy` was false, so no other reference exists, and none is made before it is false again.
            let result = f(section, unsafe { &mut *self.value.get() });
            self.busy.set(false);
            Some(result)
        })
    }

    /// Lets `f` have the value even if it is in use. `f` must not return: it resets the board.
    pub fn seize(&self, f: impl FnOnce(&mut T) -> Infallible) -> ! {
        critical_section::with(|_| {
            self.busy.set(true);
            // SAFETY: whoever holds a reference was interrupted by a panic or an exception and never goes on, as `f`
            // does not return. The value may be half changed: it must be one that makes sense at every step.
            match f(unsafe { &mut *self.value.get() }) {}
        })
    }
}
