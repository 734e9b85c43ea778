//! Registering, updating and unregistering, on a real file system with a real registry: all of it or nothing.

mod faults;
mod going;
mod people;
mod races;
mod registering;
mod relaying;
mod updating;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshd::agent::{Agent, AgentId, Moment};
use meshd::clock::{Clock, SystemClock};
use meshd::decide::Policy;
use meshd::disk::mounts::KernelMounts;
use meshd::disk::{Kept, Unwatched};
use meshd::engine::{Denying, Engine, MeshCore, Setup, Strictness, Target};
use meshd::registration::{Existing, Register, RegistrationError, Unregister, Unregistered};
use meshd::registry::{AgentRegistry, Filter, Reader, Record};
use meshd::relay::local::Local;
use meshd::relay::{Limits, Relay};
use meshd::scope::Scope;
use meshd::scope::inbox::inbox;
use meshd::telemetry::{Metrics, Telemetry};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::manifest;

/// A scan root, `root`, with an engine that watches nothing.
struct House {
    dir: TempDir,
    core: MeshCore,
}

impl House {
    /// With the relay that is built in.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let relay = Arc::new(Local::new(&dir.path().canonicalize().unwrap()));
        Self::over(dir, relay, Limits::default())
    }

    fn with_relay(relay: Arc<dyn Relay>, limits: Limits) -> Self {
        Self::over(tempfile::tempdir().unwrap(), relay, limits)
    }

    fn over(dir: TempDir, relay: Arc<dyn Relay>, limits: Limits) -> Self {
        fs::create_dir_all(dir.path().join("root")).unwrap();
        let core = start(&dir, relay, limits);
        Self { dir, core }
    }

    /// Ends the engine and starts another one over the same registry.
    fn restart(&mut self) {
        self.core.stop();
        let relay = Arc::new(Local::new(&self.dir.path().canonicalize().unwrap()));
        self.core = start(&self.dir, relay, Limits::default());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// A project's directory, with nothing in it.
    fn project(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A project with a manifest that has this content.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let project = self.project(name);
        fs::create_dir_all(project.join(".dork")).unwrap();
        fs::write(file(&project), content).unwrap();
        project
    }

    /// A project with an agent that is recorded.
    fn agent(&self, name: &str, id: &str) -> PathBuf {
        let project = self.write(name, manifest(id, "an agent"));
        self.sweep();
        project
    }

    fn sweep(&self) {
        self.core.reconcile(Scope::everything()).unwrap();
    }

    fn register(&self, project: &Path) -> Result<Agent, RegistrationError> {
        self.core.register(project, &Register::new(fields("new")), &now())
    }

    fn replace(&self, project: &Path) -> Result<Agent, RegistrationError> {
        let request = Register { existing: Existing::Replace, ..Register::new(fields("new")) };
        self.core.register(project, &request, &now())
    }

    #[allow(clippy::needless_pass_by_value, reason = "`json!` reads best where it is given away")]
    fn update(&self, id: &str, patch: Value) -> Result<(), RegistrationError> {
        let target = Target::Agent(id.parse().unwrap());
        self.core.update(target, patch.as_object().unwrap(), Strictness::Strict).map(drop)
    }

    fn unregister(&self, id: &str) -> Result<Unregistered, RegistrationError> {
        let request = Unregister { denying: Denying::No, strictness: Strictness::Strict };
        self.core.unregister(Target::Agent(id.parse().unwrap()), &request)
    }

    fn registry(&self) -> Reader {
        Reader::open(&self.path("registry.db")).unwrap()
    }

    /// Another connection to the registry's file.
    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("registry.db")).unwrap()
    }

    fn record(&self, id: &str) -> Option<Record> {
        self.registry().get(&id.parse::<AgentId>().unwrap()).unwrap()
    }

    /// The ids of all that is recorded, and where.
    fn recorded(&self) -> Vec<(String, PathBuf)> {
        let records = self.registry().list(&Filter::default(), &now()).unwrap();
        records.into_iter().map(|record| (record.columns.id.clone(), record.project())).collect()
    }

    /// The ids of the agents that have an endpoint at the relay that is built in, in order.
    fn reached(&self) -> Vec<String> {
        let relay = rusqlite::Connection::open(self.path("relay.db")).unwrap();
        let mut select = relay.prepare("SELECT agent_id FROM endpoints ORDER BY agent_id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The names of all events so far, which are numbered without gaps.
    fn events(&self) -> Vec<&'static str> {
        let events = self.registry().events_after(0, 1_000_000).unwrap();
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.seq, index as u64 + 1);
        }
        events.into_iter().map(|event| event.event.name.as_str()).collect()
    }

    /// From now on the registry takes no row of an agent.
    fn refuse_rows(&self) {
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON agents BEGIN SELECT RAISE(ABORT, 'no more agents'); END";
        self.sql().execute_batch(refuse).unwrap();
    }

    fn take_rows_again(&self) {
        self.sql().execute_batch("DROP TRIGGER refuse").unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.core.stop();
    }
}

fn start(dir: &TempDir, relay: Arc<dyn Relay>, limits: Limits) -> MeshCore {
    let base = dir.path().canonicalize().unwrap();
    let registry_file = base.join("registry.db");
    let registry = AgentRegistry::open(&registry_file, &now()).unwrap().0;
    let alone = registry.roots().unwrap().into_iter().filter(|root| root.alone).map(|root| root.path);
    let alone: Vec<PathBuf> = alone.collect();
    let mut kept = Kept::default();
    kept.set_alone(alone.clone());
    let setup = Setup {
        registry,
        registry_file: Some(registry_file),
        roots: [base.join("root")].into_iter().chain(alone).collect(),
        kept,
        poll_interval: std::time::Duration::from_secs(30),
        policy: Policy::default(),
        watches: Box::new(Unwatched),
        mounts: Box::new(KernelMounts),
        clock: Box::new(SystemClock::new()),
        telemetry: Telemetry { metrics: Arc::new(Metrics::new()) },
    };
    MeshCore::start(Engine::new(setup).unwrap(), inbox().1, Arc::new(Unwatched), Vec::new(), Some((relay, limits)))
        .unwrap()
}

fn now() -> Moment {
    SystemClock::new().now()
}

fn fields(name: &str) -> Map<String, Value> {
    json!({ "name": name, "runtime": "codex" }).as_object().unwrap().clone()
}

fn file(project: &Path) -> PathBuf {
    project.join(".dork/agent.json")
}

/// A path, and of a file its content and permissions.
type Entry = (PathBuf, Option<(Vec<u8>, u32)>);

/// Everything below a directory.
fn tree(below: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut open = vec![below.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                found.push((path.clone(), None));
                open.push(path);
            } else {
                let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                found.push((path, Some((content, metadata.permissions().mode()))));
            }
        }
    }
    found.sort();
    found
}
