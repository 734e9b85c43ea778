//! A file of a project, read whole, and what of it a new one takes over.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fchown, fstat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::WriteError;
use crate::agent::Fingerprint;
use crate::agent::manifest::MAX_BYTES;
use crate::disk::open::open;
use crate::disk::{probe, stat};

/// A regular file, read whole.
#[derive(Debug)]
pub struct Content {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// What it was when it was opened.
    pub fingerprint: Fingerprint,
    owner: (Uid, Gid),
}

impl Content {
    /// The file `name` in `dork`; `None` if there is nothing.
    pub fn read(dork: &OwnedFd, name: &str, path: &Path) -> Result<Option<Self>, WriteError> {
        let io = |what, errno: Errno| WriteError::io(what, path, errno);
        let not_regular = |kind| {
            let why = format!("it is {}, not a regular file", probe::kind_of_file(kind));
            WriteError::NotAManifest { path: path.to_owned(), why }
        };
        // Looked at before it is opened: opening a device may do something.
        match stat::file(dork, name) {
            Ok((FileType::RegularFile, _)) => {}
            Ok((kind, _)) => return Err(not_regular(kind)),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(io("look at", errno)),
        }
        let file = match open(dork, Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(not_regular(FileType::Symlink)),
            Err(errno) => return Err(io("open", errno)),
        };
        let (kind, fingerprint) = stat::open_file(&file).map_err(|errno| io("look at", errno))?;
        if kind != FileType::RegularFile {
            return Err(not_regular(kind));
        }
        let found = fstat(&file).map_err(|errno| io("look at", errno))?;
        let bytes = probe::read(file, fingerprint.size).map_err(|error| WriteError::io("read", path, error))?;
        must_fit(&bytes, path)?;
        let owner = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
        Ok(Some(Self { bytes, mode: found.st_mode & 0o7777, fingerprint, owner }))
    }

    /// Gives a new file the owner and the mode of this one.
    pub fn likens(&self, file: &File, path: &Path) -> Result<(), WriteError> {
        let (user, group) = self.owner;
        // Root must not take a user's manifest away; anybody else may not give files away, and need not.
        if fchown(file, Some(user), Some(group)).is_err() {
            let _ = fchown(file, None, Some(group));
        }
        // Bits that make a program act for its owner have no place at a manifest.
        let mode = Mode::from_raw_mode(self.mode & 0o777);
        fchmod(file, mode).map_err(|errno| WriteError::io("set the mode of", path, errno))
    }
}

/// Refuses what is larger than a manifest may be.
pub fn must_fit(bytes: &[u8], path: &Path) -> Result<(), WriteError> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(WriteError::NotAManifest { path: path.to_owned(), why: format!("larger than {} KiB", MAX_BYTES / 1024) })
}

/// Writes a new file, so that it survives a loss of power once it has a name.
pub fn write(mut file: &File, bytes: &[u8], path: &Path) -> Result<(), WriteError> {
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| WriteError::io("write", path, error))
}
