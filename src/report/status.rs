//! How everything is: the agents, the roots, the problems, and the daemon.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::{DaemonFacts, LastSweep, ProblemReport, RootReport, roots, shown_and_hex};
use crate::agent::Moment;
use crate::registry::{Reader, RegistryError};

/// How everything is.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Whether every root that is online is watched and was swept once.
    pub ready: bool,
    /// Agents that are recorded.
    pub total_agents: u64,
    /// Heard of within the last hour.
    pub active_count: u64,
    /// Heard of within the last day.
    pub inactive_count: u64,
    /// Not heard of for longer.
    pub stale_count: u64,
    /// Whose manifest is gone, or whose scan root is offline.
    pub unreachable_count: u64,
    /// How many with each runtime.
    pub by_runtime: BTreeMap<String, u64>,
    /// How many in project directories of each name.
    pub by_project: BTreeMap<String, u64>,
    /// The configured scan roots.
    pub roots: Vec<RootReport>,
    /// What needs a person.
    pub problems: Vec<ProblemReport>,
    /// How the daemon is.
    pub daemon: DaemonState,
    /// The last pass over everything.
    pub last_sweep: Option<LastSweep>,
    /// Changes that a sweep found and no event had announced; `null` if no daemon runs.
    pub missed_events: Option<u64>,
    /// The number of the last event; 0 if there was none.
    pub last_event: u64,
    /// The registry's file.
    pub registry: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_hex: Option<String>,
}

/// How the daemon is.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonState {
    /// Whether it runs; `null` if it does not answer as it should.
    pub running: Option<bool>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it says of itself.
    #[serde(flatten)]
    pub facts: Option<DaemonFacts>,
}

impl StatusReport {
    /// What the registry in `file` and the daemon say. Where there is no registry yet, nothing is recorded.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn of(
        registry: Option<&Reader>,
        file: &Path,
        daemon: DaemonState,
        now: &Moment,
    ) -> Result<Self, RegistryError> {
        let facts = daemon.facts.as_ref();
        let stats = registry.map(|registry| registry.stats(now)).transpose()?.unwrap_or_default();
        let problems = registry.map(Reader::problems).transpose()?.unwrap_or_default();
        let (registry_path, registry_hex) = shown_and_hex(file);
        Ok(Self {
            ready: facts.is_some_and(|facts| facts.ready),
            total_agents: stats.total,
            active_count: stats.active,
            inactive_count: stats.inactive,
            stale_count: stats.stale,
            unreachable_count: stats.unreachable,
            by_runtime: stats.by_runtime,
            by_project: stats.by_project,
            roots: registry.map(|registry| roots(registry, facts)).transpose()?.unwrap_or_default(),
            problems: ProblemReport::all(&problems),
            last_sweep: facts.and_then(|facts| facts.last_sweep.clone()),
            missed_events: facts.map(|facts| facts.missed_events),
            last_event: registry.map(Reader::last_seq).transpose()?.unwrap_or(0),
            registry: registry_path,
            registry_hex,
            daemon,
        })
    }
}
