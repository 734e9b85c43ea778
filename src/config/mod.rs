//! What meshd is told: flags over environment (`MESHD_…`) over the configuration file over defaults.
//!
//! All three layers are the same type, [`Given`], so a setting cannot be known to one and forgotten in another. Nothing
//! that is wrong is skipped: every error names where it stands, in the file with its key, line and column.

mod environment;
mod error;
mod exclude;
mod file;
mod given;
mod paths;
mod relay;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::ConfigError;
pub use exclude::Exclude;
pub use given::Given;
pub use paths::{canonical, home, homes};
pub use relay::RelayKind;
pub use value::{duration, interval, loopback, watch_budget};

use crate::decide::Policy;
use crate::telemetry::{Format, Level};
use paths::Places;

/// How far below its root a project may lie, where nothing else is said.
const MAX_DEPTH: usize = 5;

/// How often everything is looked at, where nothing else is said.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

/// How often what cannot be watched is looked at, where nothing else is said.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The name of the control socket, in whichever directory it lies.
const SOCKET: &str = "meshd.sock";

/// Everything that meshd is told, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The scan roots: absolute, links resolved, each once. Empty where none were given: then those hold that the
    /// registry remembers.
    pub roots: Vec<PathBuf>,
    /// Where the registry and the lock file are.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The loopback address at which the page and the API are served, too.
    pub http: Option<SocketAddr>,
    /// The times that decisions go by.
    pub policy: Policy,
    /// How often everything is looked at.
    pub sweep_interval: Duration,
    /// How often what cannot be watched is looked at.
    pub poll_interval: Duration,
    /// The most watches that are used; a share of what the system grants where nothing is said.
    pub watch_budget: Option<u64>,
    /// How many directories below its root a project may lie.
    pub max_depth: usize,
    /// What is not entered, beside what never is.
    pub exclude: Exclude,
    /// The least of what is logged; `None` leaves it to the command.
    pub log_level: Option<Level>,
    /// How the log is written; `None` leaves it to where it goes.
    pub log_format: Option<Format>,
    /// Whether changes are watched for, or only found by the sweep.
    pub watch: bool,
    /// Which relay agents are made known to.
    pub relay: RelayKind,
    /// The configuration file that was read, if there is one.
    pub file: Option<PathBuf>,
}

impl Settings {
    /// Resolves `flags` over the environment over the configuration file over defaults.
    ///
    /// `read` reads one environment variable: the process's own in the daemon, a test's in a test.
    pub fn resolve(flags: Given, read: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let places = Places::from_environment(read);
        let told = flags.over(environment::given(read)?);
        let (in_file, file) = match file_of(&told, &places)? {
            Some((given, path)) => (given, Some(path)),
            None => (Given::default(), None),
        };
        Self::from_given(told.over(in_file), file, &places)
    }

    fn from_given(given: Given, file: Option<PathBuf>, places: &Places) -> Result<Self, ConfigError> {
        let defaults = Policy::default();
        let given_dir = given.state_dir.map(|directory| places.absolute(&directory)).transpose()?;
        // A state directory of its own has its socket in it, so that two daemons never meet at one socket.
        let socket_dir = given_dir.clone().or_else(|| places.runtime_dir());
        let state_dir = given_dir.map_or_else(|| places.state_dir(), Ok)?;
        let socket = socket_dir.unwrap_or_else(|| state_dir.clone()).join(SOCKET);
        Ok(Self {
            roots: places.roots(&given.roots.unwrap_or_default())?,
            socket: given.socket.map_or(Ok(socket), |path| places.absolute(&path))?,
            state_dir,
            http: given.http,
            policy: Policy {
                grace_period: given.grace_period.unwrap_or(defaults.grace_period),
                relocate_after: given.relocate_after.unwrap_or(defaults.relocate_after),
                ..defaults
            },
            sweep_interval: given.sweep_interval.unwrap_or(SWEEP_INTERVAL),
            poll_interval: given.poll_interval.unwrap_or(POLL_INTERVAL),
            watch_budget: given.watch_budget,
            max_depth: given.max_depth.unwrap_or(MAX_DEPTH),
            exclude: given.exclude.unwrap_or_default(),
            log_level: given.log_level,
            log_format: given.log_format,
            watch: given.watch.unwrap_or(true),
            relay: given.relay.unwrap_or_default(),
            file,
        })
    }

    /// The registry's file.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.state_dir.join("registry.db")
    }
}

/// The configuration file, read: the one that was asked for, which must be there, else the first that is there.
fn file_of(told: &Given, places: &Places) -> Result<Option<(Given, PathBuf)>, ConfigError> {
    if let Some(path) = &told.config {
        let path = places.absolute(path)?;
        return match file::read(&path)? {
            Some(given) => Ok(Some((given, path))),
            None => Err(ConfigError::missing(&path)),
        };
    }
    let everyones = Path::new("/etc/meshd/config.toml").to_owned();
    for path in places.config_file().into_iter().chain([everyones]) {
        if let Some(given) = file::read(&path)? {
            return Ok(Some((given, path)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
