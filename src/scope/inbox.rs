//! Where scopes wait for the engine: everything that was announced since the last pass, merged into one scope.
//!
//! It is bounded because a scope is, and whoever puts something in never waits for the engine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::settle::Settle;
use super::{Place, Scope};
use crate::clock::monotonic;

/// What is shared between the two halves. Its lock is only ever held for a handful of moves.
#[derive(Debug, Default)]
struct Shared {
    waiting: Waiting,
    settle: Settle,
}

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

impl Waiting {
    fn announce(&mut self, scope: Scope, now: Instant) {
        self.scope.merge(scope);
        self.since.get_or_insert(now);
    }
}

/// The sending half: for whoever learns that something may have changed.
#[derive(Debug, Clone)]
pub struct Announcer {
    shared: Arc<Mutex<Shared>>,
    bell: Sender<()>,
}

/// The receiving half: the engine's.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Mutex<Shared>>,
    bell: Receiver<()>,
}

/// A new inbox and its sending half.
#[must_use]
pub fn inbox() -> (Announcer, Inbox) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    // One stroke is enough: it means that something waits, not how much.
    let (sender, receiver) = bounded(1);
    (Announcer { shared: shared.clone(), bell: sender }, Inbox { shared, bell: receiver })
}

impl Announcer {
    /// Says that something about a place was heard. What is heard of it again within moments is one with that.
    pub fn hear(&self, place: Place) {
        let now = monotonic();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if !shared.settle.admit(&place, now) {
            return;
        }
        shared.waiting.announce(place.into(), now);
        drop(shared);
        self.ring();
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
        change(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner).waiting);
        self.ring();
    }

    fn ring(&self) {
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

    /// Everything that was announced since the last time, and what has settled since.
    #[must_use]
    pub fn take(&self) -> Waiting {
        let now = monotonic();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for place in shared.settle.due(now) {
            shared.waiting.announce(place.into(), now);
        }
        std::mem::take(&mut shared.waiting)
    }

    /// When there may be something to [`take`](Self::take) although the bell does not ring: something settles until then.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).settle.next()
    }
}
