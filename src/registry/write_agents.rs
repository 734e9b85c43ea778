//! Writing the records of agents, and what hangs on them: what was seen of their manifests, and their grace clocks.

use std::path::Path;
use std::time::Duration;

use rusqlite::{named_params, params};

use super::rows::{self, Before, PathValue, SELECT, identity_values};
use super::{Batch, RegistryError};
use crate::agent::{Agent, AgentId, Columns, Digest, GraceClock, Moment, Observation, Reason, Sighting};

impl Batch<'_> {
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
        const REMOVE_STALE: &str = "DELETE FROM agents WHERE project_path = ?1 AND id <> ?2";
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
        let stale = self.first(STALE, at_path, |row| rows::text(row, 0))?;
        if stale.is_some() {
            self.write(REMOVE_STALE, at_path)?;
        }
        let seen = self.seen_with(&columns, agent.id(), sighting)?;
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
        self.put_seen(agent.id(), columns.digest(), &seen)?;
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
        if !self.is_known(agent.id())? {
            return Ok(false);
        }
        let seen = self.seen_with(&columns, agent.id(), sighting)?;
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
        self.put_seen(agent.id(), columns.digest(), &seen)?;
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

    /// What is known of manifest and project once `columns` are written. What was not seen now is still known if the
    /// agent stays where it is; the fingerprint only if the row held what was read then, since it vouches for the row.
    fn seen_with(&self, columns: &Columns, id: &AgentId, sighting: &Sighting) -> Result<Sighting, RegistryError> {
        if sighting.observation.is_some() && sighting.home.is_some() {
            return Ok(*sighting);
        }
        let stays = |before: &Before| before.project_path == columns.project_path;
        let Some(Before { digest, seen, .. }) = self.before(id)?.filter(stays) else { return Ok(*sighting) };
        let still = seen.observation.filter(|_| seen.digest == Some(digest));
        Ok(Sighting { observation: sighting.observation.or(still), home: sighting.home.or(seen.home) })
    }

    fn before(&self, id: &AgentId) -> Result<Option<Before>, RegistryError> {
        self.first(&format!("{SELECT} WHERE a.id = ?1"), [id.as_str()], Before::read)
    }

    fn is_known(&self, id: &AgentId) -> Result<bool, RegistryError> {
        Ok(self.first("SELECT 1 FROM agents WHERE id = ?1", [id.as_str()], |_| Ok(()))?.is_some())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
