//! Bringing an older file to the schema of this build.
//!
//! One step, one transaction, and its number is committed with it: a kill leaves the schema before a step or the one
//! after it, and the next open goes on from there.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::RegistryError;

/// The steps, in order: the first leads to `user_version` 1.
const STEPS: [(u32, &str); 5] = [
    (1, include_str!("sql/001_base.sql")),
    (2, include_str!("sql/002_scan_roots.sql")),
    (3, include_str!("sql/003_meshd.sql")),
    (4, include_str!("sql/004_registration.sql")),
    (5, include_str!("sql/005_mounts.sql")),
];

/// The schema of this build.
pub(super) const KNOWN: u32 = 5;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// There is no table in it.
    Empty,
    /// It has this schema. One from before schemas had numbers has the one that its columns show.
    At(u32),
}

/// Refuses a schema that this build does not know.
pub(super) fn refuse_newer(found: u32) -> Result<(), RegistryError> {
    if found > KNOWN { Err(RegistryError::Newer { found, known: KNOWN }) } else { Ok(()) }
}

/// The number in `user_version`.
pub(super) fn version(conn: &Connection) -> Result<u32, RegistryError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The schema that the file has.
pub(super) fn schema(conn: &Connection) -> Result<Schema, RegistryError> {
    let tables: u32 =
        conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))?;
    Ok(match version(conn)? {
        0 if tables == 0 => Schema::Empty,
        0 if !has_column(conn, "id")? => Schema::At(0),
        0 if has_column(conn, "scan_root")?
            && has_column(conn, "behavior_json")?
            && has_column(conn, "budget_json")? =>
        {
            Schema::At(2)
        }
        0 => Schema::At(1),
        numbered => Schema::At(numbered),
    })
}

/// Takes every step that the file has not taken. What a file without a number has already is passed over.
pub(super) fn run(conn: &Connection) -> Result<(), RegistryError> {
    for (number, sql) in STEPS {
        if version(conn)? >= number {
            continue;
        }
        let step = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        for statement in sql.split(";\n") {
            match added_column(statement) {
                Some(column) if has_column(&step, column)? => {}
                Some(_) | None => step.execute_batch(statement)?,
            }
        }
        step.pragma_update(None, "user_version", number)?;
        step.commit()?;
    }
    Ok(())
}

/// The column that a statement adds to `agents`.
fn added_column(statement: &str) -> Option<&str> {
    statement.split_once("ALTER TABLE agents ADD COLUMN ")?.1.split(' ').next()
}

fn has_column(conn: &Connection, column: &str) -> Result<bool, RegistryError> {
    let sql = "SELECT count(*) FROM pragma_table_info('agents') WHERE name = ?1";
    Ok(conn.query_row(sql, [column], |row| row.get::<_, u32>(0))? > 0)
}
