//! Locks that outlive a panic: one test that fails must not fail those after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock, also when somebody panicked while holding it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
