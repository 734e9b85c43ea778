//! Stands in for the engine until that is there: to be replaced whole.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Exclude;
use crate::decide::Policy;
use crate::scope::Scope;

/// What one pass did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each is the word of the design")]
pub struct ReconcileResult {
    pub discovered: u64,
    pub synced: u64,
    pub relocated: u64,
    pub unreachable: u64,
    pub resurrected: u64,
    pub removed: u64,
    pub problems: u64,
}

/// The engine could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It is not there.
    #[error("the engine is not there")]
    Stopped,
}

/// What the engine says of itself.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "stands in")]
pub struct Facts {
    pub ready: bool,
    pub started_at_ms: i64,
    pub last_sweep: Option<SweepFacts>,
    pub missed_events: u64,
    pub watches: u64,
    pub unwatched: u64,
}

/// The last sweep.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "stands in")]
pub struct SweepFacts {
    pub at_ms: i64,
    pub took_ms: u64,
    pub result: ReconcileResult,
}

/// What a reload may change.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "stands in")]
pub struct Reconfigure {
    pub roots: Vec<PathBuf>,
    pub policy: Policy,
    pub max_depth: usize,
    pub exclude: Exclude,
}

/// The engine, from outside.
#[derive(Debug, Clone, Default)]
pub struct MeshCore {}

#[allow(missing_docs, clippy::unused_self, clippy::missing_errors_doc, clippy::needless_pass_by_value)]
impl MeshCore {
    pub fn reconcile(&self, _scope: Scope) -> Result<ReconcileResult, EngineError> {
        Ok(ReconcileResult::default())
    }
    pub fn reconcile_on_startup(&self) -> Result<ReconcileResult, EngineError> {
        Ok(ReconcileResult::default())
    }
    pub fn start_periodic_reconciliation(&self, _interval: Duration) {}
    pub fn stop_periodic_reconciliation(&self) {}
    pub fn accept_root(&self, _root: PathBuf) -> Result<ReconcileResult, EngineError> {
        Ok(ReconcileResult::default())
    }
    pub fn reconfigure(&self, _settings: Reconfigure) -> Result<(), EngineError> {
        Ok(())
    }
    #[must_use]
    pub fn is_alive(&self, _within: Duration) -> bool {
        true
    }
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts { ready: true, ..Facts::default() }
    }
    pub fn stop(&self) {}
}
