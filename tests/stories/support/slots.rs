//! How many machines may be on at once over all worlds: a computer with two cores cannot run ten etcds and keep time.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

/// Machines per core. Most of a story is waiting.
const MACHINES_PER_CORE: usize = 6;

static FREE: LazyLock<(Mutex<usize>, Condvar)> = LazyLock::new(|| (Mutex::new(capacity()), Condvar::new()));

fn capacity() -> usize {
    MACHINES_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Places for so many machines, free again when this is dropped.
pub struct Slots(usize);

impl Slots {
    /// Waits for the places. A world that is larger than all of them gets all.
    pub fn take(machines: usize) -> Self {
        let wanted = machines.min(capacity());
        let (lock, freed) = &*FREE;
        let free = freed.wait_while(unpoisoned(lock), |free| *free < wanted);
        *free.unwrap_or_else(PoisonError::into_inner) -= wanted;
        Self(wanted)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let (lock, freed) = &*FREE;
        *unpoisoned(lock) += self.0;
        freed.notify_all();
    }
}

/// A poisoned lock is used: the number is right even if a story fails while it takes or returns places.
fn unpoisoned(lock: &Mutex<usize>) -> MutexGuard<'_, usize> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
