//! What is still to be done, target by target: ready, asked for, or waiting for a time or for another target.
//!
//! A target is here while what is there may differ from what is wanted for it. What is to be done about it is not kept:
//! that is worked out when its turn comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::relay::{RelayError, Target};

/// The targets about which something is to be done.
#[derive(Default)]
pub(super) struct Tasks {
    all: BTreeMap<Target, Task>,
    /// Those that somebody waits for.
    urgent: BTreeSet<Target>,
    ready: BTreeSet<Target>,
    sleeping: BTreeSet<(Instant, Target)>,
    /// Those that wait for something else in a namespace.
    blocked: BTreeMap<String, BTreeSet<Target>>,
    /// Those that failed and did not succeed since.
    failing: BTreeSet<Target>,
}

/// One of them.
struct Task {
    state: State,
    /// How often it failed in a row.
    tries: u32,
    /// Why it failed the last time.
    error: Option<RelayError>,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Its turn comes.
    Ready,
    /// The relay was asked.
    Asked,
    /// It failed, and is tried again then.
    Sleeping(Instant),
    /// It waits for another target in this namespace.
    Blocked(String),
    /// The relay will not do it.
    Refused,
}

impl Tasks {
    /// Something about this target may be to do that was not before. What was met before counts no more.
    pub fn touch(&mut self, target: &Target) {
        self.set(target, State::Ready, |task| {
            task.tries = 0;
            task.error = None;
        });
    }

    /// Tries this one now, before others, whatever it waits for.
    pub fn hurry(&mut self, target: &Target) {
        self.set(target, State::Ready, |_| {});
        if self.ready.remove(target) {
            self.urgent.insert(target.clone());
        }
    }

    /// Tries everything anew.
    pub fn touch_all(&mut self) {
        let targets: Vec<Target> = self.all.keys().cloned().collect();
        for target in &targets {
            self.touch(target);
        }
    }

    /// The next that is to be tried.
    pub fn next(&mut self) -> Option<Target> {
        self.urgent.pop_first().or_else(|| self.ready.pop_first())
    }

    /// All that are to be tried.
    pub fn all_ready(&mut self) -> BTreeSet<Target> {
        let mut all = std::mem::take(&mut self.urgent);
        all.append(&mut self.ready);
        all
    }

    /// Whether one is to be tried.
    pub fn has_ready(&self) -> bool {
        !self.urgent.is_empty() || !self.ready.is_empty()
    }

    /// The relay is asked about this one.
    pub fn asked(&mut self, target: &Target) {
        self.put(target, State::Asked, |_| {});
    }

    /// Its turn comes again.
    pub fn again(&mut self, target: &Target) {
        self.put(target, State::Ready, |_| {});
    }

    /// It waits for something else in this namespace.
    pub fn block(&mut self, target: &Target, namespace: &str) {
        self.put(target, State::Blocked(namespace.to_owned()), |_| {});
    }

    /// It failed. `again` says when it is tried again, from how often it failed.
    pub fn failed(&mut self, target: &Target, error: RelayError, again: impl Fn(u32) -> Instant) {
        let Some(task) = self.all.get(target) else { return };
        let tries = task.tries.saturating_add(1);
        self.failing.insert(target.clone());
        self.put(target, State::Sleeping(again(tries)), |task| {
            task.tries = tries;
            task.error = Some(error);
        });
    }

    /// It was not tried, and is no sooner than then.
    pub fn sleep(&mut self, target: &Target, until: Instant) {
        self.put(target, State::Sleeping(until), |_| {});
    }

    /// The relay will not do it. It is not tried again before it is touched or hurried.
    pub fn refused(&mut self, target: &Target, error: RelayError) {
        match target {
            // No agent of its namespace gets an endpoint.
            Target::Rule(_) => drop(self.failing.insert(target.clone())),
            Target::Agent(_) => drop(self.failing.remove(target)),
        }
        self.put(target, State::Refused, |task| task.error = Some(error));
    }

    /// Nothing more is to be done about it.
    pub fn done(&mut self, target: &Target) {
        if let Some(task) = self.all.remove(target) {
            self.leave(target, &task.state);
        }
        self.failing.remove(target);
    }

    /// One of its steps succeeded.
    pub fn progressed(&mut self, target: &Target) {
        self.failing.remove(target);
        self.put(target, State::Ready, |task| {
            task.tries = 0;
            task.error = None;
        });
    }

    /// Something happened in this namespace: what waits for it is tried.
    pub fn unblock(&mut self, namespace: &str) {
        for target in self.blocked.remove(namespace).unwrap_or_default() {
            self.put(&target, State::Ready, |_| {});
        }
    }

    /// What is there was looked at: everything that waits for something else is tried.
    pub fn unblock_all(&mut self) {
        for target in std::mem::take(&mut self.blocked).into_values().flatten() {
            self.put(&target, State::Ready, |_| {});
        }
    }

    /// Gets up those whose time has come.
    pub fn wake(&mut self, now: Instant) {
        while let Some((until, target)) = self.sleeping.first().cloned()
            && until <= now
        {
            self.put(&target, State::Ready, |_| {});
        }
    }

    /// When the next one gets up.
    pub fn next_wake(&self) -> Option<Instant> {
        self.sleeping.first().map(|(until, _)| *until)
    }

    /// Those about which the relay was not asked and that are not among `differing`.
    pub fn settled(&self, differing: &BTreeSet<Target>) -> Vec<Target> {
        let idle = self.all.iter().filter(|(_, task)| task.state != State::Asked);
        idle.map(|(target, _)| target).filter(|target| !differing.contains(*target)).cloned().collect()
    }

    /// Whether it is one of them.
    pub fn has(&self, target: &Target) -> bool {
        self.all.contains_key(target)
    }

    /// Why it failed the last time.
    pub fn error(&self, target: &Target) -> Option<&RelayError> {
        self.all.get(target)?.error.as_ref()
    }

    /// Whether one failed and did not succeed since.
    pub fn is_failing(&self) -> bool {
        !self.failing.is_empty()
    }

    /// Like [`put`](Self::put), but makes the task if there is none, and leaves one alone about which the relay was asked:
    /// its turn comes when the answer is there.
    fn set(&mut self, target: &Target, state: State, change: impl FnOnce(&mut Task)) {
        let task = self.all.entry(target.clone()).or_insert(Task { state: State::Refused, tries: 0, error: None });
        if task.state == State::Asked {
            change(task);
        } else {
            self.put(target, state, change);
        }
    }

    fn put(&mut self, target: &Target, state: State, change: impl FnOnce(&mut Task)) {
        let Some(task) = self.all.get_mut(target) else { return };
        change(task);
        let before = std::mem::replace(&mut task.state, state.clone());
        self.leave(target, &before);
        match state {
            State::Ready => drop(self.ready.insert(target.clone())),
            State::Sleeping(until) => drop(self.sleeping.insert((until, target.clone()))),
            State::Blocked(namespace) => drop(self.blocked.entry(namespace).or_default().insert(target.clone())),
            State::Asked | State::Refused => {}
        }
    }

    fn leave(&mut self, target: &Target, state: &State) {
        match state {
            State::Ready => {
                self.ready.remove(target);
                self.urgent.remove(target);
            }
            State::Sleeping(until) => drop(self.sleeping.remove(&(*until, target.clone()))),
            State::Blocked(namespace) => {
                if let Some(waiting) = self.blocked.get_mut(namespace) {
                    waiting.remove(target);
                }
            }
            State::Asked | State::Refused => {}
        }
    }
}
