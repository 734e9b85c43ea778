//! The registry in numbers, for whoever watches over it: few enough to be kept for years, whatever the registry holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Row;

use super::RegistryError;
use super::open::sidecar;
use super::read::{Reader, RootRow};
use super::rows::{self, IS_UNREACHABLE, Status};
use crate::agent::Moment;
use crate::decide::{ProblemKind, RootState};

/// How many there are of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// The agents of each namespace, by how they are.
    pub agents: BTreeMap<String, BTreeMap<Status, u64>>,
    /// The problems that stand, by their kind.
    pub problems: BTreeMap<ProblemKind, u64>,
    /// The configured scan roots, by their state: `online`, `degraded`, `offline`, or `new` before they were looked at.
    pub roots: BTreeMap<&'static str, u64>,
    /// The scan roots that are offline, and since when: milliseconds since 1970. Those first that are so for longest.
    pub offline: Vec<(i64, PathBuf)>,
}

/// How large a registry's files are, in bytes; zero where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileSizes {
    /// The file itself.
    pub database: u64,
    /// Its write-ahead log.
    pub log: u64,
}

impl FileSizes {
    /// Those of the registry at `path`. They are looked at and not opened: closing a file drops the locks that SQLite has
    /// on it.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let size = |path: &Path| std::fs::symlink_metadata(path).map_or(0, |found| found.len());
        Self { database: size(path), log: size(&sidecar(path, "-wal")) }
    }
}

/// The states that a configured scan root may be in.
pub const ROOT_STATES: [&str; 4] = ["online", "degraded", "offline", "new"];

impl Reader {
    /// Counts everything.
    pub fn census(&self, now: &Moment) -> Result<Census, RegistryError> {
        let mut census = Census::default();
        let sql = format!("SELECT a.namespace, {IS_UNREACHABLE}, a.last_seen_at FROM agents a");
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            census.count(row, now)?;
        }
        for (problem, _) in self.problems()? {
            one_more(census.problems.entry(problem.kind).or_default());
        }
        for root in self.roots()?.into_iter().filter(|root| root.configured) {
            one_more(census.roots.entry(root.state.as_ref().map_or("new", RootState::as_str)).or_default());
            census.offline.extend(offline(root));
        }
        census.offline.sort();
        Ok(census)
    }
}

impl Census {
    fn count(&mut self, row: &Row<'_>, now: &Moment) -> rusqlite::Result<()> {
        let status = match rows::integer(row, 1)? {
            Some(0) => Status::of_seen(rows::optional_text(row, 2)?.as_deref(), now),
            Some(_) | None => Status::Unreachable,
        };
        let namespace = rows::text(row, 0)?;
        one_more(self.agents.entry(namespace).or_default().entry(status).or_default());
        Ok(())
    }
}

fn offline(root: RootRow) -> Option<(i64, PathBuf)> {
    let is_offline = matches!(root.state, Some(RootState::Offline(_)));
    let since_ms = root.since.as_deref().and_then(crate::agent::moment::wall_ms)?;
    is_offline.then_some((since_ms, root.path))
}

fn one_more(count: &mut u64) {
    *count = count.saturating_add(1);
}
