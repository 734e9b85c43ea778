//! What the watcher says about itself, for whoever asks from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Kept up to date by the watcher, and by its threads.
#[derive(Debug, Default)]
pub struct WatchFacts {
    /// Directories that are watched.
    pub watched: AtomicU64,
    /// Directories that should be watched and are not.
    pub cold: AtomicU64,
    /// The most watches that are used.
    pub budget: AtomicU64,
    /// Whether some file system announces nothing of what others do to it.
    pub has_quiet: AtomicBool,
    /// How often notifications were lost.
    pub overflows: AtomicU64,
    /// Set when nothing is heard any more: everything is watched anew then.
    pub is_deaf: AtomicBool,
    /// Whether the canary is watched at all.
    pub has_canary: AtomicBool,
    /// Set when the canary was heard.
    pub heard_canary: AtomicBool,
    /// How often in a row it was not heard.
    pub silences: AtomicU64,
    shortage: Mutex<Option<String>>,
}

impl WatchFacts {
    /// Says how many are watched and how many are not.
    pub fn say(&self, watched: u64, cold: u64, budget: u64, shortage: Option<String>) {
        self.watched.store(watched, Ordering::Relaxed);
        self.cold.store(cold, Ordering::Relaxed);
        self.budget.store(budget, Ordering::Relaxed);
        *self.shortage.lock().unwrap_or_else(PoisonError::into_inner) = shortage;
    }

    /// What to say while there are not enough watches.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.shortage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
