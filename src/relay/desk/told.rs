//! Between the desk's two sides: what it was told and has not heard yet, and how it stands.
//!
//! What is wanted is state, merged into what was wanted before, and never a queue. The bell beside it has room for one
//! stroke, which means that there is something to hear, not how much.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::agent::{AgentId, Namespace};
use crate::relay::{Pair, Tally};

/// What the desk was told since it last heard.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Everything that is wanted: what was wanted before counts no more.
    pub all: Option<Everything>,
    /// What is wanted for these agents, after `all`.
    pub changed: BTreeMap<AgentId, Option<Namespace>>,
    /// The pairs, after `all`.
    pub pairs: Option<Vec<Pair>>,
    /// That everything is to be compared.
    pub verify: bool,
    /// For whom an answer is wanted.
    pub insisted: BTreeMap<AgentId, Insistence>,
    /// That the desk is to end.
    pub stop: bool,
}

/// Everything that is wanted.
#[derive(Debug)]
pub(super) struct Everything {
    pub endpoints: Vec<(AgentId, Namespace)>,
    pub pairs: Vec<Pair>,
}

/// That an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Insistence {
    /// By when.
    pub until: Instant,
    /// How many answers: one each time that it was asked for.
    pub answers: u32,
}

/// How the relay stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayFacts {
    /// The backend's name.
    pub backend: &'static str,
    /// How many endpoints are wanted and not known to be there.
    pub pending: u64,
    /// What is wrong, in a sentence.
    pub error: Option<String>,
}

/// How much of what was heard was tried once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// All of it.
    All,
    /// Some of it, or nothing.
    Some,
}

/// What both sides see.
#[derive(Debug)]
pub(super) struct Shared {
    inside: Mutex<Inside>,
    settled: Condvar,
}

#[derive(Debug)]
struct Inside {
    told: Told,
    facts: RelayFacts,
    tally: Tally,
    /// Whether everything that was heard was tried once.
    tried: bool,
}

impl Shared {
    pub fn new(backend: &'static str) -> Self {
        let facts = RelayFacts { backend, pending: 0, error: None };
        let inside = Inside { told: Told::default(), facts, tally: Tally::default(), tried: true };
        Self { inside: Mutex::new(inside), settled: Condvar::new() }
    }

    /// Tells the desk something.
    pub fn tell(&self, what: impl FnOnce(&mut Told)) {
        let mut inside = self.inside();
        what(&mut inside.told);
        inside.tried = false;
    }

    /// Everything that was told since the last time.
    pub fn hear(&self) -> Told {
        let mut inside = self.inside();
        inside.facts.pending = inside.pending();
        std::mem::take(&mut inside.told)
    }

    /// Says how things stand.
    pub fn publish(&self, pending: u64, error: Option<&str>, tally: Tally) {
        let mut inside = self.inside();
        inside.tally = tally;
        inside.facts.pending = pending;
        if inside.facts.error.as_deref() != error {
            inside.facts.error = error.map(str::to_owned);
        }
    }

    /// Says whether everything that was heard was tried.
    pub fn note(&self, tried: Tried) {
        let mut inside = self.inside();
        // What was told in between was not heard yet, and not tried.
        if tried == Tried::All && inside.told.is_nothing() && !inside.tried {
            inside.tried = true;
            self.settled.notify_all();
        }
    }

    /// How things stand, with what was told and not heard yet counted as not there.
    pub fn facts(&self) -> RelayFacts {
        let inside = self.inside();
        RelayFacts { pending: inside.pending(), ..inside.facts.clone() }
    }

    /// How often what was asked for.
    pub fn tally(&self) -> Tally {
        self.inside().tally
    }

    /// Waits until everything that was told was tried once, or the time is over.
    pub fn wait_until_tried(&self, within: Duration) {
        let inside = self.inside();
        drop(self.settled.wait_timeout_while(inside, within, |inside| !inside.tried));
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn pending(&self) -> u64 {
        let before = self.told.all.as_ref().map_or(self.facts.pending, |all| count(all.endpoints.len()));
        let more = self.told.changed.values().filter(|namespace| namespace.is_some()).count();
        before.saturating_add(count(more))
    }
}

impl Told {
    fn is_nothing(&self) -> bool {
        let Self { all, changed, pairs, verify, insisted, stop } = self;
        all.is_none() && changed.is_empty() && pairs.is_none() && !verify && insisted.is_empty() && !stop
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
