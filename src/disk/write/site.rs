//! The `.dork` of one project, open and locked, in which all of a write happens.
//!
//! Every step goes by the descriptor of that directory, so whatever is renamed or linked above it meanwhile, a write that
//! began in one place ends there.

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fsync, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::content::Content;
use super::names::{Moved, Way};
use super::{Cleared, FILE, Finish, TEMPORARY, WriteError};
use crate::agent::Manifest;
use crate::disk::open::open;
use crate::disk::{DORK, stat};

/// A project's `.dork`, locked against other processes until this is dropped.
#[derive(Debug)]
pub struct Site {
    pub way: Way,
    project_path: PathBuf,
    project: OwnedFd,
    pub dork: OwnedFd,
}

/// Whether `.dork` was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was.
    Found,
    /// This call made it.
    Made,
}

impl Site {
    /// Opens and locks the project's `.dork`; `None` if it has none.
    pub fn open(project_path: &Path, way: Way) -> Result<Option<Self>, WriteError> {
        let project = open_project(project_path)?;
        let Some(dork) = open_dork(&project, project_path)? else { return Ok(None) };
        Self::locked(way, project_path, project, dork).map(Some)
    }

    /// The same; makes `.dork` if there is none, but never the project.
    pub fn open_or_make(project_path: &Path, way: Way) -> Result<(Self, Origin), WriteError> {
        let project = open_project(project_path)?;
        if let Some(dork) = open_dork(&project, project_path)? {
            return Ok((Self::locked(way, project_path, project, dork)?, Origin::Found));
        }
        let path = project_path.join(DORK);
        let origin = match mkdirat(&project, DORK, Mode::from_raw_mode(0o755)) {
            Ok(()) => Origin::Made,
            Err(Errno::EXIST) => Origin::Found,
            Err(errno) => return Err(WriteError::io("make", &path, errno)),
        };
        match open_dork(&project, project_path).and_then(|dork| dork.ok_or(WriteError::Missing(path))) {
            Ok(dork) => Ok((Self::locked(way, project_path, project, dork)?, origin)),
            Err(error) if origin == Origin::Made => {
                let unmade = unmake(&project, project_path).map(drop);
                Err(error.after(unmade, || format!("an empty `{DORK}` is there now")))
            }
            Err(error) => Err(error),
        }
    }

    fn locked(way: Way, project_path: &Path, project: OwnedFd, dork: OwnedFd) -> Result<Self, WriteError> {
        // Whoever holds the lock owns the temporary name: what has it then was left by a kill. Where directories cannot
        // be locked (NFS), the registry's own lock has to do.
        match flock(&dork, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(WriteError::Busy(in_dork(project_path, FILE))),
            Ok(()) | Err(_) => Ok(Self { way, project_path: project_path.to_owned(), project, dork }),
        }
    }

    /// The path of a file in here, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        in_dork(&self.project_path, name)
    }

    /// The regular file of this name; `None` if there is nothing.
    pub fn read(&self, name: &str) -> Result<Option<Content>, WriteError> {
        Content::read(&self.dork, name, &self.path(name))
    }

    /// Whether the file of this name holds exactly these bytes.
    pub fn holds(&self, name: &str, bytes: &[u8]) -> Result<bool, WriteError> {
        match self.read(name) {
            Ok(found) => Ok(found.is_some_and(|found| found.bytes == bytes)),
            Err(WriteError::NotAManifest { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether anything has this name.
    pub fn has(&self, name: &str) -> Result<bool, WriteError> {
        match stat::file(&self.dork, name) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(WriteError::io("look at", &self.path(name), errno)),
        }
    }

    /// Gives the manifest the temporary name, if `check` accepts it. What it does not accept stays, or goes back.
    pub fn take_out(&self, check: impl Fn(&Content) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let checked = |name| {
            let found = self.read(name)?.ok_or_else(|| WriteError::Missing(self.path(FILE)))?;
            check(&found)
        };
        checked(FILE)?;
        self.move_out()?;
        // Another one may have come there in between.
        checked(TEMPORARY).map_err(|error| self.undone(error, self.put_back().map(drop)))
    }

    /// Gives the temporary file the manifest's name. If that is taken, by a newer one, it is removed instead.
    pub fn put_back(&self) -> Result<Moved, WriteError> {
        let moved = self.move_in()?;
        if moved == Moved::Taken {
            self.remove(TEMPORARY)?;
        }
        self.sync()?;
        Ok(moved)
    }

    /// Removes a file; that it is gone already is as good.
    pub fn remove(&self, name: &str) -> Result<(), WriteError> {
        match unlinkat(&self.dork, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(WriteError::io("remove", &self.path(name), errno)),
        }
    }

    /// Removes a `.dork` that this call made, unless something is in it by now.
    pub fn unmake(&self) -> Result<(), WriteError> {
        match unmake(&self.project, &self.project_path)? {
            Some(()) => self.sync_project(),
            None => Ok(()),
        }
    }

    /// Removes the temporary file that a kill left, or puts it back.
    pub fn clear(&self, finish: Finish) -> Result<Cleared, WriteError> {
        if !self.has(TEMPORARY)? {
            return Ok(Cleared::Nothing);
        }
        // What is no regular file was never ours.
        let is_manifest = match self.read(TEMPORARY)? {
            Some(content) => Manifest::parse(&content.bytes).is_ok(),
            None => return Ok(Cleared::Nothing),
        };
        match finish {
            Finish::Undo if is_manifest && !self.has(FILE)? => Ok(match self.put_back()? {
                Moved::There => Cleared::PutBack,
                Moved::Taken => Cleared::Removed,
            }),
            Finish::Undo | Finish::Complete => {
                self.remove(TEMPORARY)?;
                self.sync()?;
                Ok(Cleared::Removed)
            }
        }
    }

    /// Has what was renamed, made and removed in `.dork` survive a loss of power.
    pub fn sync(&self) -> Result<(), WriteError> {
        fsync(&self.dork).map_err(|errno| WriteError::io("sync", &self.project_path.join(DORK), errno))
    }

    /// The same for `.dork` itself.
    pub fn sync_project(&self) -> Result<(), WriteError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let synced = openat(&self.project, ".", flags, Mode::empty()).and_then(fsync);
        synced.map_err(|errno| WriteError::io("sync", &self.project_path, errno))
    }

    /// `error`, after an attempt to undo what was done.
    pub fn undone(&self, error: WriteError, undo: Result<(), WriteError>) -> WriteError {
        error.after(undo, || self.left())
    }

    /// What is there, in words.
    fn left(&self) -> String {
        let found = |name: &str| match self.has(name) {
            Ok(true) => format!("`{name}` is there"),
            Ok(false) => format!("`{name}` is not there"),
            Err(_) => format!("whether `{name}` is there is not known"),
        };
        format!("in `{DORK}` now: {}, {}", found(FILE), found(TEMPORARY))
    }
}

/// Opens the project.
pub fn open_project(path: &Path) -> Result<OwnedFd, WriteError> {
    open(CWD, path, OFlags::PATH | OFlags::DIRECTORY).map_err(|errno| WriteError::on_the_way(path, errno))
}

/// Opens the project's `.dork`; `None` if there is none.
pub fn open_dork(project: &OwnedFd, project_path: &Path) -> Result<Option<OwnedFd>, WriteError> {
    match open(project, Path::new(DORK), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(dork) => Ok(Some(dork)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(WriteError::on_the_way(&project_path.join(DORK), errno)),
    }
}

/// Removes an empty `.dork`; `None` if it is not empty, or not there.
fn unmake(project: &OwnedFd, project_path: &Path) -> Result<Option<()>, WriteError> {
    match unlinkat(project, DORK, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(Some(())),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(WriteError::io("remove", &project_path.join(DORK), errno)),
    }
}

/// The path of a file in a project's `.dork`, for messages.
pub fn in_dork(project: &Path, name: &str) -> PathBuf {
    project.join(DORK).join(name)
}
