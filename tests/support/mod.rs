//! The vocabulary of the tests: a world of agent projects on a real file system with a real registry, and a clock that
//! can be turned.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meshd::agent::{AgentId, Moment, Reason};
use meshd::clock::Clock;
use meshd::decide::{Policy, ProblemKind, View};
use meshd::disk::mounts::MountTable;
use meshd::disk::{Heard, Kept, Target, Tidied, Watches};
use meshd::engine::{Engine, ReconcileResult, Setup};
use meshd::registry::{AgentRegistry, Record};
use meshd::scope::Scope;
use meshd::telemetry::{Metrics, Telemetry};
use tempfile::TempDir;

/// Longer than any doubt: what was found before counts after it.
pub const SETTLED: Duration = Duration::from_secs(2);

/// A world with its engine.
pub struct World {
    dir: TempDir,
    clock: TestClock,
    mounts: TestMounts,
    watches: TestWatches,
    roots: Vec<PathBuf>,
    policy: Policy,
    engine: Option<Engine>,
}

/// A clock that stands still until it is turned.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Moment>>);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        self.0.lock().unwrap().clone()
    }
}

/// The mount table as the tests write it: what is mounted is an ordinary directory.
#[derive(Clone, Default)]
pub struct TestMounts(Arc<Mutex<BTreeSet<PathBuf>>>);

impl MountTable for TestMounts {
    fn points(&self) -> Option<BTreeSet<PathBuf>> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// Nothing is watched: the tests say what to look at. What was asked for is written down.
#[derive(Clone, Default)]
pub struct TestWatches(Arc<Mutex<Asked>>);

/// What the engine asked of its watcher.
#[derive(Default)]
pub struct Asked {
    /// What to watch, since the test looked last.
    pub watched: BTreeSet<PathBuf>,
    /// What to watch no more, since the test looked last.
    pub forgotten: BTreeSet<PathBuf>,
    /// What happens on disk in the middle of the next look: when the roots were looked at, and no project was.
    in_the_middle: Option<Box<dyn FnOnce() + Send>>,
}

impl Watches for TestWatches {
    fn watch(&mut self, targets: &[Target]) {
        let path = |target: &Target| match target {
            Target::Directory(path) | Target::Dork(path) => path.clone(),
        };
        self.0.lock().unwrap().watched.extend(targets.iter().map(path));
    }
    fn forget(&mut self, directories: Vec<PathBuf>) {
        let mut asked = self.0.lock().unwrap();
        asked.forgotten.extend(directories);
        if let Some(happens) = asked.in_the_middle.take() {
            happens();
        }
    }

    fn tidy(&mut self) -> Tidied {
        Tidied::All
    }
    fn set_roots(&mut self, _roots: &[Arc<Path>]) {}
    fn set_budget(&mut self, _most: Option<u64>) {}
    fn plan(&mut self) -> Vec<PathBuf> {
        Vec::new()
    }
    fn unheard(&self) -> Vec<PathBuf> {
        Vec::new()
    }
    fn count(&self, _roots: &[Arc<Path>]) -> Vec<Heard> {
        Vec::new()
    }
}

impl World {
    /// An empty world with one scan root, `root`.
    pub fn new() -> Self {
        Self::with_roots(&["root"])
    }

    /// An empty world with these scan roots.
    pub fn with_roots(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let roots: Vec<PathBuf> = names.iter().map(|name| base.join(name)).collect();
        for root in &roots {
            fs::create_dir_all(root).unwrap();
        }
        let start = Moment { wall_ms: 1_800_000_000_000, boot_ms: 1_000_000, boot: Arc::from("boot 1") };
        let clock = TestClock(Arc::new(Mutex::new(start)));
        let mounts = TestMounts::default();
        let watches = TestWatches::default();
        let mut world = Self { dir, clock, mounts, watches, roots, policy: Policy::default(), engine: None };
        world.restart();
        world
    }

    /// Stops the engine and starts it anew over the same registry.
    pub fn restart(&mut self) {
        self.engine = None;
        let file = self.registry_file();
        let (registry, _) = AgentRegistry::open(&file, &self.clock.now()).unwrap();
        let setup = Setup {
            registry,
            registry_file: Some(file),
            roots: self.roots.clone(),
            kept: Kept::default(),
            policy: self.policy.clone(),
            poll_interval: Duration::from_secs(30),
            watches: Box::new(self.watches.clone()),
            mounts: Box::new(self.mounts.clone()),
            clock: Box::new(self.clock.clone()),
            telemetry: Telemetry { metrics: Arc::new(Metrics::new()) },
        };
        self.engine = Some(Engine::new(setup).unwrap());
    }

    /// Starts anew with other roots.
    pub fn restart_with_roots(&mut self, names: &[&str]) {
        self.roots = names.iter().map(|name| self.path(name)).collect();
        self.restart();
    }

    /// Starts anew with another policy.
    pub fn restart_with_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.restart();
    }

    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    pub fn registry(&self) -> &AgentRegistry {
        self.engine.as_ref().unwrap().registry()
    }

    pub fn registry_file(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("registry.db")
    }

    /// A path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// A project with an ordinary manifest.
    pub fn agent(&self, project: &str, id: &str) {
        self.write(project, manifest(id, "an agent"));
    }

    /// A project with a manifest that has this content.
    pub fn write(&self, project: &str, content: impl AsRef<[u8]>) {
        let dork = self.path(project).join(".dork");
        fs::create_dir_all(&dork).unwrap();
        fs::write(dork.join("agent.json"), content).unwrap();
    }

    pub fn manifest_of(&self, project: &str) -> PathBuf {
        self.path(project).join(".dork/agent.json")
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn copy(&self, from: &str, to: &str) {
        let content = fs::read(self.manifest_of(from)).unwrap();
        self.write(to, content);
    }

    pub fn delete(&self, name: &str) {
        fs::remove_dir_all(self.path(name)).unwrap();
    }

    /// Mounts a directory at an empty one, or at none.
    pub fn mount(&self, drive: &str, point: &str) {
        let _ = fs::remove_dir(self.path(point));
        self.rename(drive, point);
        self.mounts.0.lock().unwrap().insert(self.path(point));
    }

    /// Unmounts it, and leaves the empty directory that it was mounted at.
    pub fn unmount(&self, point: &str, drive: &str) {
        self.rename(point, drive);
        fs::create_dir(self.path(point)).unwrap();
        self.mounts.0.lock().unwrap().remove(&self.path(point));
    }

    /// What the watcher makes of either.
    pub fn hear_of_mount(&mut self, point: &str) {
        let point = self.path(point);
        self.engine().remounted(&[point].into());
    }

    /// Renames a directory in the middle of the next look.
    pub fn rename_in_the_middle(&self, from: &str, to: &str) {
        let (from, to) = (self.path(from), self.path(to));
        self.in_the_middle(move || fs::rename(from, to).unwrap());
    }

    /// Lets something happen on disk in the middle of the next look.
    pub fn in_the_middle(&self, happens: impl FnOnce() + Send + 'static) {
        self.watches.0.lock().unwrap().in_the_middle = Some(Box::new(happens));
    }

    /// What was to be watched, and what to be forgotten, since this was last asked.
    pub fn take_asked(&self) -> Asked {
        std::mem::take(&mut self.watches.0.lock().unwrap())
    }

    /// Turns all clocks on together: time passes.
    pub fn pass_time(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        let mut now = self.clock.0.lock().unwrap();
        now.wall_ms += ms;
        now.boot_ms += ms;
    }

    /// Steps the wall clock alone.
    pub fn step_wall_clock(&self, days: i64) {
        self.clock.0.lock().unwrap().wall_ms += days * 86_400_000;
    }

    /// Switches the machine off for a time and on again.
    pub fn reboot_after(&mut self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        let mut now = self.clock.0.lock().unwrap();
        now.wall_ms += ms;
        now.boot_ms = 1_000;
        now.boot = Arc::from(format!("{}, then another", now.boot));
        drop(now);
        self.restart();
    }

    /// One sweep.
    pub fn sweep(&mut self) -> ReconcileResult {
        self.engine().reconcile(&Scope::everything()).unwrap().result
    }

    /// Two sweeps with so much time between them that what the first doubted counts in the second.
    pub fn sweep_settled(&mut self) -> ReconcileResult {
        let mut result = self.sweep();
        self.pass_time(SETTLED);
        result.add(&self.sweep());
        result
    }

    /// One look at a project's manifest, as after an event about it.
    pub fn look_at(&mut self, project: &str) -> ReconcileResult {
        let scope = Scope::project(self.path(project));
        self.engine().reconcile(&scope).unwrap().result
    }

    /// One look at a directory and all below it, as after an event about it.
    pub fn look_below(&mut self, directory: &str) -> ReconcileResult {
        let scope = Scope::below(self.path(directory));
        self.engine().reconcile(&scope).unwrap().result
    }

    /// What a look at a project's manifest sees.
    pub fn view(&mut self, project: &str) -> View {
        let scope = Scope::project(self.path(project));
        self.engine().plan(scope).0
    }

    pub fn record(&self, id: &str) -> Option<Record> {
        self.registry().get(&id.parse::<AgentId>().unwrap()).unwrap()
    }

    /// Where an agent is recorded, and why it is unreachable if so.
    pub fn state(&self, id: &str) -> Option<(PathBuf, Option<Reason>)> {
        let record = self.record(id)?;
        let project = record.project();
        Some((project, record.unreachable.map(|mark| mark.reason)))
    }

    #[track_caller]
    pub fn assert_active_at(&self, id: &str, project: &str) {
        assert_eq!(self.state(id), Some((self.path(project), None)), "{id}");
    }

    #[track_caller]
    pub fn assert_unreachable(&self, id: &str, project: &str, reason: Reason) {
        assert_eq!(self.state(id), Some((self.path(project), Some(reason))), "{id}");
    }

    /// The problems that stand: kind and place below the world.
    pub fn problems(&self) -> Vec<(ProblemKind, PathBuf)> {
        let base = self.path("");
        let relative = |path: &Path| path.strip_prefix(&base).unwrap().to_path_buf();
        let problems = self.registry().problems().unwrap();
        problems.into_iter().map(|(problem, _)| (problem.kind, relative(&problem.project))).collect()
    }

    /// The names of all events so far.
    pub fn events(&self) -> Vec<&'static str> {
        let events = self.registry().events_after(0, 100_000).unwrap();
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.seq, index as u64 + 1, "events are numbered without gaps");
        }
        events.into_iter().map(|event| event.event.name.as_str()).collect()
    }
}

/// An ordinary manifest.
pub fn manifest(id: &str, name: &str) -> String {
    format!(
        "{{\n  \"id\": \"{id}\",\n  \"name\": \"{name}\",\n  \"runtime\": \"codex\",\n  \
         \"registeredAt\": \"2026-01-01T00:00:00.000Z\",\n  \"registeredBy\": \"tests\"\n}}\n"
    )
}
