//! An eye on a registry: a connection of its own that only reads, and sees what is committed.
//!
//! It asks the same of meshd's table and of a floor's: both have a row an agent, with its path and its description.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meshd::clock::monotonic;
use rusqlite::{Connection, OpenFlags};

/// For what must come at all.
const DEADLINE: Duration = Duration::from_secs(20);

/// How it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gaze {
    /// It never looks away and takes a whole processor. For times far below a millisecond, with nothing else running.
    Steady,
    /// It looks away for a tenth of a millisecond, so that what runs beside has the processors.
    Blinking,
}

/// A connection that only reads.
pub struct Observer {
    connection: Connection,
    version: i64,
}

impl Observer {
    /// Looks at a registry that is there already.
    pub fn open(registry: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open_with_flags(registry, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| registry.display().to_string())?;
        connection.busy_timeout(DEADLINE)?;
        Ok(Self { connection, version: 0 })
    }

    /// Waits until the row of a project has the marker; returns the time since `start`.
    pub fn wait_for(&mut self, project: &Path, marker: &str, start: Instant, gaze: Gaze) -> anyhow::Result<Duration> {
        let project = project.to_str().context("a path that is not UTF-8")?;
        let mut row = self.connection.prepare_cached("SELECT description FROM agents WHERE project_path = ?1")?;
        loop {
            let now = version(&self.connection)?;
            if now != self.version {
                self.version = now;
                let description: Option<String> = row.query([project])?.next()?.map(|row| row.get(0)).transpose()?;
                let elapsed = start.elapsed();
                if description.is_some_and(|description| description.contains(marker)) {
                    return Ok(elapsed);
                }
            }
            if start.elapsed() > DEADLINE {
                bail!("{marker} of {project} did not come within {DEADLINE:?}");
            }
            if gaze == Gaze::Blinking {
                thread::sleep(Duration::from_micros(100));
            }
        }
    }

    /// A number that changes with every commit of somebody else.
    pub fn version(&self) -> anyhow::Result<i64> {
        version(&self.connection)
    }

    /// How many rows have the marker.
    pub fn marked(&self, marker: &str) -> anyhow::Result<usize> {
        let mut count =
            self.connection.prepare_cached("SELECT count(*) FROM agents WHERE instr(description, ?1) > 0")?;
        let count: i64 = count.query_row([marker], |row| row.get(0))?;
        Ok(count.try_into()?)
    }

    /// The last row number there is.
    pub fn last_row(&self) -> anyhow::Result<i64> {
        Ok(self.connection.query_row("SELECT coalesce(max(rowid), 0) FROM agents", [], |row| row.get(0))?)
    }

    /// The projects whose rows came after `last`, which moves on.
    pub fn arrived(&self, last: &mut i64) -> anyhow::Result<Vec<String>> {
        let mut rows =
            self.connection.prepare_cached("SELECT rowid, project_path FROM agents WHERE rowid > ?1 ORDER BY rowid")?;
        let mut found = Vec::new();
        for row in rows.query_map([*last], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (number, path) = row?;
            *last = number;
            found.push(path);
        }
        Ok(found)
    }

    /// Waits until `all` rows have the marker; returns when that was seen, and how many are missing if nothing moved any
    /// more.
    pub fn wait_for_all(&self, marker: &str, all: usize) -> anyhow::Result<(Instant, usize)> {
        let (mut there, mut moved) = (0, monotonic());
        loop {
            let now = self.marked(marker)?;
            if now > there {
                (there, moved) = (now, monotonic());
            }
            if there >= all || moved.elapsed() > DEADLINE {
                return Ok((moved, all.saturating_sub(there)));
            }
            // Counting reads every row: often enough to be exact, seldom enough to leave the processors alone.
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn version(connection: &Connection) -> anyhow::Result<i64> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
