//! The only place that reads a clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::{BootId, Moment};

/// Says what time it is. The daemon uses [`SystemClock`]; tests bring a clock that they can turn.
pub trait Clock: Send {
    /// Now, on both clocks.
    fn now(&self) -> Moment;
}

/// The machine's clocks.
pub struct SystemClock {
    boot: BootId,
}

impl SystemClock {
    /// Reads which boot this is.
    #[must_use]
    pub fn new() -> Self {
        // Without a boot id every start counts as a boot of its own, by the wall clock: no grace period ends early.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| format!("pid-{}", std::process::id()), |text| text.trim().to_owned());
        Self { boot: Arc::from(boot) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { wall_ms: millis(wall), boot_ms: millis(since_boot()), boot: self.boot.clone() }
    }
}

/// Time since this boot, time asleep included.
#[must_use]
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Now on the wall clock, in nanoseconds since 1970: the clock that file times are taken from.
#[must_use]
pub fn wall_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Now on the monotonic clock: for deadlines within this process.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
