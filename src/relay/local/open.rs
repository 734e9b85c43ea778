//! Opening `relay.db`: for writing, whatever is found there, and for reading without leaving a trace.
//!
//! A newer schema is refused before anything is touched. What is damaged or another program's is moved aside, never
//! deleted, and a new one is made: the registry's rows fill it again.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::{now_iso, rows};

/// The schema of this build.
const KNOWN: u32 = 1;

/// Only the owner: it says who may send to whom.
const MODE: u32 = 0o600;

/// What SQLite keeps beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How long a reader waits for a lock. Readers of a database with a write-ahead log wait only for its recovery.
const READ_WAIT: Duration = Duration::from_secs(5);

/// How often a file is read again that was replaced meanwhile.
const MAX_READS: u32 = 10;

/// Above this damage shows only when it is read. 10,000 endpoints are 2 MB.
const MAX_CHECKED_BYTES: u64 = 32 * 1024 * 1024;

/// Files that are moved aside within one millisecond; a later one replaces the last of them.
const MAX_MOVED_ASIDE: u32 = 100;

/// Opens it for writing, made or replaced as needed. Where a damaged one is now is returned with it.
pub(super) fn for_writing(path: &Path, wait: Duration) -> Result<(Connection, Option<PathBuf>), StoreError> {
    // Looked at twice: one read that failed looks like damage.
    match as_it_is(path, wait) {
        Err(StoreError::Damaged(_)) => {}
        opened => return Ok((opened?, None)),
    }
    match as_it_is(path, wait) {
        Err(StoreError::Damaged(_)) => anew(path, wait),
        opened => Ok((opened?, None)),
    }
}

/// Moves the file aside and makes a new one.
pub(super) fn anew(path: &Path, wait: Duration) -> Result<(Connection, Option<PathBuf>), StoreError> {
    let moved_aside = move_aside(path)?;
    Ok((as_it_is(path, wait)?, moved_aside))
}

/// Reads it as it is at one instant. No file is made or changed for that.
pub(super) fn read<T>(path: &Path, read: impl Fn(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    read_any(path, |conn| {
        match version(conn)? {
            KNOWN => {}
            0 => return Err(StoreError::Damaged("it is empty".to_owned())),
            found => return Err(StoreError::Newer { found, known: KNOWN }),
        }
        read(conn)
    })
}

/// Which file it is: device and inode; `None` if there is none.
pub(super) type FileId = Option<(u64, u64)>;

/// Which file is there.
pub(super) fn file_of(path: &Path) -> FileId {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Which file its write-ahead log is.
pub(super) fn log_of(path: &Path) -> FileId {
    file_of(&beside(path, "-wal"))
}

/// What a write leaves behind: size and time of the file and of its log.
pub(super) type Traces = [Option<(u64, i64, i64)>; 2];

/// The traces that are there.
pub(super) fn traces_of(path: &Path) -> Traces {
    let traces =
        |path: &Path| fs::symlink_metadata(path).ok().map(|found| (found.len(), found.mtime(), found.mtime_nsec()));
    [traces(path), traces(&beside(path, "-wal"))]
}

/// Checks a file that is open already, on a connection that has nothing of it in memory. Looked at twice: one read that
/// failed looks like damage.
pub(super) fn must_be_whole(path: &Path, wait: Duration) -> Result<(), StoreError> {
    if let Err(StoreError::Damaged(_)) = check(path, wait) {
        return check(path, wait);
    }
    Ok(())
}

fn check(path: &Path, wait: Duration) -> Result<(), StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn, wait)?;
    if version(&conn)? == 0 {
        return Err(StoreError::Damaged("it is empty".to_owned()));
    }
    quick_check(&conn, path)?;
    rows::must_be_ours(&conn)
}

fn quick_check(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    if fs::metadata(path)?.len() > MAX_CHECKED_BYTES {
        return Ok(());
    }
    let verdict: String = conn.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged(verdict)) }
}

/// Deletes this log, if it is still there, with its index.
pub(super) fn forget_log(path: &Path, log: FileId) -> Result<(), StoreError> {
    if log.is_none() || log_of(path) != log {
        return Ok(());
    }
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn as_it_is(path: &Path, wait: Duration) -> Result<Connection, StoreError> {
    look(path)?;
    OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn, wait)?;
    quick_check(&conn, path)?;
    if version(&conn)? == 0 {
        make_schema(&conn)?;
    }
    rows::must_be_ours(&conn)?;
    // SQLite answers with the mode that it could set; a file system without shared memory keeps the old one.
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // A loss of power may take the last changes, and the file is whole: rows can make them anew.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    // Opens the log now, so that it is known which one it is.
    version(&conn)?;
    sync_directory_of(path)?;
    Ok(conn)
}

fn make_schema(conn: &Connection) -> Result<(), StoreError> {
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        return Err(StoreError::Damaged("it is the database of something else".to_owned()));
    }
    let step = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    step.execute_batch(include_str!("schema.sql"))?;
    step.pragma_update(None, "user_version", KNOWN)?;
    Ok(step.commit()?)
}

/// Looks at the file before it is opened for writing: what must not be touched is refused here.
fn look(path: &Path) -> Result<(), StoreError> {
    let log_bytes = fs::symlink_metadata(beside(path, "-wal")).map_or(0, |found| found.len());
    let bytes = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
        Ok(found) if !found.is_file() => return Err(StoreError::NotAFile(path.to_owned())),
        Ok(found) => found.len(),
    };
    match (bytes, log_bytes) {
        (0, 0) => return Ok(()),
        // SQLite would take the log of another file for this one's, or delete it.
        (0, _) => return Err(StoreError::Damaged("a write-ahead log without its database".to_owned())),
        _ => {}
    }
    must_be_a_database(path)?;
    let found = read_any(path, version)?;
    if found > KNOWN { Err(StoreError::Newer { found, known: KNOWN }) } else { Ok(()) }
}

/// Refuses a header that SQLite would take for a read-only database, for another encoding, or for that of a later SQLite.
///
/// The offsets are those of <https://sqlite.org/fileformat2.html#the_database_header>.
fn must_be_a_database(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 100];
    let read = File::open(path)?.read(&mut header)?;
    let byte = |offset: usize| header.get(offset).copied().unwrap_or_default();
    let number = |offset: usize| [0, 1, 2, 3].map(|place| byte(offset.saturating_add(place)));
    let magic = read == header.len() && header.starts_with(b"SQLite format 3\0");
    let versions = matches!((byte(18), byte(19)), (1 | 2, 1 | 2));
    let fractions = (byte(21), byte(22), byte(23)) == (64, 32, 32);
    let (format, encoding) = (u32::from_be_bytes(number(44)), u32::from_be_bytes(number(56)));
    let good = magic && versions && fractions && format <= 4 && encoding <= 1;
    if good { Ok(()) } else { Err(StoreError::Damaged("its header is none of a relay.db".to_owned())) }
}

/// Reads it whatever its schema.
fn read_any<T>(path: &Path, read: impl Fn(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..MAX_READS {
        let before = Seen::of(path)?;
        let answer = connect(path, before.log).and_then(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            read(&snapshot)
        });
        // Nothing is locked while a file without a log is read, so that what came of it counts only if it stayed so.
        if Seen::of(path)? == before || (answer.is_ok() && before.log == Log::There) {
            return answer;
        }
    }
    Err(StoreError::Busy)
}

/// The file, as far as it can be seen whether it was written to.
#[derive(PartialEq, Eq)]
struct Seen {
    log: Log,
    file: (u64, u64, u64),
    times: (i64, i64, i64, i64),
}

/// Whether somebody may be writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// There is a write-ahead log, so readers find each other by the files beside the database.
    There,
    /// There is none. To open the database in the usual way would make one.
    None,
}

impl Seen {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing(path.to_owned()));
            }
            found => found?,
        };
        if !found.is_file() {
            return Err(StoreError::NotAFile(path.to_owned()));
        }
        let log = if log_of(path).is_some() { Log::There } else { Log::None };
        let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
        Ok(Self { log, file: (found.dev(), found.ino(), found.len()), times })
    }
}

fn connect(path: &Path, log: Log) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match log {
        Log::There => Connection::open_with_flags(path, flags)?,
        Log::None => Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
    };
    configure(&conn, READ_WAIT)?;
    Ok(conn)
}

/// The address of a file that nobody writes to.
fn immutable(path: &Path) -> String {
    let escaped = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let path: String = path.as_os_str().as_bytes().iter().map(escaped).collect();
    format!("file:{path}?immutable=1")
}

fn configure(conn: &Connection, wait: Duration) -> Result<(), StoreError> {
    conn.busy_timeout(wait)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

fn version(conn: &Connection) -> Result<u32, StoreError> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    u32::try_from(found).map_err(|_| StoreError::Damaged("its schema has a number below zero".to_owned()))
}

/// Moves the file and what SQLite keeps beside it out of the way. The first that was there is returned.
fn move_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let time = now_iso().replace(['-', ':'], "");
    let base = (1..=MAX_MOVED_ASIDE)
        .map(|turn| if turn == 1 { format!(".corrupt-{time}") } else { format!(".corrupt-{time}-{turn}") })
        .map(|suffix| beside(path, &suffix))
        .find(|base| file_of(base).is_none() && SIDECARS.iter().all(|end| file_of(&beside(base, end)).is_none()))
        .unwrap_or_else(|| beside(path, ".corrupt"));
    let mut moved = None;
    // The database goes first: a log that a kill leaves behind is moved by the next open, but a database without its log
    // might pass for whole.
    for end in std::iter::once("").chain(SIDECARS) {
        let to = beside(&base, end);
        match fs::rename(beside(path, end), &to) {
            Ok(()) => moved = moved.or(Some(to)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    sync_directory_of(path)?;
    Ok(moved)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_directory_of(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(directory)?.sync_all()?)
}
