//! Writing the registry: batches, each one transaction, in which one refused change is undone alone.
//!
//! Every write is guarded: where nothing differs nothing is written, so that a pass without changes writes no page.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Params, Transaction, TransactionBehavior, named_params, params};
use serde_json::Value;

use super::event::Event;
use super::rows::{Before, PathValue, SELECT, Seen};
use super::{AgentRegistry, Reader, RegistryError};
use crate::agent::{Agent, AgentId, Columns, Digest, DirIdentity, GraceClock, Moment, Observation, Reason, Sighting};
use crate::decide::{Problem, RootState};

/// Whether a batch must survive a loss of power once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It need not: the manifests can rebuild it. The file stays whole either way.
    Rebuildable,
    /// It must: grace clocks, denials, health and roots are in no other file.
    Synced,
}

impl AgentRegistry {
    /// Does `work` in one transaction, which is committed if it succeeds and leaves nothing if it fails.
    ///
    /// # Errors
    /// What `work` returned, or what kept the transaction from starting ([`RegistryError::Busy`]) or being committed.
    pub fn transact<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        if self.durability != durability {
            let synchronous = match durability {
                Durability::Rebuildable => "NORMAL",
                Durability::Synced => "FULL",
            };
            self.reader.conn.pragma_update(None, "synchronous", synchronous)?;
            self.durability = durability;
        }
        let transaction = Transaction::new_unchecked(&self.reader.conn, TransactionBehavior::Immediate)?;
        let done = work(&mut Batch { reader: &self.reader })?;
        // SQLite rolls back by itself where a disk is full or fails; a commit of nothing would hide that.
        if self.reader.conn.is_autocommit() {
            return Err(RegistryError::GivenUp);
        }
        transaction.commit()?;
        Ok(done)
    }

    /// [`Batch::upsert`] in a transaction of its own.
    pub fn upsert(
        &mut self,
        agent: &Agent,
        sighting: &Sighting,
        now: &Moment,
    ) -> Result<Option<AgentId>, RegistryError> {
        self.transact(Durability::Rebuildable, |batch| batch.upsert(agent, sighting, now))
    }

    /// [`Batch::update`] in a transaction of its own.
    pub fn update(&mut self, agent: &Agent, sighting: &Sighting, now: &Moment) -> Result<bool, RegistryError> {
        self.transact(Durability::Rebuildable, |batch| batch.update(agent, sighting, now))
    }

    /// [`Batch::remove`] in a transaction of its own.
    pub fn remove(&mut self, id: &AgentId) -> Result<bool, RegistryError> {
        self.transact(Durability::Rebuildable, |batch| batch.remove(id))
    }

    /// [`Batch::mark_unreachable`] in a transaction of its own.
    pub fn mark_unreachable(
        &mut self,
        id: &AgentId,
        reason: Reason,
        clock: &GraceClock,
        now: &Moment,
    ) -> Result<bool, RegistryError> {
        self.transact(Durability::Synced, |batch| batch.mark_unreachable(id, reason, clock, now))
    }

    /// [`Batch::mark_reachable`] in a transaction of its own.
    pub fn mark_reachable(&mut self, id: &AgentId, now: &Moment) -> Result<bool, RegistryError> {
        self.transact(Durability::Synced, |batch| batch.mark_reachable(id, now))
    }
}

/// A transaction under way. Reads through it see what it has written.
pub struct Batch<'a> {
    reader: &'a Reader,
}

impl Deref for Batch<'_> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.reader
    }
}

impl Batch<'_> {
    /// Does `work`; if it fails, only what it wrote is undone, and the batch goes on.
    ///
    /// # Errors
    /// What `work` returned. If that [`is_fatal_to_transaction`](RegistryError::is_fatal_to_transaction), the batch
    /// is lost with it.
    pub fn isolated<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.write("SAVEPOINT isolated", [])?;
        let done = work(self);
        match &done {
            Ok(_) => {}
            Err(error) if error.is_fatal_to_transaction() => return done,
            Err(_) => {
                self.write("ROLLBACK TO isolated", [])?;
            }
        }
        self.write("RELEASE isolated", [])?;
        done
    }

    /// Moves an agent's row out of the way of one that arrives at its path, so that two can swap. Where it stays so (its
    /// own arrival failed), the path is one that is certainly gone, and the next pass puts it right.
    pub fn vacate(&mut self, id: &AgentId) -> Result<bool, RegistryError> {
        // Nothing can be below a device, so looking there is ENOTDIR for ever.
        let nowhere = Path::new("/dev/null/vacated").join(id.as_str());
        let sql = "UPDATE agents SET project_path = ?2 WHERE id = ?1";
        Ok(self.write(sql, params![id.as_str(), PathValue::of(&nowhere)])? > 0)
    }

    /// Records an agent, whether its id is known or not, and makes it reachable. A row of another id at the same path is
    /// stale: it is removed, and its id returned. A row that was there keeps when it was registered and last seen.
    pub fn upsert(
        &mut self,
        agent: &Agent,
        sighting: &Sighting,
        now: &Moment,
    ) -> Result<Option<AgentId>, RegistryError> {
        const STALE: &str = "SELECT id FROM agents WHERE project_path = ?1 AND id <> ?2";
        const UPSERT: &str = "INSERT INTO agents (id, name, display_name, description, runtime, project_path, namespace, \
                capabilities_json, approver, scan_root, behavior_json, budget_json, rest_json, \
                status, last_seen_at, last_seen_event, registered_at, updated_at) \
            VALUES (:id, :name, :display_name, :description, :runtime, :project_path, :namespace, \
                :capabilities, :approver, :scan_root, :behavior, :budget, :rest, \
                'active', :now, 'registered', :registered_at, :now) \
            ON CONFLICT (id) DO UPDATE SET name = :name, display_name = :display_name, description = :description, \
                runtime = :runtime, project_path = :project_path, namespace = :namespace, \
                capabilities_json = :capabilities, approver = :approver, scan_root = :scan_root, \
                behavior_json = :behavior, budget_json = :budget, rest_json = :rest, \
                status = 'active', unreachable_since = NULL, unreachable_reason = NULL, updated_at = :now \
            WHERE status <> 'active' OR unreachable_since IS NOT NULL OR \
                (name, display_name, description, runtime, project_path, namespace, capabilities_json, approver, \
                scan_root, behavior_json, budget_json, rest_json) IS NOT \
                (:name, :display_name, :description, :runtime, :project_path, :namespace, :capabilities, :approver, \
                :scan_root, :behavior, :budget, :rest)";
        let columns = Columns::of(agent);
        let at_path = params![PathValue(&columns.project_path), columns.id];
        let stale: Option<String> = self.first(STALE, at_path, |row| row.get(0))?;
        if let Some(stale) = &stale {
            self.write("DELETE FROM agents WHERE id = ?1", [stale])?;
        }
        let before = self.before(agent.id())?;
        self.write(
            UPSERT,
            named_params! {
                ":id": columns.id, ":name": columns.name, ":display_name": columns.display_name,
                ":description": columns.description, ":runtime": columns.runtime,
                ":project_path": PathValue(&columns.project_path), ":namespace": columns.namespace,
                ":capabilities": columns.capabilities_json, ":approver": columns.approver,
                ":scan_root": PathValue(&columns.scan_root), ":behavior": columns.behavior_json,
                ":budget": columns.budget_json, ":rest": columns.rest_json,
                ":registered_at": agent.manifest.registered_at, ":now": now.to_iso(),
            },
        )?;
        self.write("DELETE FROM grace_clocks WHERE agent_id = ?1", [&columns.id])?;
        self.put_seen(agent.id(), columns.digest(), &seen_with(&columns, sighting, before))?;
        Ok(stale.and_then(|id| id.parse().ok()))
    }

    /// Writes every field that comes from the manifest or its place, and leaves health and reachability alone.
    /// `false` if the id is unknown.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if another agent is recorded at the same path.
    pub fn update(&mut self, agent: &Agent, sighting: &Sighting, now: &Moment) -> Result<bool, RegistryError> {
        const UPDATE: &str = "UPDATE agents SET name = :name, display_name = :display_name, \
                description = :description, runtime = :runtime, project_path = :project_path, namespace = :namespace, \
                capabilities_json = :capabilities, approver = :approver, scan_root = :scan_root, \
                behavior_json = :behavior, budget_json = :budget, rest_json = :rest, updated_at = :now \
            WHERE id = :id AND \
                (name, display_name, description, runtime, project_path, namespace, capabilities_json, approver, \
                scan_root, behavior_json, budget_json, rest_json) IS NOT \
                (:name, :display_name, :description, :runtime, :project_path, :namespace, :capabilities, :approver, \
                :scan_root, :behavior, :budget, :rest)";
        let columns = Columns::of(agent);
        let Some(before) = self.before(agent.id())? else { return Ok(false) };
        self.write(
            UPDATE,
            named_params! {
                ":id": columns.id, ":name": columns.name, ":display_name": columns.display_name,
                ":description": columns.description, ":runtime": columns.runtime,
                ":project_path": PathValue(&columns.project_path), ":namespace": columns.namespace,
                ":capabilities": columns.capabilities_json, ":approver": columns.approver,
                ":scan_root": PathValue(&columns.scan_root), ":behavior": columns.behavior_json,
                ":budget": columns.budget_json, ":rest": columns.rest_json, ":now": now.to_iso(),
            },
        )?;
        self.put_seen(agent.id(), columns.digest(), &seen_with(&columns, sighting, Some(before)))?;
        Ok(true)
    }

    /// Removes an agent's row and what hangs on it. `false` if the id is unknown.
    pub fn remove(&mut self, id: &AgentId) -> Result<bool, RegistryError> {
        Ok(self.write("DELETE FROM agents WHERE id = ?1", [id.as_str()])? > 0)
    }

    /// Makes an agent unreachable, or says another reason. When it became so is never moved. `false` if the id is
    /// unknown.
    pub fn mark_unreachable(
        &mut self,
        id: &AgentId,
        reason: Reason,
        clock: &GraceClock,
        now: &Moment,
    ) -> Result<bool, RegistryError> {
        const MARK: &str = "UPDATE agents SET status = 'unreachable', unreachable_reason = ?2, \
                unreachable_since = coalesce(unreachable_since, ?3), updated_at = ?3 \
            WHERE id = ?1 AND (status <> 'unreachable' OR unreachable_reason IS NOT ?2 OR unreachable_since IS NULL)";
        self.write(MARK, params![id.as_str(), reason.as_str(), now.to_iso()])?;
        self.carry_clock(id, clock)
    }

    /// Writes an agent's grace clock. `false` if the id is unknown.
    pub fn carry_clock(&mut self, id: &AgentId, clock: &GraceClock) -> Result<bool, RegistryError> {
        const CARRY: &str = "INSERT INTO grace_clocks (agent_id, spent_ms, running_since_wall_ms, running_since_boot_ms, \
                boot_id) VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (agent_id) DO UPDATE SET spent_ms = ?2, running_since_wall_ms = ?3, \
                running_since_boot_ms = ?4, boot_id = ?5 \
            WHERE (spent_ms, running_since_wall_ms, running_since_boot_ms, boot_id) IS NOT (?2, ?3, ?4, ?5)";
        if !self.is_known(id)? {
            return Ok(false);
        }
        let since = clock.running_since.as_ref();
        let (wall_ms, boot_ms) = (since.map(|at| at.wall_ms), since.map(|at| at.boot_ms));
        let boot = since.map(|at| at.boot.as_ref());
        self.write(CARRY, params![id.as_str(), millis(clock.spent), wall_ms, boot_ms, boot])?;
        Ok(true)
    }

    /// Makes an agent reachable again, seen now. `false` if the id is unknown.
    pub fn mark_reachable(&mut self, id: &AgentId, now: &Moment) -> Result<bool, RegistryError> {
        const MARK: &str = "UPDATE agents SET status = 'active', unreachable_since = NULL, unreachable_reason = NULL, \
                last_seen_at = ?2, last_seen_event = 'reachable', updated_at = ?2 \
            WHERE id = ?1 AND (status = 'unreachable' OR unreachable_since IS NOT NULL)";
        self.write(MARK, params![id.as_str(), now.to_iso()])?;
        self.write("DELETE FROM grace_clocks WHERE agent_id = ?1", [id.as_str()])?;
        self.is_known(id)
    }

    /// Notes what was seen of a manifest that says what its row says. What was not seen stays as it was noted. `false`
    /// if the id is unknown.
    pub fn observe(&mut self, id: &AgentId, sighting: &Sighting) -> Result<bool, RegistryError> {
        let Some(Before { digest, seen, .. }) = self.before(id)? else { return Ok(false) };
        // Without a look at the manifest nothing is known about whether the row still holds what was read then.
        let written = if sighting.observation.is_some() { digest } else { seen.digest.unwrap_or(digest) };
        let observation = sighting.observation.or(seen.observation);
        self.put_seen(id, written, &Sighting { observation, home: sighting.home.or(seen.home) })?;
        Ok(true)
    }

    /// Notes a scan root's state, and which directory it is; that stays as it was if `identity` is `None`.
    pub fn set_root(
        &mut self,
        root: &Path,
        state: &RootState,
        identity: Option<DirIdentity>,
        now: &Moment,
    ) -> Result<(), RegistryError> {
        const SET: &str = "INSERT INTO roots (path, state, why, since, device, inode, born_ns) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
            ON CONFLICT (path) DO UPDATE SET state = ?2, why = ?3, since = iif(state IS ?2, since, ?4), \
                device = coalesce(?5, device), inode = coalesce(?6, inode), born_ns = coalesce(?7, born_ns) \
            WHERE (state, why) IS NOT (?2, ?3) \
                OR (?5 IS NOT NULL AND (device, inode, born_ns) IS NOT (?5, ?6, ?7))";
        let (device, inode, born_ns) = identity_values(identity);
        let (name, why) = (state.as_str(), state.why());
        self.write(SET, params![PathValue::of(root), name, why, now.to_iso(), device, inode, born_ns])?;
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

    fn put_seen(&self, id: &AgentId, digest: Digest, sighting: &Sighting) -> Result<(), RegistryError> {
        const PUT: &str = "INSERT INTO observations (agent_id, digest, device, inode, size, modified_ns, changed_ns, \
                looked_ns, home_device, home_inode, home_born_ns) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
            ON CONFLICT (agent_id) DO UPDATE SET digest = ?2, device = ?3, inode = ?4, size = ?5, modified_ns = ?6, \
                changed_ns = ?7, looked_ns = ?8, home_device = ?9, home_inode = ?10, home_born_ns = ?11 \
            WHERE (digest, device, inode, size, modified_ns, changed_ns, looked_ns, home_device, home_inode, \
                home_born_ns) IS NOT (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let looked = sighting.observation.as_ref();
        let file = looked.map(|observation: &Observation| observation.fingerprint);
        let (home_device, home_inode, home_born_ns) = identity_values(sighting.home);
        self.write(
            PUT,
            params![
                id.as_str(),
                digest.to_be_bytes(),
                file.map(|file| file.device.cast_signed()),
                file.map(|file| file.inode.cast_signed()),
                file.map(|file| file.size.cast_signed()),
                file.map(|file| file.modified_ns),
                file.map(|file| file.changed_ns),
                looked.map(|observation| observation.looked_ns),
                home_device,
                home_inode,
                home_born_ns,
            ],
        )?;
        Ok(())
    }

    fn before(&self, id: &AgentId) -> Result<Option<Before>, RegistryError> {
        self.first(&format!("{SELECT} WHERE a.id = ?1"), [id.as_str()], Before::read)
    }

    fn is_known(&self, id: &AgentId) -> Result<bool, RegistryError> {
        Ok(self.first("SELECT 1 FROM agents WHERE id = ?1", [id.as_str()], |_| Ok(()))?.is_some())
    }

    /// Every write goes through here: once SQLite gave the transaction up, a further write would be one of its own.
    fn write(&self, sql: &str, params: impl Params) -> Result<usize, RegistryError> {
        if self.conn.is_autocommit() {
            return Err(RegistryError::GivenUp);
        }
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }
}

/// What is known of manifest and project once `columns` are written. What was not seen now is still known if the agent
/// stays where it is; the fingerprint only if the row held what was read then, since it vouches for the row.
fn seen_with(columns: &Columns, sighting: &Sighting, before: Option<Before>) -> Sighting {
    let Some(before) = before.filter(|before| before.project_path == columns.project_path) else { return *sighting };
    let Seen { digest, observation, home } = before.seen;
    let still = observation.filter(|_| digest == Some(before.digest));
    Sighting { observation: sighting.observation.or(still), home: sighting.home.or(home) }
}

fn identity_values(identity: Option<DirIdentity>) -> (Option<i64>, Option<i64>, Option<i64>) {
    (
        identity.map(|is| is.device.cast_signed()),
        identity.map(|is| is.inode.cast_signed()),
        identity.map(|is| is.born_ns),
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::agent::Manifest;

    fn agent(id: &str, description_bytes: usize) -> Agent {
        let description = "x".repeat(description_bytes);
        let json = format!(
            r#"{{"id":"{id}","name":"n","description":"{description}","runtime":"codex",
                "registeredAt":"2026-01-01T00:00Z","registeredBy":"me"}}"#
        );
        Agent::derive(Manifest::parse(json.as_bytes()).unwrap(), Path::new("/r").join(id), None)
    }

    #[test]
    fn where_there_is_no_space_the_batch_fails_whole_and_the_next_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let now = Moment { wall_ms: 0, boot_ms: 0, boot: Arc::from("boot") };
        let unseen = Sighting { observation: None, home: None };
        let mut registry = AgentRegistry::open(&directory.path().join("registry.db"), &now).unwrap().0;
        let pages: i64 = registry.reader.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        registry.reader.conn.pragma_update_and_check(None, "max_page_count", pages + 1, |_| Ok(())).unwrap();
        let error = registry
            .transact(Durability::Rebuildable, |batch| {
                batch.upsert(&agent("a", 0), &unseen, &now)?;
                batch.isolated(|batch| batch.upsert(&agent("long", 100_000), &unseen, &now))
            })
            .unwrap_err();
        assert!(matches!(error, RegistryError::Full) && error.is_fatal_to_transaction(), "{error}");
        // Nor does it help to ignore the error.
        let ignored = registry.transact(Durability::Rebuildable, |batch| {
            let _ = batch.upsert(&agent("long", 100_000), &unseen, &now);
            batch.upsert(&agent("a", 0), &unseen, &now)
        });
        assert!(registry.recorded().unwrap().len() == usize::from(ignored.is_ok()));
        registry.upsert(&agent("b", 0), &unseen, &now).unwrap();
        assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
    }
}
