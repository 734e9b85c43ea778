//! Reading the registry. One bad row never hides another: what cannot be read of it is said in its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::event::{Event, EventName, StoredEvent};
use super::rows::{self, IS_UNREACHABLE, PathValue, RootNames, SELECT};
use super::{Record, RegistryError, Status, open};
use crate::agent::{AgentId, Columns, Moment, Recorded, RootIdentity, Runtime, Shown};
use crate::decide::{Problem, ProblemKind, RootState};

/// Reads a registry.
pub struct Reader {
    pub(super) conn: Connection,
    files: Option<open::Files>,
}

/// Which records are wanted: those that fit every part that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those with this runtime.
    pub runtime: Option<Runtime>,
    /// Those with this capability.
    pub capability: Option<String>,
    /// Those of this namespace.
    pub namespace: Option<String>,
    /// Those in this state.
    pub status: Option<Status>,
}

/// How many agents there are, and how they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// All of them.
    pub total: u64,
    /// Seen within the last hour.
    pub active: u64,
    /// Seen within the last day.
    pub inactive: u64,
    /// Not seen for longer.
    pub stale: u64,
    /// Unreachable.
    pub unreachable: u64,
    /// How many with each runtime.
    pub by_runtime: BTreeMap<String, u64>,
    /// How many in project directories of each name: the last part of the path, shown escaped. More than one where
    /// directories of the same name lie in different places.
    pub by_project: BTreeMap<String, u64>,
}

/// A scan root, as the registry remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRow {
    /// The root.
    pub path: PathBuf,
    /// The directory that it was when it was last online; `None` if it never was.
    pub identity: Option<RootIdentity>,
    /// The state in which the last pass left it; `None` before the first one.
    pub state: Option<RootState>,
    /// Since when it is in this state: ISO 8601 in UTC.
    pub since: Option<String>,
    /// Whether it is to be looked under; otherwise only its identity is remembered.
    pub configured: bool,
    /// Whether it is a single project that was registered outside of every other root.
    pub alone: bool,
}

/// A path at and below which nothing is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The path.
    pub path: PathBuf,
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// Who denied it.
    pub denier: Option<String>,
    /// When: ISO 8601 in UTC.
    pub created_at: String,
}

impl Reader {
    /// Opens a registry's file for reading only. Not for one that this process has open for writing: that is
    /// [`beside`](Self::beside).
    ///
    /// # Errors
    /// [`RegistryError::Missing`] if there is none, [`RegistryError::Older`] if it was not migrated yet.
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        Ok(Self::of_file(open::for_reading(path)?, path))
    }

    /// Opens the file of a registry that this process has open for writing, for reading only.
    ///
    /// # Errors
    /// Whatever keeps it from being read, as [`RegistryError::Corrupt`] where it is damaged.
    pub fn beside(path: &Path) -> Result<Self, RegistryError> {
        Ok(Self::of_file(open::beside(path)?, path))
    }

    pub(super) fn of_file(conn: Connection, path: &Path) -> Self {
        Self { conn, files: Some(open::files_of(path)) }
    }

    pub(super) fn of_memory(conn: Connection) -> Self {
        Self { conn, files: None }
    }

    /// How long a statement waits for another process's lock before it is [`RegistryError::Busy`]; 5 s if not set.
    pub fn set_busy_timeout(&self, timeout: Duration) -> Result<(), RegistryError> {
        Ok(self.conn.busy_timeout(timeout)?)
    }

    /// The record of an agent.
    pub fn get(&self, id: &AgentId) -> Result<Option<Record>, RegistryError> {
        self.first(&format!("{SELECT} WHERE a.id = ?1"), [id.as_str()], Record::read)
    }

    /// The record of the agent at a project.
    pub fn get_by_path(&self, project: &Path) -> Result<Option<Record>, RegistryError> {
        self.first(&format!("{SELECT} WHERE a.project_path = ?1"), [PathValue::of(project)], Record::read)
    }

    /// The records that fit, in the order of their paths.
    pub fn list(&self, filter: &Filter, now: &Moment) -> Result<Vec<Record>, RegistryError> {
        let mut records = Vec::new();
        self.visit(filter, now, |record| records.push(record))?;
        Ok(records)
    }

    /// Hands over the records that fit, one after the other, in the order of their paths.
    pub fn visit(&self, filter: &Filter, now: &Moment, mut take: impl FnMut(Record)) -> Result<(), RegistryError> {
        let sql = format!(
            "{SELECT} WHERE (?1 IS NULL OR a.runtime = ?1) AND (?2 IS NULL OR a.namespace = ?2) ORDER BY a.project_path"
        );
        let runtime = filter.runtime.map(Runtime::as_str);
        let fits = |record: &Record| {
            filter.capability.as_ref().is_none_or(|wanted| has_capability(record, wanted))
                && filter.status.is_none_or(|wanted| record.health(now) == wanted)
        };
        let mut select = self.conn.prepare_cached(&sql)?;
        for record in select.query_map((runtime, &filter.namespace), Record::read)? {
            Some(record?).filter(fits).map(&mut take);
        }
        Ok(())
    }

    /// The records of one namespace, in the order of their paths.
    pub fn list_by_namespace(&self, namespace: &str) -> Result<Vec<Record>, RegistryError> {
        self.all(&format!("{SELECT} WHERE a.namespace = ?1 ORDER BY a.project_path"), [namespace], Record::read)
    }

    /// The records of unreachable agents, in the order of their paths.
    pub fn list_unreachable(&self) -> Result<Vec<Record>, RegistryError> {
        self.all(&format!("{SELECT} WHERE {IS_UNREACHABLE} ORDER BY a.project_path"), [], Record::read)
    }

    /// The records of agents that became unreachable before `cutoff_ms`, milliseconds since 1970.
    pub fn list_unreachable_before(&self, cutoff_ms: i64) -> Result<Vec<Record>, RegistryError> {
        let mut records = self.list_unreachable()?;
        // Compared as times and not as text: an older registry may have written them in another shape.
        records.retain(|record| record.unreachable.as_ref().is_some_and(|since| since.since_ms < cutoff_ms));
        Ok(records)
    }

    /// How many agents there are, and how they are.
    pub fn stats(&self, now: &Moment) -> Result<Stats, RegistryError> {
        let mut stats = Stats::default();
        let mut select = self.conn.prepare_cached(SELECT)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            let counted = rows::Counted::read(row, now)?;
            stats.total += 1;
            match counted.status {
                Status::Active => stats.active += 1,
                Status::Inactive => stats.inactive += 1,
                Status::Stale => stats.stale += 1,
                Status::Unreachable => stats.unreachable += 1,
            }
            *stats.by_runtime.entry(counted.runtime).or_default() += 1;
            let name = counted.project.file_name().map_or(counted.project.as_path(), Path::new);
            *stats.by_project.entry(Shown::path(name).to_string()).or_default() += 1;
        }
        Ok(stats)
    }

    /// How many agents are recorded under each scan root.
    pub fn agents_by_root(&self) -> Result<BTreeMap<PathBuf, u64>, RegistryError> {
        let rows = self.all("SELECT scan_root, count(*) FROM agents GROUP BY scan_root", [], |row| {
            let count = rows::integer(row, 1)?.and_then(|count| u64::try_from(count).ok());
            Ok(rows::path(row, 0)?.zip(count))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// All rows, reduced to what a decision looks at. No JSON is parsed. A row whose id is none is left out: nothing can
    /// be decided about it.
    pub fn recorded(&self) -> Result<Vec<Recorded>, RegistryError> {
        let (mut columns, mut roots) = (Columns::default(), RootNames::default());
        let mut recorded = Vec::new();
        let mut select = self.conn.prepare_cached(SELECT)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            recorded.extend(rows::read_recorded(row, &mut columns, &mut roots)?);
        }
        Ok(recorded)
    }

    /// One agent's row, reduced in the same way.
    pub fn recorded_of(&self, id: &AgentId) -> Result<Option<Recorded>, RegistryError> {
        let (mut columns, mut roots) = (Columns::default(), RootNames::default());
        let read = |row: &Row<'_>| rows::read_recorded(row, &mut columns, &mut roots);
        Ok(self.first(&format!("{SELECT} WHERE a.id = ?1"), [id.as_str()], read)?.flatten())
    }

    /// The known scan roots: the configured ones first, in their order.
    pub fn roots(&self) -> Result<Vec<RootRow>, RegistryError> {
        let sql = "SELECT path, device, inode, born_ns, state, why, since, configured, alone, file_system FROM roots \
            ORDER BY configured DESC, ordinal, path";
        let rows = self.all(sql, [], |row| {
            let Some(path) = rows::path(row, 0)? else { return Ok(None) };
            let why = rows::text(row, 5)?;
            let state = match rows::text(row, 4)?.as_str() {
                "online" => Some(RootState::Online),
                "degraded" => Some(RootState::Degraded(why)),
                "offline" => Some(RootState::Offline(why)),
                _ => None,
            };
            let file_system = rows::integer(row, 9)?;
            let identity = rows::identity(row, 1)?.map(|directory| RootIdentity { directory, file_system });
            let since = rows::optional_text(row, 6)?;
            let (configured, alone) = (rows::integer(row, 7)? == Some(1), rows::integer(row, 8)? == Some(1));
            Ok(Some(RootRow { path, identity, state, since, configured, alone }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The known mount points below which agents are.
    pub fn mounts(&self) -> Result<Vec<PathBuf>, RegistryError> {
        let rows = self.all("SELECT path FROM mounts ORDER BY path", [], |row| rows::path(row, 0))?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The known problems, and since when each is known: ISO 8601 in UTC.
    pub fn problems(&self) -> Result<Vec<(Problem, String)>, RegistryError> {
        let sql = "SELECT project_path, kind, agent_id, detail, since FROM problems ORDER BY project_path, kind";
        let rows = self.all(sql, [], |row| {
            let kind = ProblemKind::from_name(&rows::text(row, 1)?);
            let (Some(project), Some(kind)) = (rows::path(row, 0)?, kind) else { return Ok(None) };
            let id = rows::optional_text(row, 2)?.and_then(|id| id.parse().ok());
            Ok(Some((Problem { project, kind, id, detail: rows::text(row, 3)? }, rows::text(row, 4)?)))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The denied paths.
    pub fn denials(&self) -> Result<Vec<PathBuf>, RegistryError> {
        Ok(self.list_denials()?.into_iter().map(|denial| denial.path).collect())
    }

    /// The denied paths, with who denied them when and why.
    pub fn list_denials(&self) -> Result<Vec<Denial>, RegistryError> {
        let rows = self.all("SELECT path, reason, denier, created_at FROM agent_denials ORDER BY path", [], |row| {
            let Some(path) = rows::path(row, 0)? else { return Ok(None) };
            let (reason, denier) = (rows::optional_text(row, 1)?, rows::optional_text(row, 2)?);
            Ok(Some(Denial { path, reason, denier, created_at: rows::text(row, 3)? }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The events with a number above `seq`, `limit` of them at most. One that cannot be read is left out.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, RegistryError> {
        let sql = "SELECT seq, at, name, agent_id, project_path, scan_root, detail_json FROM events \
            WHERE seq > ?1 ORDER BY seq";
        let mut events = Vec::new();
        let mut select = self.conn.prepare_cached(sql)?;
        let mut found = select.query([i64::try_from(seq).unwrap_or(i64::MAX)])?;
        // Counted here and not by SQL, so that a page of unreadable ones is not taken for the end.
        while events.len() < limit
            && let Some(row) = found.next()?
        {
            events.extend(read_event(row)?);
        }
        Ok(events)
    }

    /// The number of the last event; zero if there was none.
    pub fn last_seq(&self) -> Result<u64, RegistryError> {
        let last = self.first("SELECT coalesce(max(seq), 0) FROM events", [], |row| rows::integer(row, 0))?;
        Ok(last.flatten().and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
    }

    /// A number that differs from before if another connection changed the registry in between.
    pub fn data_version(&self) -> Result<i64, RegistryError> {
        Ok(self.first("PRAGMA data_version", [], |row| row.get(0))?.unwrap_or_default())
    }

    /// Whether the file at `path` and its log are still those that are open. A registry in memory always is the same.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        let same = |[file, log]: open::Files| {
            let [file_now, log_now] = open::files_of(path);
            file_now == file && (log.is_none() || log_now == log)
        };
        self.files.is_none_or(same)
    }

    /// What SQLite finds wrong with the file; nothing if it is whole. Reads all of it.
    pub fn integrity(&self) -> Result<Vec<String>, RegistryError> {
        let mut found = self.all("PRAGMA integrity_check", [], |row| rows::text(row, 0))?;
        found.retain(|finding| finding != "ok");
        found.extend(self.all("PRAGMA foreign_key_check", [], |row| {
            Ok(format!("a row of `{}` belongs to no agent", rows::text(row, 0)?))
        })?);
        Ok(found)
    }

    /// What `read` makes of the first row.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, RegistryError> {
        Ok(self.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RegistryError> {
        Ok(self.conn.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>()?)
    }
}

fn has_capability(record: &Record, wanted: &str) -> bool {
    match &record.agent {
        Ok(agent) => agent.manifest.capabilities.iter().any(|has| has == wanted),
        // A row that is no agent for another reason still says what it can do.
        Err(_) => serde_json::from_str::<Vec<String>>(&record.columns.capabilities_json)
            .is_ok_and(|capabilities| capabilities.iter().any(|has| has == wanted)),
    }
}

fn read_event(row: &Row<'_>) -> rusqlite::Result<Option<StoredEvent>> {
    let seq = rows::integer(row, 0)?.and_then(|seq| u64::try_from(seq).ok());
    let (Some(seq), Some(name)) = (seq, EventName::from_name(&rows::text(row, 2)?)) else { return Ok(None) };
    let event = Event {
        name,
        agent: rows::optional_text(row, 3)?.and_then(|id| id.parse().ok()),
        project: rows::path(row, 4)?,
        scan_root: rows::path(row, 5)?,
        detail: serde_json::from_str(&rows::text(row, 6)?).unwrap_or_default(),
    };
    Ok(Some(StoredEvent { seq, at: rows::text(row, 1)?, event }))
}
