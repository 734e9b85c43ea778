//! What a tree needs of whoever watches directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whoever watches directories. What cannot be watched is *cold*: the watcher knows it and has it polled.
pub trait Watches: Send {
    /// Begins to watch directories, or renews the watches of those that are watched already: what is at such a path may
    /// be another directory by now.
    fn watch(&mut self, targets: &[Target]);
    /// Takes note that directories are gone. Their watches may be taken off later, see [`tidy`](Self::tidy).
    fn forget(&mut self, directories: Vec<PathBuf>);
    /// Takes off some watches of directories that are gone: no more at once than takes a few milliseconds.
    fn tidy(&mut self) -> Tidied;
    /// Says which roots there are, so that the appearance of a root itself is noticed.
    fn set_roots(&mut self, roots: &[Arc<Path>]);
    /// Uses so many watches at most from now on, or a share of what there is. What the system refused is asked for again.
    fn set_budget(&mut self, most: Option<u64>);
    /// Puts watches where they matter most, as far as there are any, and watches anew what may have gone deaf. Returns
    /// the directories that are watched only from now on: what happened there before was announced by nothing.
    fn plan(&mut self) -> Vec<PathBuf>;
    /// The directories whose changes nothing announces: they have to be looked at from time to time.
    fn unheard(&self) -> Vec<PathBuf>;
    /// How many directories below each of some roots are watched, and how many are unheard.
    fn count(&self, roots: &[Arc<Path>]) -> Vec<Heard>;
}

/// Whether watches of directories that are gone are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tidied {
    /// None is.
    All,
    /// Some are.
    Some,
}

/// A directory to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A directory of the scan.
    Directory(PathBuf),
    /// The directory that holds a project's manifest.
    Dork(PathBuf),
}

/// What is heard of a root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Directories that are watched.
    pub watches: u64,
    /// Directories that are cold.
    pub cold: u64,
    /// Directories that are on a file system that announces nothing.
    pub quiet: u64,
}

/// Nobody watches: for `--no-watch`, and for a command that makes one pass.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watches for Unwatched {
    fn watch(&mut self, _targets: &[Target]) {}

    fn forget(&mut self, _directories: Vec<PathBuf>) {}

    fn tidy(&mut self) -> Tidied {
        Tidied::All
    }

    fn set_roots(&mut self, _roots: &[Arc<Path>]) {}

    fn set_budget(&mut self, _most: Option<u64>) {}

    fn plan(&mut self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn unheard(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn count(&self, roots: &[Arc<Path>]) -> Vec<Heard> {
        vec![Heard::default(); roots.len()]
    }
}
