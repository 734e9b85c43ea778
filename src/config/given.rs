//! One layer of what meshd is told: what was given there, and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Exclude, RelayKind, value};
use crate::telemetry::{Format, Level};

/// What one layer gives; `None` is what it does not. Its serde form is the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Which configuration file; a file does not name another.
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The scan roots.
    #[serde(default, deserialize_with = "value::with::paths")]
    pub roots: Option<Vec<PathBuf>>,
    /// Where the registry is.
    #[serde(default, deserialize_with = "value::with::path")]
    pub state_dir: Option<PathBuf>,
    /// The control socket.
    #[serde(default, deserialize_with = "value::with::path")]
    pub socket: Option<PathBuf>,
    /// The loopback address at which the page and the API are served, too.
    #[serde(default, deserialize_with = "value::with::loopback")]
    pub http: Option<SocketAddr>,
    /// How long an unreachable agent is kept.
    #[serde(default, deserialize_with = "value::with::duration")]
    pub grace_period: Option<Duration>,
    /// How long a contested id waits.
    #[serde(default, deserialize_with = "value::with::duration")]
    pub relocate_after: Option<Duration>,
    /// How often everything is looked at.
    #[serde(default, deserialize_with = "value::with::interval")]
    pub sweep_interval: Option<Duration>,
    /// How often what cannot be watched is looked at.
    #[serde(default, deserialize_with = "value::with::interval")]
    pub poll_interval: Option<Duration>,
    /// The most watches that are used.
    #[serde(default, deserialize_with = "value::with::watch_budget")]
    pub watch_budget: Option<u64>,
    /// How many directories below its root a project may lie.
    #[serde(default, deserialize_with = "value::with::depth")]
    pub max_depth: Option<usize>,
    /// What is not entered.
    #[serde(default)]
    pub exclude: Option<Exclude>,
    /// The least of what is logged.
    #[serde(default)]
    pub log_level: Option<Level>,
    /// How the log is written.
    #[serde(default)]
    pub log_format: Option<Format>,
    /// Whether changes are watched for.
    #[serde(default)]
    pub watch: Option<bool>,
    /// Which relay agents are made known to.
    #[serde(default)]
    pub relay: Option<RelayKind>,
}

impl Given {
    /// This layer, with what it does not give taken from the one `below`.
    #[must_use]
    pub fn over(self, below: Given) -> Self {
        Self {
            config: self.config.or(below.config),
            roots: self.roots.or(below.roots),
            state_dir: self.state_dir.or(below.state_dir),
            socket: self.socket.or(below.socket),
            http: self.http.or(below.http),
            grace_period: self.grace_period.or(below.grace_period),
            relocate_after: self.relocate_after.or(below.relocate_after),
            sweep_interval: self.sweep_interval.or(below.sweep_interval),
            poll_interval: self.poll_interval.or(below.poll_interval),
            watch_budget: self.watch_budget.or(below.watch_budget),
            max_depth: self.max_depth.or(below.max_depth),
            exclude: self.exclude.or(below.exclude),
            log_level: self.log_level.or(below.log_level),
            log_format: self.log_format.or(below.log_format),
            watch: self.watch.or(below.watch),
            relay: self.relay.or(below.relay),
        }
    }
}
