//! Where to look: what is left of a notification once its kind is dropped.

use std::path::Path;

use crate::disk::DORK;
use crate::disk::kept::keeps_name;
use crate::scope::Place;

/// Where to look after something about an entry of a directory of the scan was announced; nowhere if it cannot matter.
#[must_use]
pub fn in_directory(path: &Path, is_root: bool) -> Option<Place> {
    let name = path.file_name()?;
    if name == DORK {
        return path.parent().map(|project| Place::Project(project.to_owned()));
    }
    (is_root || keeps_name(name)).then(|| Place::Below(path.to_owned()))
}

/// Where to look after something about an entry of a `.dork`, or about that itself, was announced.
#[must_use]
pub fn in_dork(path: &Path) -> Option<Place> {
    let is_dork = |path: &Path| path.file_name().is_some_and(|name| name == DORK);
    let dork = match path.file_name()?.as_encoded_bytes() {
        b"agent.json" => path.parent().filter(|dork| is_dork(dork))?,
        _ if is_dork(path) => path,
        _ => return None,
    };
    dork.parent().map(|project| Place::Project(project.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_manifest_and_its_directory_matter_in_a_dork() {
        let project = || Some(Place::Project("/r/p".into()));
        assert_eq!(in_dork(Path::new("/r/p/.dork/agent.json")), project());
        assert_eq!(in_dork(Path::new("/r/p/.dork")), project());
        assert_eq!(in_dork(Path::new("/r/p/.dork/agent.json.tmp")), None);
    }

    #[test]
    fn what_the_walk_prunes_is_not_looked_at() {
        assert_eq!(in_directory(Path::new("/r/node_modules"), false), None);
        assert_eq!(in_directory(Path::new("/r/.git"), false), None);
        assert_eq!(in_directory(Path::new("/r/vendor"), true), Some(Place::Below("/r/vendor".into())));
        assert_eq!(in_directory(Path::new("/r/p/.dork"), false), Some(Place::Project("/r/p".into())));
    }
}
