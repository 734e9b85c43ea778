//! The registry: the SQLite index of agents, derived from their manifests, and what no manifest holds beside it.
//!
//! One writer, [`AgentRegistry`]; everybody else reads through a [`Reader`]. What is written is written in batches, each
//! one transaction, with its events in it. A guarded write that changes nothing writes nothing. This is the only room
//! that knows SQLite.

mod census;
mod error;
mod event;
mod import;
mod migrate;
mod open;
mod read;
mod registration;
mod rows;
mod write;
mod write_agents;
mod write_import;
mod write_rest;

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

pub use census::{Census, FileSizes, ROOT_STATES};
pub use error::RegistryError;
pub use event::{Event, EventName, StoredEvent};
pub use import::{Imported, ImportedAgent, read_dork};
pub use open::Opened;
pub use read::{Denial, Filter, Reader, RootRow, Stats};
pub use registration::{Access, AccessPair, Operation, OperationKind, Snapshot};
pub use rows::{Record, Status};
pub use write::{Batch, Durability};
pub use write_import::Taken;

use crate::agent::Moment;

/// The one writer of a registry; reads like a [`Reader`].
pub struct AgentRegistry {
    reader: Reader,
    durability: Durability,
}

impl AgentRegistry {
    /// Opens the registry's file: makes it if there is none, migrates an older one, replaces a damaged one.
    ///
    /// # Errors
    /// [`RegistryError::Newer`] and [`RegistryError::NotAFile`] leave what is there untouched.
    pub fn open(path: &Path, now: &Moment) -> Result<(Self, Opened), RegistryError> {
        let (conn, opened) = open::for_writing(path, now)?;
        Ok((Self::of(Reader::of_file(conn, path)), opened))
    }

    /// Moves the file aside and begins with an empty registry: for a file that [`open`](Self::open) takes for whole and
    /// that is [`RegistryError::Corrupt`] when it is used. The registry that was open must be dropped before.
    pub fn open_anew(path: &Path, now: &Moment) -> Result<(Self, Opened), RegistryError> {
        let (conn, opened) = open::anew(path, now)?;
        Ok((Self::of(Reader::of_file(conn, path)), opened))
    }

    /// A migrated copy of the file in memory, or an empty registry if there is no file: for dry runs. The file is only
    /// read.
    ///
    /// # Errors
    /// A damaged file is [`RegistryError::Corrupt`]: nothing is moved for a dry run.
    pub fn in_memory_copy(path: &Path) -> Result<Self, RegistryError> {
        Ok(Self::of(Reader::of_memory(open::in_memory(path)?)))
    }

    /// Another look at this registry's file at `path`, that knows nothing of what this one has in memory.
    ///
    /// # Errors
    /// Whatever keeps the file from being read, as [`RegistryError::Corrupt`] or [`RegistryError::Older`] where it is
    /// damaged.
    pub fn beside(&self, path: &Path) -> Result<Reader, RegistryError> {
        Ok(Reader::of_file(open::beside(path)?, path))
    }

    /// Moves all that was committed from the log into the file: for a log that is about to be given up.
    pub fn settle_log(&self) -> Result<(), RegistryError> {
        Ok(self.reader.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    fn of(reader: Reader) -> Self {
        Self { reader, durability: Durability::Rebuildable }
    }
}

impl Deref for AgentRegistry {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

/// Moves what was committed from the write-ahead log into the file, on a connection and a thread of its own: inside a
/// committing call a checkpoint would be the slowest commit of a thousand.
pub struct Checkpointer {
    conn: Connection,
}

/// Above this the log itself is cut short, for which writers wait a moment. A log that nobody holds open is reused from
/// its start and stays below; 64 MiB is a storm, or a reader that stayed for long.
const LONG_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Cutting the log short waits for readers at most this long; the next run tries again.
const CUT_TIMEOUT: Duration = Duration::from_millis(100);

impl Checkpointer {
    /// A checkpointer for a registry that is open.
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        let conn = open::again(path)?;
        conn.busy_timeout(CUT_TIMEOUT)?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        // Opens the log now: a later file of this name would not be the one of this database.
        migrate::version(&conn)?;
        Ok(Self { conn })
    }

    /// Writes nothing if nothing was committed since the last run.
    pub fn run(&self) -> Result<(), RegistryError> {
        let checkpoint =
            |mode: &str| self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(1));
        let pages = u64::try_from(checkpoint("PASSIVE")?).unwrap_or(0);
        let page_bytes: u32 = self.conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        if pages.saturating_mul(u64::from(page_bytes)) > LONG_LOG_BYTES {
            checkpoint("TRUNCATE")?;
        }
        Ok(())
    }
}
