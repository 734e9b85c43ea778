//! Directories that look like agent projects and have no manifest.
//!
//! They are looked for where a scan would find their manifests, by the same rule, and by what agent tools leave in a
//! project. What is suggested for one is a guess for a person to look over.

mod description;
mod marker;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, OFlags};
use rustix::io::Errno;

use super::kept::is_of_a_tool;
use super::listing::{Dork, list_noting};
use super::open::open;
use super::parallel::in_parallel;
use super::{Kept, MANIFEST, stat};
use crate::agent::Runtime;
use crate::agent::shown::acts;
use marker::{MARKERS, Marker};

/// A directory that looks like an agent project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The directory.
    pub path: PathBuf,
    /// A name that its manifest may have: the directory's.
    pub name: String,
    /// What the first of its markers belongs to.
    pub runtime: Runtime,
    /// The first paragraph that says what it is: one line of at most 300 characters.
    pub description: Option<String>,
    /// What was found in it, the first one first.
    pub markers: Vec<&'static str>,
}

/// Where a project says what it is, the best first.
const DESCRIBING: [&str; 2] = ["CLAUDE.md", "AGENTS.md"];

/// How much of such a file is read: its first paragraph stands at its beginning.
const MAX_READ_BYTES: u64 = 64 * 1024;

/// Directories that are looked at between two words of progress: some hundredths of a second.
const AT_ONCE: usize = 1024;

/// The candidates at and below `roots`, in the order of their paths. Those that `except` names are none; what is below
/// them is asked for by itself. `progress` hears now and then how many directories were looked at.
///
/// What cannot be looked at has no candidates.
pub fn candidates(
    roots: &[Arc<Path>],
    kept: &Kept,
    except: impl Fn(&Path) -> bool,
    progress: &mut dyn FnMut(usize),
) -> Vec<Candidate> {
    let roots: BTreeSet<&Path> = roots.iter().map(AsRef::as_ref).collect();
    let mut found: Vec<(PathBuf, Vec<&Marker>)> = Vec::new();
    let mut level: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    let (mut looked, mut depth) = (0_usize, 0_usize);
    while !level.is_empty() {
        let mut next = Vec::new();
        depth = depth.saturating_add(1);
        for paths in level.chunks(AT_ONCE) {
            let looks = in_parallel(paths, |path| look(path, kept));
            for (path, look) in paths.iter().zip(looks) {
                let Ok(Look { children, markers }) = look else { continue };
                let root = path.ancestors().find(|above| roots.contains(above));
                if root.is_some_and(|root| kept.keeps_depth(root, depth)) {
                    // Another root has a depth of its own.
                    let below = children.into_iter().filter(|child| !roots.contains(child.as_path()));
                    next.extend(below);
                }
                if !markers.is_empty() && !except(path) {
                    found.push((path.clone(), markers));
                }
            }
            looked = looked.saturating_add(paths.len());
            progress(looked);
        }
        level = next;
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    in_parallel(&found, |(path, markers)| candidate(path, markers)).into_iter().flatten().collect()
}

/// What one look at one directory found.
struct Look {
    /// The directories in it that belong to a scan.
    children: Vec<PathBuf>,
    /// What makes it a candidate, in the order of [`MARKERS`]; nothing if it is none.
    markers: Vec<&'static Marker>,
}

fn look(path: &Path, kept: &Kept) -> Result<Look, Errno> {
    let mut seen = [None; MARKERS.len()];
    let listing = list_noting(path, kept, |name, kind| {
        let place = MARKERS.iter().position(|marker| name == marker.entry());
        if let Some(seen) = place.and_then(|place| seen.get_mut(place)) {
            *seen = Some(kind);
        }
    })?;
    let is_candidate = !path.file_name().is_some_and(is_of_a_tool) && !has_manifest(path, listing.dork);
    let seen = MARKERS.iter().zip(seen).filter(|_| is_candidate);
    Ok(Look {
        markers: seen.filter_map(|(marker, kind)| marker.is_in(path, kind?).then_some(marker)).collect(),
        children: listing.children.iter().map(|name| path.join(name)).collect(),
    })
}

/// Whether there is a manifest, or something in its place, or that cannot be told.
fn has_manifest(project: &Path, dork: Dork) -> bool {
    match dork {
        Dork::No => false,
        Dork::Directory(_) => !matches!(stat::file(CWD, project.join(MANIFEST)), Err(Errno::NOENT)),
        Dork::Other => true,
    }
}

fn candidate(path: &Path, markers: &[&Marker]) -> Option<Candidate> {
    Some(Candidate {
        name: name(path),
        runtime: markers.first()?.runtime,
        description: DESCRIBING.iter().find_map(|file| description::first_paragraph(&beginning(&path.join(file))?)),
        markers: markers.iter().map(|marker| marker.path).collect(),
        path: path.to_owned(),
    })
}

/// The directory's name, as a manifest may have it.
fn name(path: &Path) -> String {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let valid: String =
        name.chars().map(|c| if acts(c) || c == char::REPLACEMENT_CHARACTER { '-' } else { c }).collect();
    if valid.trim().is_empty() { "project".to_owned() } else { valid.trim().to_owned() }
}

/// The beginning of the regular file at `path`; none if it is anything else, or cannot be read.
fn beginning(path: &Path) -> Option<String> {
    let is_regular = |look: Result<(FileType, _), Errno>| look.is_ok_and(|(kind, _)| kind == FileType::RegularFile);
    // Looked at before it is opened: opening a device may do something, and a FIFO would wait.
    if !is_regular(stat::file(CWD, path)) {
        return None;
    }
    let file = open(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok()?;
    if !is_regular(stat::open_file(&file)) {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_READ_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::marker::Kind;
    use super::*;

    /// Directories with these files (and those that end with a slash) in them.
    struct World(TempDir);

    impl World {
        fn of(paths: &[&str]) -> Self {
            let world = Self(tempfile::tempdir().unwrap());
            for path in paths {
                let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
                fs::create_dir_all(world.root().join(directory)).unwrap();
                if !file.is_empty() {
                    fs::write(world.root().join(path), "# Title\n\nWhat it is.\n").unwrap();
                }
            }
            world
        }

        fn root(&self) -> PathBuf {
            self.0.path().canonicalize().unwrap()
        }

        fn candidates(&self) -> Vec<Candidate> {
            candidates(&[Arc::from(self.root())], &Kept::default(), |_| false, &mut |_| {})
        }

        /// The paths of the candidates below the root.
        fn paths(&self) -> Vec<String> {
            let root = self.root();
            let below = |found: Candidate| found.path.strip_prefix(&root).unwrap().display().to_string();
            self.candidates().into_iter().map(below).collect()
        }
    }

    #[test]
    fn every_marker_makes_a_candidate_of_its_runtime() {
        for marker in &MARKERS {
            let path = format!("p/{}{}", marker.path, if marker.kind == Kind::Directory { "/" } else { "" });
            let found = World::of(&[&path]).candidates();
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!((found[0].runtime, &found[0].markers[..]), (marker.runtime, &[marker.path][..]));
        }
        assert_eq!(World::of(&["p/.clinerules/x"]).paths(), ["p"], "a directory as well");
    }

    #[test]
    fn what_is_no_marker_makes_none() {
        let nothing =
            ["a/CLAUDE.md/", "b/.cursor", "c/.github/", "d/opencode.json/", "e/claude.md", "f/.git/", "g/.claude/"];
        assert!(World::of(&nothing).paths().is_empty());
    }

    #[test]
    fn the_first_marker_decides_and_the_directory_gives_the_name() {
        let world = World::of(&["My App/AGENTS.md", "My App/.trae/", "My App/.cursor/"]);
        let found = world.candidates();
        let expected = Candidate {
            path: world.root().join("My App"),
            name: "My App".to_owned(),
            runtime: Runtime::Codex,
            description: Some("What it is.".to_owned()),
            markers: vec!["AGENTS.md", ".cursor", ".trae"],
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_name_is_made_valid() {
        for (bytes, valid) in [(&b"a\x1b[2Jb"[..], "a-[2Jb"), (b"\xff\xfe", "--"), (b" x ", "x"), (b" ", "project")] {
            assert_eq!(name(&Path::new("/r").join(OsStr::from_bytes(bytes))), valid);
        }
        assert_eq!(name(Path::new("/")), "project");
    }

    #[test]
    fn a_project_with_anything_in_the_place_of_a_manifest_is_none() {
        let world = World::of(&[
            "registered/CLAUDE.md",
            "registered/.dork/agent.json",
            "odd/CLAUDE.md",
            "odd/.dork/agent.json/",
            "file/CLAUDE.md",
            "file/.dork",
            "dangling/CLAUDE.md",
            "dangling/.dork/",
            "linked/CLAUDE.md",
            "empty/CLAUDE.md",
            "empty/.dork/",
        ]);
        symlink("nowhere", world.root().join("dangling/.dork/agent.json")).unwrap();
        symlink(world.root().join("empty"), world.root().join("linked/.dork")).unwrap();
        assert_eq!(world.paths(), ["empty"]);
    }

    #[test]
    fn they_are_looked_for_where_a_scan_looks() {
        let world = World::of(&[
            "1/2/3/4/5/CLAUDE.md",
            "1/2/3/4/5/6/CLAUDE.md",
            "node_modules/a/CLAUDE.md",
            ".git/CLAUDE.md",
            "x/.dork/CLAUDE.md",
            "x/.claude/CLAUDE.md",
            "x/.claude/worktrees/y/CLAUDE.md",
            "x/.cursor/AGENTS.md",
        ]);
        symlink(world.root().join("1"), world.root().join("link")).unwrap();
        assert_eq!(world.paths(), ["1/2/3/4/5", "x", "x/.claude/worktrees/y"]);
    }

    #[test]
    fn a_root_in_a_root_is_looked_at_once_and_to_its_own_depth() {
        let world = World::of(&["a/b/1/2/3/4/5/CLAUDE.md", "a/b/CLAUDE.md"]);
        let roots = [world.root(), world.root().join("a/b"), world.root()].map(Arc::from);
        let mut looked = 0;
        let found = candidates(&roots, &Kept::default(), |_| false, &mut |count| looked = count);
        assert_eq!((found.len(), looked), (2, 8));
    }

    #[test]
    fn an_exception_is_none_and_what_is_below_it_may_be() {
        let world = World::of(&["home/CLAUDE.md", "home/p/CLAUDE.md"]);
        let home = world.root().join("home");
        let roots = [Arc::from(world.root())];
        let found = candidates(&roots, &Kept::default(), |path| path == home, &mut |_| {});
        assert_eq!(found.iter().map(|found| &found.path).collect::<Vec<_>>(), [&home.join("p")]);
        assert!(
            candidates(&[Arc::from(world.root().join("none"))], &Kept::default(), |_| false, &mut |_| {}).is_empty()
        );
    }

    #[test]
    fn a_description_is_read_from_a_regular_file_only() {
        let world = World::of(&["a/.cursor/", "a/secret", "b/AGENTS.md", "c/AGENTS.md"]);
        symlink("../a/secret", world.root().join("a/CLAUDE.md")).unwrap();
        symlink("AGENTS.md", world.root().join("b/CLAUDE.md")).unwrap();
        let fifo = world.root().join("c/CLAUDE.md");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, 0o644.into(), 0).unwrap();
        let described: Vec<Option<String>> = world.candidates().into_iter().map(|found| found.description).collect();
        assert_eq!(described, [None, Some("What it is.".to_owned()), Some("What it is.".to_owned())]);
    }
}
