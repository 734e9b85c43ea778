//! The clock: ages, grace periods across a reboot and the order of events go by it.

use std::path::Path;

use super::{Finding, Patient, process};
use crate::agent::Shown;
use crate::agent::moment::{iso, wall_ms};

/// 2020-01-01T00:00:00Z: no meshd is older. A clock before it was never set, as on a board without a battery.
const MEANINGLESS_MS: i64 = 1_577_836_800_000;

/// How far the clock may be behind the newest event: steps of a few seconds are how clocks are set.
const TOLERANCE_MS: i64 = 60_000;

/// systemd's own client makes this file when it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

pub fn check(patient: &Patient) -> Vec<Finding> {
    let newest = patient.reader("events").ok().and_then(|reader| {
        let last = reader.last_seq().ok()?;
        reader.events_after(last.checked_sub(1)?, 1).ok()?.pop()
    });
    vec![of_time(patient.now().wall_ms, newest.map(|event| event.at).as_deref()), synchronized()]
}

fn of_time(now_ms: i64, newest: Option<&str>) -> Finding {
    let now = iso(now_ms);
    let set = "set it, and have it kept";
    if now_ms < MEANINGLESS_MS {
        let finding = Finding::needs_person("time", format_args!("{now}: the clock was never set"));
        return finding.advise(set).command("sudo timedatectl set-ntp true");
    }
    let newest_ms = newest.and_then(wall_ms).unwrap_or(i64::MIN);
    if now_ms.saturating_add(TOLERANCE_MS) < newest_ms {
        let newest = Shown::text(newest.unwrap_or_default());
        return Finding::needs_person("time", format_args!("{now} is before the newest event, of {newest}"))
            .advise("the clock was set back, or was ahead; ages are wrong until it has caught up. If it is wrong now: set it")
            .command("sudo timedatectl set-ntp true");
    }
    Finding::ok("time", now)
}

fn synchronized() -> Finding {
    // The kernel knows it, whoever sets the clock; `timedatectl` asks it.
    let said = || process::answer("timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    let is_synchronized = Path::new(SYNCHRONIZED).is_file().then(|| "yes".to_owned()).or_else(said);
    match is_synchronized.as_deref().map(str::trim) {
        Some("yes") => Finding::ok("synchronized", "yes"),
        Some("no") => Finding::note("synchronized", "no: nothing keeps the clock right")
            .advise("grace periods go by the time since the start of the machine, and across one by the clock")
            .command("sudo timedatectl set-ntp true"),
        _ => Finding::ok("synchronized", "not known: neither systemd-timesyncd nor timedatectl say"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn a_clock_that_was_never_set_or_is_before_what_happened_needs_a_person() {
        let now = 1_800_000_000_000;
        assert_eq!(of_time(now, None).level, Level::Ok);
        assert_eq!(of_time(now, Some(&iso(now + 30_000))).level, Level::Ok);
        assert_eq!(of_time(now, Some(&iso(now + 3_600_000))).level, Level::NeedsPerson);
        assert_eq!(of_time(0, None).level, Level::NeedsPerson);
        assert_eq!(of_time(now, Some("garbage")).level, Level::Ok);
    }
}
