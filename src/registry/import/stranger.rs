//! Reading somebody else's database without making or changing anything, not even beside it.
//!
//! SQLite by itself makes shared memory beside a database with a write-ahead log, and rolls back what another program
//! left unfinished. So: where nothing is in a log the file is read as one that does not change, and it is looked at
//! whether it did; where a log is in use it is read through the memory that its writer made; and where neither can be, a
//! copy in a directory of our own is read.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::registry::RegistryError;

/// How long a statement waits for the program that is writing the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a database that changed while it was read is read again.
const ATTEMPTS: u32 = 5;

/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How a database is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a file that does not change while it is read.
    Still,
    /// Beside a program that may be writing it, by that one's locks and memory.
    Shared,
    /// A copy of it, with its log.
    Copied,
}

/// What tells whether a database changed: inode, size and times of its file, its log and its journal.
type State = [Option<(u64, u64, i64, i64, i64, i64)>; 3];

/// What `read` makes of the database at `path`.
///
/// # Errors
/// [`RegistryError::Import`] if there is none, if it is none, or if it is damaged.
pub fn read<T>(path: &Path, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, RegistryError> {
    let refused = |why: String| RegistryError::Import { path: path.to_owned(), why };
    // SQLite looks for the log beside the file that a link leads to.
    let file = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
    must_be_a_database(&file).map_err(refused)?;
    let read = |way| -> Result<T, Unread> {
        let opened = open(&file, way)?;
        // One transaction: what is read of several tables is of one instant.
        opened.conn.execute_batch("BEGIN")?;
        Ok(read(&opened.conn)?)
    };
    let mut why = "it is written all the time".to_owned();
    for _ in 0..ATTEMPTS {
        for way in ways(&file) {
            let before = state(&file);
            let done = read(*way);
            let is_still = state(&file) == before;
            match done {
                // A writer's locks were heeded.
                Ok(done) if is_still || *way == Way::Shared => return Ok(done),
                Ok(_) => {}
                Err(error) if is_still && *way != Way::Shared => return Err(refused(error.to_string())),
                Err(error) => why = error.to_string(),
            }
        }
    }
    Err(refused(why))
}

fn must_be_a_database(file: &Path) -> Result<(), String> {
    if !fs::metadata(file).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut magic = [0; MAGIC.len()];
    match File::open(file).and_then(|mut file| file.read_exact(&mut magic)) {
        Ok(()) if magic == *MAGIC => Ok(()),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error.to_string()),
        Ok(()) | Err(_) => Err("it is not a SQLite database".to_owned()),
    }
}

/// How the database can be read, the best way first.
fn ways(file: &Path) -> &'static [Way] {
    let bytes = |suffix: &str| fs::metadata(beside(file, suffix)).map_or(0, |found| found.len());
    let has_memory = fs::symlink_metadata(beside(file, "-shm")).is_ok();
    match (bytes("-wal") > 0, bytes("-journal") > 0) {
        (false, false) => &[Way::Still],
        // The memory may be of a writer that is gone, and of no use.
        (true, _) if has_memory => &[Way::Shared, Way::Copied],
        // What a journal has to be rolled back with is in the file already, perhaps for ever.
        (true, _) | (false, true) => &[Way::Copied],
    }
}

fn state(file: &Path) -> State {
    ["", "-wal", "-journal"].map(|suffix| {
        let found = fs::metadata(beside(file, suffix)).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()))
    })
}

/// A database that is open, and the copy that it may be.
struct Opened {
    // Closed before its file is removed: fields are dropped in their order.
    conn: Connection,
    _copy: Option<PrivateCopy>,
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("it cannot be copied: {0}")]
    Io(#[from] std::io::Error),
}

fn open(file: &Path, way: Way) -> Result<Opened, Unread> {
    let (conn, copy) = match way {
        Way::Still => (connect(file, "?mode=ro&immutable=1", OpenFlags::SQLITE_OPEN_READ_ONLY)?, None),
        Way::Shared => (connect(file, "?mode=ro&readonly_shm=1", OpenFlags::SQLITE_OPEN_READ_ONLY)?, None),
        Way::Copied => {
            let copy = PrivateCopy::of(file)?;
            (connect(&copy.file(), "?mode=rw", OpenFlags::SQLITE_OPEN_READ_WRITE)?, Some(copy))
        }
    };
    Ok(Opened { conn, _copy: copy })
}

fn connect(file: &Path, options: &str, access: OpenFlags) -> rusqlite::Result<Connection> {
    let uri = format!("file:{}{options}", percent_encoded(file));
    let flags = access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(uri, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // A stranger's schema runs nothing, and a stranger's pages are looked at before they are believed.
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// A path as a URI has it, whatever its bytes.
fn percent_encoded(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |uri, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
            uri + char::from(*byte).encode_utf8(&mut [0; 4])
        }
        byte => uri + &format!("%{byte:02x}"),
    })
}

/// A copy of a database in a directory of its own, which is removed with it.
struct PrivateCopy {
    directory: PathBuf,
}

/// Directories that a kill left, in which case the next number is free.
const MAX_COPIES: u32 = 100;

impl PrivateCopy {
    fn of(file: &Path) -> std::io::Result<Self> {
        let copy = Self { directory: own_directory()? };
        for suffix in ["", "-wal", "-journal"] {
            match fs::copy(beside(file, suffix), beside(&copy.file(), suffix)) {
                Err(error) if error.kind() == ErrorKind::NotFound && !suffix.is_empty() => {}
                copied => drop(copied?),
            }
        }
        Ok(copy)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("copy.db")
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // It lies where everybody's temporary files lie, and is removed with them if not now.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn own_directory() -> std::io::Result<PathBuf> {
    let base = std::env::temp_dir();
    let mut made = Err(ErrorKind::AlreadyExists.into());
    for number in 0..MAX_COPIES {
        let directory = base.join(format!("meshd-import-{}-{number}", std::process::id()));
        // Nobody else may look: what is copied may be private. What is there already is never used.
        made = DirBuilder::new().mode(0o700).create(&directory).map(|()| directory);
        if !made.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            break;
        }
    }
    made
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_private_and_goes_with_whoever_made_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.db");
        fs::write(&file, "a").unwrap();
        fs::write(beside(&file, "-wal"), "b").unwrap();
        let (one, other) = (PrivateCopy::of(&file).unwrap(), PrivateCopy::of(&file).unwrap());
        assert_ne!(one.directory, other.directory);
        assert_eq!(fs::metadata(&one.directory).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read(beside(&one.file(), "-wal")).unwrap(), b"b");
        let left = one.directory.clone();
        drop(one);
        assert!(!left.try_exists().unwrap() && other.file().try_exists().unwrap());
    }

    #[test]
    fn every_byte_of_a_path_goes_into_a_uri() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b?c%\xff.db"));
        assert_eq!(percent_encoded(path), "/a%20b%3fc%25%ff.db");
    }
}
