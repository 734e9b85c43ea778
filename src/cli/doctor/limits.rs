//! Limits: what the system grants, what is used of it, and what is needed.

use super::keeper::Keeper;
use super::{Finding, Patient, process};
use crate::daemon::{Budget, Limit, Limits};
use crate::report::DaemonFacts;
use crate::report::wording::directories;

/// Watches of one inotify instance, as the watcher has them.
const WATCHES_PER_INSTANCE: u64 = 4_096;

/// What a daemon takes of the system's watches where nothing else is said: one part in so many.
const SHARE: u64 = 4;

/// Notifications that the kernel keeps by default until they are read; more is better in a storm.
const QUEUED_EVENTS: u64 = 16_384;

/// Descriptors that a daemon needs beside its roots and instances: databases, sockets, files that are being read.
const SPARE_FILES: u64 = 128;

pub fn check(patient: &Patient) -> Vec<Finding> {
    let facts = patient.facts();
    let me = rustix::process::geteuid().as_raw();
    let user = facts.and_then(|facts| process::user_of(facts.pid)).unwrap_or(me);
    let (granted, taken) = (Limits::read(), process::inotify_of(user));
    let mut findings = Vec::new();
    if patient.settings.watch {
        findings.push(watches(patient, granted.watches, taken.watches));
        findings.push(instances(facts, granted.instances, taken.instances));
        findings.extend(queued());
    } else {
        findings.push(Finding::ok("watches", "none are wanted (`watch = false`): sweeps alone find changes"));
    }
    findings.extend(files(patient));
    findings
}

fn watches(patient: &Patient, granted: Limit, used: u64) -> Finding {
    let Limit { most, sysctl } = granted;
    let asked = patient.settings.watch_budget;
    let Some(facts) = patient.facts() else {
        let budget = Budget::new(asked).most();
        let found = format!(
            "this user's programs use {used} of {most} ({sysctl}), and meshd would take up to {budget}; how many it needs is known \
             while it runs"
        );
        let finding = if used.saturating_add(budget) > most {
            Finding::note("watches", found).command(raise(sysctl, most.saturating_mul(2)))
        } else {
            Finding::ok("watches", found)
        };
        return finding;
    };
    let DaemonFacts { watches, watches_needed: needed, watch_budget: budget, cold_directories: cold, .. } = facts;
    let found = format!(
        "{watches} of {needed} needed, of at most {budget}; all programs of its user use {used} of {most} ({sysctl})"
    );
    if *cold == 0 {
        return Finding::ok("watches", found);
    }
    if facts.degraded.is_empty() {
        let found = format!("{found}; what may not be listed is polled, {}", directories(*cold));
        return Finding::note("watches", found).advise("a root that is degraded says which");
    }
    let found = format!("for want of watches some are polled, {}: {found}", directories(*cold));
    let finding = Finding::needs_person("watches", found);
    let finding = facts.degraded.iter().fold(finding, |finding, why| finding.advise(crate::agent::Shown::text(why)));
    // What others use is theirs: what is needed must fit beside it, and into the share where none is said.
    let share = if asked.is_some() { *needed } else { needed.saturating_mul(SHARE) };
    let must = share.max(used.saturating_add(*cold));
    let finding = if must > most {
        finding.command(raise(sysctl, must.next_power_of_two())).command(keep(sysctl, must.next_power_of_two()))
    } else {
        finding
    };
    if asked.is_some_and(|asked| asked < *needed) {
        return finding.command(format!("meshd run --help  # `watch_budget = {needed}` in the configuration"));
    }
    finding
}

fn instances(facts: Option<&DaemonFacts>, granted: Limit, used: u64) -> Finding {
    let Limit { most, sysctl } = granted;
    let needed = facts.map_or(1, |facts| facts.watches_needed.div_ceil(WATCHES_PER_INSTANCE).max(1)).saturating_add(1);
    let found = format!("all programs of its user have {used} of {most} ({sysctl}); meshd needs {needed}");
    // A daemon that runs has its own already, and they are in `used`.
    let is_short = if facts.is_some() { used >= most } else { used.saturating_add(needed) > most };
    if !is_short {
        return Finding::ok("instances", found);
    }
    let more = most.saturating_mul(2).max(used.saturating_add(needed).next_power_of_two());
    Finding::needs_person("instances", found).command(raise(sysctl, more)).command(keep(sysctl, more))
}

fn queued() -> Option<Finding> {
    let sysctl = "fs.inotify.max_queued_events";
    let most: u64 = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").ok()?.trim().parse().ok()?;
    Some(if most < QUEUED_EVENTS {
        Finding::note("queue", format_args!("{most} notifications ({sysctl}) until some are lost and all is looked at"))
            .command(raise(sysctl, QUEUED_EVENTS))
            .command(keep(sysctl, QUEUED_EVENTS))
    } else {
        Finding::ok("queue", format_args!("{most} notifications ({sysctl})"))
    })
}

/// Open files of the daemon; of a process like it where none runs, or it may not be looked at.
fn files(patient: &Patient) -> Option<Finding> {
    let of_daemon = patient.facts().and_then(|facts| Some((process::open_files(facts.pid)?, facts)));
    let roots = u64::try_from(patient.settings.roots.len()).unwrap_or(u64::MAX);
    let (found, used, needed, most) = if let Some(((used, most), facts)) = of_daemon {
        let needed = facts.watches_needed / WATCHES_PER_INSTANCE + u64::try_from(facts.roots.len()).unwrap_or(0);
        (format!("the daemon has {used} of {most}"), used, needed, most)
    } else {
        let (used, most) = process::open_files(std::process::id())?;
        (format!("a daemon that is started here may have {most}"), used.min(1), roots, most)
    };
    let needed = needed.saturating_add(SPARE_FILES).max(used.saturating_add(SPARE_FILES / 2));
    Some(if needed <= most {
        Finding::ok("open files", found)
    } else {
        Finding::needs_person("open files", format_args!("{found}, and {needed} are needed"))
            .advise("in the unit: `[Service]`, `LimitNOFILE=16384`; in a shell: `ulimit -n 16384`")
            .command_if_any(Keeper::of(patient).edit())
    })
}

fn raise(sysctl: &str, to: u64) -> String {
    format!("sudo sysctl {sysctl}={to}")
}

/// The same for every start of the machine.
fn keep(sysctl: &str, to: u64) -> String {
    format!("echo {sysctl}={to} | sudo tee -a /etc/sysctl.d/60-meshd.conf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn instances_that_are_used_up_need_a_person_and_the_line_to_paste() {
        let limit = Limit { most: 128, sysctl: "user.max_inotify_instances" };
        assert_eq!(instances(None, limit, 20).level, Level::Ok);
        let found = instances(None, limit, 128);
        assert_eq!(found.level, Level::NeedsPerson);
        assert_eq!(found.commands.first().map(String::as_str), Some("sudo sysctl user.max_inotify_instances=256"));
    }
}
