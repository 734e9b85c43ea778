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

/// The poll of what nothing is heard of.
#[derive(Debug)]
pub struct Polls {
    interval: Duration,
    due: Option<Instant>,
}

impl Polls {
    /// So often, once there is something to poll.
    pub fn every(interval: Duration) -> Self {
        Self { interval, due: None }
    }

    /// There is something to poll.
    pub fn begin(&mut self, now: Instant) {
        self.due.get_or_insert(now + self.interval);
    }

    /// There is nothing to poll.
    pub fn end(&mut self) {
        self.due = None;
    }

    /// When it is due next.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Plans the poll after one that was at work for so long: seldom enough to stay within the duty.
    pub fn plan_next(&mut self, at_work: Duration, now: Instant) {
        self.due = Some(now + self.interval.max(at_work.saturating_mul(DUTY)));
    }
}

/// How far apart the sweeps are that doubts ask for, at first and at most: in a storm of changes each would only be the
/// next one's.
const CALM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Sweeps that are due because something may have changed unannounced: the first at once, and more of them less and less
/// often.
#[derive(Debug, Default)]
pub struct Doubts {
    due: Option<Instant>,
    last: Option<Instant>,
    wait: Duration,
}

impl Doubts {
    /// Something may have changed.
    pub fn ask(&mut self, now: Instant) {
        if self.due.is_some() {
            return;
        }
        let longer = self.wait.saturating_mul(2).clamp(CALM.0, CALM.1);
        let is_storm = self.last.is_some_and(|last| now.saturating_duration_since(last) <= longer);
        self.wait = if is_storm { longer } else { Duration::ZERO };
        self.due = Some(self.last.map_or(now, |last| now.max(last + self.wait)));
    }

    /// When a sweep is due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a sweep is due. If so, it is taken to be made now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.last = Some(now);
        }
        is_due
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
        | Action::NoteMount { .. }
        | Action::ForgetMount { .. }
        | Action::Remove { .. }
        | Action::CarryClock { .. }
        | Action::Restate(_)
        | Action::Clear(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn a_doubt_is_swept_at_once_and_a_storm_of_them_seldom() {
        let (mut doubts, start) = (Doubts::default(), monotonic());
        let mut swept = Vec::new();
        for second in 0..200 {
            let now = start + Duration::from_secs(second);
            doubts.ask(now);
            if doubts.is_due(now) {
                swept.push(second);
            }
        }
        assert_eq!(swept, [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181]);
        let later = start + Duration::from_mins(10);
        doubts.is_due(later);
        doubts.ask(later + Duration::from_mins(2));
        assert_eq!(doubts.due(), Some(later + Duration::from_mins(2)), "after a calm it is at once again");
    }
}
