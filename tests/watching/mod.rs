//! The watcher, the engine's thread and a real file system together: no sweep runs unless a test asks for one.

mod budget;
mod forgotten;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meshd::agent::AgentId;
use meshd::clock::{Clock, SystemClock, monotonic};
use meshd::decide::Policy;
use meshd::disk::Kept;
use meshd::disk::mounts::KernelMounts;
use meshd::engine::{Engine, MeshCore, ReconcileResult, Reconfigure, Setup, Vitals};
use meshd::registry::{AgentRegistry, Reader, Record};
use meshd::scope::Scope;
use meshd::scope::inbox::inbox;
use meshd::telemetry::{Metrics, Telemetry};
use meshd::watch::{WatchFacts, Watcher};
use tempfile::TempDir;

use crate::support::manifest;

/// Far more than anything here takes: a test that waits for so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often what cannot be watched is looked at.
const POLLED_EVERY: Duration = Duration::from_millis(50);

/// A tree that is watched.
struct Live {
    dir: TempDir,
    core: MeshCore,
}

struct Watching(Arc<WatchFacts>);

impl Vitals for Watching {
    fn beats(&self) -> bool {
        true
    }
    fn is_watching(&self) -> bool {
        true
    }
    fn watched(&self) -> u64 {
        self.0.watched.load(Ordering::Relaxed)
    }
    fn cold(&self) -> u64 {
        self.0.cold.load(Ordering::Relaxed)
    }
    fn budget(&self) -> u64 {
        self.0.budget.load(Ordering::Relaxed)
    }
    fn has_unheard(&self) -> bool {
        self.cold() > 0
    }
    fn overflows(&self) -> u64 {
        self.0.overflows.load(Ordering::Relaxed)
    }
    fn shortage(&self) -> Option<String> {
        self.0.shortage()
    }
}

impl Live {
    /// A root with one agent, `a` at `ns/a`, watched and swept once.
    fn start() -> Self {
        Self::with_root("root")
    }

    /// The same, with the root somewhere else.
    fn with_root(root: &str) -> Self {
        Self::with(root, None)
    }

    /// The same, with no more than so many watches.
    fn with_budget(budget: u64) -> Self {
        Self::with("root", Some(budget))
    }

    fn with(root: &str, budget: Option<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("state")).unwrap();
        let (announcer, inbox) = inbox();
        let watcher = Watcher::start(announcer, &base.join("state"), budget).unwrap();
        let vitals = Arc::new(Watching(watcher.facts()));
        let file = base.join("state/registry.db");
        let setup = Setup {
            registry: AgentRegistry::open(&file, &SystemClock::new().now()).unwrap().0,
            registry_file: Some(file),
            roots: vec![base.join(root)],
            kept: Kept::default(),
            policy: Policy::default(),
            poll_interval: POLLED_EVERY,
            watches: Box::new(watcher),
            mounts: Box::new(KernelMounts),
            clock: Box::new(SystemClock::new()),
            telemetry: Telemetry { metrics: Arc::new(Metrics::new()) },
        };
        write(&base.join(root).join("ns/a"), &manifest("a", "an agent"));
        let core = MeshCore::start(Engine::new(setup).unwrap(), inbox, vitals, Vec::new(), None).unwrap();
        let live = Self { dir, core };
        assert_eq!(live.core.reconcile_on_startup().unwrap().discovered, 1);
        live
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn record(&self, id: &str) -> Option<Record> {
        let reader = Reader::open(&self.path("state/registry.db")).unwrap();
        reader.get(&id.parse::<AgentId>().unwrap()).unwrap()
    }

    /// Waits until the registry says of an agent what it must.
    #[track_caller]
    fn until(&self, id: &str, what: &str, holds: impl Fn(Option<Record>) -> bool) {
        let deadline = monotonic() + DEADLINE;
        while !holds(self.record(id)) {
            assert!(monotonic() < deadline, "{id} never was {what}: {:?}", self.record(id));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Writes a manifest and waits for its name to be in the registry.
    #[track_caller]
    fn edit(&self, project: &str, id: &str, name: &str) {
        write(&self.path(project), &manifest(id, name));
        let place = self.path(project);
        self.until(id, &format!("called {name} at {project}"), |record| {
            record.is_some_and(|record| {
                record.columns.name == name && record.project() == place && record.unreachable.is_none()
            })
        });
    }

    /// Takes other roots, and so many watches.
    fn reload(&self, roots: &[&str], watch_budget: u64) {
        let settings = Reconfigure {
            roots: roots.iter().map(|root| self.path(root)).collect(),
            kept: Kept::default(),
            policy: Policy::default(),
            poll_interval: POLLED_EVERY,
            watch_budget: Some(watch_budget),
        };
        self.core.reconfigure(settings).unwrap();
    }

    #[track_caller]
    fn nothing_left_to_do(&self) {
        let result = self.core.reconcile(Scope::everything()).unwrap();
        assert_eq!(ReconcileResult { problems: 0, ..result }, ReconcileResult::default());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.core.stop();
    }
}

fn write(project: &Path, content: &str) {
    fs::create_dir_all(project.join(".dork")).unwrap();
    fs::write(project.join(".dork/agent.json"), content).unwrap();
}

#[test]
fn an_edit_a_new_project_and_a_deletion_reach_the_registry_without_a_sweep() {
    let live = Live::start();
    live.edit("root/ns/a", "a", "edited");
    live.edit("root/new/deep/tree/b", "b", "new");
    fs::remove_dir_all(live.path("root/ns/a")).unwrap();
    live.until("a", "unreachable", |record| record.is_some_and(|record| record.unreachable.is_some()));
    live.nothing_left_to_do();
}

#[test]
fn a_project_that_was_moved_there_and_back_is_still_watched() {
    let live = Live::start();
    for round in 0..10 {
        fs::rename(live.path("root/ns/a"), live.path("root/ns/b")).unwrap();
        fs::rename(live.path("root/ns/b"), live.path("root/ns/a")).unwrap();
        live.edit("root/ns/a", "a", &format!("round {round}"));
        live.edit(&format!("root/ns/a/inner{round}"), &format!("inner{round}"), "new below");
    }
}

#[test]
fn what_lies_below_a_directory_that_was_moved_there_and_back_is_still_watched() {
    let live = Live::start();
    live.edit("root/group/p", "p", "first");
    for round in 0..20 {
        fs::rename(live.path("root/group"), live.path("root/aside")).unwrap();
        fs::rename(live.path("root/aside"), live.path("root/group")).unwrap();
        // Until the notifications of the renames were acted on: what comes before that is found by their look.
        std::thread::sleep(Duration::from_millis(60));
        live.edit(&format!("root/group/p/new{round}"), &format!("new{round}"), "new");
        live.edit("root/group/p", "p", &format!("round {round}"));
    }
}

#[test]
fn a_project_that_another_directory_took_the_place_of_is_still_watched() {
    let live = Live::start();
    for round in 0..20 {
        let (place, aside) = (live.path("root/ns/a"), live.path(&format!("aside{round}")));
        write(&live.path("new"), &manifest("a", &format!("another {round}")));
        fs::rename(&place, aside).unwrap();
        fs::rename(live.path("new"), &place).unwrap();
        live.until("a", "the other one", |record| {
            record.is_some_and(|record| record.columns.name == format!("another {round}"))
        });
        live.edit("root/ns/a", "a", &format!("edited {round}"));
    }
    live.nothing_left_to_do();
}

#[test]
fn a_root_is_noticed_however_far_above_it_something_happens() {
    let live = Live::with_root("x/y/root");
    let gone = || live.until("a", "unreachable", |record| record.is_some_and(|record| record.unreachable.is_some()));
    for (round, above) in ["x", "x/y", "x/y/root", "x", "x/y"].into_iter().enumerate() {
        fs::rename(live.path(above), live.path("away")).unwrap();
        gone();
        fs::rename(live.path("away"), live.path(above)).unwrap();
        live.edit("x/y/root/ns/a", "a", &format!("round {round}"));
    }
    for (round, above) in ["x", "x/y", "x"].into_iter().enumerate() {
        fs::remove_dir_all(live.path(above)).unwrap();
        gone();
        for directory in ["x", "x/y", "x/y/root"] {
            fs::create_dir_all(live.path(directory)).unwrap();
            std::thread::sleep(Duration::from_millis(if round == 0 { 60 } else { 0 }));
        }
        live.edit("x/y/root/ns/a", "a", &format!("anew {round}"));
        live.edit("x/y/root/ns/a", "a", &format!("edited {round}"));
    }
}

#[test]
fn a_moved_project_is_watched_where_it_is_now() {
    let live = Live::start();
    for round in 0..10 {
        let (from, to) = (format!("root/ns{round}/a"), format!("root/ns{}/a", round + 1));
        let from = if round == 0 { "root/ns/a".to_owned() } else { from };
        fs::create_dir_all(live.path(&to).parent().unwrap()).unwrap();
        fs::rename(live.path(&from), live.path(&to)).unwrap();
        live.edit(&to, "a", &format!("round {round}"));
    }
}

#[test]
fn a_directory_that_is_deleted_and_made_anew_is_watched_again() {
    let live = Live::start();
    for round in 0..30 {
        fs::remove_dir_all(live.path("root/ns")).unwrap();
        live.edit("root/ns/a", "a", &format!("anew {round}"));
        live.edit("root/ns/a", "a", &format!("edited {round}"));
    }
}

#[test]
fn a_dork_directory_that_is_replaced_is_watched_again() {
    let live = Live::start();
    for round in 0..10 {
        fs::rename(live.path("root/ns/a/.dork"), live.path("root/ns/a/.aside")).unwrap();
        live.edit("root/ns/a", "a", &format!("anew {round}"));
        fs::remove_dir_all(live.path("root/ns/a/.dork")).unwrap();
        fs::rename(live.path("root/ns/a/.aside"), live.path("root/ns/a/.dork")).unwrap();
        live.edit("root/ns/a", "a", &format!("back {round}"));
    }
}

#[test]
fn a_root_that_goes_and_comes_back_is_watched_again() {
    let live = Live::start();
    for round in 0..5 {
        fs::rename(live.path("root"), live.path("away")).unwrap();
        live.until("a", "unreachable", |record| record.is_some_and(|record| record.unreachable.is_some()));
        fs::rename(live.path("away"), live.path("root")).unwrap();
        live.until("a", "back", |record| record.is_some_and(|record| record.unreachable.is_none()));
        live.edit("root/ns/a", "a", &format!("round {round}"));
    }
}

#[test]
fn trees_that_are_made_as_fast_as_possible_are_all_found() {
    let live = Live::start();
    for number in 0..300 {
        let project = live.path(&format!("root/new{}/x/p{number}", number % 7));
        write(&project, &manifest(&format!("n{number}"), "new"));
    }
    for number in 0..300 {
        live.until(&format!("n{number}"), "registered", |record| record.is_some());
    }
    live.nothing_left_to_do();
    assert_eq!(live.core.facts().missed_events, 0);
}

#[test]
fn periodic_sweeps_run_until_they_are_stopped() {
    let live = Live::start();
    let sweeps = || live.core.facts().last_sweep.map(|sweep| sweep.at_ms);
    let first = sweeps();
    live.core.start_periodic_reconciliation(Duration::from_millis(5));
    let deadline = monotonic() + DEADLINE;
    while sweeps() == first {
        assert!(monotonic() < deadline, "no sweep came");
    }
    live.core.stop_periodic_reconciliation();
    live.nothing_left_to_do();
}

#[test]
fn a_reload_is_over_when_everything_below_the_roots_was_looked_at() {
    let live = Live::start();
    for number in 0..200 {
        write(&live.path(&format!("more/ns{number}/p")), &manifest(&format!("n{number}"), "below another root"));
    }
    live.reload(&["root", "more"], 1_000);
    assert!((0..200).all(|number| live.record(&format!("n{number}")).is_some()));
    live.reload(&["root"], 1_000);
    assert!((0..200).all(|number| live.record(&format!("n{number}")).unwrap().unreachable.is_some()));
}

#[test]
fn a_request_outside_of_every_root_is_refused() {
    let live = Live::start();
    let error = live.core.reconcile(Scope::below(live.path("elsewhere"))).unwrap_err();
    assert!(error.to_string().contains("not a configured scan root"), "{error}");
    assert!(live.core.accept_root(live.path("elsewhere")).is_err());
}
