//! The daemon: whether one runs and answers, whether it is ready, and whether it is the one that is installed.

use super::{Finding, Patient, shown, user_commands};
use crate::agent::Shown;
use crate::agent::moment::wall_ms;
use crate::api::client::ClientError;
use crate::lock::{self, Holder, What};
use crate::report::DaemonFacts;
use crate::report::wording::duration;

/// How long a daemon may take until it is ready: what its unit grants it, too.
const READY_WITHIN_MS: i64 = 10 * 60_000;

pub fn check(patient: &Patient) -> Vec<Finding> {
    match &patient.daemon {
        Ok(facts) => running(facts, patient),
        Err(ClientError::NoDaemon(_)) => vec![not_answering(patient)],
        Err(error) => vec![
            Finding::needs_person("daemon", error)
                .advise("if it hangs, start it again")
                .command(user_commands(patient).restart),
        ],
    }
}

fn running(facts: &DaemonFacts, patient: &Patient) -> Vec<Finding> {
    let up_ms = wall_ms(&facts.started_at).map_or(0, |started| patient.now().wall_ms.saturating_sub(started));
    let what = format!("pid {}, since {}", facts.pid, Shown::text(&facts.started_at));
    let mut findings = vec![if facts.ready {
        Finding::ok("daemon", format_args!("ready ({what})"))
    } else if up_ms > READY_WITHIN_MS {
        Finding::needs_person("daemon", format_args!("still not ready ({what})"))
            .advise("its log says what it waits for: a root that hangs, a registry that cannot be written")
            .command(user_commands(patient).log)
    } else {
        Finding::note("daemon", format_args!("starting: not every root is watched and swept yet ({what})"))
    }];
    let mine = env!("CARGO_PKG_VERSION");
    findings.push(if facts.version == mine {
        Finding::ok("version", format_args!("{mine}, the same as this command's"))
    } else {
        let theirs = Shown::text(&facts.version);
        Finding::note("version", format_args!("the daemon is {theirs}, and this command is {mine}"))
            .advise("start the daemon again, so that it is the one that is installed")
            .command(user_commands(patient).restart)
    });
    if let Some(error) = &facts.registry_error {
        findings.push(
            Finding::needs_person("writing", format_args!("the registry cannot be written: {}", Shown::text(error)))
                .advise("make room or give the permission back; the daemon tries again by itself"),
        );
    }
    if facts.missed_events > 0 {
        let missed = facts.missed_events;
        findings.push(
            Finding::note("events", format_args!("{missed} changes were found by a sweep that nothing had announced"))
                .advise("a network file system or too few watches explain that; the sweeps make up for it"),
        );
    }
    findings.push(swept(facts, patient));
    findings
}

fn swept(facts: &DaemonFacts, patient: &Patient) -> Finding {
    let Some(sweep) = &facts.last_sweep else { return Finding::note("sweep", "none has ended yet") };
    let ago = wall_ms(&sweep.at).map_or(0, |at| patient.now().wall_ms.saturating_sub(at));
    let ago = duration(std::time::Duration::from_millis(u64::try_from(ago).unwrap_or(0)));
    Finding::ok("sweep", format_args!("the last one ended {ago} ago and took {:.0} ms", sweep.took_ms))
}

fn not_answering(patient: &Patient) -> Finding {
    let socket = &patient.settings.socket;
    let state_dir = &patient.settings.state_dir;
    // A process of this number that is another one's by now is no holder.
    let alive = |holder: &Holder| super::process::program_of(holder.pid).is_some_and(|program| program == "meshd");
    match lock::said_holder(state_dir).filter(alive) {
        Some(Holder { pid, what: What::Daemon, socket: said }) => {
            let listens = said.as_deref().map_or_else(|| "nowhere yet".to_owned(), shown);
            Finding::needs_person(
                "daemon",
                format_args!(
                    "pid {pid} holds the lock and listens at {listens}, but does not answer at {}",
                    shown(socket)
                ),
            )
            .advise("if it is not just starting or ending: end it and start it again")
            .command(format_args!("kill {pid}"))
        }
        Some(Holder { pid, what: What::Command, .. }) => {
            Finding::note("daemon", format_args!("none runs; a command with pid {pid} is writing the registry"))
        }
        None => Finding::note("daemon", "none runs: what is told is what the last pass found")
            .advise("start it, unless `meshd reconcile` is run by a timer")
            .command(user_commands(patient).start),
    }
}
