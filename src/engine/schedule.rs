//! When the next sweep is due, and what a sweep found that nobody had announced.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::agent::Reason;
use crate::clock::wall_ns;
use crate::decide::Action;
use crate::scope::Scope;

/// A sweep may take one part in so many of the time.
const DUTY: u32 = 50;

/// The periodic sweep.
#[derive(Debug)]
pub struct Sweeps {
    interval: Duration,
    due: Instant,
}

impl Sweeps {
    /// Sweeps from `now` on.
    pub fn every(interval: Duration, now: Instant) -> Self {
        let mut sweeps = Self { interval, due: now };
        sweeps.plan_next(Duration::ZERO, now);
        sweeps
    }

    /// When the next sweep is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Plans the sweep after one that took `took`: ± 10 %, so that machines that were started together do not sweep
    /// together, and seldom enough to stay within the duty.
    pub fn plan_next(&mut self, took: Duration, now: Instant) {
        let tenth = u64::try_from(self.interval.as_nanos() / 10).unwrap_or(u64::MAX).max(1);
        // The clock's low digits are random enough for this.
        let jitter = Duration::from_nanos(u64::try_from(wall_ns()).unwrap_or(0) % tenth.saturating_mul(2));
        let wait = self.interval.saturating_sub(Duration::from_nanos(tenth)).saturating_add(jitter);
        self.due = now + wait.max(took.saturating_mul(DUTY));
    }
}

/// Places at which a sweep found a change: missed, unless the announcement is only late.
#[derive(Debug, Default)]
pub struct Suspects(Vec<(PathBuf, Instant)>);

/// An announcement takes its way through two threads: later than this it will not come.
const LATE: Duration = Duration::from_secs(1);

impl Suspects {
    /// Notes what a sweep found.
    pub fn add(&mut self, found: Vec<PathBuf>, now: Instant) {
        self.0.extend(found.into_iter().map(|place| (place, now + LATE)));
    }

    /// Takes back what was announced after all.
    pub fn announced(&mut self, scope: &Scope) {
        self.0.retain(|(place, _)| !scope.covers(place));
    }

    /// How many were certainly missed by now.
    pub fn missed(&mut self, now: Instant) -> u64 {
        let before = self.0.len();
        self.0.retain(|(_, until)| *until > now);
        before.saturating_sub(self.0.len()) as u64
    }

    /// When [`missed`](Self::missed) should be asked next.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).min()
    }
}

/// The place at which an action shows that something on disk changed; none if time or a person brought it about.
pub fn changed_place(action: &Action) -> Option<&Path> {
    match action {
        Action::Relocate { agent, .. } | Action::Upsert { agent, .. } | Action::Sync { agent, .. } => {
            Some(&agent.project)
        }
        Action::MarkReachable { project, .. }
        | Action::MarkUnreachable { project, reason: Reason::ManifestGone | Reason::OtherManifest, .. } => {
            Some(project)
        }
        Action::Raise(problem) => Some(&problem.project),
        Action::MarkUnreachable { .. }
        | Action::SetRoot { .. }
        | Action::Remove { .. }
        | Action::CarryClock { .. }
        | Action::Restate(_)
        | Action::Clear(_) => None,
    }
}
