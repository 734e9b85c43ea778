//! What can go wrong when a manifest is written or deleted, sorted by what the caller can do about it.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::agent::{AgentId, Shown};

/// A manifest could not be written, deleted or put back. Unless it says otherwise, everything is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no such project, or no manifest to delete.
    #[error("there is nothing at {}", Shown::path(.0))]
    Missing(PathBuf),
    /// The project or its `.dork` is something else, or there is a symbolic link on the way to it.
    #[error("{} is not a directory, or there is a symbolic link on the way to it", Shown::path(.0))]
    NotADirectory(PathBuf),
    /// What is there is nothing that meshd may replace or delete, or what was to be written is no manifest.
    #[error("{}: {why}", Shown::path(.path))]
    NotAManifest {
        /// Which file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// There is a manifest, and none was expected.
    #[error("there is a manifest already: {}", Shown::path(.0))]
    Exists(PathBuf),
    /// The manifest is another one than was expected: somebody wrote it meanwhile.
    #[error("{} was changed meanwhile", Shown::path(.0))]
    Changed(PathBuf),
    /// The manifest that was to be deleted is another agent's.
    #[error("{} carries the id `{found}` by now", Shown::path(.path))]
    OtherId {
        /// Which file.
        path: PathBuf,
        /// The id that it carries.
        found: AgentId,
    },
    /// What was to be taken back was changed by somebody since: it is left as it is.
    #[error("{} was changed since it was written, and is left as it is", Shown::path(.0))]
    NotOurs(PathBuf),
    /// Another process is just writing this manifest: try again.
    #[error("another meshd is just writing {}", Shown::path(.0))]
    Busy(PathBuf),
    /// The file system failed or refused.
    #[error("cannot {what} {}: {why}", Shown::path(.path))]
    Io {
        /// What was tried: a verb.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It failed, and so did undoing what was done until then.
    #[error("{cause}; undoing it failed too: {undoing}; {left}")]
    Left {
        /// Why it failed.
        cause: Box<WriteError>,
        /// Why it could not be undone.
        undoing: Box<WriteError>,
        /// What is left, in words.
        left: String,
    },
}

impl WriteError {
    /// Whether there is something in the way that is no regular file.
    #[must_use]
    pub fn is_no_file(&self) -> bool {
        matches!(self, Self::NotAManifest { .. })
    }

    pub(super) fn io(what: &'static str, path: &Path, why: impl Into<std::io::Error>) -> Self {
        Self::Io { what, path: path.to_owned(), why: why.into() }
    }

    /// Why a directory on the way could not be opened.
    pub(super) fn on_the_way(directory: &Path, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing(directory.to_owned()),
            Errno::NOTDIR | Errno::LOOP => Self::NotADirectory(directory.to_owned()),
            _ => Self::io("open", directory, errno),
        }
    }

    /// This error, after an attempt to undo what was done before it.
    pub(super) fn after(self, undo: Result<(), Self>, left: impl FnOnce() -> String) -> Self {
        match undo {
            Ok(()) => self,
            Err(undoing) => Self::Left { cause: Box::new(self), undoing: Box::new(undoing), left: left() },
        }
    }
}
