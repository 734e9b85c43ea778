//! The directories below one scan root, as they were last seen.
//!
//! A refresh costs one `statx` a known directory, and a listing only where its times moved. A directory that is new is
//! watched first and listed then: what is made in it after the watch is announced, what was there before is listed.

mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::listing::{Dork, Listing, list};
use super::parallel::in_parallel;
use super::stat::{self, DirStat};
use super::watches::{Target, Watches};
use super::{DORK, Kept, PathMap};
use crate::agent::DirIdentity;
use crate::clock;
use crate::decide::{Doubt, Unlisted};

pub use round::{AsRecorded, Cursor, Round};

/// What a refresh needs besides the tree.
pub struct Walk<'a> {
    /// Which directories belong to the scan.
    pub kept: &'a Kept,
    /// All configured roots: what lies below a deeper one belongs to that one.
    pub roots: &'a [Arc<Path>],
    /// Who watches new directories.
    pub watches: &'a mut dyn Watches,
}

/// Whether a directory that looks the same is taken to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is: its identity and times say so.
    Times,
    /// Something was announced about the directory itself: it is watched anew and listed.
    Nothing,
}

/// The directories below one scan root.
#[derive(Debug)]
pub struct Tree {
    root: Arc<Path>,
    dirs: PathMap<Dir>,
    unlisted: BTreeMap<PathBuf, Errno>,
    /// Directories that are known no more, and that the watcher was not told of yet.
    gone: Vec<PathBuf>,
}

/// A directory, as it was last listed.
#[derive(Debug)]
struct Dir {
    stat: DirStat,
    listed_ns: i64,
    dork: Dork,
}

impl Dir {
    /// Whether what was listed is certainly what is there, going by how the directory looks now.
    fn is_settled(&self, now: &DirStat) -> bool {
        let last_ns = now.modified_ns.max(now.changed_ns);
        *now == self.stat && last_ns < self.listed_ns.saturating_sub(RACY_NS)
    }
}

/// A directory that changed so shortly before it was listed may have changed again within the same tick of its file
/// system's clock; 2 s is the coarsest in use.
const RACY_NS: i64 = 2_000_000_000;

impl Tree {
    /// An empty tree: the first refresh fills it.
    #[must_use]
    pub fn new(root: Arc<Path>) -> Self {
        Self { root, dirs: PathMap::default(), unlisted: BTreeMap::new(), gone: Vec::new() }
    }

    /// The projects at or below a directory, as the last refresh saw them.
    pub fn projects(&self, below: &Path) -> impl Iterator<Item = &Path> {
        self.dirs.below(below).filter(|(_, dir)| dir.dork != Dork::No).map(|(path, _)| path)
    }

    /// Which directory a known project is, if what holds its manifest is a directory and no link.
    #[must_use]
    pub fn project_identity(&self, project: &Path) -> Option<DirIdentity> {
        let dir = self.dirs.get(project)?;
        matches!(dir.dork, Dork::Directory(_)).then_some(dir.stat.identity)
    }

    /// How many directories are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dirs.len()
    }

    /// Whether no directory is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Whether a directory is known.
    #[must_use]
    pub fn knows(&self, directory: &Path) -> bool {
        self.dirs.contains(directory)
    }

    /// The directories that could not be listed.
    #[must_use]
    pub fn unlisted(&self) -> Vec<Unlisted> {
        let describe = |(directory, errno): (&PathBuf, &Errno)| Unlisted {
            directory: directory.clone(),
            why: std::io::Error::from(*errno).to_string(),
            doubt: if matches!(*errno, Errno::ACCESS | Errno::PERM) { Doubt::Below } else { Doubt::Root },
        };
        self.unlisted.iter().map(describe).collect()
    }

    /// Forgets everything: the root is not there.
    pub fn clear(&mut self) {
        let root = self.root.clone();
        self.drop_below(&root);
    }

    /// The directories that are known no more, since this was last asked. A directory that another one took the place of
    /// is known again, and watched.
    pub fn take_gone(&mut self) -> Vec<PathBuf> {
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().filter(|path| !self.has_watched(path)).collect()
    }

    fn has_watched(&self, path: &Path) -> bool {
        if path.file_name().is_some_and(|name| name == DORK) {
            let project = path.parent().and_then(|project| self.dirs.get(project));
            return project.is_some_and(|dir| dir.dork != Dork::No);
        }
        self.dirs.contains(path)
    }

    /// Looks again at a directory and all that is known below it.
    pub fn refresh(&mut self, below: &Path, trust: Trust, walk: &mut Walk) {
        if !walk.kept.reaches(&self.root, below) {
            return;
        }
        let (mut again, mut fresh) = self.verify(below);
        if trust == Trust::Nothing && self.dirs.contains(below) {
            // All that is known below, too: notify drops those watches when it hears that a directory above was moved
            // or deleted, even if it is back by then.
            // And what holds manifests: a watch follows its directory, and if that was met at another path for a moment, what
            // is heard of it is still told under that one.
            let dork = |path: &Path, dir: &Dir| (dir.dork != Dork::No).then(|| Target::Dork(path.join(DORK)));
            let known = self.dirs.below(below);
            let known =
                known.flat_map(|(path, dir)| [Some(Target::Directory(path.to_path_buf())), dork(path, dir)]).flatten();
            walk.watches.watch(&known.collect::<Vec<_>>());
            again.extend(self.dirs.below(below).map(|(path, _)| path.to_path_buf()));
        }
        if !self.dirs.contains(below) && stat::directory(below).is_ok() {
            fresh.insert(below.to_owned());
        }
        fresh.extend(self.unlisted.keys().filter(|path| path.starts_with(below)).cloned());
        let again: Vec<PathBuf> = again.into_iter().collect();
        let mut fresh: Vec<PathBuf> = fresh.into_iter().collect();
        fresh.extend(self.list_all(&again, walk));
        while !fresh.is_empty() {
            fresh = self.enter(&fresh, walk);
        }
    }

    /// Forgets what lies at or below a directory: nothing there is as it was.
    pub fn forget_below(&mut self, directory: &Path) {
        self.drop_below(directory);
        // It is found again from above, where no time moved.
        if let Some(above) = directory.parent().and_then(|parent| self.dirs.get_mut(parent)) {
            above.listed_ns = 0;
        }
    }

    /// Goes by this rule from now on: what it does not keep is forgotten, and every directory is listed once more for what
    /// the rule before did not keep.
    pub fn keep(&mut self, kept: &Kept) {
        let root = self.root.clone();
        let known: Vec<PathBuf> = self.dirs.below(&root).map(|(path, _)| path.to_path_buf()).collect();
        for path in known {
            if !kept.reaches(&root, &path) {
                self.drop_below(&path);
            } else if let Some(dir) = self.dirs.get_mut(&path) {
                dir.listed_ns = 0;
            }
        }
        self.unlisted.retain(|path, _| kept.reaches(&root, path));
    }

    /// Looks whether one project is one, and has the directory that holds its manifest watched.
    pub fn refresh_project(&mut self, project: &Path, walk: &mut Walk) {
        let Some(dir) = self.dirs.get_mut(project) else { return };
        let dork = match stat::directory(&project.join(DORK)) {
            Ok(stat) => Dork::Directory(stat.identity),
            Err(Errno::NOENT) => Dork::No,
            Err(_) => Dork::Other,
        };
        if dork != dir.dork {
            dir.dork = dork;
            if dork == Dork::No {
                self.gone.push(project.join(DORK));
            } else {
                walk.watches.watch(&[Target::Dork(project.join(DORK))]);
            }
        }
    }

    /// One `statx` a known directory. Returns those to list again, and those that are others than before.
    fn verify(&mut self, below: &Path) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let known: Vec<(&Path, &Dir)> = self.dirs.below(below).collect();
        let moved = in_parallel(&known, |(path, dir)| {
            let now = stat::directory(path);
            (!now.as_ref().is_ok_and(|now| dir.is_settled(now)))
                .then(|| (path.to_path_buf(), now.map(|now| now.identity == dir.stat.identity)))
        });
        let (mut again, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (path, outcome) in moved.into_iter().flatten() {
            match outcome {
                Ok(true) => {
                    again.insert(path);
                }
                Ok(false) => {
                    self.drop_below(&path);
                    others.insert(path);
                }
                Err(Errno::NOENT | Errno::NOTDIR) => self.drop_below(&path),
                Err(errno) => {
                    self.unlisted.insert(path, errno);
                }
            }
        }
        // What lay below a directory that is another one now, or a link, was dropped with it: it is found again from
        // there, or not at all.
        again.retain(|path| self.dirs.contains(path));
        others.retain(|path| *path == *self.root || path.parent().is_some_and(|parent| self.dirs.contains(parent)));
        (again, others)
    }

    /// Watches new directories, then lists them. Returns the directories in them that are new.
    fn enter(&mut self, fresh: &[PathBuf], walk: &mut Walk) -> Vec<PathBuf> {
        let targets: Vec<Target> = fresh.iter().cloned().map(Target::Directory).collect();
        walk.watches.watch(&targets);
        self.list_all(fresh, walk)
    }

    fn list_all(&mut self, paths: &[PathBuf], walk: &mut Walk) -> Vec<PathBuf> {
        let listed_ns = clock::wall_ns();
        let kept = walk.kept;
        let listings = in_parallel(paths, |path| list(path, kept));
        let (mut fresh, mut dorks) = (Vec::new(), Vec::new());
        for (path, listing) in paths.iter().zip(listings) {
            match listing {
                Ok(listing) => {
                    self.unlisted.remove(path);
                    let before = self.dirs.get(path).map(|dir| dir.dork);
                    if listing.dork != Dork::No && before != Some(listing.dork) {
                        dorks.push(Target::Dork(path.join(DORK)));
                    }
                    self.collect_fresh(path, &listing, walk, &mut fresh);
                    self.dirs.insert(path.clone(), Dir { stat: listing.stat, listed_ns, dork: listing.dork });
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.drop_below(path),
                Err(errno) => {
                    self.unlisted.insert(path.clone(), errno);
                }
            }
        }
        walk.watches.watch(&dorks);
        fresh
    }

    fn collect_fresh(&self, path: &Path, listing: &Listing, walk: &Walk, fresh: &mut Vec<PathBuf>) {
        let depth = path.strip_prefix(&self.root).map_or(0, |below| below.components().count());
        if !walk.kept.keeps_depth(&self.root, depth.saturating_add(1)) {
            return;
        }
        for name in &listing.children {
            let child = path.join(name);
            // By its bytes: component by component takes as long as looking at the directory.
            let is_root = walk.roots.iter().any(|root| root.as_os_str() == child.as_os_str());
            if !is_root && !self.dirs.contains(&child) {
                fresh.push(child);
            }
        }
    }

    fn drop_below(&mut self, path: &Path) {
        let gone: Vec<PathBuf> = self.dirs.below(path).map(|(path, _)| path.to_path_buf()).collect();
        for path in gone {
            if self.dirs.remove(&path).is_some_and(|dir| dir.dork != Dork::No) {
                self.gone.push(path.join(DORK));
            }
            self.gone.push(path);
        }
        self.unlisted.retain(|unlisted, _| !unlisted.starts_with(path));
    }
}
