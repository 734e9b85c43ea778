//! One directory below `mail/`, held open. Everything in it is reached through it and by name alone, so that no link is
//! ever followed, and what is moved meanwhile is reached all the same.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, Timespec, Timestamps, fstat, fsync, futimens, mkdirat, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::error::MailError;

/// Bytes of entries fetched at once: one call for up to about a hundred messages.
const BUFFER_BYTES: usize = 8 * 1024;

/// Directories are their owner's alone, and so are messages.
const DIRECTORY_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A directory.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the state directory, which may be reached through links: it is where meshd was told.
    pub fn top(path: &Path) -> Result<Self, MailError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty()).map_err(|error| MailError::new("open", path, error))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Where it was when it was opened: for people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of this name in it, if there is one.
    pub fn folder(&self, name: &str) -> Result<Option<Self>, MailError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(MailError::NotADirectory(self.path.join(name))),
            Err(error) => Err(self.error("open", name, error)),
        }
    }

    /// The directory of this name in it, made if there is none; `None` if this one itself was removed.
    pub fn make_folder(&self, name: &str) -> Result<Option<Self>, MailError> {
        match mkdirat(&self.fd, name, DIRECTORY_MODE) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.error("make", name, error)),
        }
    }

    /// Makes a file that was not there; `None` if this directory was removed.
    pub fn create(&self, name: &str) -> Result<Option<File>, MailError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, FILE_MODE) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.error("make", name, error)),
        }
    }

    /// Opens a regular file for reading; `None` if there is none, or something else. Never waits, as for a FIFO.
    pub fn open(&self, name: &str) -> Result<Option<File>, MailError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => {
                let stat = fstat(&fd).map_err(|error| self.error("look at", name, error))?;
                let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                Ok(regular.then(|| File::from(fd)))
            }
            // A link, a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(error) => Err(self.error("open", name, error)),
        }
    }

    /// Names of what is in it, in the order of their bytes. Those that begin with a dot, or are not UTF-8, are nobody's
    /// messages.
    pub fn names(&self) -> Result<Vec<String>, MailError> {
        let mut names = Vec::new();
        self.each(|name, _| names.push(name.to_owned()))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Names of the directories in it, in no order.
    pub fn folder_names(&self) -> Result<Vec<String>, MailError> {
        let mut names = Vec::new();
        self.each(|name, kind| {
            let looked = || statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
            let kind = if kind == FileType::Unknown {
                looked().map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode))
            } else {
                kind
            };
            if kind == FileType::Directory {
                names.push(name.to_owned());
            }
        })?;
        Ok(names)
    }

    /// Moves what is of this name to another directory. `false`: there is nothing, or one of the two directories was
    /// removed.
    pub fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<bool, MailError> {
        match renameat(&self.fd, name, &to.fd, new_name) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error("move", name, error)),
        }
    }

    /// Moves a directory to another one, under a name at which nothing may be. `false`: something is.
    pub fn rename_folder(&self, name: &str, to: &Self, new_name: &str) -> Result<bool, MailError> {
        match renameat(&self.fd, name, &to.fd, new_name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(self.error("move", name, error)),
        }
    }

    /// Deletes a file. `false`: there is none.
    pub fn remove(&self, name: &str) -> Result<bool, MailError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error("delete", name, error)),
        }
    }

    /// Deletes a directory if it is empty. `false`: it is not.
    pub fn remove_folder(&self, name: &str) -> Result<bool, MailError> {
        match unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(self.error("delete", name, error)),
        }
    }

    /// What was made, moved and deleted in it survives a loss of power.
    pub fn sync(&self) -> Result<(), MailError> {
        fsync(&self.fd).map_err(|error| MailError::new("sync", &self.path, error))
    }

    /// When it was last modified, in nanoseconds since 1970.
    pub fn modified_ns(&self) -> Result<i64, MailError> {
        let stat = fstat(&self.fd).map_err(|error| MailError::new("look at", &self.path, error))?;
        Ok(stat.st_mtime.saturating_mul(1_000_000_000).saturating_add_unsigned(stat.st_mtime_nsec))
    }

    /// Says that it was modified then.
    pub fn set_modified_ns(&self, ns: i64) -> Result<(), MailError> {
        let last_modification =
            Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) };
        let last_access = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        futimens(&self.fd, &Timestamps { last_access, last_modification })
            .map_err(|error| MailError::new("look after", &self.path, error))
    }

    fn each(&self, mut take: impl FnMut(&str, FileType)) -> Result<(), MailError> {
        let failed = |error| MailError::new("list", &self.path, error);
        // A descriptor of its own: the place up to which a directory was read belongs to the descriptor.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = match openat(&self.fd, ".", flags, Mode::empty()) {
            // It was removed.
            Err(Errno::NOENT) => return Ok(()),
            listed => listed.map_err(failed)?,
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut entries = RawDir::new(listed, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                // It was removed.
                Err(Errno::NOENT) => return Ok(()),
                entry => entry.map_err(failed)?,
            };
            let name: CString = entry.file_name().to_owned();
            if let Ok(name) = name.to_str()
                && !name.starts_with('.')
            {
                take(name, entry.file_type());
            }
        }
        Ok(())
    }

    fn error(&self, what: &'static str, name: &str, error: Errno) -> MailError {
        MailError::new(what, &self.path.join(name), io::Error::from(error))
    }
}
