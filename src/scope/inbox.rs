//! Where scopes wait for the engine: everything that was announced since the last pass, merged into one scope.
//!
//! It is bounded because a scope is, and whoever puts something in never waits for the engine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Scope;
use crate::clock::monotonic;

/// What waits, and since when.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Where something may have changed.
    pub scope: Scope,
    /// When the first of it was announced.
    pub since: Option<Instant>,
    /// Whether something may have changed anywhere else too: notifications were lost, or the machine slept.
    pub doubt: bool,
    /// Directories at which something was mounted or unmounted: nothing at or below them is as it was, nor watched.
    pub remounted: BTreeSet<PathBuf>,
}

/// The sending half: for whoever learns that something may have changed.
#[derive(Debug, Clone)]
pub struct Announcer {
    waiting: Arc<Mutex<Waiting>>,
    bell: Sender<()>,
}

/// The receiving half: the engine's.
#[derive(Debug)]
pub struct Inbox {
    waiting: Arc<Mutex<Waiting>>,
    bell: Receiver<()>,
}

/// A new inbox and its sending half.
#[must_use]
pub fn inbox() -> (Announcer, Inbox) {
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    // One stroke is enough: it means that something waits, not how much.
    let (sender, receiver) = bounded(1);
    (Announcer { waiting: waiting.clone(), bell: sender }, Inbox { waiting, bell: receiver })
}

impl Announcer {
    /// Says that `scope` should be looked at.
    pub fn announce(&self, scope: Scope) {
        if scope.is_nothing() {
            return;
        }
        self.put(|waiting| {
            waiting.scope.merge(scope);
            waiting.since.get_or_insert_with(monotonic);
        });
    }

    /// Says that anything may have changed unannounced.
    pub fn doubt(&self) {
        self.put(|waiting| waiting.doubt = true);
    }

    /// Says that something was mounted or unmounted at these directories.
    pub fn remounted(&self, directories: BTreeSet<PathBuf>) {
        if !directories.is_empty() {
            self.put(|waiting| waiting.remounted.extend(directories));
        }
    }

    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        // Full means that the bell rings already.
        let _ = self.bell.try_send(());
    }
}

impl Inbox {
    /// Rings when something was announced.
    #[must_use]
    pub fn bell(&self) -> &Receiver<()> {
        &self.bell
    }

    /// Everything that was announced since the last time.
    #[must_use]
    pub fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
