//! What registering needs of the registry: writes under way, rows as they were, when an agent was last heard of, and who
//! may reach whom.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use serde::{Deserialize, Serialize};

use super::rows::{self, PathValue};
use super::{Batch, Reader, RegistryError};
use crate::agent::{AgentId, Moment, Namespace};

/// A manifest that is being written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Whose.
    pub project: PathBuf,
    /// Which of the two.
    pub kind: OperationKind,
    /// Whose manifest is written for the first time, if that is what is done.
    pub fresh: Option<AgentId>,
}

/// What is being done to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// It is written.
    Write,
    /// It is deleted.
    Delete,
}

/// Who may reach whom, one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPair {
    /// The namespace whose agents send.
    pub from: Namespace,
    /// The namespace whose agents are sent to.
    pub to: Namespace,
    /// What a person said about it.
    pub access: Access,
}

/// Whether agents of one namespace may send to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// The rows of one agent, whatever is in them, to be put back as they were.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    rows: Vec<(&'static str, Vec<String>, Vec<Value>)>,
}

/// Where something is kept of an agent, and the column that names it. `agents` comes first: the others refer to it.
const TABLES: [(&str, &str); 3] = [("agents", "id"), ("observations", "agent_id"), ("grace_clocks", "agent_id")];

impl OperationKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

impl Access {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|access| access.as_str() == name)
    }
}

impl Reader {
    /// The writes that were begun and not ended.
    pub fn operations(&self) -> Result<Vec<Operation>, RegistryError> {
        let rows =
            self.all("SELECT project_path, kind, agent_id FROM operations ORDER BY project_path", [], |row| {
                let kind = rows::text(row, 1)?;
                let kind =
                    [OperationKind::Write, OperationKind::Delete].into_iter().find(|known| known.as_str() == kind);
                let fresh = rows::optional_text(row, 2)?.and_then(|id| id.parse().ok());
                Ok(rows::path(row, 0)?.zip(kind).map(|(project, kind)| Operation { project, kind, fresh }))
            })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Everything that is kept of an agent; `None` if the id is unknown.
    pub fn snapshot(&self, id: &AgentId) -> Result<Option<Snapshot>, RegistryError> {
        let mut snapshot = Snapshot { rows: Vec::new() };
        for (table, key) in TABLES {
            let sql = format!("SELECT * FROM {table} WHERE {key} = ?1");
            let mut select = self.conn.prepare_cached(&sql)?;
            let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
            let mut found = select.query([id.as_str()])?;
            while let Some(row) = found.next()? {
                let values = (0..columns.len()).map(|index| row.get(index)).collect::<Result<_, _>>()?;
                snapshot.rows.push((table, columns.clone(), values));
            }
        }
        let is_known = snapshot.rows.iter().any(|(table, _, _)| *table == "agents");
        Ok(is_known.then_some(snapshot))
    }

    /// Every agent with its namespace. A row whose id is none is left out, as from [`recorded`](Self::recorded).
    pub fn endpoints(&self) -> Result<Vec<(AgentId, Namespace)>, RegistryError> {
        let rows = self.all("SELECT id, namespace FROM agents", [], |row| {
            let namespace = Namespace::as_recorded(rows::text(row, 1)?);
            Ok(rows::text(row, 0)?.parse::<AgentId>().ok().map(|id| (id, namespace)))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Who may reach whom, as far as a person said so.
    pub fn access_pairs(&self) -> Result<Vec<AccessPair>, RegistryError> {
        let sql = "SELECT from_namespace, to_namespace, action FROM access_pairs ORDER BY from_namespace, to_namespace";
        let rows = self.all(sql, [], |row| {
            let (from, to) = (Namespace::as_recorded(rows::text(row, 0)?), Namespace::as_recorded(rows::text(row, 1)?));
            Ok(Access::from_name(&rows::text(row, 2)?).map(|access| AccessPair { from, to, access }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }
}

impl Batch<'_> {
    /// Notes that a manifest is about to be written or deleted.
    pub fn begin_operation(&mut self, operation: &Operation, now: &Moment) -> Result<(), RegistryError> {
        const BEGIN: &str = "INSERT INTO operations (project_path, kind, agent_id, since) VALUES (?1, ?2, ?3, ?4) \
            ON CONFLICT (project_path) DO UPDATE SET kind = ?2, agent_id = ?3, since = ?4";
        let Operation { project, kind, fresh } = operation;
        let id = fresh.as_ref().map(AgentId::as_str);
        self.write(BEGIN, params![PathValue::of(project), kind.as_str(), id, now.to_iso()])?;
        Ok(())
    }

    /// Notes that nothing is under way at a project any more. `false` if nothing was.
    pub fn end_operation(&mut self, project: &Path) -> Result<bool, RegistryError> {
        Ok(self.write("DELETE FROM operations WHERE project_path = ?1", [PathValue::of(project)])? > 0)
    }

    /// Puts an agent's rows back as they were: none at all if it was unknown then.
    pub fn put_back(&mut self, id: &AgentId, before: Option<&Snapshot>) -> Result<(), RegistryError> {
        self.remove(id)?;
        for (table, columns, values) in before.map_or(&[][..], |before| &before.rows) {
            let marks = vec!["?"; columns.len()].join(", ");
            let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", "));
            self.write(&sql, params_from_iter(values))?;
        }
        Ok(())
    }

    /// Notes that an agent was heard of. `false` if the id is unknown.
    pub fn heard_of(&mut self, id: &AgentId, event: &str, now: &Moment) -> Result<bool, RegistryError> {
        let sql = "UPDATE agents SET last_seen_at = ?2, last_seen_event = ?3 WHERE id = ?1";
        Ok(self.write(sql, params![id.as_str(), now.to_iso(), event])? > 0)
    }

    /// Notes whether agents of one namespace may reach those of another.
    pub fn set_access(&mut self, pair: &AccessPair, now: &Moment) -> Result<(), RegistryError> {
        const SET: &str = "INSERT INTO access_pairs (from_namespace, to_namespace, action, created_at) \
            VALUES (?1, ?2, ?3, ?4) \
            ON CONFLICT (from_namespace, to_namespace) DO UPDATE SET action = ?3, created_at = ?4 WHERE action <> ?3";
        self.write(SET, params![pair.from.as_str(), pair.to.as_str(), pair.access.as_str(), now.to_iso()])?;
        Ok(())
    }

    /// Makes a scan root of a single project, which is looked under whatever the configuration says.
    pub fn add_lone_root(&mut self, project: &Path) -> Result<(), RegistryError> {
        const ADD: &str = "INSERT INTO roots (path, configured, alone) VALUES (?1, 1, 1) \
            ON CONFLICT (path) DO UPDATE SET configured = 1, alone = 1";
        self.write(ADD, [PathValue::of(project)])?;
        Ok(())
    }

    /// Forgets a scan root of a single project. `false` if there is none.
    pub fn remove_lone_root(&mut self, project: &Path) -> Result<bool, RegistryError> {
        Ok(self.write("DELETE FROM roots WHERE path = ?1 AND alone = 1", [PathValue::of(project)])? > 0)
    }
}
