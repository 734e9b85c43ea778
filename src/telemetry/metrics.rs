//! The numbers that meshd keeps about itself, in Prometheus' words: `meshd_…`, base units, `_total` for what only grows.
//!
//! What happens is counted where it happens: an atomic addition. How things stand is read off when it is asked for
//! ([`Snapshot`]).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::Snapshot;
use crate::registry::EventName;

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
        let mut registry = Registry::with_prefix(PREFIX);
        let missed_events = Counter::<u64, AtomicU64>::default();
        let events = Family::<EventLabels, Counter>::default();
        let sweeps = Counter::default();
        // 1 ms to 65 s: an idle sweep of 10,000 agents takes 50 ms, one of a cold, slow disk a minute.
        let sweep_duration = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        // 100 µs to 1.6 s: the aim is below 1 ms, what is held back for settling takes up to 1 s.
        let change_to_commit = Histogram::new(exponential_buckets(0.0001, 2.0, 15));
        for event in EventName::ALL {
            // From the start at zero: else the first one would not be a step up that an alert could see.
            drop(events.get_or_create(&EventLabels { name: event.as_str() }));
        }
        let passes = Counter::default();
        let registry_errors = Counter::default();
        registry.register("missed_events", "Changes found by a sweep that no event announced", missed_events.clone());
        registry.register("events", "Events told, by name", events.clone());
        registry.register("sweeps", "Passes over everything", sweeps.clone());
        registry.register("sweep_duration_seconds", "Duration of passes over everything", sweep_duration.clone());
        registry.register("change_to_commit_seconds", "From notification to committed row", change_to_commit.clone());
        registry.register("passes", "Passes", passes.clone());
        registry.register("registry_errors", "Operations of the registry that failed", registry_errors.clone());
        Self {
            missed_events,
            events,
            sweeps,
            sweep_duration,
            change_to_commit,
            passes,
            registry_errors,
            registry: Arc::new(registry),
        }
    }

    /// One more event of this name.
    pub fn count_event(&self, name: &'static str) {
        self.events.get_or_create(&EventLabels { name }).inc();
    }

    /// All metrics in [`CONTENT_TYPE`]: what was counted, and how things stand.
    #[must_use]
    pub fn text(&self, snapshot: &Snapshot) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        snapshot.register(&mut now);
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode_registry(&mut text, &self.registry).and_then(|()| encode_registry(&mut text, &now));
        classic(&text)
    }
}

/// What every metric's name begins with.
const PREFIX: &str = "meshd";

/// What [`Metrics::text`] is written in: the format that every Prometheus reads, and everything else that scrapes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The library writes `OpenMetrics`, which names a family of counters without the `_total` that its samples have. The
/// older format names both alike.
fn classic(text: &str) -> String {
    let (mut classic, mut help) = (String::with_capacity(text.len()), "");
    for line in text.lines() {
        if let Some((_, told)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            // The type follows it, and only that tells its name.
            help = told;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            classic.extend(["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"]);
        } else {
            classic.extend([line, "\n"]);
        }
    }
    classic
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::ProblemKind;
    use crate::registry::{Census, FileSizes, Status};
    use crate::relay::Tally;
    use crate::telemetry::RelaySnapshot;

    #[test]
    fn the_text_has_every_metric_under_its_name() {
        let metrics = Metrics::new();
        metrics.count_event("agent.synced");
        metrics.clone().missed_events.inc_by(3);
        metrics.sweep_duration.observe(0.05);
        let text = metrics.text(&snapshot());
        for line in [
            "# TYPE meshd_missed_events_total counter",
            "# HELP meshd_missed_events_total Changes found by a sweep that no event announced.",
            "meshd_missed_events_total 3",
            "meshd_events_total{name=\"agent.synced\"} 1",
            "meshd_sweeps_total 0",
            "meshd_sweep_duration_seconds_count 1",
            "meshd_change_to_commit_seconds_count 0",
            "meshd_events_total{name=\"watch.limit\"} 0",
            "meshd_ready 1",
            "meshd_start_time_seconds 1700000000.25",
            "meshd_last_sweep_timestamp_seconds 1700000001.0",
            "meshd_watches 12",
            "meshd_registry_size_bytes{file=\"log\"} 8",
            "meshd_agents{namespace=\"web\",status=\"active\"} 3",
            "meshd_agents{namespace=\"web\",status=\"stale\"} 0",
            "meshd_agents{namespace=\"a\\\"b\\\\u{a}c\",status=\"active\"} 1",
            "meshd_problems{kind=\"unreadable\"} 2",
            "meshd_roots{state=\"offline\"} 1",
            "meshd_root_offline_since_timestamp_seconds{root=\"/r\"} 1700000000.5",
            "meshd_relay_pending 4",
            "meshd_relay_failing 0",
            "meshd_relay_calls_total{operation=\"list\"} 0",
            "meshd_relay_failures_total{operation=\"put_rule\",error=\"ambiguous\"} 0",
            "meshd_passes_total 0",
            "meshd_registry_errors_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("next_sweep"), "nothing is said of what is not known:\n{text}");
    }

    fn snapshot() -> Snapshot {
        let active = |count| [(Status::Active, count)].into();
        Snapshot {
            ready: true,
            started_at_ms: 1_700_000_000_250,
            last_sweep_at_ms: Some(1_700_000_001_000),
            next_sweep_at_ms: None,
            watches: 12,
            watch_budget: 100,
            cold_directories: 0,
            watch_shortage: false,
            log_lines_lost: 0,
            registry_writable: true,
            sizes: FileSizes { database: 4_096, log: 8 },
            census: Some(Census {
                agents: [("web".to_owned(), active(3)), ("a\"b\nc".to_owned(), active(1))].into(),
                problems: [(ProblemKind::Unreadable, 2)].into(),
                roots: [("offline", 1)].into(),
                offline: vec![(1_700_000_000_500, "/r".into())],
            }),
            relay: Some(RelaySnapshot { pending: 4, failing: false, tally: Tally::default() }),
        }
    }
}
