//! Reading a DorkOS database of any age: what meshd takes over from it.
//!
//! Which tables and columns there are depends on when it was last migrated. So the database is asked what it has, what
//! is there is taken, and what is not, or cannot be, is said in words. One bad row never hides another.

mod stranger;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::{Denial, RegistryError, rows};
use crate::agent::AgentId;
use crate::agent::moment::{iso, wall_ms};

/// What a DorkOS database has for meshd.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The agents that it records.
    pub agents: Vec<ImportedAgent>,
    /// The paths that it denies. `created_at` is empty where it does not say when.
    pub denials: Vec<Denial>,
    /// Which namespace may reach which, from the first to the second, and since when: ISO 8601 in UTC, empty where it
    /// does not say.
    pub rules: Vec<(String, String, String)>,
    /// What could not be taken, in words.
    pub skipped: Vec<String>,
}

/// An agent as a DorkOS database records it. Times are ISO 8601 in UTC with milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedAgent {
    /// Its id.
    pub id: AgentId,
    /// Where it was.
    pub project_path: PathBuf,
    /// What it was called.
    pub name: Option<String>,
    /// When it was last seen.
    pub last_seen_at: Option<String>,
    /// What it was seen to do then.
    pub last_seen_event: Option<String>,
    /// When it was registered.
    pub registered_at: Option<String>,
}

/// Reads the DorkOS database at `path`. Nothing is made or changed there, whether it is in use or not.
///
/// # Errors
/// [`RegistryError::Import`] if there is none or if it is damaged, or a database of something else.
pub fn read_dork(path: &Path) -> Result<Imported, RegistryError> {
    let (imported, tables) = stranger::read(path, |conn| {
        let mut reading = Reading { conn, tables: 0, imported: Imported::default() };
        reading.agents()?;
        reading.denials()?;
        let tables = reading.tables;
        reading.rules()?;
        Ok((reading.imported, tables))
    })?;
    if tables == 0 {
        let why = "it is not a DorkOS database: it has neither `agents` nor `agent_denials`".to_owned();
        return Err(RegistryError::Import { path: path.to_owned(), why });
    }
    Ok(imported)
}

/// A database that is being read.
struct Reading<'a> {
    conn: &'a Connection,
    /// How many of the wanted tables were there until now.
    tables: u32,
    imported: Imported,
}

impl Reading<'_> {
    fn agents(&mut self) -> rusqlite::Result<()> {
        let columns = ["id", "project_path", "name", "last_seen_at", "last_seen_event", "registered_at"];
        self.rows("agents", "no agents", columns, |row, imported| {
            let id = shown(row, 0)?;
            let skipped = &mut imported.skipped;
            let (Some(id_text), Some(project_path)) = (text(row, 0)?, rows::path(row, 1)?) else {
                skipped.push(format!("an agent without an id or without a path: {id}"));
                return Ok(());
            };
            let id: AgentId = match id_text.parse() {
                Ok(id) => id,
                Err(why) => {
                    skipped.push(format!("the agent {id}: {why}"));
                    return Ok(());
                }
            };
            let of = format!("agent `{id}`");
            let last_seen_at = time(row, 3, &of, "when it was last seen", skipped)?;
            let agent = ImportedAgent {
                id,
                project_path,
                name: text(row, 2)?,
                last_seen_event: text(row, 4)?.filter(|_| last_seen_at.is_some()),
                last_seen_at,
                registered_at: time(row, 5, &of, "when it was registered", skipped)?,
            };
            imported.agents.push(agent);
            Ok(())
        })
    }

    fn denials(&mut self) -> rusqlite::Result<()> {
        let columns = ["path", "reason", "denier", "created_at"];
        self.rows("agent_denials", "no denials", columns, |row, imported| {
            let Some(path) = rows::path(row, 0)?.filter(|path| path.is_absolute()) else {
                imported.skipped.push(format!("the denial of {}: it is not an absolute path", shown(row, 0)?));
                return Ok(());
            };
            let of = format!("denial of {}", shown(row, 0)?);
            let created_at = time(row, 3, &of, "since when", &mut imported.skipped)?.unwrap_or_default();
            imported.denials.push(Denial { path, reason: text(row, 1)?, denier: text(row, 2)?, created_at });
            Ok(())
        })
    }

    fn rules(&mut self) -> rusqlite::Result<()> {
        let columns = ["source_namespace", "target_namespace", "created_at"];
        self.rows("mesh_namespace_rules", "no rules between namespaces", columns, |row, imported| {
            let namespace = |index| Ok::<_, rusqlite::Error>(text(row, index)?.filter(|name| !name.is_empty()));
            let (Some(from), Some(to)) = (namespace(0)?, namespace(1)?) else {
                let (from, to) = (shown(row, 0)?, shown(row, 1)?);
                imported.skipped.push(format!("the rule from {from} to {to}: it names no namespace"));
                return Ok(());
            };
            let of = format!("rule from `{from}` to `{to}`");
            let created_at = time(row, 2, &of, "since when", &mut imported.skipped)?.unwrap_or_default();
            imported.rules.push((from, to, created_at));
            Ok(())
        })
    }

    /// Has `take` take every row of a table, with NULL for the columns that it does not have. `without` says what it
    /// means that it is not there.
    fn rows<const N: usize>(
        &mut self,
        table: &str,
        without: &str,
        wanted: [&str; N],
        take: impl Fn(&Row<'_>, &mut Imported) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let columns = self.columns(table)?;
        if columns.is_empty() {
            self.imported.skipped.push(format!("it has {without}: there is no table `{table}`"));
            return Ok(());
        }
        self.tables = self.tables.saturating_add(1);
        let missing: Vec<&str> = wanted.into_iter().filter(|name| !columns.iter().any(|has| has == name)).collect();
        if !missing.is_empty() {
            self.imported.skipped.push(format!("`{table}` has no column `{}`", missing.join("`, `")));
        }
        let select = wanted.map(|name| if missing.contains(&name) { "NULL".to_owned() } else { format!("\"{name}\"") });
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.conn.prepare(&format!("SELECT {} FROM \"{table}\"", select.join(", ")))?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                take(row, &mut self.imported)?;
            }
            Ok(())
        };
        if let Err(error) = read() {
            self.imported.skipped.push(format!("the rest of `{table}` cannot be read: {error}"));
        }
        Ok(())
    }

    /// The names of a table's columns; none if there is no such table.
    fn columns(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
        statement.query_map([table], |row| row.get(0))?.collect()
    }
}

/// The time in a column. One that cannot be understood is said.
fn time(
    row: &Row<'_>,
    index: usize,
    of: &str,
    what: &str,
    skipped: &mut Vec<String>,
) -> rusqlite::Result<Option<String>> {
    let Some(written) = text(row, index)? else { return Ok(None) };
    let understood = utc(&written);
    if understood.is_none() {
        skipped.push(format!("{of}: {what} is not a time: {}", shown(row, index)?));
    }
    Ok(understood)
}

/// A time as meshd writes it: ISO 8601 in UTC. Without a zone, as SQLite's own functions write it, it is in UTC already.
fn utc(written: &str) -> Option<String> {
    let written = written.trim();
    wall_ms(written).or_else(|| wall_ms(&format!("{written}Z"))).map(iso)
}

/// The text in a column, whatever it is stored as.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    rows::optional_text(row, index)
}

/// A value for a message: cut, since it may be long.
fn shown(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    const MAX_CHARS: usize = 60;
    let value: Cow<'_, str> = match row.get_ref(index)? {
        ValueRef::Null => return Ok("nothing".to_owned()),
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => number.to_string().into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
    };
    let cut = value.char_indices().nth(MAX_CHARS).and_then(|(end, _)| value.get(..end));
    Ok(cut.map_or_else(|| format!("`{value}`"), |cut| format!("`{cut}…`")))
}
