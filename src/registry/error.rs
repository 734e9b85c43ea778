//! What can go wrong with the registry, sorted by what the caller can do about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::agent::Shown;

/// An operation on the registry that failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another process held the lock for longer than the timeout: try again.
    #[error("the registry is locked by another process")]
    Busy,
    /// Nothing was written: make room, then try again.
    #[error("no space left for the registry")]
    Full,
    /// The file system failed or refused: nothing was written.
    #[error("the registry cannot be read or written: {0}")]
    Io(String),
    /// The file or its file system is read-only.
    #[error("the registry is read-only")]
    ReadOnly,
    /// The file is damaged or no database: opening it for writing moves it aside.
    #[error("the registry is corrupt: {0}")]
    Corrupt(String),
    /// SQLite gave the transaction up in the middle; nothing of it was written.
    #[error("the registry's transaction was given up")]
    GivenUp,
    /// A newer meshd wrote it: use that one. The file was not touched.
    #[error("the registry has schema {found}, this meshd knows {known} at most: use a newer meshd")]
    Newer {
        /// The file's schema.
        found: u32,
        /// The newest schema that this build knows.
        known: u32,
    },
    /// It was opened for reading, and only a writer migrates it.
    #[error("the registry has the older schema {found}, not {known}: run meshd once to migrate it")]
    Older {
        /// The file's schema.
        found: u32,
        /// The schema that this build reads.
        known: u32,
    },
    /// There is no file.
    #[error("there is no registry at {0}")]
    Missing(PathBuf),
    /// There is a link, a directory or something else in its place.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// It is a whole database of something else.
    #[error("{path} is a database, but not meshd's registry: {why}")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// A database that was to be imported cannot be: it is not there, damaged, or something else.
    #[error("{} cannot be imported: {why}", Shown::path(.path))]
    Import {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The row collides with another one: only this change is refused.
    #[error("the registry refuses the row: {0}")]
    Conflict(String),
    /// A row holds what no row may hold: only this change is refused.
    #[error("a row of the registry cannot be used: {0}")]
    Row(String),
    /// Anything else that SQLite reports.
    #[error("the registry failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

impl RegistryError {
    /// Whether the whole transaction failed, and not only the change that it was met at.
    #[must_use]
    pub fn is_fatal_to_transaction(&self) -> bool {
        match self {
            Self::Busy | Self::Full | Self::Io(_) | Self::ReadOnly | Self::Corrupt(_) | Self::GivenUp => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted))
            }
            Self::Newer { .. }
            | Self::Older { .. }
            | Self::Missing(_)
            | Self::NotAFile(_)
            | Self::Foreign { .. }
            | Self::Import { .. }
            | Self::Conflict(_)
            | Self::Row(_) => false,
        }
    }
}

impl From<rusqlite::Error> for RegistryError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else { return Self::Sqlite(error) };
        let is = |codes: &[ErrorCode]| codes.contains(&code);
        if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::FileLockingProtocolFailed]) {
            Self::Busy
        } else if is(&[ErrorCode::DiskFull]) {
            Self::Full
        } else if is(&[ErrorCode::SystemIoFailure, ErrorCode::CannotOpen, ErrorCode::PermissionDenied]) {
            Self::Io(error.to_string())
        } else if is(&[ErrorCode::ReadOnly]) {
            Self::ReadOnly
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase]) {
            Self::Corrupt(error.to_string())
        } else if is(&[ErrorCode::ConstraintViolation]) {
            Self::Conflict(error.to_string())
        } else {
            Self::Sqlite(error)
        }
    }
}

impl From<std::io::Error> for RegistryError {
    fn from(error: std::io::Error) -> Self {
        if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            Self::Full
        } else {
            Self::Io(error.to_string())
        }
    }
}
