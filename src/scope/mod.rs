//! How much of the world one pass looks at, and how two scopes merge.

pub mod inbox;
mod place;
pub mod settle;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use place::Place;

/// How much of the world one pass looks at. Events, the sweep, the API and the command line all end in one of these.
///
/// The three sizes of a scope are one project ([`Scope::project`]), one directory with all that is below it, mostly a
/// scan root ([`Scope::below`]), and everything. Merging only ever widens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    everything: bool,
    below: BTreeSet<PathBuf>,
    projects: BTreeSet<PathBuf>,
}

/// Above this many separate places a scope is widened to everything: a list that grows with a storm of
/// events would be unbounded memory, and one look at everything is cheaper by then.
pub const MAX_PROJECTS: usize = 16_384;

impl Scope {
    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Every configured scan root and every record.
    #[must_use]
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// The manifest of one project.
    #[must_use]
    pub fn project(project: impl Into<PathBuf>) -> Self {
        Self { projects: BTreeSet::from([project.into()]), ..Self::default() }
    }

    /// One directory and all that is below it.
    #[must_use]
    pub fn below(directory: impl Into<PathBuf>) -> Self {
        Self { below: BTreeSet::from([directory.into()]), ..Self::default() }
    }

    /// Widens this scope by another.
    pub fn merge(&mut self, other: Scope) {
        self.everything |= other.everything;
        if self.everything {
            self.below.clear();
            self.projects.clear();
            return;
        }
        self.below.extend(other.below);
        self.projects.extend(other.projects);
        if self.projects.len().saturating_add(self.below.len()) > MAX_PROJECTS {
            *self = Self::everything();
        }
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.below.is_empty() && self.projects.is_empty()
    }

    /// Whether everything is to be looked at.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// The directories that are to be looked at with all that is below them.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.below.iter().map(PathBuf::as_path)
    }

    /// The single projects that are to be looked at.
    pub fn projects(&self) -> impl Iterator<Item = &Path> {
        self.projects.iter().map(PathBuf::as_path)
    }

    /// Whether a look at this scope looks at `path`.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.everything || self.projects.contains(path) || path.ancestors().any(|above| self.below.contains(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_only_ever_widens() {
        let mut scope = Scope::project("/r/a");
        scope.merge(Scope::below("/r/b"));
        assert!(scope.covers(Path::new("/r/a")) && scope.covers(Path::new("/r/b/c/d")));
        assert!(!scope.covers(Path::new("/r/a/b")));
        scope.merge(Scope::everything());
        scope.merge(Scope::project("/r/a"));
        assert_eq!(scope, Scope::everything());
    }

    #[test]
    fn a_storm_of_projects_becomes_a_look_at_everything() {
        let mut scope = Scope::nothing();
        for number in 0..=MAX_PROJECTS {
            scope.merge(Scope::project(format!("/r/{number}")));
        }
        assert_eq!(scope, Scope::everything());
    }
}
