//! Writing what no manifest holds: scan roots and what is mounted below them, problems, denials and events.

use std::path::{Path, PathBuf};

use rusqlite::params;
use serde_json::Value;

use super::event::Event;
use super::rows::{PathValue, identity_values};
use super::{Batch, RegistryError};
use crate::agent::{AgentId, Moment, RootIdentity};
use crate::decide::{Problem, RootState};

impl Batch<'_> {
    /// Notes a scan root's state, and which directory it is; that stays as it was if `identity` is `None`.
    pub fn set_root(
        &mut self,
        root: &Path,
        state: &RootState,
        identity: Option<RootIdentity>,
        now: &Moment,
    ) -> Result<(), RegistryError> {
        const SET: &str = "INSERT INTO roots (path, state, why, since, device, inode, born_ns, file_system) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
            ON CONFLICT (path) DO UPDATE SET state = ?2, why = ?3, since = iif(state IS ?2, since, ?4), \
                device = coalesce(?5, device), inode = coalesce(?6, inode), born_ns = coalesce(?7, born_ns), \
                file_system = iif(?5 IS NULL, file_system, ?8) \
            WHERE (state, why) IS NOT (?2, ?3) \
                OR (?5 IS NOT NULL AND (device, inode, born_ns, file_system) IS NOT (?5, ?6, ?7, ?8))";
        let (device, inode, born_ns) = identity_values(identity.map(|is| is.directory));
        let file_system = identity.and_then(|is| is.file_system);
        let (name, why) = (state.as_str(), state.why());
        let path = PathValue::of(root);
        self.write(SET, params![path, name, why, now.to_iso(), device, inode, born_ns, file_system])?;
        Ok(())
    }

    /// Makes exactly these the configured scan roots, in this order. Of the others the identity stays known.
    pub fn configure_roots(&mut self, roots: &[PathBuf]) -> Result<(), RegistryError> {
        const CONFIGURE: &str = "INSERT INTO roots (path, ordinal, configured) VALUES (?1, ?2, 1) \
            ON CONFLICT (path) DO UPDATE SET ordinal = ?2, configured = 1 WHERE (ordinal, configured) IS NOT (?2, 1)";
        for known in self.roots()? {
            if known.configured && !roots.contains(&known.path) {
                self.write("UPDATE roots SET configured = 0 WHERE path = ?1", [PathValue::of(&known.path)])?;
            }
        }
        for (ordinal, root) in (0_i64..).zip(roots) {
            self.write(CONFIGURE, params![PathValue::of(root), ordinal])?;
        }
        Ok(())
    }

    /// Notes that agents are below a mount point. `false` if that was known.
    pub fn note_mount(&mut self, point: &Path) -> Result<bool, RegistryError> {
        let sql = "INSERT INTO mounts (path) VALUES (?1) ON CONFLICT (path) DO NOTHING";
        Ok(self.write(sql, [PathValue::of(point)])? > 0)
    }

    /// Forgets a mount point. `false` if it was not known.
    pub fn forget_mount(&mut self, point: &Path) -> Result<bool, RegistryError> {
        Ok(self.write("DELETE FROM mounts WHERE path = ?1", [PathValue::of(point)])? > 0)
    }

    /// Notes a problem. One that is known already stays known since then.
    pub fn raise(&mut self, problem: &Problem, now: &Moment) -> Result<(), RegistryError> {
        const RAISE: &str = "INSERT INTO problems (project_path, kind, agent_id, detail, since) \
            VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (project_path, kind) DO UPDATE SET agent_id = ?3, detail = ?4 \
            WHERE (agent_id, detail) IS NOT (?3, ?4)";
        let id = problem.id.as_ref().map(AgentId::as_str);
        let (project, kind) = (PathValue::of(&problem.project), problem.kind.as_str());
        self.write(RAISE, params![project, kind, id, problem.detail, now.to_iso()])?;
        Ok(())
    }

    /// Forgets a project's problem of this kind, whatever it said. `false` if there was none.
    pub fn clear(&mut self, problem: &Problem) -> Result<bool, RegistryError> {
        let sql = "DELETE FROM problems WHERE project_path = ?1 AND kind = ?2";
        Ok(self.write(sql, params![PathValue::of(&problem.project), problem.kind.as_str()])? > 0)
    }

    /// Denies a path: nothing at or below it is registered. One that is denied already gets the new reason.
    pub fn deny(
        &mut self,
        path: &Path,
        reason: Option<&str>,
        denier: Option<&str>,
        now: &Moment,
    ) -> Result<(), RegistryError> {
        const DENY: &str = "INSERT INTO agent_denials (id, path, reason, denier, created_at) \
            VALUES (lower(hex(randomblob(16))), ?1, ?2, ?3, ?4) \
            ON CONFLICT (path) DO UPDATE SET reason = ?2, denier = ?3 WHERE (reason, denier) IS NOT (?2, ?3)";
        self.write(DENY, params![PathValue::of(path), reason, denier, now.to_iso()])?;
        Ok(())
    }

    /// Takes a denial back. `false` if the path was not denied.
    pub fn allow(&mut self, path: &Path) -> Result<bool, RegistryError> {
        Ok(self.write("DELETE FROM agent_denials WHERE path = ?1", [PathValue::of(path)])? > 0)
    }

    /// Appends an event and returns its number: the last one plus one, used only if the batch is committed.
    pub fn append(&mut self, event: &Event, now: &Moment) -> Result<u64, RegistryError> {
        const APPEND: &str = "INSERT INTO events (seq, at, name, agent_id, project_path, scan_root, detail_json) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let seq = self.last_seq()?.saturating_add(1);
        let agent = event.agent.as_ref().map(AgentId::as_str);
        let (project, root) =
            (event.project.as_deref().map(PathValue::of), event.scan_root.as_deref().map(PathValue::of));
        let detail = Value::Object(event.detail.clone()).to_string();
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        self.write(APPEND, params![number, now.to_iso(), event.name.as_str(), agent, project, root, detail])?;
        Ok(seq)
    }

    /// Forgets all events but the newest `keep`. The last one always stays: the next number is counted from it.
    pub fn prune_events(&mut self, keep: u64) -> Result<u64, RegistryError> {
        let last_to_go = self.last_seq()?.saturating_sub(keep.max(1));
        let removed =
            self.write("DELETE FROM events WHERE seq <= ?1", [i64::try_from(last_to_go).unwrap_or(i64::MAX)])?;
        Ok(removed as u64)
    }
}
