//! Trees of agent projects, always the same ones, and how a program saves a manifest.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use meshd::clock::monotonic;
use serde_json::{Value, json};

/// What else lies in a project.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Some sources.
    None,
    /// Also 43 directories that belong to no scan: `node_modules` and `.git`.
    Pruned,
}

/// Makes `agents` projects below `tree`: `nsNNN/projNNNNN`, a hundred in a namespace, each with three more directories.
pub fn make(tree: &Path, agents: usize, noise: Noise) -> anyhow::Result<()> {
    let namespaces = (agents / 100).max(5);
    for number in 0..agents {
        let namespace = format!("ns{:03}", number % namespaces);
        let project = tree.join(&namespace).join(format!("proj{number:05}"));
        fs::create_dir_all(project.join("src/core"))?;
        manifest_into(&project, &manifest(number, &namespace))?;
        fs::write(project.join("README.md"), "# proj\n\nHello.\n")?;
        fs::write(project.join("package.json"), PACKAGE)?;
        for file in ["index", "lib", "util", "core/a", "core/b"] {
            fs::write(project.join(format!("src/{file}.ts")), SOURCE)?;
        }
        if noise == Noise::Pruned {
            make_noise(&project, number)?;
        }
    }
    Ok(())
}

/// A source file of 240 bytes would say no more than one of 20.
const SOURCE: &str = "export const x = 1;\n";
const PACKAGE: &str = "{\"name\":\"dep\",\"version\":\"1.0.0\",\"main\":\"index.js\"}\n";

fn make_noise(project: &Path, number: usize) -> anyhow::Result<()> {
    for package in 0..20 {
        let directory = project.join(format!("node_modules/pkg{package:02}"));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("package.json"), PACKAGE)?;
        fs::write(directory.join("index.js"), SOURCE)?;
        if package < 8 {
            fs::create_dir(directory.join("lib"))?;
            fs::write(directory.join("lib/a.js"), SOURCE)?;
        } else if package < 10 {
            fs::create_dir_all(directory.join("node_modules/dep"))?;
        }
    }
    let git = project.join(".git");
    fs::create_dir_all(git.join("refs/heads"))?;
    fs::write(git.join("HEAD"), "ref: refs/heads/main\n")?;
    for object in 0..6 {
        let directory = git.join(format!("objects/{:02x}", (number * 7 + object * 41) % 256));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("ab".repeat(19)), SOURCE)?;
    }
    Ok(())
}

/// A manifest of the usual size, some 600 bytes.
pub fn manifest(number: usize, namespace: &str) -> Value {
    let runtimes = ["claude-code", "codex", "cursor"];
    json!({
        "id": format!("01BENCH{number:019}"),
        "name": format!("agent-{number:05}"),
        "description": format!("Maintains project {number:05} in {namespace}: builds, tests and reviews changes, keeps \
            the docs current and answers questions from other agents in the same namespace over the relay."),
        "runtime": runtimes.get(number % runtimes.len()),
        "capabilities": ["code", "review", "testing"],
        "behavior": {"responseMode": "always", "escalationThreshold": number % 200},
        "budget": {"maxHopsPerMessage": 5, "maxCallsPerHour": 100},
        "registeredAt": "2026-01-01T00:00:00.000Z",
        "registeredBy": "bench",
    })
}

/// `mkdir -p PROJECT/.dork` and its manifest; returns when the last step of it began.
pub fn manifest_into(project: &Path, manifest: &Value) -> anyhow::Result<Instant> {
    fs::create_dir_all(project.join(".dork"))?;
    save(&project.join(".dork/agent.json"), &format!("{manifest:#}\n"), Way::InPlace)
}

/// How a program saves.
#[derive(Clone, Copy)]
pub enum Way {
    /// A file beside it, and a rename.
    Rename,
    /// Truncated and written.
    InPlace,
}

/// Saves a manifest; returns when the last step of it began, which is what a watcher hears of.
pub fn save(path: &Path, text: &str, way: Way) -> anyhow::Result<Instant> {
    match way {
        Way::Rename => {
            let beside = path.with_extension("json.tmp");
            fs::write(&beside, text)?;
            let start = monotonic();
            fs::rename(&beside, path)?;
            Ok(start)
        }
        Way::InPlace => {
            let mut file = File::create(path).with_context(|| path.display().to_string())?;
            file.write_all(text.as_bytes())?;
            let start = monotonic();
            drop(file);
            Ok(start)
        }
    }
}

/// A project of a tree.
pub struct Project {
    /// The directory.
    pub path: PathBuf,
    manifest: Value,
}

impl Project {
    /// Changes its manifest so that it says `marker`; returns when the last step of it began.
    pub fn mark(&mut self, marker: &str, way: Way) -> anyhow::Result<Instant> {
        if let Some(manifest) = self.manifest.as_object_mut() {
            manifest.insert("description".to_owned(), Value::String(marker.to_owned()));
        }
        save(&self.path.join(".dork/agent.json"), &format!("{:#}\n", self.manifest), way)
    }
}

/// The projects of a tree, in order.
pub fn projects(tree: &Path) -> anyhow::Result<Vec<Project>> {
    let mut found = Vec::new();
    for namespace in fs::read_dir(tree)? {
        for project in fs::read_dir(namespace?.path())? {
            let path = project?.path();
            let manifest = serde_json::from_slice(&fs::read(path.join(".dork/agent.json"))?)?;
            found.push(Project { path, manifest });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
