//! What `statx` says of a directory or file, without following a link.

use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, makedev, statfs, statx};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::agent::{DirIdentity, Fingerprint, RootIdentity};
use crate::decide::RootFound;

/// A directory as `statx` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirStat {
    /// Which directory it is.
    pub identity: DirIdentity,
    /// When an entry was last added, removed or renamed; nanoseconds since 1970.
    pub modified_ns: i64,
    /// When its inode last changed; nanoseconds since 1970.
    pub changed_ns: i64,
}

/// Looks at the directory `path`. What is there and is none, a link included, is `NOTDIR`.
pub fn directory(path: &Path) -> Result<DirStat, Errno> {
    dir_stat(&look(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Looks at a scan root.
#[must_use]
pub fn root(path: &Path) -> RootFound {
    root_again(path, None)
}

/// Looks again at a scan root. Where it is the directory of the last look, so is its file system, until something was
/// mounted: a file server would be asked at every look.
#[must_use]
pub fn root_again(path: &Path, last: Option<&RootFound>) -> RootFound {
    match directory(path) {
        Ok(DirStat { identity, .. }) => RootFound::Directory(match last {
            Some(RootFound::Directory(last)) if last.directory == identity => *last,
            Some(_) | None => RootIdentity { directory: identity, file_system: file_system(path) },
        }),
        Err(Errno::NOENT) => RootFound::Nothing("there is nothing at its path".to_owned()),
        Err(Errno::NOTDIR) => RootFound::Nothing("what is at its path is not a directory".to_owned()),
        Err(errno) => RootFound::Nothing(std::io::Error::from(errno).to_string()),
    }
}

/// The number of the type of the file system at `path`, if the system tells. Only asked where no link is: it would be
/// followed.
fn file_system(path: &Path) -> Option<i64> {
    // Not as wide everywhere as here.
    fn number(word: impl Into<i64>) -> i64 {
        word.into()
    }
    statfs(path).ok().map(|stat| number(stat.f_type))
}

/// The fingerprint of the regular file at `path`; none if it is something else or cannot be looked at.
#[must_use]
pub fn regular_file(path: &Path) -> Option<Fingerprint> {
    let (kind, fingerprint) = file(CWD, path).ok()?;
    (kind == FileType::RegularFile).then_some(fingerprint)
}

/// Looks at an open directory.
pub fn open_directory(fd: impl AsFd) -> Result<DirStat, Errno> {
    dir_stat(&look(fd, "", AtFlags::EMPTY_PATH)?)
}

/// The type and the fingerprint of the file `path` seen from `fd`; of a link itself, not of what it points to.
pub fn file(fd: impl AsFd, path: impl Arg) -> Result<(FileType, Fingerprint), Errno> {
    look(fd, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (file_type(&stat), fingerprint(&stat)))
}

/// The type and the fingerprint of an open file.
pub fn open_file(fd: impl AsFd) -> Result<(FileType, Fingerprint), Errno> {
    look(fd, "", AtFlags::EMPTY_PATH).map(|stat| (file_type(&stat), fingerprint(&stat)))
}

fn look(fd: impl AsFd, path: impl Arg, flags: AtFlags) -> Result<Statx, Errno> {
    // Birth times do not change: a network file system need not be asked for them again.
    statx(fd, path, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

fn dir_stat(stat: &Statx) -> Result<DirStat, Errno> {
    if file_type(stat) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(DirStat {
        identity: DirIdentity {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            born_ns: if has_birth { nanoseconds(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec) } else { 0 },
        },
        modified_ns: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        changed_ns: nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
    })
}

fn fingerprint(stat: &Statx) -> Fingerprint {
    Fingerprint {
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        size: stat.stx_size,
        modified_ns: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        changed_ns: nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
    }
}

fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

fn nanoseconds(seconds: i64, nanoseconds: u32) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanoseconds))
}
