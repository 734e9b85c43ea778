//! What a pass came to, told: a log line and a count an event.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Metrics;
use crate::agent::{AgentId, Shown};
use crate::apply::Outcome;
use crate::decide::Action;
use crate::registry::{Event, EventName, Opened};

/// Tells of what happens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The counts.
    pub metrics: Arc<Metrics>,
}

impl Telemetry {
    /// Tells of a pass: one line an action, one a failure; nothing at all where nothing was done.
    pub fn tell(&self, outcome: &Outcome) {
        self.metrics.passes.inc();
        for (_, event) in &outcome.events {
            self.event(event);
        }
        for action in &outcome.applied {
            if let Action::Clear(problem) = action {
                let project_path = Shown::path(&problem.project).to_string();
                tracing::info!(project_path, "{project_path} is {} no more", problem.kind.as_str());
            }
        }
        for (action, why) in &outcome.failed {
            self.metrics.registry_errors.inc();
            tracing::error!("not done, tried again later: {why}: {}", Shown::text(&format!("{action:?}")));
        }
    }

    /// Tells of one event.
    pub fn event(&self, event: &Event) {
        self.metrics.count_event(event.name.as_str());
        let (name, message_id) = (event.name.as_str(), event.name.message_id());
        let shown = |path: &Option<PathBuf>| path.as_deref().map(|path| Shown::path(path).to_string());
        let said = |key| event.detail.get(key)?.as_str().map(|text| Shown::text(text).to_string());
        let agent_id = event.agent.as_ref().map(AgentId::as_str);
        let (project_path, scan_root) = (shown(&event.project), shown(&event.scan_root));
        let (reason, why) = (said("reason"), said("why"));
        let detail: Vec<String> = event
            .detail
            .iter()
            .map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{key}={}", Shown::text(&text))
            })
            .collect();
        let detail = (!detail.is_empty()).then(|| detail.join(" "));
        let subject = project_path.as_deref().or(scan_root.as_deref());
        let parts = [Some(name), agent_id, subject, detail.as_deref()];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // A field that says nothing is left out: `journalctl -F AGENT_ID` lists agents.
        if needs_a_person(event.name) {
            tracing::warn!(event = name, message_id, agent_id, project_path, scan_root, reason, why, "{line}");
        } else {
            tracing::info!(event = name, message_id, agent_id, project_path, scan_root, reason, why, "{line}");
        }
    }

    /// Tells of a change that reached the registry so long after it was announced.
    pub fn committed(&self, after: Duration) {
        self.metrics.change_to_commit.observe(after.as_secs_f64());
    }

    /// Tells of a pass over some places, for whoever wants to see what meshd hears.
    pub fn passed(&self, places: usize, changes: usize, took: Duration) {
        let ms = took.as_secs_f64() * 1_000.0;
        tracing::debug!("looked at {places} places in {ms:.1} ms, {changes} changes");
    }

    /// Tells of a sweep.
    pub fn swept(&self, took: Duration) {
        self.metrics.sweeps.inc();
        self.metrics.sweep_duration.observe(took.as_secs_f64());
        tracing::debug!("swept in {:.1} ms", took.as_secs_f64() * 1_000.0);
    }

    /// Tells of changes that a sweep found and no event had announced.
    pub fn missed(&self, count: u64) {
        self.metrics.missed_events.inc_by(count);
        tracing::info!("{count} changes were found by a sweep and announced by no event");
    }

    /// Tells of a registry that could not be written.
    pub fn registry_failed(&self) {
        self.metrics.registry_errors.inc();
    }

    /// Tells what opening a registry found out.
    pub fn registry_opened(&self, opened: &Opened) {
        if let Some(path) = &opened.moved_aside {
            tracing::error!("the registry was damaged: it is now {}, and is rebuilt from disk", Shown::path(path));
        }
        if let (Some(version), Some(backup)) = (opened.migrated_from, &opened.backup) {
            tracing::info!("migrated the registry from version {version}; as it was: {}", Shown::path(backup));
        }
    }
}

fn needs_a_person(name: EventName) -> bool {
    match name {
        EventName::ManifestUnreadable
        | EventName::ManifestDuplicateId
        | EventName::RootOffline
        | EventName::RootDegraded
        | EventName::WatchOverflow
        | EventName::WatchLimit
        | EventName::RelayFailed => true,
        EventName::AgentRegistered
        | EventName::AgentSynced
        | EventName::AgentRelocated
        | EventName::AgentUnreachable
        | EventName::AgentReachable
        | EventName::AgentRemoved
        | EventName::AgentUnregistered
        | EventName::RootOnline
        | EventName::SweepCompleted
        | EventName::DaemonStarted
        | EventName::DaemonStopping => false,
    }
}
