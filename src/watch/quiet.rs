//! File systems that announce nothing of what others do to them, or nothing at all: those of a network and of FUSE. Their
//! directories are watched for what this machine does to them, and polled for the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::mounts::{Mount, mounts};

/// Which directories are on such a file system.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Where something is mounted, and whether it is quiet: the longest path first, and of equal ones the last mount.
    /// Empty if none is.
    mounts: Vec<(PathBuf, bool)>,
}

impl Quiet {
    /// As it is below some roots now.
    #[must_use]
    pub fn read(roots: &[Arc<Path>]) -> Self {
        Self::of(mounts(), roots)
    }

    fn of(mounts: Vec<Mount>, roots: &[Arc<Path>]) -> Self {
        let concerned = |mount: &Mount| roots.iter().any(|root| mount.concerns(root));
        let mut mounts: Vec<(PathBuf, bool)> =
            mounts.into_iter().rev().filter(concerned).map(|mount| (mount.point.clone(), mount.is_quiet())).collect();
        mounts.sort_by_key(|(point, _)| std::cmp::Reverse(point.components().count()));
        if !mounts.iter().any(|(_, is_quiet)| *is_quiet) {
            mounts.clear();
        }
        Self { mounts }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Whether a directory is on such a file system.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.mounts.iter().find(|(point, _)| path.starts_with(point)).is_some_and(|(_, is_quiet)| *is_quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, file_system: &str) -> Mount {
        Mount { id: 0, point: point.into(), file_system: file_system.into(), source: String::new() }
    }

    #[test]
    fn what_is_mounted_last_and_deepest_says_whether_a_directory_is_quiet() {
        let roots = [Arc::from(Path::new("/home/ann"))];
        let table = [
            ("/", "ext4"),
            ("/home", "nfs4"),
            ("/home/ann/local", "ext4"),
            ("/home/ann/both", "fuse.sshfs"),
            ("/home/ann/both", "ext4"),
        ];
        let quiet = Quiet::of(table.map(|(point, kind)| mount(point, kind)).to_vec(), &roots);
        for (path, expected) in [("/home/ann", true), ("/home/ann/local/x", false), ("/home/ann/both", false)] {
            assert_eq!(quiet.has(Path::new(path)), expected, "{path}");
        }
        assert!(Quiet::of(vec![mount("/", "ext4"), mount("/srv", "nfs4")], &roots).is_empty());
    }
}
