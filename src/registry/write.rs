//! Writing the registry: batches, each one transaction, in which one refused change is undone alone.
//!
//! Every write is guarded: where nothing differs nothing is written, so that a pass without changes writes no page.

use std::ops::Deref;

use rusqlite::{Params, Transaction, TransactionBehavior};

use super::{AgentRegistry, Reader, RegistryError};
use crate::agent::{Agent, AgentId, GraceClock, Moment, Reason, Sighting};

/// Whether a batch must survive a loss of power once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It need not: the manifests can rebuild it. The file stays whole either way.
    Rebuildable,
    /// It must: grace clocks, denials, health, roots and what is mounted below them are in no other file.
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

    /// Every write goes through here: once SQLite gave the transaction up, a further write would be one of its own.
    pub(super) fn write(&self, sql: &str, params: impl Params) -> Result<usize, RegistryError> {
        if self.conn.is_autocommit() {
            return Err(RegistryError::GivenUp);
        }
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }
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
