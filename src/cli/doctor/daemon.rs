//! The daemon: whether one runs and answers, whether it is ready, and whether it is the one that is installed.

use std::fmt::Display;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::keeper::Keeper;
use super::{Finding, Patient, process, shown};
use crate::agent::Shown;
use crate::agent::moment::wall_ms;
use crate::api::client::ClientError;
use crate::cli::systems;
use crate::lock::{Holder, What};
use crate::report::DaemonFacts;
use crate::report::wording::{count, duration};

/// How long a daemon may take until it is ready: what its unit grants it, too.
const READY_WITHIN_MS: i64 = 10 * 60_000;

/// How long somebody on this machine may take to accept a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

pub fn check(patient: &Patient) -> Vec<Finding> {
    match &patient.daemon {
        Ok(facts) => running(facts, patient),
        Err(ClientError::NoDaemon(_)) => {
            let taken = patient.settings.http.filter(|_| patient.pid().is_none()).and_then(taken);
            std::iter::once(not_answering(patient)).chain(taken).collect()
        }
        Err(error) if patient.is_foreign() => vec![
            Finding::needs_person("daemon", error)
                .advise("ask as the user whose daemon it is")
                .command(patient.meshd("doctor")),
        ],
        Err(error) => vec![
            Finding::needs_person("daemon", error)
                .advise("if it hangs, end it and start it again")
                .command_if_any(Keeper::of(patient).restart()),
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
            .command_if_any(Keeper::of(patient).log())
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
            .command_if_any(Keeper::of(patient).restart())
    });
    if let Some(error) = &facts.registry_error {
        findings.push(
            Finding::needs_person("writing", format_args!("the registry cannot be written: {}", Shown::text(error)))
                .advise("make room or give the permission back; the daemon tries again by itself"),
        );
    }
    if let (Some(why), Some(address)) = (&facts.http_error, patient.settings.http) {
        findings.push(not_served(address, Shown::text(why)));
    }
    if facts.missed_events > 0 {
        let missed = facts.missed_events;
        findings.push(
            Finding::note("events", format_args!("{} found by a sweep that nothing had announced", were(missed)))
                .advise("a network file system or too few watches explain that; the sweeps make up for it"),
        );
    }
    findings.push(swept(facts, patient));
    findings
}

fn swept(facts: &DaemonFacts, patient: &Patient) -> Finding {
    let Some(sweep) = &facts.last_sweep else { return Finding::note("sweep", "none has ended yet") };
    let ago = wall_ms(&sweep.at).map_or(0, |at| patient.now().wall_ms.saturating_sub(at));
    let ago = duration(Duration::from_millis(u64::try_from(ago).unwrap_or(0)));
    Finding::ok("sweep", format_args!("the last one ended {ago} ago and took {:.0} ms", sweep.took_ms))
}

fn not_answering(patient: &Patient) -> Finding {
    let socket = &patient.settings.socket;
    match process::holder(&patient.settings.state_dir) {
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
            .command_if_any(Keeper::of(patient).restart())
        }
        Some(Holder { pid, what: What::Command, .. }) => {
            Finding::note("daemon", format_args!("none runs; a command with pid {pid} is writing the registry"))
        }
        None if systems::is_elsewhere(&patient.settings) => {
            Finding::note("daemon", "none runs for this registry; the system's does, for its own")
                .advise(systems::ASKED)
                .command(systems::DOCTOR)
        }
        None => Finding::note("daemon", "none runs: what is told is what the last pass found")
            .advise("start it, unless `meshd reconcile` is run by a timer")
            .command(Keeper::of(patient).start(patient)),
    }
}

/// Whether somebody else listens where a daemon that is started would.
fn taken(address: SocketAddr) -> Option<Finding> {
    TcpStream::connect_timeout(&address, CONNECTED_WITHIN).ok()?;
    Some(not_served(address, format_args!("another program listens at {address}, where a daemon would serve HTTP")))
}

fn not_served(address: SocketAddr, why: impl Display) -> Finding {
    Finding::needs_person("http", why)
        .advise("where another program has the address, end that or name another one: `http` in the configuration")
        .command(format!("sudo ss -ltnp 'sport = :{}'", address.port()))
}

fn were(changes: u64) -> String {
    format!("{} {}", count(changes, "change"), if changes == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_at_which_another_program_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(taken(address).is_some());
        drop(listener);
        assert_eq!(taken(address), None);
    }
}
