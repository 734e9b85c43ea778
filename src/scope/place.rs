//! One place to look at: what is left of a notification once its kind is dropped.

use std::path::PathBuf;

use super::Scope;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// At one project's manifest.
    Project(PathBuf),
    /// At a directory and all that is below it.
    Below(PathBuf),
}

impl From<Place> for Scope {
    fn from(place: Place) -> Self {
        match place {
            Place::Project(project) => Scope::project(project),
            Place::Below(directory) => Scope::below(directory),
        }
    }
}
