//! How many watches there are to be had, and how many of them are meshd's.
//!
//! An editor on the same machine needs watches too, and all programs of a user share one limit: so meshd takes a share.

use std::time::{Duration, Instant};

use super::watcher::MAX_WATCHES;

/// One part in so many of the system's watches is taken where nothing else is said.
const SHARE: u64 = 4;

/// The most that is taken where nothing else is said: an idle watch costs the kernel about a kilobyte.
const MOST: u64 = 65_536;

/// How long after a refusal the system is asked again, at first and at most: somebody may have raised its limit.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// What the system grants to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Watches.
    pub watches: Limit,
    /// Instances.
    pub instances: Limit,
}

/// One limit, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The most that is granted; the most that is possible where the system does not say.
    pub most: u64,
    /// What to raise.
    pub sysctl: &'static str,
}

impl Limits {
    /// As they are now. A container may have lower ones than the machine.
    #[must_use]
    pub fn read() -> Self {
        Self {
            watches: Limit::least(["fs.inotify.max_user_watches", "user.max_inotify_watches"]),
            instances: Limit::least(["fs.inotify.max_user_instances", "user.max_inotify_instances"]),
        }
    }
}

impl Limit {
    /// The lowest of some; the first of those that are the same.
    fn least(sysctls: [&'static str; 2]) -> Self {
        let read = |sysctl: &'static str| {
            let text = std::fs::read_to_string(format!("/proc/sys/{}", sysctl.replace('.', "/"))).ok()?;
            Some(Self { most: text.trim().parse().ok()?, sysctl })
        };
        let [first, _] = sysctls;
        sysctls
            .into_iter()
            .filter_map(read)
            .min_by_key(|limit| limit.most)
            .unwrap_or(Self { most: u64::MAX, sysctl: first })
    }
}

/// What the system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// One more watch.
    Watch,
    /// One more instance: there are too many of them, or of open files.
    Instance,
}

/// How many watches may be used.
#[derive(Debug)]
pub struct Budget {
    /// What a person said.
    asked: Option<u64>,
    limits: Limits,
    /// How many there were when the system refused something.
    reached: Option<(u64, Refused)>,
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
        self.asked.unwrap_or_else(|| (self.limits.watches.most / SHARE).clamp(1, MOST))
    }

    /// How many may be used as far as is known now.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        self.most().min(self.reached.map_or(u64::MAX, |(used, _)| used))
    }

    /// Takes note that the system refused something while so many were used.
    pub fn refused(&mut self, what: Refused, used: u64) {
        self.reached = Some((used, what));
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
        let (needed, most) = (watched.saturating_add(cold), self.most());
        let advice = |limit: Limit, to: u64| format!("`sysctl {}={to}`", limit.sysctl);
        let refused = self.reached.filter(|(used, _)| *used < most).map(|(_, what)| what);
        let (why, raise) = match (refused, self.asked) {
            (Some(Refused::Instance), _) => {
                let to = instances.most.saturating_add(needed.div_ceil(MAX_WATCHES as u64)).saturating_add(2);
                ("the system grants no further instance", format!("{}, or more open files", advice(instances, to)))
            }
            (Some(Refused::Watch), _) => {
                let to = needed.max(watches.most.saturating_add(cold));
                ("the system grants no more", advice(watches, to))
            }
            (None, Some(_)) if needed <= watches.most => {
                ("watch_budget allows no more", format!("`watch_budget = {needed}`"))
            }
            (None, Some(_)) => {
                let raise = format!("{} and `watch_budget = {needed}`", advice(watches, needed.saturating_mul(SHARE)));
                ("watch_budget allows no more", raise)
            }
            (None, None) => {
                let to = needed.saturating_mul(SHARE);
                let or = if needed <= watches.most { format!(", or `watch_budget = {needed}`") } else { String::new() };
                ("meshd takes no more than a quarter", format!("{}{or}", advice(watches, to)))
            }
        };
        format!(
            "of {needed} directories that need a watch {cold} have none: {why} (budget {most}, {} {}, {} {}). \
             They are polled instead. To have all watched: {raise}",
            watches.sysctl, watches.most, instances.sysctl, instances.most
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

    fn budget(watches: u64) -> Budget {
        let limit = |most, sysctl| Limit { most, sysctl };
        let limits = Limits { watches: limit(watches, "watches"), instances: limit(128, "instances") };
        Budget { limits, ..Budget::new(None) }
    }

    #[test]
    fn a_shortage_names_the_numbers_and_what_to_raise_to_what() {
        let says = |budget: &Budget, parts: &[&str]| {
            let said = budget.shortage(900, 300);
            for part in parts {
                assert!(said.contains(part), "`{part}` is not in: {said}");
            }
        };
        let mut share = budget(3_600);
        says(&share, &["1200 directories", "300 have none", "budget 900", "watches 3600", "sysctl watches=4800"]);
        share.refused(Refused::Watch, 500);
        says(&share, &["the system grants no more", "sysctl watches=3900"]);
        share.refused(Refused::Instance, 500);
        says(&share, &["no further instance", "instances 128", "sysctl instances=131"]);
        says(&Budget { asked: Some(900), ..budget(3_600) }, &["watch_budget allows no more", "watch_budget = 1200"]);
    }

    #[test]
    fn a_share_is_taken_and_no_more_than_the_most() {
        assert_eq!(budget(10).most(), 2);
        assert_eq!(budget(8_192).most(), 2_048);
        assert_eq!(budget(u64::MAX).most(), MOST);
        assert_eq!(budget(1).most(), 1, "a root at least");
        assert_eq!(Budget { asked: Some(7), ..budget(u64::MAX) }.most(), 7);
    }

    #[test]
    fn after_a_refusal_the_system_is_asked_again_later_and_later() {
        let (mut budget, start) = (Budget::new(Some(100)), monotonic());
        budget.refused(Refused::Watch, 40);
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
