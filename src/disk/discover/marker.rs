//! What agent tools leave in a project, by which it is told that it is one.

use std::path::Path;

use rustix::fs::{CWD, FileType};

use crate::agent::Runtime;
use crate::disk::stat;

/// What an agent tool leaves in a project.
#[derive(Debug, PartialEq, Eq)]
pub struct Marker {
    /// Where it lies, seen from the project.
    pub path: &'static str,
    /// What it has to be.
    pub kind: Kind,
    /// Whose it is.
    pub runtime: Runtime,
}

/// What a marker has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, or a link: one tool's file is often a link to another's.
    File,
    Directory,
    Either,
}

/// All markers. The first one that is there decides what a project runs on.
pub const MARKERS: [Marker; 19] = [
    Marker::new("CLAUDE.md", Kind::File, Runtime::ClaudeCode),
    Marker::new("AGENTS.md", Kind::File, Runtime::Codex),
    Marker::new(".cursor", Kind::Directory, Runtime::Cursor),
    Marker::new(".cursorrules", Kind::File, Runtime::Cursor),
    Marker::new(".codex", Kind::Directory, Runtime::Codex),
    Marker::new(".windsurf", Kind::Directory, Runtime::Windsurf),
    Marker::new(".windsurfrules", Kind::File, Runtime::Windsurf),
    Marker::new("GEMINI.md", Kind::File, Runtime::Gemini),
    Marker::new(".gemini", Kind::Directory, Runtime::Gemini),
    Marker::new(".clinerules", Kind::Either, Runtime::Cline),
    Marker::new(".roo", Kind::Directory, Runtime::RooCode),
    Marker::new(".roorules", Kind::File, Runtime::RooCode),
    Marker::new(".github/copilot-instructions.md", Kind::File, Runtime::Copilot),
    Marker::new(".amazonq", Kind::Directory, Runtime::AmazonQ),
    Marker::new(".continue", Kind::Directory, Runtime::Continue),
    Marker::new("opencode.json", Kind::File, Runtime::Opencode),
    Marker::new(".kilocode", Kind::Directory, Runtime::KiloCode),
    Marker::new(".trae", Kind::Directory, Runtime::Trae),
    Marker::new(".augment", Kind::Directory, Runtime::Augment),
];

impl Marker {
    const fn new(path: &'static str, kind: Kind, runtime: Runtime) -> Self {
        Self { path, kind, runtime }
    }

    /// What is seen of it in a listing of the project.
    pub fn entry(&self) -> &'static str {
        self.path.split_once('/').map_or(self.path, |(directory, _)| directory)
    }

    /// Whether it is in a project in which its entry is of this type.
    pub fn is_in(&self, project: &Path, entry: FileType) -> bool {
        let look = || stat::file(CWD, project.join(self.path)).map_or(FileType::Unknown, |(kind, _)| kind);
        let is_entry = self.entry() == self.path;
        let kind = if is_entry && entry != FileType::Unknown {
            entry
        } else if entry == FileType::Symlink {
            // What it would be looked for in lies elsewhere.
            FileType::Unknown
        } else {
            look()
        };
        let is_file = matches!(kind, FileType::RegularFile | FileType::Symlink);
        let is_directory = kind == FileType::Directory;
        match self.kind {
            Kind::File => is_file,
            Kind::Directory => is_directory,
            Kind::Either => is_file || is_directory,
        }
    }
}
