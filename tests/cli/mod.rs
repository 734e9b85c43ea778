//! The commands as a user runs them: the binary, what it prints, and its exit code.

mod check;
mod discover;
mod doctor;
mod import;
mod manual;
mod registering;
mod top;
mod words;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A place with a state directory of its own.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    fn below(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// The command, with nothing of the environment that says where things are.
    fn meshd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("meshd").unwrap();
        command.env_clear().env("HOME", self.below("home")).current_dir(self.path());
        command.args(arguments).arg("--state-dir").arg(self.below("state"));
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.meshd(arguments).arg("--json").assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        write(&self.below(path), content);
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A manifest with the required keys.
fn manifest(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","name":"{id}","runtime":"codex","registeredAt":"2026-01-02T00:00:00Z","registeredBy":"me"}}"#
    )
}
