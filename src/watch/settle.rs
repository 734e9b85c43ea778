//! Settling, per path and on the leading edge: an announcement is acted on at once, and further ones about the same path
//! within a short time are one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::facts::WatchFacts;
use super::hint::Hint;
use crate::clock::monotonic;
use crate::scope::Scope;
use crate::scope::inbox::Announcer;

/// Hints that may wait for the settling thread, which only ever merges them: some ten milliseconds of the worst storm.
pub const MAX_HINTS: usize = 65_536;

/// Within this time announcements about one path are one: an editor's save is done in less, and a person waits for less
/// than that without noticing.
pub const SETTLING: Duration = Duration::from_millis(25);

/// What was acted on within the last [`SETTLING`], and what waits since.
#[derive(Debug, Default)]
pub struct Settle {
    paths: HashMap<Hint, Settling>,
}

#[derive(Debug)]
struct Settling {
    until: Instant,
    waits: bool,
}

impl Settle {
    /// Takes an announcement. Returns whether it is to be acted on now; otherwise it will be [`due`](Self::due).
    pub fn admit(&mut self, hint: &Hint, now: Instant) -> bool {
        if let Some(settling) = self.paths.get_mut(hint) {
            settling.waits = true;
            return false;
        }
        self.paths.insert(hint.clone(), Settling { until: now + SETTLING, waits: false });
        true
    }

    /// What waited and is to be acted on now.
    pub fn due(&mut self, now: Instant) -> Vec<Hint> {
        let mut due = Vec::new();
        self.paths.retain(|hint, settling| {
            if settling.until > now {
                return true;
            }
            let waited = std::mem::take(&mut settling.waits);
            if waited {
                due.push(hint.clone());
                settling.until = now + SETTLING;
            }
            waited
        });
        due
    }

    /// When [`due`](Self::due) should be asked next; `None` while nothing settles.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.paths.values().map(|settling| settling.until).min()
    }
}

/// The thread that drains the hints, settles them and passes them on: no disk and no SQL here, or the queue fills.
pub fn settle(hints: &Receiver<Hint>, lost: &AtomicBool, facts: &WatchFacts, announcer: &Announcer) {
    let mut settle = Settle::default();
    loop {
        let first = match settle.next() {
            Some(next) => hints.recv_deadline(next),
            None => hints.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let now = monotonic();
        let mut scope = Scope::nothing();
        match first {
            Ok(first) => {
                for hint in std::iter::once(first).chain(hints.try_iter().take(MAX_HINTS)) {
                    if settle.admit(&hint, now) {
                        scope.merge(hint.into());
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for hint in settle.due(now) {
            scope.merge(hint.into());
        }
        if lost.swap(false, Ordering::AcqRel) {
            facts.overflows.fetch_add(1, Ordering::Relaxed);
            announcer.doubt();
        }
        announcer.announce(scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_acted_on_at_once_and_those_that_follow_are_one() {
        let (mut settle, start) = (Settle::default(), monotonic());
        let hint = Hint::Project("/r/p".into());
        assert!(settle.admit(&hint, start));
        assert!(!settle.admit(&hint, start) && !settle.admit(&hint, start));
        assert!(settle.admit(&Hint::Project("/r/q".into()), start), "another path does not wait");

        assert!(settle.due(start + SETTLING / 2).is_empty());
        assert_eq!(settle.due(start + SETTLING), std::slice::from_ref(&hint));
        assert!(settle.due(start + SETTLING * 2).is_empty());
        assert_eq!(settle.next(), None, "nothing is kept of a path that came to rest");
        assert!(settle.admit(&hint, start + SETTLING * 2));
    }
}
