//! What the benches share: trees, a daemon that really runs, floors, eyes on a registry, and numbers.
//!
//! A floor does only the system calls and the SQL that nobody can do without. It runs on the same file system and in turn
//! with meshd, so that the ratio of the two says something about meshd and not about the machine.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod bare;
pub mod child;
pub mod daemon;
pub mod observer;
pub mod process;
pub mod times;
pub mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The word after a flag of the command line.
pub fn word(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// The number after a flag of the command line, or what is taken without it.
pub fn option(name: &str, default: usize) -> anyhow::Result<usize> {
    word(name).map_or(Ok(default), |value| value.parse().with_context(|| format!("{name} {value}")))
}

/// Whether a flag was given.
pub fn given(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// A directory for trees and registries, and a short one for sockets, whose addresses must be; both gone at the end.
///
/// The first is on the file system of the build, or in the directory that `--on` names.
pub struct Scratch {
    disk: PathBuf,
    short: PathBuf,
}

impl Scratch {
    /// Makes both.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("meshd-bench-{}", std::process::id());
        let on = word("--on").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned());
        // Rows say where a project is without links.
        let disk = fs::canonicalize(&on).context(on)?.join(&name);
        let scratch = Self { disk, short: std::env::temp_dir().join(&name) };
        fs::create_dir_all(&scratch.disk)?;
        fs::create_dir_all(&scratch.short)?;
        Ok(scratch)
    }

    /// A path for a tree or a registry.
    pub fn join(&self, name: &str) -> PathBuf {
        self.disk.join(name)
    }

    /// A path for a socket.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.short.join(name)
    }

    /// Makes a tree of so many agents, always the same one.
    pub fn tree(&self, name: &str, agents: usize) -> anyhow::Result<PathBuf> {
        let tree = self.join(name);
        tree::make(&tree, agents, tree::Noise::None)?;
        Ok(tree)
    }

    /// All of it.
    pub fn path(&self) -> &Path {
        &self.disk
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind costs space and nothing else.
        let _ = fs::remove_dir_all(&self.disk);
        let _ = fs::remove_dir_all(&self.short);
    }
}
