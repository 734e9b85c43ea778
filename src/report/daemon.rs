//! What only the daemon knows: how it is, what is heard of the scan roots, and the last sweep.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::WirePath;
use crate::agent::moment::iso;
use crate::engine::{Facts, ReconcileResult, RelayState, RootFacts, SweepFacts};

/// What only the daemon knows; the rest is in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonFacts {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Whether every root that is online is watched and was swept once.
    pub ready: bool,
    /// When it was started.
    pub started_at: String,
    /// The last pass over everything.
    pub last_sweep: Option<LastSweep>,
    /// Changes that a sweep found and no event had announced.
    pub missed_events: u64,
    /// Directories that are watched.
    pub watches: u64,
    /// Directories that should be watched: those that are, and the cold ones.
    pub watches_needed: u64,
    /// The most watches that are used.
    pub watch_budget: u64,
    /// Directories that should be watched and are not: they are polled.
    pub cold_directories: u64,
    /// What is polled for want of watches, and what to do about it: a sentence each.
    pub degraded: Vec<String>,
    /// What is heard of each scan root; none while the engine is busy.
    #[serde(default)]
    pub roots: Vec<RootHeard>,
    /// Why the registry cannot be written at the moment, if so.
    pub registry_error: Option<String>,
    /// Why HTTP is not served over TCP at the moment, although it is configured.
    #[serde(default)]
    pub http_error: Option<String>,
    /// How the relay stands; none where there is none.
    #[serde(default)]
    pub relay: Option<RelayState>,
    /// Milliseconds for which an unreachable agent is kept.
    pub grace_period_ms: u64,
    /// Milliseconds for which a contested id waits.
    pub relocate_after_ms: u64,
}

/// What is heard of a scan root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootHeard {
    /// Which one.
    pub path: WirePath,
    /// Directories below it that are watched.
    pub watches: u64,
    /// Directories below it that should be watched and are not: they are polled.
    pub cold_directories: u64,
    /// Directories below it whose file system announces not all that happens: they are polled too.
    pub quiet_directories: u64,
    /// When it was last swept while it was there.
    pub last_sweep: Option<String>,
}

impl RootHeard {
    fn of(facts: &RootFacts) -> Self {
        Self {
            path: WirePath::of(&facts.path),
            watches: facts.heard.watches,
            cold_directories: facts.heard.cold,
            quiet_directories: facts.heard.quiet,
            last_sweep: facts.swept_at_ms.map(iso),
        }
    }
}

/// The last pass over everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastSweep {
    /// When it ended.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// What it did.
    pub result: ReconcileResult,
}

impl DaemonFacts {
    /// The facts of this process's engine.
    #[must_use]
    pub fn of(facts: Facts, roots: &[RootFacts]) -> Self {
        Self {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: facts.ready,
            started_at: iso(facts.started_at_ms),
            last_sweep: facts.last_sweep.map(LastSweep::from),
            missed_events: facts.missed_events,
            watches: facts.watches,
            watches_needed: facts.watches.saturating_add(facts.cold),
            watch_budget: facts.watch_budget,
            cold_directories: facts.cold,
            degraded: facts.degraded,
            roots: roots.iter().map(RootHeard::of).collect(),
            registry_error: facts.registry_error,
            http_error: None,
            relay: facts.relay,
            grace_period_ms: facts.grace_period_ms,
            relocate_after_ms: facts.relocate_after_ms,
        }
    }
}

impl From<SweepFacts> for LastSweep {
    fn from(sweep: SweepFacts) -> Self {
        Self { at: iso(sweep.at_ms), took_ms: sweep.took_ms, result: sweep.result }
    }
}
