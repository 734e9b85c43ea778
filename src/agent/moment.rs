//! When something is: the wall clock for people, the boot clock for measuring.
//!
//! The wall clock can be stepped and the boot clock starts again at every boot, so elapsed time is measured by the boot
//! clock within one boot and by the wall clock across boots, and is never negative.

use std::sync::Arc;
use std::time::Duration;

/// Which boot of the machine: the kernel's random id.
pub type BootId = Arc<str>;

/// One instant, on both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00:00Z, as the wall clock says.
    pub wall_ms: i64,
    /// Milliseconds since this boot, time asleep included (`CLOCK_BOOTTIME`).
    pub boot_ms: i64,
    /// The boot that `boot_ms` counts from.
    pub boot: BootId,
}

impl Moment {
    /// The time from `earlier` to this moment; zero where the clocks say less than that.
    #[must_use]
    pub fn since(&self, earlier: &Moment) -> Duration {
        let elapsed_ms = if self.boot == earlier.boot {
            self.boot_ms.saturating_sub(earlier.boot_ms)
        } else {
            self.wall_ms.saturating_sub(earlier.wall_ms)
        };
        Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0))
    }

    /// The moment as people write it: `2026-11-23T22:02:00.000Z`.
    #[must_use]
    pub fn to_iso(&self) -> String {
        iso(self.wall_ms)
    }
}

/// Milliseconds since 1970 as ISO 8601 in UTC, with milliseconds.
#[must_use]
pub fn iso(wall_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(wall_ms) {
        Ok(time) => format!("{time:.3}"),
        // Only a clock outside of the years -9999 to 9999 comes here; a row must still be writable then.
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

/// The milliseconds since 1970 that ISO 8601 text in UTC means.
#[must_use]
pub fn wall_ms(iso: &str) -> Option<i64> {
    iso.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
