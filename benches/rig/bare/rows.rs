//! The floor's registry: a row an agent.

use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, params};

/// How much a commit waits for the disk.
#[derive(Clone, Copy)]
pub enum Synchronous {
    /// Not at all: the last commits are lost with the power.
    Normal,
    /// Until it is written.
    Full,
}

impl Synchronous {
    /// As SQLite spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// A row an agent, with its manifest in it as it is.
pub struct Rows(Connection);

impl Rows {
    /// Opens it, or makes it. No checkpoint is made inside of a commit.
    pub fn open(path: &Path, synchronous: Synchronous) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE IF NOT EXISTS agents (project_path TEXT PRIMARY KEY NOT NULL, description TEXT NOT NULL)",
            synchronous.as_str()
        ))?;
        Ok(Self(connection))
    }

    /// Writes what a manifest says now. It is there for others after [`commit`](Self::commit).
    pub fn put(&self, project: &Path, manifest: &[u8]) -> anyhow::Result<()> {
        if self.0.is_autocommit() {
            self.0.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        }
        let mut put = self.0.prepare_cached(
            "INSERT INTO agents VALUES (?1, ?2) ON CONFLICT (project_path) DO UPDATE SET description = ?2",
        )?;
        let project = project.to_str().context("a path that is not UTF-8")?;
        put.execute(params![project, String::from_utf8_lossy(manifest)])?;
        Ok(())
    }

    /// Commits what was put, if anything was.
    pub fn commit(&self) -> anyhow::Result<()> {
        if !self.0.is_autocommit() {
            self.0.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    /// Reads all; returns how many.
    pub fn read(&self) -> anyhow::Result<usize> {
        let mut all = self.0.prepare_cached("SELECT project_path, description FROM agents")?;
        let rows = all.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        Ok(rows.filter_map(Result::ok).count())
    }
}
