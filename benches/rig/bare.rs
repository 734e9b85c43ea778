//! What a floor is made of: bare system calls and bare SQL.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rusqlite::{Connection, params};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxFlags, open, statx};
use rustix::io::Errno;

/// What a watcher must hear of.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CLOSE_WRITE);

/// Names that are not entered, as far as the trees of the benches have them.
const PRUNED: [&str; 2] = ["node_modules", ".git"];

/// A tree as one walk finds it.
#[derive(Default)]
pub struct Walked {
    /// The directories, each `.dork` among them.
    pub directories: Vec<PathBuf>,
    /// The manifests.
    pub manifests: Vec<PathBuf>,
}

impl Walked {
    /// Walks some trees with one thread; `enter` is called before a directory is listed.
    pub fn walk(tops: &[PathBuf], mut enter: impl FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (mut walked, mut queue) = (Self::default(), tops.to_vec());
        while let Some(directory) = queue.pop() {
            enter(&directory)?;
            let listed = open(&directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            for entry in Dir::read_from(&listed)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if entry.file_type() != FileType::Directory || name == "." || name == ".." {
                    continue;
                }
                let below = directory.join(name);
                if name == ".dork" {
                    enter(&below)?;
                    walked.manifests.push(below.join("agent.json"));
                    walked.directories.push(below);
                } else if !PRUNED.iter().any(|pruned| name == *pruned) {
                    queue.push(below);
                }
            }
            walked.directories.push(directory);
        }
        Ok(walked)
    }

    /// The idle sweep's floor: `statx` of every directory and every manifest. Returns how many are there.
    pub fn look(&self) -> usize {
        let times = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let there = |path: &&PathBuf| statx(CWD, path.as_path(), AtFlags::SYMLINK_NOFOLLOW, times).is_ok();
        self.directories.iter().chain(&self.manifests).filter(there).count()
    }
}

/// One inotify instance.
pub struct Watch {
    instance: OwnedFd,
}

impl Watch {
    /// An instance that watches nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { instance: inotify::init(CreateFlags::CLOEXEC)? })
    }

    /// Watches a directory too; returns the number under which its events come.
    pub fn add(&self, directory: &Path) -> anyhow::Result<i32> {
        let added = inotify::add_watch(&self.instance, directory, EVENTS | WatchFlags::ONLYDIR);
        added.context("inotify: more watches than fs.inotify.max_user_watches?")
    }

    /// Calls `happened` with the number and the name of each event, until it returns `false`.
    pub fn follow(&self, mut happened: impl FnMut(i32, &[u8]) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.instance, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
                    if !happened(event.wd(), name)? {
                        return Ok(());
                    }
                }
                Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How much a commit waits for the disk.
#[derive(Clone, Copy)]
pub enum Synchronous {
    /// Not at all: the last commits are lost with the power.
    Normal,
    /// Until it is written.
    Full,
}

impl Synchronous {
    /// As SQLite spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// The floor's registry: a row an agent, with its manifest in it as it is.
pub struct Rows(Connection);

impl Rows {
    /// Opens it, or makes it. No checkpoint is made inside of a commit.
    pub fn open(path: &Path, synchronous: Synchronous) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE IF NOT EXISTS agents (id TEXT PRIMARY KEY NOT NULL, project_path TEXT NOT NULL UNIQUE,
                                                description TEXT NOT NULL)",
            synchronous.as_str()
        ))?;
        Ok(Self(connection))
    }

    /// Inserts all in one transaction.
    pub fn insert(&mut self, rows: impl Iterator<Item = (String, PathBuf, Vec<u8>)>) -> anyhow::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO agents VALUES (?1, ?2, ?3)")?;
            for (id, path, manifest) in rows {
                insert.execute(params![id, path.as_os_str().as_bytes(), String::from_utf8_lossy(&manifest)])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Writes what a manifest says now, and commits.
    pub fn update(&self, id: &str, manifest: &[u8]) -> anyhow::Result<()> {
        let mut update = self.0.prepare_cached("UPDATE agents SET description = ?2 WHERE id = ?1")?;
        update.execute(params![id, String::from_utf8_lossy(manifest)])?;
        Ok(())
    }

    /// Reads all; returns how many.
    pub fn read(&self) -> anyhow::Result<usize> {
        let mut all = self.0.prepare_cached("SELECT id, project_path, description FROM agents")?;
        let rows = all
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, String>(2)?)))?;
        Ok(rows.filter_map(Result::ok).count())
    }
}
