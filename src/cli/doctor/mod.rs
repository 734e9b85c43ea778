//! `meshd doctor`: looks at all that meshd lives on, and says what is wrong and what to do about it.
//!
//! It only reads, takes no lock, and must not die of what it is to find: each part looks on a thread of its own, so that
//! one that fails or hangs is a finding like any other. One file a part.

mod clock;
mod configuration;
mod daemon;
mod limits;
mod permissions;
mod problems;
mod process;
mod registry;
mod relay;
mod roots;
mod space;
mod unit;

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clap::Args;

use super::out::Out;
use super::{CliError, Exit, Form};
use crate::api::client::{Client, ClientError};
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, Given, Settings};
use crate::registry::{Reader, RegistryError};
use crate::report::paste;
use crate::report::wording::count;
use crate::report::{DaemonFacts, Examination, Finding, Level, Part};

/// Look for what is wrong with limits, roots, registry, relay, service and clock; say what to do
///
/// Ends with 1 if something needs a person. Changes nothing, and works with and without a daemon.
#[derive(Debug, Args)]
pub struct Doctor {}

/// What is examined.
struct Patient {
    /// What meshd is told; defaults where that is wrong.
    settings: Settings,
    /// What is wrong with what it is told.
    config_error: Option<ConfigError>,
    /// What the daemon says of itself.
    daemon: Result<DaemonFacts, ClientError>,
    clock: SystemClock,
    /// The registry, or why it cannot be read; looked at by whichever part comes first.
    registry: OnceLock<Result<Mutex<Reader>, RegistryError>>,
    /// The flags that say where things are, as they were given: for commands to paste.
    flags: Vec<String>,
}

/// Looks at one thing.
type Check = fn(&Patient) -> Vec<Finding>;

/// The parts, in the order in which they are told: what everything rests on comes first. What follows may take this long.
const PARTS: [(&str, Check, Duration); 11] = [
    ("configuration", configuration::check, SOON),
    ("daemon", daemon::check, SOON),
    ("service", unit::check, SOON),
    ("permissions", permissions::check, SOON),
    ("space", space::check, SOON),
    ("registry", registry::check, EVER),
    ("roots", roots::check, SOON),
    ("limits", limits::check, SOON),
    ("agents", problems::check, SOON),
    ("relay", relay::check, SOON),
    ("clock", clock::check, SOON),
];

/// How long a part may take that reads some files: it hangs on a file server that is gone, mostly.
const SOON: Duration = Duration::from_secs(20);

/// How long reading every page of a registry may take: 10 GB on a slow disk.
const EVER: Duration = Duration::from_mins(10);

/// Examines what these settings, or the error in them, are about. `flags` are those that say where things are.
pub fn run(settings: Result<Settings, ConfigError>, flags: &Given, form: Form) -> Result<Exit, CliError> {
    let patient = Arc::new(Patient::of(settings, flags)?);
    let under_way: Vec<_> = PARTS
        .into_iter()
        .map(|(topic, check, within)| {
            let (found, finds) = channel();
            let patient = Arc::clone(&patient);
            // Where there are no threads to be had, the part is told as one that failed.
            let thread = std::thread::Builder::new().name(topic.to_owned()).spawn(move || found.send(check(&patient)));
            (topic, thread.map(|_| finds), within)
        })
        .collect();
    let parts = under_way.into_iter().map(|(topic, finds, within)| {
        let findings = match finds.map(|finds| finds.recv_timeout(within)) {
            Ok(Ok(findings)) => findings,
            Ok(Err(RecvTimeoutError::Timeout)) => vec![
                Finding::needs_person(topic, format_args!("no answer within {} s", within.as_secs()))
                    .advise("perhaps a file system hangs; look for processes that wait for it (`D`)")
                    .command("ps -eo pid,stat,wchan:20,args | awk '$2 ~ /D/'"),
            ],
            Ok(Err(RecvTimeoutError::Disconnected)) => {
                vec![Finding::needs_person(topic, "this part of the examination failed: that is a mistake in meshd")]
            }
            Err(error) => vec![Finding::needs_person(topic, format_args!("it could not be looked at: {error}"))],
        };
        Part { topic, findings }
    });
    let examination = Examination::of(parts.collect());
    let mut out = Out::new();
    match form {
        Form::Json => out.json(&examination)?,
        Form::Text => print(&examination, &mut out)?,
    }
    out.flush()?;
    Ok(if examination.well { Exit::Done } else { Exit::Failed })
}

impl Patient {
    fn of(settings: Result<Settings, ConfigError>, flags: &Given) -> Result<Self, CliError> {
        let (settings, config_error) = match settings {
            Ok(settings) => (settings, None),
            Err(error) => (configuration::without(flags)?, Some(error)),
        };
        let daemon = Client::new(&settings.socket, &settings.state_dir).facts();
        let flags = [("--state-dir", &flags.state_dir), ("--socket", &flags.socket), ("--config", &flags.config)];
        let given = |(flag, path): (&str, &Option<_>)| Some(format!("{flag} {}", paste::quoted(path.as_deref()?)));
        let flags = flags.into_iter().filter_map(given).collect();
        Ok(Self { settings, config_error, daemon, clock: SystemClock::new(), registry: OnceLock::new(), flags })
    }

    /// A command of meshd to paste that is about the same registry and daemon.
    fn meshd(&self, arguments: &str) -> String {
        self.flags.iter().fold(format!("meshd {arguments}"), |command, flag| format!("{command} {flag}"))
    }

    /// Whether the registry can be read. It stays open: opening the file anew would take away the locks on it.
    fn registry(&self) -> Result<(), &RegistryError> {
        let open = || Reader::open(&self.settings.registry()).map(Mutex::new);
        self.registry.get_or_init(open).as_ref().map(drop)
    }

    /// A look at the registry, or what to say where there is none. Why not is told by the part about the registry.
    fn reader(&self, looked_at: &str) -> Result<Reader, Vec<Finding>> {
        self.registry().map_err(|error| unread(looked_at, error))?;
        Reader::beside(&self.settings.registry()).map_err(|error| unread(looked_at, &error))
    }

    /// Whether there is a registry that cannot be read.
    fn is_damaged(&self) -> bool {
        self.registry().is_err_and(|error| !matches!(error, RegistryError::Missing(_)))
    }

    fn facts(&self) -> Option<&DaemonFacts> {
        self.daemon.as_ref().ok()
    }

    fn now(&self) -> crate::agent::Moment {
        self.clock.now()
    }
}

/// What to do with the daemon, as commands.
struct DaemonCommands {
    start: String,
    restart: &'static str,
    reload: &'static str,
    log: &'static str,
}

/// The commands for this patient's daemon: the user's unit, or the system's for root and where the state says so.
fn user_commands(patient: &Patient) -> DaemonCommands {
    let is_systems = patient.settings.state_dir == Path::new("/var/lib/meshd");
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    let start = |unit: &str| if has_systemd { unit.to_owned() } else { patient.meshd("run") };
    if is_systems {
        DaemonCommands {
            start: start("sudo systemctl enable --now meshd"),
            restart: "sudo systemctl restart meshd",
            reload: "sudo systemctl reload meshd",
            log: "sudo journalctl -u meshd -n 50",
        }
    } else {
        DaemonCommands {
            start: start("systemctl --user enable --now meshd"),
            restart: "systemctl --user restart meshd",
            reload: "systemctl --user reload meshd",
            log: "journalctl --user -u meshd -n 50",
        }
    }
}

/// For a part that needs the registry and cannot read it.
fn unread(looked_at: &str, error: &RegistryError) -> Vec<Finding> {
    let found = if matches!(error, RegistryError::Missing(_)) {
        "not known: there is no registry yet".to_owned()
    } else {
        format!("not known: {error}")
    };
    vec![Finding::note(looked_at, found)]
}

/// A path for people.
fn shown(path: &Path) -> String {
    crate::agent::Shown::path(path).to_string()
}

fn print(examination: &Examination, out: &mut Out) -> Result<(), CliError> {
    for part in &examination.parts {
        out.line(part.topic)?;
        for finding in &part.findings {
            let mark = match finding.level {
                Level::Ok => "ok  ",
                Level::Note => "note",
                Level::NeedsPerson => "!!  ",
            };
            out.line(format_args!("  {mark}  {}: {}", finding.looked_at, finding.found))?;
            if let Some(to_do) = &finding.to_do {
                out.line(format_args!("        {to_do}"))?;
            }
            for command in &finding.commands {
                out.line(format_args!("          {command}"))?;
            }
        }
    }
    let person = u64::try_from(examination.need_person).unwrap_or(u64::MAX);
    let notes = count(u64::try_from(examination.notes).unwrap_or(u64::MAX), "note");
    match person {
        0 => out.line(format_args!("nothing needs a person; {notes}")),
        1 => out.line(format_args!("1 finding needs a person (!!); {notes}")),
        many => out.line(format_args!("{many} findings need a person (!!); {notes}")),
    }
}
