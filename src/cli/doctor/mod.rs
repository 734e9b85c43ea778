//! `meshd doctor`: looks at all that meshd lives on, and says what is wrong and what to do about it.
//!
//! It only reads, takes no lock, and must not die of what it is to find: each part looks on a thread of its own, so that
//! one that fails or hangs is a finding like any other. One file a part.

mod clock;
mod configuration;
mod daemon;
mod keeper;
mod limits;
mod permissions;
mod problems;
mod process;
mod registry;
mod relay;
mod roots;
mod space;
mod unit;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clap::Args;

use super::out::Out;
use super::{CliError, Exit, Form, systems};
use crate::api::client::{Client, ClientError};
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, Given, Settings};
use crate::lock::What;
use crate::registry::{Reader, RegistryError};
use crate::report::paste;
use crate::report::wording::count;
use crate::report::{DaemonFacts, Examination, Finding, Level, Part};
use configuration::Environment;
use unit::Unit;

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
    /// The user whose state directory it is.
    owner: u32,
    clock: SystemClock,
    /// The registry, or why it cannot be read; looked at by whichever part comes first.
    registry: OnceLock<Result<Mutex<Reader>, RegistryError>>,
    /// What the service managers say; asked by whichever part comes first.
    units: OnceLock<Vec<Unit>>,
    /// The flags that say where things are, as they were given, from wherever they are pasted.
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

/// Examines what the settings are about that these flags make, or what is wrong with them.
pub fn run(flags: &Given, form: Form) -> Result<Exit, CliError> {
    let patient = Arc::new(Patient::of(flags)?);
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
    fn of(flags: &Given) -> Result<Self, CliError> {
        let environment = Environment::of(flags);
        let (settings, config_error) = match Settings::resolve(flags.clone(), &|variable| environment.read(variable)) {
            Ok(settings) => (settings, None),
            Err(error) => (configuration::without(flags, &environment)?, Some(error)),
        };
        let daemon = Client::new(&settings.socket, &settings.state_dir).facts();
        let owner = permissions::owner_of(&settings.state_dir);
        let flags = [("--state-dir", &flags.state_dir), ("--socket", &flags.socket), ("--config", &flags.config)];
        let given = |(flag, path): (&str, &Option<PathBuf>)| Some(format!("{flag} {}", pasted(path.as_deref()?)));
        let flags = flags.into_iter().filter_map(given).collect();
        let (registry, units) = (OnceLock::new(), OnceLock::new());
        Ok(Self { settings, config_error, daemon, owner, clock: SystemClock::new(), registry, units, flags })
    }

    /// A command of meshd to paste that is about the same registry and daemon, and leaves everything to its owner.
    fn meshd(&self, arguments: &str) -> String {
        let sudo = sudo(rustix::process::geteuid().as_raw(), self.owner, self.is_systems());
        self.flags.iter().fold(format!("{sudo}meshd {arguments}"), |command, flag| format!("{command} {flag}"))
    }

    /// Whether its state directory is another user's, who alone may look into it.
    fn is_foreign(&self) -> bool {
        let me = rustix::process::geteuid().as_raw();
        me != 0 && me != self.owner
    }

    /// Whether it is the system's daemon.
    fn is_systems(&self) -> bool {
        self.settings.state_dir == Path::new(systems::STATE_DIR)
    }

    /// The daemon's process: of the one that answers, else of the one that holds the lock.
    fn pid(&self) -> Option<u32> {
        let holder = || process::holder(&self.settings.state_dir).filter(|holder| holder.what == What::Daemon);
        self.facts().map(|facts| facts.pid).or_else(|| holder().map(|holder| holder.pid))
    }

    /// What the service managers say.
    fn units(&self) -> &[Unit] {
        self.units.get_or_init(|| unit::all(self))
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
    fn is_unreadable(&self) -> bool {
        self.registry().is_err_and(|error| !matches!(error, RegistryError::Missing(_)))
    }

    fn facts(&self) -> Option<&DaemonFacts> {
        self.daemon.as_ref().ok()
    }

    fn now(&self) -> crate::agent::Moment {
        self.clock.now()
    }
}

/// What comes before a command of `me` about what is `owner`'s: what another makes there, the owner cannot use. The user of
/// the system's unit is nobody's to become, so there it is root.
fn sudo(me: u32, owner: u32, is_systems: bool) -> String {
    match (me, owner) {
        (me, owner) if me == owner => String::new(),
        (0, _) if is_systems => String::new(),
        (_, owner) if is_systems || owner == 0 => "sudo ".to_owned(),
        (_, owner) => format!("sudo -u '#{owner}' "),
    }
}

/// A path as it was given, as a word that means the same in any directory. `~` is for meshd to read.
fn pasted(path: &Path) -> String {
    let absolute = if path.starts_with("~") { None } else { std::path::absolute(path).ok() };
    paste::quoted(absolute.as_deref().unwrap_or(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_about_what_is_another_users_is_run_by_that_user() {
        let system = |me| sudo(me, 61_234, true);
        assert_eq!(
            [sudo(1000, 1000, false), sudo(1000, 0, false), system(1000), system(0)],
            ["", "sudo ", "sudo ", ""]
        );
        assert_eq!([sudo(1000, 1001, false), sudo(0, 1000, false)], ["sudo -u '#1001' ", "sudo -u '#1000' "]);
    }

    #[test]
    fn a_path_that_is_pasted_means_the_same_in_any_directory() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(pasted(Path::new("a b")), paste::quoted(&here.join("a b")));
        assert_eq!(pasted(Path::new("~/c.toml")), "'~/c.toml'");
    }
}
