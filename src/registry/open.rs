//! Opening the registry's file: whatever is found there, a start ends with a registry or with a clear refusal.
//!
//! A newer schema is refused before anything is touched. An older one is backed up, then migrated. A damaged file is
//! moved aside, never deleted, and a new one is made: the files on disk can rebuild it.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::migrate::{self, KNOWN, Schema};
use super::{RegistryError, rows};
use crate::agent::Moment;

/// How long a statement waits for another process's lock. Commands hold it for milliseconds, backups for seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that are kept: more than there are in this room, so that none is ever prepared twice.
const STATEMENTS: usize = 64;

/// Only the owner: paths and prompts of people's projects are in it.
const MODE: u32 = 0o600;

/// What SQLite keeps beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What opening the registry found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The older schema that the file had.
    pub migrated_from: Option<u32>,
    /// The copy of the file that was made before it was migrated.
    pub backup: Option<PathBuf>,
    /// Where the damaged file is now. A new and empty registry is in its place.
    pub moved_aside: Option<PathBuf>,
}

/// Opens the file for writing, made, migrated or replaced as needed.
pub(super) fn for_writing(path: &Path, now: &Moment) -> Result<(Connection, Opened), RegistryError> {
    // Looked at twice: one read that failed looks like damage, and moving the file aside costs what no manifest holds.
    match as_it_is(path) {
        Err(RegistryError::Corrupt(_)) => {}
        other => return other,
    }
    match as_it_is(path) {
        Err(RegistryError::Corrupt(_)) => anew(path, now),
        other => other,
    }
}

/// Moves the file aside and makes a new one.
pub(super) fn anew(path: &Path, now: &Moment) -> Result<(Connection, Opened), RegistryError> {
    let moved_aside = move_aside(path, now)?;
    let (conn, opened) = as_it_is(path)?;
    Ok((conn, Opened { moved_aside, ..opened }))
}

/// Opens the file for reading only; it is never changed, nor made. Not for a file that this process has open already: see
/// [`look`].
pub(super) fn for_reading(path: &Path) -> Result<Connection, RegistryError> {
    if look(path)? == Look::Nothing {
        return Err(RegistryError::Missing(path.to_owned()));
    }
    beside(path)
}

/// Opens a file for reading that this process has open already.
pub(super) fn beside(path: &Path) -> Result<Connection, RegistryError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match migrate::version(&conn)? {
        KNOWN => {}
        found if found > KNOWN => return Err(RegistryError::Newer { found, known: KNOWN }),
        found => return Err(RegistryError::Older { found, known: KNOWN }),
    }
    must_be_ours(&conn, path)?;
    Ok(conn)
}

/// A migrated copy of the file in memory; an empty registry if there is no file. The file is only read.
pub(super) fn in_memory(path: &Path) -> Result<Connection, RegistryError> {
    let mut copy = Connection::open_in_memory()?;
    if look(path)? == Look::Something {
        let file = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        migrate::refuse_newer(migrate::version(&file)?)?;
        Backup::new(&file, &mut copy)?.run_to_completion(i32::MAX, BUSY_TIMEOUT, None)?;
    }
    configure(&copy)?;
    migrate::run(&copy)?;
    must_be_ours(&copy, path)?;
    Ok(copy)
}

/// Opens a second connection to a file that is open already.
pub(super) fn again(path: &Path) -> Result<Connection, RegistryError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Which files a registry is: its own and its log's, each as device and inode.
pub(super) type Files = [Option<(u64, u64)>; 2];

/// Which files are there now.
pub(super) fn files_of(path: &Path) -> Files {
    [file_of(path), file_of(&sidecar(path, "-wal"))]
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn as_it_is(path: &Path) -> Result<(Connection, Opened), RegistryError> {
    if look(path)? == Look::Nothing {
        OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(path)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate::refuse_newer(migrate::version(&conn)?)?;
    must_be_whole(&conn, path)?;
    let mut opened = Opened::default();
    if let Schema::At(found) = migrate::schema(&conn)?
        && found < KNOWN
    {
        opened = Opened { migrated_from: Some(found), backup: Some(back_up(&conn, path, found)?), moved_aside: None };
    }
    // SQLite answers with the mode that it could set; a file system without shared memory keeps the old one.
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // The committing thread never checkpoints: that is the slowest commit of a thousand. `Checkpointer` does.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    migrate::run(&conn)?;
    must_be_ours(&conn, path)?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    sync_directory_of(path)?;
    Ok((conn, opened))
}

/// What a look that touches nothing found.
#[derive(PartialEq, Eq)]
enum Look {
    Nothing,
    Something,
}

/// Looks at the file without opening it as a database, as far as that can be told.
///
/// Never at one that this process has open: closing a file drops all locks that the process has on it, whoever took them,
/// and without its lock the next program that closes the registry takes the log away from under us.
fn look(path: &Path) -> Result<Look, RegistryError> {
    let log_bytes = fs::symlink_metadata(sidecar(path, "-wal")).map_or(0, |found| found.len());
    let orphaned = || RegistryError::Corrupt("a write-ahead log without its database".to_owned());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return if log_bytes > 0 { Err(orphaned()) } else { Ok(Look::Nothing) };
        }
        Err(error) => return Err(error.into()),
        Ok(found) if !found.is_file() => return Err(RegistryError::NotAFile(path.to_owned())),
        // SQLite would delete the log of an empty file.
        Ok(found) if found.len() == 0 && log_bytes > 0 => return Err(orphaned()),
        Ok(found) if found.len() == 0 => return Ok(Look::Something),
        Ok(_) => {}
    }
    let mut header = [0; 100];
    let read = File::open(path)?.read(&mut header)?;
    if read < header.len() {
        return Err(RegistryError::Corrupt("shorter than a database's header".to_owned()));
    }
    refuse_bad_header(&header)?;
    migrate::refuse_newer(number_at(&header, 60))?;
    if log_bytes > 0 {
        // The number in the log counts. Reading through a log changes neither file.
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        migrate::refuse_newer(migrate::version(&conn)?)?;
    }
    Ok(Look::Something)
}

/// Refuses what SQLite itself would take for read-only, for another encoding, or for the work of a later SQLite.
///
/// The offsets are those of <https://sqlite.org/fileformat2.html#the_database_header>.
fn refuse_bad_header(header: &[u8; 100]) -> Result<(), RegistryError> {
    let byte = |offset: usize| header.get(offset).copied().unwrap_or_default();
    let magic = header.starts_with(b"SQLite format 3\0");
    let versions = matches!((byte(18), byte(19)), (1 | 2, 1 | 2));
    let fractions = (byte(21), byte(22), byte(23)) == (64, 32, 32);
    let (format, encoding) = (number_at(header, 44), number_at(header, 56));
    if magic && versions && fractions && format <= 4 && encoding <= 1 {
        return Ok(());
    }
    Err(RegistryError::Corrupt("its header is none of a registry".to_owned()))
}

fn number_at(header: &[u8; 100], offset: usize) -> u32 {
    header.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, RegistryError> {
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn)?;
    Ok(conn)
}

fn configure(conn: &Connection) -> Result<(), RegistryError> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// The largest file that is checked whole when it is opened: 10,000 agents are 8 MB and take 15 ms, and time to ready
/// matters. In a larger one damage shows when it is read.
const MAX_CHECKED_BYTES: u64 = 32 * 1024 * 1024;

fn must_be_whole(conn: &Connection, path: &Path) -> Result<(), RegistryError> {
    if fs::metadata(path)?.len() > MAX_CHECKED_BYTES {
        return Ok(());
    }
    let verdict: String = conn.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(RegistryError::Corrupt(verdict)) }
}

/// Another program's database with a fitting number would fail at the first statement: say so now.
fn must_be_ours(conn: &Connection, path: &Path) -> Result<(), RegistryError> {
    const REST: &str = "SELECT (SELECT count(*) FROM agent_denials WHERE 0), (SELECT count(*) FROM roots WHERE 0), \
        (SELECT count(*) FROM problems WHERE 0), (SELECT count(*) FROM events WHERE 0), \
        (SELECT count(*) FROM operations WHERE 0), (SELECT count(*) FROM access_pairs WHERE 0)";
    for sql in [rows::SELECT, REST] {
        let Err(error) = conn.prepare(sql) else { continue };
        let why = error.to_string();
        let error = RegistryError::from(error);
        let foreign = matches!(error, RegistryError::Sqlite(_));
        return Err(if foreign { RegistryError::Foreign { path: path.to_owned(), why } } else { error });
    }
    Ok(())
}

/// Copies the file beside itself. A copy that is there already is replaced once the new one is whole.
fn back_up(conn: &Connection, path: &Path, schema: u32) -> Result<PathBuf, RegistryError> {
    let backup = sidecar(path, &format!(".backup-v{schema}"));
    let unfinished = sidecar(path, &format!(".backup-v{schema}.tmp"));
    // `VACUUM INTO` takes an empty file: made here, so that its mode is never another one.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&unfinished)?;
    // Bound as text whatever its bytes: SQLite takes no BLOB for a file name.
    let name = rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Text(unfinished.as_os_str().as_bytes()));
    let copied = conn.execute("VACUUM INTO ?1", [name]).map_err(RegistryError::from);
    let kept = copied.and_then(|_| Ok(file.sync_all()?)).and_then(|()| Ok(fs::rename(&unfinished, &backup)?));
    if let Err(error) = kept {
        // What is left of the copy is of no use; that it could not be removed changes nothing about the error.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    sync_directory_of(path)?;
    Ok(backup)
}

/// Files that are moved aside within one millisecond; a later one replaces the last of them.
const MAX_MOVED_ASIDE: u32 = 100;

/// Moves the file and what SQLite keeps beside it out of the way. The first that was there is returned.
fn move_aside(path: &Path, now: &Moment) -> Result<Option<PathBuf>, RegistryError> {
    let time: String = now.to_iso().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let base = (1..=MAX_MOVED_ASIDE)
        .map(|turn| if turn == 1 { format!(".corrupt-{time}") } else { format!(".corrupt-{time}-{turn}") })
        .map(|suffix| sidecar(path, &suffix))
        .find(|base| file_of(base).is_none() && SIDECARS.iter().all(|end| file_of(&sidecar(base, end)).is_none()))
        .unwrap_or_else(|| sidecar(path, ".corrupt"));
    let mut moved = None;
    // The database goes first: a log that a kill leaves behind is moved by the next open, but a database without
    // its log might pass for whole.
    for end in std::iter::once("").chain(SIDECARS) {
        let to = sidecar(&base, end);
        match fs::rename(sidecar(path, end), &to) {
            Ok(()) => moved = moved.or(Some(to)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    sync_directory_of(path)?;
    Ok(moved)
}

pub(super) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_directory_of(path: &Path) -> Result<(), RegistryError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(directory)?.sync_all()?)
}
