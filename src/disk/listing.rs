//! One listing of one directory: its subdirectories that belong to the scan, and whether it is a project.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::kept::keeps_name;
use super::stat::{self, DirStat};
use super::{DORK, Kept};
use crate::agent::DirIdentity;

/// What a listing found.
#[derive(Debug)]
pub struct Listing {
    /// The directory, as it was before it was listed.
    pub stat: DirStat,
    /// Names of the subdirectories that belong to the scan.
    pub children: Vec<OsString>,
    /// Whether there is a `.dork`, whatever it is.
    pub dork: Dork,
}

/// Whether a directory is a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dork {
    /// There is no `.dork`.
    No,
    /// `.dork` is this directory.
    Directory(DirIdentity),
    /// `.dork` is something else: it makes a project, and one look at it will say what is wrong.
    Other,
}

/// Bytes of entries fetched at once: one call for a directory of up to about 250 entries.
const BUFFER_BYTES: usize = 8 * 1024;

/// Lists `path`.
pub fn list(path: &Path, kept: &Kept) -> Result<Listing, Errno> {
    list_noting(path, kept, |_, _| {})
}

/// Lists `path`, and shows `note` the name and type of every entry on the way. Some file systems do not tell the type:
/// then it is [`FileType::Unknown`].
pub fn list_noting(path: &Path, kept: &Kept, mut note: impl FnMut(&OsStr, FileType)) -> Result<Listing, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty())?;
    let mut listing = Listing { stat: stat::open_directory(&directory)?, children: Vec::new(), dork: Dork::No };
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        note(name, entry.file_type());
        let is_dork = name == DORK;
        if !is_dork && !keeps_name(name) {
            continue;
        }
        if is_dork {
            listing.dork = stat::directory(&path.join(DORK)).map_or(Dork::Other, |stat| Dork::Directory(stat.identity));
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            kind = stat::file(&directory, name).map_or(FileType::Unknown, |(kind, _)| kind);
        }
        if kind == FileType::Directory && kept.keeps(&path.join(name)) {
            listing.children.push(name.to_owned());
        }
    }
    Ok(listing)
}
