//! One look at one manifest.
//!
//! The answer is `absent` only where that is certain: `ENOENT` or `ENOTDIR` with no link on the way. Whatever else goes
//! wrong is `unreadable`, which says nothing about the agent.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, OFlags};
use rustix::io::Errno;

use super::open::open;
use super::{MANIFEST, stat};
use crate::agent::manifest::MAX_BYTES;
use crate::agent::{Agent, DirIdentity, Manifest, Observation};
use crate::clock;
use crate::decide::{Found, Probe, ProjectDir, Unreadable, UnreadableKind};

/// What one look at one project found.
#[derive(Debug)]
pub struct Sight {
    /// What became of its manifest.
    pub probe: Probe,
    /// Which directory the project is, where there is one.
    pub identity: Option<DirIdentity>,
}

impl Sight {
    /// That a project could not be looked at, since the system does not show its scan root.
    #[must_use]
    pub fn of_hidden_root(errno: Errno) -> Self {
        Self { probe: refused("the scan root", errno), identity: None }
    }
}

/// Looks at the manifest of `project`, which is under `scan_root`.
#[must_use]
pub fn probe(project: &Path, scan_root: Option<Arc<Path>>) -> Sight {
    sight(open(CWD, project, DIRECTORY), project, scan_root)
}

/// A directory that is held open: what is below it is seen, wherever it was moved to meanwhile.
#[derive(Debug)]
pub struct Held<'a> {
    directory: OwnedFd,
    path: &'a Path,
}

impl<'a> Held<'a> {
    /// Opens the directory at `path`, if that is still this one; `None` if it is not there, or is another.
    ///
    /// # Errors
    /// The system does not show it: it may well be there.
    pub fn open(path: &'a Path, identity: DirIdentity) -> Result<Option<Self>, Errno> {
        let opened = open(CWD, path, DIRECTORY).and_then(|directory| {
            let found = stat::open_directory(&directory)?.identity;
            Ok((found == identity).then_some(Self { directory, path }))
        });
        match opened {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            opened => opened,
        }
    }

    /// Looks at the manifest of `project`, which is below this directory and under `scan_root`.
    #[must_use]
    pub fn probe(&self, project: &Path, scan_root: Option<Arc<Path>>) -> Sight {
        let below = project.strip_prefix(self.path).ok().filter(|below| !below.as_os_str().is_empty());
        sight(open(&self.directory, below.unwrap_or(Path::new(".")), DIRECTORY), project, scan_root)
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

fn sight(opened: Result<OwnedFd, Errno>, project: &Path, scan_root: Option<Arc<Path>>) -> Sight {
    let directory = match opened {
        Ok(directory) => directory,
        Err(errno) if is_absent(errno) => return Sight { probe: Probe::Absent(ProjectDir::Gone), identity: None },
        Err(errno) => return Sight { probe: refused("the project", errno), identity: None },
    };
    let identity = stat::open_directory(&directory).ok().map(|stat| stat.identity);
    Sight { probe: look(&directory, project, scan_root), identity }
}

fn look(directory: &OwnedFd, project: &Path, scan_root: Option<Arc<Path>>) -> Probe {
    // Looked at before it is opened: opening a device may do something, and a FIFO would not be opened for reading alone.
    if let Ok((kind, _)) = stat::file(directory, MANIFEST)
        && !matches!(kind, FileType::RegularFile | FileType::Symlink)
    {
        return unreadable(&not_regular(kind));
    }
    let looked_ns = clock::wall_ns();
    let file = match open(directory, Path::new(MANIFEST), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Ok(file) => file,
        Err(errno) if is_absent(errno) => return Probe::Absent(ProjectDir::There),
        Err(errno) => return refused(MANIFEST, errno),
    };
    let fingerprint = match stat::open_file(&file) {
        Ok((FileType::RegularFile, fingerprint)) => fingerprint,
        Ok((kind, _)) => return unreadable(&not_regular(kind)),
        Err(errno) => return refused(MANIFEST, errno),
    };
    match read(file, fingerprint.size) {
        Ok(bytes) => match Manifest::parse(&bytes) {
            Ok(manifest) => {
                let agent = Agent::derive(manifest, PathBuf::from(project), scan_root);
                Probe::Present(Found::Read(Arc::new(agent), Observation { fingerprint, looked_ns }))
            }
            Err(why) => Probe::Unreadable(Unreadable { why, kind: UnreadableKind::Content }),
        },
        Err(error) => {
            let why = format!("cannot read {MANIFEST}: {error}");
            Probe::Unreadable(Unreadable { why, kind: UnreadableKind::System })
        }
    }
}

/// Reads at most one byte more than a manifest may have, however large the file is or becomes.
pub(super) fn read(file: OwnedFd, size: u64) -> std::io::Result<Vec<u8>> {
    let limit = MAX_BYTES.saturating_add(1);
    let expected = usize::try_from(size).unwrap_or(limit).saturating_add(1).min(limit);
    let mut bytes = Vec::with_capacity(expected);
    File::from(file).take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

fn refused(what: &str, errno: Errno) -> Probe {
    if errno == Errno::LOOP {
        return unreadable(&format!("{what} is behind a symbolic link, which is never followed"));
    }
    let why = format!("cannot look at {what}: {}", std::io::Error::from(errno));
    let kind =
        if matches!(errno, Errno::ACCESS | Errno::PERM) { UnreadableKind::Access } else { UnreadableKind::System };
    Probe::Unreadable(Unreadable { why, kind })
}

fn not_regular(kind: FileType) -> String {
    format!("{MANIFEST} is {}, not a regular file", kind_of_file(kind))
}

/// What a file is, in words.
pub(super) fn kind_of_file(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Symlink => "a symbolic link",
        FileType::RegularFile | FileType::Unknown => "of an unknown type",
    }
}

fn unreadable(why: &str) -> Probe {
    Probe::Unreadable(Unreadable { why: why.to_owned(), kind: UnreadableKind::Access })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_below_a_held_directory_is_seen_wherever_it_was_moved_to() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let root = base.join("root");
        for project in ["", "a/b"] {
            fs::create_dir_all(root.join(project).join(".dork")).unwrap();
            fs::write(root.join(project).join(MANIFEST), "{").unwrap();
        }
        let identity = stat::directory(&root).unwrap().identity;
        let held = Held::open(&root, identity).unwrap().unwrap();
        fs::rename(&root, base.join("away")).unwrap();
        fs::create_dir(&root).unwrap();
        assert!(Held::open(&root, identity).unwrap().is_none(), "another directory is there by now");
        for project in [root.clone(), root.join("a/b")] {
            assert!(matches!(probe(&project, None).probe, Probe::Absent(_)));
            assert!(matches!(held.probe(&project, None).probe, Probe::Unreadable(_)), "{}", project.display());
        }
        assert!(matches!(held.probe(&root.join("a/c"), None).probe, Probe::Absent(ProjectDir::Gone)));
    }
}
