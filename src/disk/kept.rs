//! Which directories belong to a scan: the one rule that the walk, the watches and the scope of a record go by.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::GlobSet;

/// A project lies at most so many directories below its root.
pub const MAX_DEPTH: usize = 5;

/// What build tools, package managers and editors fill: up to 90 % of the directories of a home, and no projects.
const EXCLUDED: [&str; 10] =
    ["node_modules", "vendor", "Library", "AppData", "dist", "build", "target", "__pycache__", "venv", "extensions"];

/// The directories with a leading dot in which projects may lie: those of agent tools. `.dork` holds the manifest, and
/// nothing below it is ever a project.
const DOTTED: [&str; 14] = [
    ".claude",
    ".cursor",
    ".codex",
    ".windsurf",
    ".gemini",
    ".cline",
    ".clinerules",
    ".roo",
    ".amazonq",
    ".continue",
    ".augment",
    ".aiassistant",
    ".kilocode",
    ".trae",
];

/// A copy that a DorkOS update left behind has this in its name.
const BACKUP: &[u8] = b".dorkos-bak-";

/// The rule.
#[derive(Debug, Clone)]
pub struct Kept {
    max_depth: usize,
    excluded: GlobSet,
    alone: BTreeSet<PathBuf>,
}

impl Default for Kept {
    fn default() -> Self {
        Self::new(MAX_DEPTH, GlobSet::empty())
    }
}

impl Kept {
    /// The rule with a depth and with further excluded paths.
    #[must_use]
    pub fn new(max_depth: usize, excluded: GlobSet) -> Self {
        Self { max_depth, excluded, alone: BTreeSet::new() }
    }

    /// The same, to another depth.
    #[must_use]
    pub fn to_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    /// Says which roots are single projects: nothing below them belongs to a scan.
    pub fn set_alone(&mut self, roots: impl IntoIterator<Item = PathBuf>) {
        self.alone = roots.into_iter().collect();
    }

    /// The roots that are single projects.
    pub fn alone(&self) -> impl Iterator<Item = &Path> {
        self.alone.iter().map(PathBuf::as_path)
    }

    /// Whether directories may be looked for `depth` directories below a root.
    #[must_use]
    pub fn keeps_depth(&self, root: &Path, depth: usize) -> bool {
        depth == 0 || (depth <= self.max_depth && !self.alone.contains(root))
    }

    /// Whether the directory at `path` is entered, going by its own name and the excluded paths.
    #[must_use]
    pub fn keeps(&self, path: &Path) -> bool {
        let is_excluded = !self.excluded.is_empty() && self.excluded.is_match(path);
        !is_excluded && path.file_name().is_some_and(keeps_name)
    }

    /// Whether a walk of `root` comes to `path`. The root itself always is, whatever its name.
    #[must_use]
    pub fn reaches(&self, root: &Path, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(root) else { return false };
        let depth = below.components().count();
        self.keeps_depth(root, depth) && path.ancestors().take(depth).all(|directory| self.keeps(directory))
    }
}

/// Whether a directory of this name can belong to a scan.
#[must_use]
pub fn keeps_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let is = |list: &[&str]| list.iter().any(|other| other.as_bytes() == bytes);
    let dotted = bytes.first() == Some(&b'.');
    (if dotted { is(&DOTTED) } else { !is(&EXCLUDED) }) && !bytes.windows(BACKUP.len()).any(|part| part == BACKUP)
}

/// Whether a directory of this name belongs to an agent tool: what is in it may be a project, it itself is none.
#[must_use]
pub fn is_of_a_tool(name: &OsStr) -> bool {
    DOTTED.iter().any(|other| other.as_bytes() == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(path: &str) -> bool {
        Kept::default().reaches(Path::new("/r/node_modules"), Path::new(path))
    }

    #[test]
    fn a_root_is_kept_whatever_its_name_and_what_it_holds_by_name() {
        assert!(reaches("/r/node_modules"));
        assert!(reaches("/r/node_modules/a/.claude/b"));
        for pruned in ["a/node_modules/b", ".git", ".venv/x", "a.dorkos-bak-1", ".dork", "x/.dork", "target"] {
            assert!(!reaches(&format!("/r/node_modules/{pruned}")), "{pruned}");
        }
        assert!(!reaches("/r/other"));
    }

    #[test]
    fn a_project_lies_at_most_five_directories_below_its_root() {
        assert!(reaches("/r/node_modules/1/2/3/4/5"));
        assert!(!reaches("/r/node_modules/1/2/3/4/5/6"));
    }
}
