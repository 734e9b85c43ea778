//! Times of one thing, and how two sides are printed beside each other.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

use std::time::Duration;

/// Times of one thing.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of them do not exceed, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

impl Extend<Duration> for Times {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        self.0.extend(times);
    }
}

/// The head of a table of [`latency`] rows.
pub fn latency_head() {
    println!("{:36}{:^18}{:^18}{:^16}", "milliseconds", "floor", "meshd", "ratio");
    println!("{:36}{:>8}{:>8}  {:>8}{:>8}  {:>7}{:>7}  must be", "", "p50", "p99", "p50", "p99", "p50", "p99");
}

/// The times of both sides, p50 and p99.
pub fn latency(what: &str, floor: &Times, meshd: &Times, target: &str) {
    let [f50, f99, m50, m99] =
        [(floor, 50), (floor, 99), (meshd, 50), (meshd, 99)].map(|(times, percent)| times.percentile(percent));
    println!("{what:36}{f50:8.2}{f99:8.2}  {m50:8.2}{m99:8.2}  {:7.2}{:7.2}  {target}", m50 / f50, m99 / f99);
}

/// The head of a table of [`duration`] rows.
pub fn duration_head() {
    println!("{:36}{:>10}{:>10}{:>8}  must be", "milliseconds, p50", "floor", "meshd", "ratio");
}

/// The times of both sides, p50.
pub fn duration(what: &str, floor: &Times, meshd: &Times, target: &str) {
    let (floor, meshd) = (floor.percentile(50), meshd.percentile(50));
    println!("{what:36}{floor:10.2}{meshd:10.2}{:8.2}  {target}", meshd / floor);
}
