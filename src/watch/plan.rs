//! The plan of watches: which directories are watched where there are not enough watches for all.
//!
//! First what tells of the roots, then the manifests of known agents, the directories above those, their projects, and
//! then whatever is nearest to a root. Pure.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::disk::DORK;

/// How much a watch matters; less is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A root: without it nothing new is heard of.
    Root,
    /// What holds an agent's manifest.
    Dork,
    /// A directory above a project: it tells that the project was moved or deleted.
    AboveProject,
    /// A project: it tells that its `.dork` was.
    Project,
    /// Any other directory: it tells of projects that are new.
    Other,
}

/// The `most` directories of those that are wanted, which matter most.
#[must_use]
pub fn choose<'a>(wanted: &[&'a Path], roots: &[Arc<Path>], most: usize) -> HashSet<&'a Path> {
    if wanted.len() <= most {
        return wanted.iter().copied().collect();
    }
    let roots: HashSet<&Path> = roots.iter().map(AsRef::as_ref).collect();
    let projects: HashSet<&Path> =
        wanted.iter().filter(|path| is_dork(path)).filter_map(|path| path.parent()).collect();
    let mut above = HashSet::new();
    for project in projects.iter().filter(|project| !roots.contains(*project)) {
        for directory in project.ancestors().skip(1) {
            if !above.insert(directory) || roots.contains(directory) {
                break;
            }
        }
    }
    let rank = |path: &Path| match path {
        path if roots.contains(path) => Rank::Root,
        path if is_dork(path) => Rank::Dork,
        path if above.contains(path) => Rank::AboveProject,
        path if projects.contains(path) => Rank::Project,
        _ => Rank::Other,
    };
    let mut ranked: Vec<(Rank, usize, &Path)> =
        wanted.iter().map(|path| (rank(path), path.components().count(), *path)).collect();
    if most > 0 {
        ranked.select_nth_unstable(most.saturating_sub(1));
    }
    ranked.truncate(most);
    ranked.into_iter().map(|(_, _, path)| path).collect()
}

/// Whether what is at this path holds a manifest.
#[must_use]
pub fn is_dork(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == DORK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_known_agents_come_first_and_then_what_is_shallow() {
        let order = [
            "/home",
            "/home/deep/er/agent/.dork",
            "/home/deep",
            "/home/deep/er",
            "/home/deep/er/agent",
            "/home/x",
            "/home/deep/plain",
            "/home/deep/er/agent/src",
        ];
        let mut wanted = order.map(Path::new);
        wanted.sort_unstable();
        for most in 0..=order.len() {
            let chosen = choose(&wanted, &[Arc::from(Path::new("/home"))], most);
            assert_eq!(chosen, order.iter().take(most).map(Path::new).collect(), "{most}");
        }
    }
}
