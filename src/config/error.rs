//! What can be wrong with the configuration. All of it ends with exit code 78, and all of it says where to look.

use std::path::{Path, PathBuf};

use crate::agent::Shown;

/// Something that meshd was told is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// In the configuration file.
    #[error("{}:{line}:{column}: {}", Shown::path(file), Shown::text(what))]
    InFile {
        /// Which file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The key and what is wrong with it.
        what: String,
    },
    /// The configuration file cannot be read.
    #[error("{}: {why}", Shown::path(file))]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// In an environment variable.
    #[error("{variable}: {}", Shown::text(what))]
    InEnvironment {
        /// Which one.
        variable: String,
        /// What is wrong with it.
        what: String,
    },
    /// A directory has no default here.
    #[error("{0}")]
    NoDefault(String),
}

impl ConfigError {
    pub(super) fn missing(file: &Path) -> Self {
        Self::Unreadable { file: file.to_owned(), why: "there is no such file".to_owned() }
    }
}
