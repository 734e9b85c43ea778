//! How many watches there are to be had, and how many of them are meshd's.
//!
//! An editor on the same machine needs watches too, and all programs of a user share one limit: so meshd takes a share.

use std::time::{Duration, Instant};

/// One part in so many of the system's watches is taken where nothing else is said.
const SHARE: u64 = 4;

/// The most that is taken where nothing else is said: an idle watch costs the kernel about a kilobyte.
const MOST: u64 = 65_536;

/// How long after a refusal the system is asked again, at first and at most: somebody may have raised its limit.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// What the system grants to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Watches; the most that is possible where the system does not say.
    pub watches: u64,
    /// Instances.
    pub instances: u64,
}

impl Limits {
    /// As they are now. A container may have lower ones than the machine.
    #[must_use]
    pub fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let least = |machine: &str, container: &str| {
            let both = [format!("/proc/sys/fs/inotify/{machine}"), format!("/proc/sys/user/{container}")];
            both.iter().filter_map(|path| read(path)).min().unwrap_or(u64::MAX)
        };
        Self {
            watches: least("max_user_watches", "max_inotify_watches"),
            instances: least("max_user_instances", "max_inotify_instances"),
        }
    }
}

/// How many watches may be used.
#[derive(Debug)]
pub struct Budget {
    /// What a person said.
    asked: Option<u64>,
    limits: Limits,
    /// How many there were when the system refused one more.
    reached: Option<u64>,
    /// When the system is asked again, and how long that is put off next.
    again: Option<(Instant, Duration)>,
}

impl Budget {
    /// So many as a person said, or else a share of what the system grants.
    #[must_use]
    pub fn new(asked: Option<u64>) -> Self {
        Self { asked, limits: Limits::read(), reached: None, again: None }
    }

    /// The most that is used.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.asked.unwrap_or_else(|| (self.limits.watches / SHARE).clamp(1, MOST))
    }

    /// How many may be used as far as is known now.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        self.most().min(self.reached.unwrap_or(u64::MAX))
    }

    /// Takes note that the system refused one more than `used`.
    pub fn refused(&mut self, used: u64) {
        self.reached = Some(used);
    }

    /// Takes note of whether anything is cold: then the system is asked again after a while, and each time later.
    pub fn settle(&mut self, is_short: bool, now: Instant) {
        match (is_short, self.again) {
            (false, _) => self.again = None,
            (true, None) => self.again = Some((now + ASK_AGAIN.0, ASK_AGAIN.0)),
            (true, Some(_)) => {}
        }
    }

    /// Whether it is time to ask the system again. If so, what it refused is forgotten and its limits are read anew.
    pub fn ask_again(&mut self, now: Instant) -> bool {
        let Some((due, wait)) = self.again.filter(|(due, _)| *due <= now) else { return false };
        let wait = wait.saturating_mul(2).clamp(ASK_AGAIN.0, ASK_AGAIN.1);
        self.again = Some((due.max(now) + wait, wait));
        self.forget();
        true
    }

    /// Takes another word for how many are used. The system is asked again now.
    pub fn start_over(&mut self, asked: Option<u64>, now: Instant) {
        self.asked = asked;
        self.again = Some((now, Duration::ZERO));
        self.forget();
    }

    /// What to say while `cold` directories cannot be watched: the numbers, and what to raise.
    #[must_use]
    pub fn shortage(&self, watched: u64, cold: u64) -> String {
        let Limits { watches, instances } = self.limits;
        let needed = watched.saturating_add(cold);
        let most = self.most();
        let (why, raise) = if self.reached.is_some() && self.reached < Some(most) {
            ("the system grants no more", needed)
        } else if self.asked.is_some() {
            ("watch_budget allows no more", needed)
        } else {
            ("meshd takes no more than its share", needed.saturating_mul(SHARE))
        };
        format!(
            "{needed} directories need a watch and {cold} have none: {why} (budget {most}, fs.inotify.max_user_watches \
             {watches}, max_user_instances {instances}); they are looked at from time to time instead. \
             To watch all: sysctl fs.inotify.max_user_watches={raise}, or a larger watch_budget"
        )
    }

    fn forget(&mut self) {
        self.reached = None;
        self.limits = Limits::read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn a_share_is_taken_and_no_more_than_the_most() {
        let budget = |watches| Budget { limits: Limits { watches, instances: 128 }, ..Budget::new(None) };
        assert_eq!(budget(10).most(), 2);
        assert_eq!(budget(8_192).most(), 2_048);
        assert_eq!(budget(u64::MAX).most(), MOST);
        assert_eq!(budget(1).most(), 1, "a root at least");
        assert_eq!(Budget { asked: Some(7), ..budget(u64::MAX) }.most(), 7);
    }

    #[test]
    fn after_a_refusal_the_system_is_asked_again_later_and_later() {
        let (mut budget, start) = (Budget::new(Some(100)), monotonic());
        budget.refused(40);
        budget.settle(true, start);
        assert_eq!(budget.allowed(), 40);
        let mut asked = Vec::new();
        for minute in 1..200 {
            if budget.ask_again(start + Duration::from_mins(minute)) {
                assert_eq!(budget.allowed(), 100);
                asked.push(minute);
            }
        }
        assert_eq!(asked, [1, 3, 7, 15, 31, 63, 123, 183], "1, 2, 4 … minutes apart, an hour at most");
        budget.start_over(Some(50), start);
        assert!(budget.ask_again(start), "at once where a person says so");
        assert_eq!(budget.allowed(), 50);
    }
}
