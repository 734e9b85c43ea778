//! How files come to their names, and change them.
//!
//! The newer calls are tried first. Where a file system or a filter of system calls refuses them, older ones do the same
//! with a wider gap between looking and acting.

use std::fs::File;

use rustix::fd::AsRawFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with};
use rustix::io::Errno;

use super::content::{self, Content};
use super::site::Site;
use super::{FILE, TEMPORARY, WriteError};

/// By which calls files come into their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests go the ways that a file system would have to force"))]
pub enum Way {
    /// All that Linux has: files without a name, exchanging two names, renaming without replacing.
    Newest,
    /// As where those are refused: links refuse to replace (NFS).
    Links,
    /// As where there are no links either: a look, then a rename (FAT, some FUSE).
    Oldest,
}

impl Way {
    fn newest(self) -> Result<(), Errno> {
        if self == Self::Newest { Ok(()) } else { Err(Errno::INVAL) }
    }

    fn links(self) -> Result<(), Errno> {
        if self == Self::Oldest { Err(Errno::OPNOTSUPP) } else { Ok(()) }
    }
}

/// Whether a file came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It did.
    There,
    /// Something else is there.
    Taken,
}

/// What the temporary name had after two names were exchanged back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// What this call had written.
    Ours,
    /// Something that somebody wrote over it. It is in place again.
    Newer,
}

/// What a fresh manifest may be, minus the umask: like every file that is made in a project.
const MODE: Mode = Mode::from_raw_mode(0o644);

impl Site {
    /// Writes a file that has no name until it is whole, so that a kill leaves nothing of it, and gives it the
    /// manifest's. `None` where that is refused.
    pub fn place_unnamed(&self, bytes: &[u8]) -> Result<Option<Moved>, WriteError> {
        let path = self.path(FILE);
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = match self.way.newest().and_then(|()| openat(&self.dork, ".", flags, MODE)) {
            Ok(file) => File::from(file),
            // Kernels that do not know such files take the flags for opening the directory itself to write.
            Err(Errno::ISDIR) => return Ok(None),
            Err(errno) if is_refusal(errno) => return Ok(None),
            Err(errno) => return Err(WriteError::io("make", &path, errno)),
        };
        content::write(&file, bytes, &path)?;
        // An older kernel lets only root name a file by its descriptor alone; then `/proc` does it, where it is mounted.
        let proc = format!("/proc/self/fd/{}", file.as_raw_fd());
        let linked = linkat(&file, "", &self.dork, FILE, AtFlags::EMPTY_PATH).or_else(|errno| match errno {
            Errno::EXIST => Err(errno),
            _ => linkat(CWD, proc, &self.dork, FILE, AtFlags::SYMLINK_FOLLOW),
        });
        match linked {
            Ok(()) => Ok(Some(Moved::There)),
            Err(Errno::EXIST) => Ok(Some(Moved::Taken)),
            Err(errno) if errno == Errno::NOENT || is_refusal(errno) => Ok(None),
            Err(errno) => Err(WriteError::io("make", &path, errno)),
        }
    }

    /// Writes the temporary file, with mode and owner of the one that it is to replace. What cannot be written whole is
    /// removed again.
    pub fn write_temporary(&self, bytes: &[u8], like: Option<&Content>) -> Result<(), WriteError> {
        let path = self.path(TEMPORARY);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if like.is_some() { Mode::from_raw_mode(0o600) } else { MODE };
        let file = openat(&self.dork, TEMPORARY, flags, mode).map_err(|errno| WriteError::io("make", &path, errno))?;
        let file = File::from(file);
        let likened = like.map_or(Ok(()), |like| like.likens(&file, &path));
        let written = likened.and_then(|()| content::write(&file, bytes, &path));
        written.map_err(|error| self.undone(error, self.remove(TEMPORARY)))
    }

    /// Gives the temporary file the manifest's name, replacing nothing.
    pub fn move_in(&self) -> Result<Moved, WriteError> {
        let (dork, path) = (&self.dork, self.path(FILE));
        let noreplace = || renameat_with(dork, TEMPORARY, dork, FILE, RenameFlags::NOREPLACE);
        let link = || linkat(dork, TEMPORARY, dork, FILE, AtFlags::empty());
        let moved = match self.way.newest().and_then(|()| noreplace()) {
            Err(errno) if is_refusal(errno) => match self.way.links().and_then(|()| link()) {
                Ok(()) => return self.remove(TEMPORARY).map(|()| Moved::There),
                Err(errno) if is_refusal(errno) && self.has(FILE)? => Err(Errno::EXIST),
                Err(errno) if is_refusal(errno) => renameat(dork, TEMPORARY, dork, FILE),
                linked => linked,
            },
            renamed => renamed,
        };
        match moved {
            Ok(()) => Ok(Moved::There),
            Err(Errno::EXIST) => Ok(Moved::Taken),
            Err(errno) => Err(WriteError::io("rename a file to", &path, errno)),
        }
    }

    /// Gives the manifest the temporary name.
    pub fn move_out(&self) -> Result<(), WriteError> {
        let dork = &self.dork;
        let noreplace = || renameat_with(dork, FILE, dork, TEMPORARY, RenameFlags::NOREPLACE);
        let moved = match self.way.newest().and_then(|()| noreplace()) {
            // Nothing has that name: it was cleared under the lock.
            Err(errno) if is_refusal(errno) => renameat(dork, FILE, dork, TEMPORARY),
            moved => moved,
        };
        moved.map_err(|errno| match errno {
            Errno::NOENT => WriteError::Missing(self.path(FILE)),
            _ => WriteError::io("rename", &self.path(FILE), errno),
        })
    }

    /// Gives the temporary file the manifest's name, whatever has that now.
    pub fn move_over(&self) -> Result<(), WriteError> {
        renameat(&self.dork, TEMPORARY, &self.dork, FILE)
            .map_err(|errno| WriteError::io("rename a file to", &self.path(FILE), errno))
    }

    /// Lets manifest and temporary file have each other's name. `None` where that is refused.
    ///
    /// # Errors
    /// [`WriteError::Missing`] if there is no manifest.
    pub fn exchange(&self) -> Result<Option<()>, WriteError> {
        let exchange = || renameat_with(&self.dork, TEMPORARY, &self.dork, FILE, RenameFlags::EXCHANGE);
        match self.way.newest().and_then(|()| exchange()) {
            Ok(()) => Ok(Some(())),
            Err(Errno::NOENT) => Err(WriteError::Missing(self.path(FILE))),
            Err(errno) if is_refusal(errno) => Ok(None),
            Err(errno) => Err(WriteError::io("replace", &self.path(FILE), errno)),
        }
    }

    /// Exchanges the names back and removes what this call had written. What somebody wrote over it in the moment
    /// between stays in place, and what it replaced is removed instead.
    pub fn swap_back(&self, ours: &[u8]) -> Result<Swapped, WriteError> {
        let swap = || self.exchange()?.ok_or_else(|| WriteError::io("replace", &self.path(FILE), Errno::INVAL));
        let outcome = match swap() {
            // Deleting it was the last that somebody did to the manifest.
            Err(WriteError::Missing(_)) => Swapped::Newer,
            Err(error) => return Err(error),
            Ok(()) if self.holds(TEMPORARY, ours)? => Swapped::Ours,
            Ok(()) => swap().map(|()| Swapped::Newer)?,
        };
        self.remove(TEMPORARY)?;
        Ok(outcome)
    }
}

/// Whether a call is refused for what it is, and not for what it was asked to do.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
}
