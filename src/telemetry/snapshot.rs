//! What is read off when somebody asks for the metrics, and at no other time: whoever does not ask pays nothing.
//!
//! How many time series there are is bounded, whatever is in the manifests: those of the largest namespaces have a name of
//! their own, and the rest is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::agent::Shown;
use crate::decide::ProblemKind;
use crate::registry::{Census, FileSizes, ROOT_STATES, Status};
use crate::relay::{Operation, Tally};

/// How things stand at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whether every root was watched and swept once.
    pub ready: bool,
    /// When the daemon started: milliseconds since 1970.
    pub started_at_ms: i64,
    /// When the last sweep ended: milliseconds since 1970.
    pub last_sweep_at_ms: Option<i64>,
    /// When the next sweep is due: milliseconds since 1970.
    pub next_sweep_at_ms: Option<i64>,
    /// Directories that are watched.
    pub watches: u64,
    /// The most watches that are used.
    pub watch_budget: u64,
    /// Directories that should be watched and are not.
    pub cold_directories: u64,
    /// Whether some of them are for want of watches.
    pub watch_shortage: bool,
    /// Lines of the log that were lost.
    pub log_lines_lost: u64,
    /// Whether the registry could be written when that was last tried.
    pub registry_writable: bool,
    /// How large the registry's files are.
    pub sizes: FileSizes,
    /// What is in the registry; none where it could not be read.
    pub census: Option<Census>,
    /// How the relay stands; none where there is none.
    pub relay: Option<RelaySnapshot>,
}

/// How the relay stands.
#[derive(Debug, Clone)]
pub struct RelaySnapshot {
    /// Agents that are registered and not reached yet.
    pub pending: u64,
    /// Whether something about it fails or is refused.
    pub failing: bool,
    /// How often it was asked for what.
    pub tally: Tally,
}

/// The most namespaces that have a name of their own. A machine has a handful; thousands would be a stranger's manifests,
/// and each is four time series that Prometheus keeps for weeks.
const MAX_NAMESPACES: usize = 50;

/// What the agents of all further namespaces are counted under. One that is really called so is among them.
const OTHER: &str = "other";

/// The most scan roots of which it is said one by one that they are offline. How many there are is said in any case.
const MAX_ROOTS: usize = 50;

type Labels<const N: usize> = [(&'static str, String); N];
type Gauges<const N: usize> = Family<Labels<N>, Gauge<u64, AtomicU64>>;
type Times<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;
type Counters<const N: usize> = Family<Labels<N>, Counter>;

impl Snapshot {
    /// All of it, as metrics.
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self {
            ready,
            registry_writable,
            watches,
            watch_budget,
            cold_directories,
            watch_shortage,
            log_lines_lost,
            ..
        } = self;
        let version = Gauges::default();
        set(&version, &[("version", env!("CARGO_PKG_VERSION").to_owned())], 1);
        registry.register("build_info", "Which meshd this is: always 1", version);
        let help = "Whether every scan root is watched and was swept once: 1, else 0";
        registry.register("ready", help, ConstGauge::new(u64::from(*ready)));
        let help = "When the daemon started";
        registry.register("start_time_seconds", help, ConstGauge::new(seconds(self.started_at_ms)));
        if let Some(at_ms) = self.last_sweep_at_ms {
            let help = "When the last pass over everything ended";
            registry.register("last_sweep_timestamp_seconds", help, ConstGauge::new(seconds(at_ms)));
        }
        if let Some(at_ms) = self.next_sweep_at_ms {
            let help = "When the next pass over everything is due; in the past while one is under way";
            registry.register("next_sweep_timestamp_seconds", help, ConstGauge::new(seconds(at_ms)));
        }
        registry.register("watches", "Directories watched", ConstGauge::new(*watches));
        registry.register("watch_budget", "The most watches that are used", ConstGauge::new(*watch_budget));
        let help = "Directories that should be watched and are polled instead";
        registry.register("cold_directories", help, ConstGauge::new(*cold_directories));
        let help = "Lines of the log that were lost, since whoever reads it was too slow";
        registry.register("log_lines_lost", help, ConstCounter::new(*log_lines_lost));
        let help = "Whether directories are polled for want of watches: 1, else 0";
        registry.register("watch_shortage", help, ConstGauge::new(u64::from(*watch_shortage)));
        let help = "Whether the registry could be written when that was last tried: 1, else 0";
        registry.register("registry_writable", help, ConstGauge::new(u64::from(*registry_writable)));
        let sizes = Gauges::default();
        for (file, bytes) in [("database", self.sizes.database), ("log", self.sizes.log)] {
            set(&sizes, &[("file", file.to_owned())], bytes);
        }
        registry.register("registry_size_bytes", "Size of the registry: its file, and its write-ahead log", sizes);
        if let Some(census) = &self.census {
            register_census(census, registry);
        }
        if let Some(relay) = &self.relay {
            relay.register(registry);
        }
    }
}

impl RelaySnapshot {
    fn register(&self, registry: &mut Registry) {
        let Self { pending, failing, tally } = self;
        let help = "Agents that are registered and not reached through the relay yet";
        registry.register("relay_pending", help, ConstGauge::new(*pending));
        let help = "Whether the relay fails or refuses something now: 1, else 0";
        registry.register("relay_failing", help, ConstGauge::new(u64::from(*failing)));
        let (calls, failures) = (Counters::default(), Counters::default());
        for operation in Operation::ALL {
            let (answers, name) = (tally.of(operation), ("operation", operation.as_str().to_owned()));
            calls.get_or_create(std::array::from_ref(&name)).inc_by(answers.all);
            for (error, count) in answers.failures() {
                failures.get_or_create(&[name.clone(), ("error", error.to_owned())]).inc_by(count);
            }
        }
        registry.register("relay_calls", "What the relay was asked for, by operation", calls);
        let help = "What the relay was asked for and did not do, by operation and kind of failure";
        registry.register("relay_failures", help, failures);
    }
}

fn register_census(census: &Census, registry: &mut Registry) {
    let agents = Gauges::default();
    for (namespace, counts) in bounded(&census.agents) {
        for status in Status::ALL {
            let labels = [("namespace", namespace.clone()), ("status", status.as_str().to_owned())];
            set(&agents, &labels, counts.get(&status).copied().unwrap_or(0));
        }
    }
    let help = "Agents, by how they are and by namespace: the 50 largest, the rest as `other`";
    registry.register("agents", help, agents);
    let problems = Gauges::default();
    for kind in ProblemKind::ALL {
        let count = census.problems.get(&kind).copied().unwrap_or(0);
        set(&problems, &[("kind", kind.as_str().to_owned())], count);
    }
    registry.register("problems", "Findings that need a person, by kind", problems);
    let roots = Gauges::default();
    for state in ROOT_STATES {
        set(&roots, &[("state", state.to_owned())], census.roots.get(state).copied().unwrap_or(0));
    }
    registry.register("roots", "Configured scan roots, by state", roots);
    let offline = Times::default();
    for (since_ms, root) in census.offline.iter().take(MAX_ROOTS) {
        offline.get_or_create(&[("root", Shown::path(root).to_string())]).set(seconds(*since_ms));
    }
    let help = "Since when a scan root is offline; of those that are, 50 at most";
    registry.register("root_offline_since_timestamp_seconds", help, offline);
}

/// The agents of the largest namespaces, and those of all others together.
fn bounded(agents: &BTreeMap<String, BTreeMap<Status, u64>>) -> BTreeMap<String, BTreeMap<Status, u64>> {
    let size = |counts: &BTreeMap<Status, u64>| counts.values().fold(0_u64, |sum, more| sum.saturating_add(*more));
    let mut by_size: Vec<(u64, &String)> = agents.iter().map(|(name, counts)| (size(counts), name)).collect();
    by_size.sort_by(|(size, name), (other_size, other)| other_size.cmp(size).then(name.cmp(other)));
    let named: BTreeSet<&String> = by_size.iter().take(MAX_NAMESPACES).map(|(_, name)| *name).collect();
    let mut bounded: BTreeMap<String, BTreeMap<Status, u64>> = BTreeMap::new();
    for (name, counts) in agents {
        // A row that somebody wrote by hand may say anything.
        let label = if named.contains(name) { Shown::text(name).to_string() } else { OTHER.to_owned() };
        let sums = bounded.entry(label).or_default();
        for (status, more) in counts {
            let sum = sums.entry(*status).or_default();
            *sum = sum.saturating_add(*more);
        }
    }
    bounded
}

fn set<const N: usize>(gauges: &Gauges<N>, labels: &Labels<N>, value: u64) {
    gauges.get_or_create(labels).set(value);
}

/// Seconds since 1970.
fn seconds(ms: i64) -> f64 {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_sizes(sizes: &[(&str, u64)]) -> BTreeMap<String, BTreeMap<Status, u64>> {
        sizes.iter().map(|(name, size)| ((*name).to_owned(), [(Status::Active, *size)].into())).collect()
    }

    #[test]
    fn the_largest_namespaces_are_named_and_the_rest_is_one() {
        let mut agents = of_sizes(&[("web", 7), ("other", 1), ("ops", 1)]);
        let strangers: Vec<String> = (0..500).map(|number| format!("stranger-{number:03}")).collect();
        agents.extend(strangers.iter().map(|name| (name.clone(), [(Status::Unreachable, 2)].into())));
        let bounded = bounded(&agents);
        assert_eq!(bounded.len(), MAX_NAMESPACES + 1);
        assert_eq!(bounded["web"], [(Status::Active, 7)].into());
        let of_others = [(Status::Active, 2), (Status::Unreachable, 2 * 451)].into();
        assert_eq!(bounded[OTHER], of_others, "one that is called `other` is among the others, and no second series");
    }
}
