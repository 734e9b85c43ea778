//! The numbers that meshd keeps about itself, in Prometheus' words: `meshd_…`, base units, `_total` for what only grows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// All metrics. A clone counts into the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// `meshd_missed_events_total`: changes that a sweep found and no event had announced.
    pub missed_events: Counter,
    /// `meshd_events_total`, by the event's name.
    pub events: Family<EventLabels, Counter>,
    /// `meshd_sweeps_total`: passes over everything.
    pub sweeps: Counter,
    /// `meshd_sweep_duration_seconds`: how long those took.
    pub sweep_duration: Histogram,
    /// `meshd_change_to_commit_seconds`: from a notification to the committed row.
    pub change_to_commit: Histogram,
    /// `meshd_watches`: directories that are watched now.
    pub watches: Gauge,
    /// `meshd_watch_budget`: the most watches that are used.
    pub watch_budget: Gauge,
    /// `meshd_cold_directories`: directories that should be watched and are not.
    pub cold_directories: Gauge,
    /// `meshd_passes_total`: passes over anything.
    pub passes: Counter,
    /// `meshd_registry_errors_total`: operations of the registry that failed.
    pub registry_errors: Counter,
    registry: Arc<Registry>,
}

/// What `meshd_events_total` is split by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    /// The event's name, such as `agent.synced`.
    pub name: &'static str,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("meshd");
        let missed_events = Counter::<u64, AtomicU64>::default();
        let events = Family::<EventLabels, Counter>::default();
        let sweeps = Counter::default();
        // 1 ms to 65 s: an idle sweep of 10,000 agents takes 50 ms, one of a cold, slow disk a minute.
        let sweep_duration = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        // 100 µs to 1.6 s: the aim is below 1 ms, what is held back for settling takes up to 1 s.
        let change_to_commit = Histogram::new(exponential_buckets(0.0001, 2.0, 15));
        let watches = Gauge::default();
        let watch_budget = Gauge::default();
        let cold_directories = Gauge::default();
        let passes = Counter::default();
        let registry_errors = Counter::default();
        registry.register("missed_events", "Changes found by a sweep that no event announced", missed_events.clone());
        registry.register("events", "Events told, by name", events.clone());
        registry.register("sweeps", "Passes over everything", sweeps.clone());
        registry.register("sweep_duration_seconds", "Duration of passes over everything", sweep_duration.clone());
        registry.register("change_to_commit_seconds", "From notification to committed row", change_to_commit.clone());
        registry.register("watches", "Directories watched", watches.clone());
        registry.register("watch_budget", "The most watches that are used", watch_budget.clone());
        let cold = "Directories that should be watched and are polled instead";
        registry.register("cold_directories", cold, cold_directories.clone());
        registry.register("passes", "Passes", passes.clone());
        registry.register("registry_errors", "Operations of the registry that failed", registry_errors.clone());
        Self {
            missed_events,
            events,
            sweeps,
            sweep_duration,
            change_to_commit,
            watches,
            watch_budget,
            cold_directories,
            passes,
            registry_errors,
            registry: Arc::new(registry),
        }
    }

    /// One more event of this name.
    pub fn count_event(&self, name: &'static str) {
        self.events.get_or_create(&EventLabels { name }).inc();
    }

    /// All metrics as `OpenMetrics` text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric_under_its_name() {
        let metrics = Metrics::new();
        metrics.count_event("agent.synced");
        metrics.clone().missed_events.inc_by(3);
        metrics.sweep_duration.observe(0.05);
        let text = metrics.text();
        for line in [
            "meshd_missed_events_total 3",
            "meshd_events_total{name=\"agent.synced\"} 1",
            "meshd_sweeps_total 0",
            "meshd_sweep_duration_seconds_count 1",
            "meshd_change_to_commit_seconds_count 0",
            "meshd_watches 0",
            "meshd_watch_budget 0",
            "meshd_cold_directories 0",
            "meshd_passes_total 0",
            "meshd_registry_errors_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
