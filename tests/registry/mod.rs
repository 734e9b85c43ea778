//! The registry keeps what it is given, survives what is done to its file, and writes all of a change or nothing.

mod batches;
mod census;
mod files;
mod import;
mod migrations;
mod records;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshd::agent::{
    Agent, AgentId, DirIdentity, Fingerprint, Manifest, Moment, Namespace, Observation, RootIdentity, Sighting,
};
use meshd::decide::{Problem, ProblemKind, RootState};
use meshd::registry::{AgentRegistry, Record};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A registry in a directory of its own.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("registry.db")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("registry.db{suffix}"))
    }

    fn open(&self) -> AgentRegistry {
        AgentRegistry::open(&self.file(), &minute(0)).unwrap().0
    }

    /// Another program with the same file.
    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Minutes after noon.
fn minute(minutes: i64) -> Moment {
    let wall_ms = 1_767_268_800_000 + minutes * 60_000;
    Moment { wall_ms, boot_ms: minutes * 60_000, boot: Arc::from("boot") }
}

fn id(text: &str) -> AgentId {
    text.parse().unwrap()
}

/// An agent with the required keys, at `/r/{id}`.
fn agent(id: &str) -> Agent {
    agent_with(id, json!({}))
}

fn agent_with(id: &str, more: Value) -> Agent {
    let mut manifest = json!({
        "id": id, "name": id, "runtime": "codex", "registeredAt": "2026-01-01T00:00:00Z", "registeredBy": "me",
    });
    let Value::Object(more) = more else { panic!("not an object") };
    manifest.as_object_mut().unwrap().extend(more);
    let project = Path::new("/r").join(id);
    Agent::derive(Manifest::from_value(manifest).unwrap(), project, Some(Arc::from(Path::new("/r"))))
}

fn at(agent: Agent, project: &str) -> Agent {
    Agent { project: PathBuf::from(project), ..agent }
}

fn in_namespace(agent: Agent, namespace: &str) -> Agent {
    Agent { namespace: Namespace::as_recorded(namespace.to_owned()), ..agent }
}

fn seen(number: u64) -> Sighting {
    Sighting { observation: Some(observation(number)), home: Some(directory(number)) }
}

fn observation(number: u64) -> Observation {
    let fingerprint =
        Fingerprint { device: u64::MAX - number, inode: number, size: 600, modified_ns: -1, changed_ns: i64::MAX };
    Observation { fingerprint, looked_ns: 7 }
}

fn directory(number: u64) -> DirIdentity {
    DirIdentity { device: u64::MAX, inode: number, born_ns: 0 }
}

fn root(number: u64) -> RootIdentity {
    RootIdentity { directory: directory(number), file_system: Some(0xef53) }
}

fn record(registry: &AgentRegistry, agent: &str) -> Record {
    registry.get(&id(agent)).unwrap().expect("a record")
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.columns.id.as_str()).collect()
}

fn problem(project: &str, detail: &str) -> Problem {
    Problem { project: project.into(), kind: ProblemKind::DuplicateId, id: Some(id("a")), detail: detail.to_owned() }
}
