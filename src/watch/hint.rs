//! Where to look: what is left of a notification once its kind is dropped.

use std::path::{Path, PathBuf};

use crate::disk::DORK;
use crate::disk::kept::keeps_name;
use crate::scope::Scope;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hint {
    /// At one project's manifest.
    Project(PathBuf),
    /// At a directory and all that is below it.
    Below(PathBuf),
    /// Nowhere in particular: wakes whoever is to hear that notifications were lost.
    Nowhere,
}

impl From<Hint> for Scope {
    fn from(hint: Hint) -> Self {
        match hint {
            Hint::Project(project) => Scope::project(project),
            Hint::Below(directory) => Scope::below(directory),
            Hint::Nowhere => Scope::nothing(),
        }
    }
}

/// Where to look after something about an entry of a directory of the scan was announced; nowhere if it cannot matter.
#[must_use]
pub fn in_directory(path: &Path, is_root: bool) -> Option<Hint> {
    let name = path.file_name()?;
    if name == DORK {
        return path.parent().map(|project| Hint::Project(project.to_owned()));
    }
    (is_root || keeps_name(name)).then(|| Hint::Below(path.to_owned()))
}

/// Where to look after something about an entry of a `.dork`, or about that itself, was announced.
#[must_use]
pub fn in_dork(path: &Path) -> Option<Hint> {
    let is_dork = |path: &Path| path.file_name().is_some_and(|name| name == DORK);
    let dork = match path.file_name()?.as_encoded_bytes() {
        b"agent.json" => path.parent().filter(|dork| is_dork(dork))?,
        _ if is_dork(path) => path,
        _ => return None,
    };
    dork.parent().map(|project| Hint::Project(project.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_manifest_and_its_directory_matter_in_a_dork() {
        let project = || Some(Hint::Project("/r/p".into()));
        assert_eq!(in_dork(Path::new("/r/p/.dork/agent.json")), project());
        assert_eq!(in_dork(Path::new("/r/p/.dork")), project());
        assert_eq!(in_dork(Path::new("/r/p/.dork/agent.json.tmp")), None);
    }

    #[test]
    fn what_the_walk_prunes_is_not_looked_at() {
        assert_eq!(in_directory(Path::new("/r/node_modules"), false), None);
        assert_eq!(in_directory(Path::new("/r/.git"), false), None);
        assert_eq!(in_directory(Path::new("/r/vendor"), true), Some(Hint::Below("/r/vendor".into())));
        assert_eq!(in_directory(Path::new("/r/p/.dork"), false), Some(Hint::Project("/r/p".into())));
    }
}
