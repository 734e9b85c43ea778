//! The least that a walk and a sweep have to do.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Statx, StatxFlags, open, statx};
use rustix::io::Errno;

use super::rows::Rows;

/// Whether a directory is not entered, as far as the trees of the benches have such.
pub fn is_pruned(name: &OsStr) -> bool {
    name == "node_modules" || name == ".git"
}

/// A tree as one walk finds it.
#[derive(Default)]
pub struct Walked {
    /// The directories, each `.dork` among them.
    pub directories: Vec<PathBuf>,
    /// Where the manifests are.
    pub manifests: Vec<PathBuf>,
}

impl Walked {
    /// Walks some trees with one thread; `enter` is called before a directory is listed. What goes away meanwhile is left
    /// out.
    pub fn walk(tops: &[PathBuf], mut enter: impl FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (mut walked, mut queue) = (Self::default(), tops.to_vec());
        while let Some(directory) = queue.pop() {
            enter(&directory)?;
            if directory.ends_with(".dork") {
                walked.manifests.push(directory.join("agent.json"));
                walked.directories.push(directory);
                continue;
            }
            let listed = match open(&directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(listed) => listed,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in Dir::read_from(&listed)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                let is_below = entry.file_type() == FileType::Directory && name != "." && name != "..";
                if is_below && !is_pruned(name) {
                    queue.push(directory.join(name));
                }
            }
            walked.directories.push(directory);
        }
        Ok(walked)
    }

    /// Where the first walk began.
    pub fn top(&self) -> Option<&Path> {
        self.directories.first().map(PathBuf::as_path)
    }

    /// The idle sweep's floor: `statx` of every directory and every manifest. Returns how many are there.
    pub fn look(&self) -> usize {
        self.directories.iter().chain(&self.manifests).filter(|path| times(path).is_some()).count()
    }
}

/// What a sweep asks of a path.
fn times(path: &Path) -> Option<Statx> {
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS | StatxFlags::BTIME).ok()
}

/// The floor of a sweep that finds changes: what each manifest's times were when it was read.
#[derive(Default)]
pub struct Changed(HashMap<PathBuf, (u64, i64, u32)>);

impl Changed {
    /// Looks at everything, reads the manifests whose times moved, and commits their rows at once; returns how many.
    pub fn sweep(&mut self, walked: &Walked, rows: &Rows) -> anyhow::Result<usize> {
        let mut read = 0;
        for directory in &walked.directories {
            times(directory);
        }
        for manifest in &walked.manifests {
            let Some(now) = times(manifest) else { continue };
            let now = (now.stx_ino, now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec);
            if self.0.get(manifest) != Some(&now) {
                let project = manifest.ancestors().nth(2).context("a manifest without a project")?;
                rows.put(project, &fs::read(manifest)?)?;
                self.0.insert(manifest.clone(), now);
                read += 1;
            }
        }
        rows.commit()?;
        Ok(read)
    }
}
