//! What can go wrong with `relay.db` and the mailboxes, and what that is to whoever asked the relay.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::message::MAX_BODY_BYTES;
use crate::agent::{AgentId, Shown};
use crate::relay::{RelayError, Rule};

/// An operation on `relay.db` that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer meshd wrote it. It was not touched.
    #[error("relay.db has schema {found}, this meshd knows {known} at most: use a newer meshd")]
    Newer {
        /// The file's schema.
        found: u32,
        /// The newest schema that this build knows.
        known: u32,
    },
    /// There is no file.
    #[error("there is no {}: a running meshd makes it, and so does `meshd reconcile`", Shown::path(.0))]
    Missing(PathBuf),
    /// There is a link, a directory or something else in its place.
    #[error("{} is not a regular file: move it away", Shown::path(.0))]
    NotAFile(PathBuf),
    /// It is damaged, or the database of something else.
    #[error(
        "relay.db cannot be used ({0}): meshd moves it aside and makes it anew with its next pass, `meshd reconcile`"
    )]
    Damaged(String),
    /// Another process held its lock for too long.
    #[error("relay.db is locked by another process")]
    Busy,
    /// The disk is full, or the file system failed or refused.
    #[error("relay.db cannot be read or written: {0}")]
    Io(String),
    /// Anything else that SQLite reports.
    #[error("relay.db failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else { return Self::Sqlite(error) };
        let is = |codes: &[ErrorCode]| codes.contains(&code);
        if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::FileLockingProtocolFailed]) {
            Self::Busy
        } else if is(&[
            ErrorCode::DiskFull,
            ErrorCode::SystemIoFailure,
            ErrorCode::CannotOpen,
            ErrorCode::PermissionDenied,
            ErrorCode::ReadOnly,
        ]) {
            Self::Io(error.to_string())
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase]) {
            Self::Damaged(error.to_string())
        } else {
            Self::Sqlite(error)
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        match error {
            StoreError::Newer { .. } | StoreError::NotAFile(_) => Self::Rejected(why),
            StoreError::Missing(_)
            | StoreError::Damaged(_)
            | StoreError::Busy
            | StoreError::Io(_)
            | StoreError::Sqlite(_) => Self::Unavailable(why),
        }
    }
}

/// A mailbox could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The file system failed or refused.
    #[error("cannot {what} {}: {source}", Shown::path(path))]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A link or something else is in the place of a directory.
    #[error("{} is not a directory: move it away", Shown::path(.0))]
    NotADirectory(PathBuf),
    /// No message is as large.
    #[error("{} is larger than a message can be: move it away", Shown::path(.0))]
    TooLarge(PathBuf),
    /// It was removed again and again while it was made.
    #[error("{} is removed by somebody else", Shown::path(.0))]
    Removed(PathBuf),
}

/// A message was not sent, or could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Who is reached where is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mailbox could not be read or written.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// An agent has no endpoint.
    #[error("agent {0} has no relay endpoint: a running meshd makes one, and so does `meshd reconcile`")]
    NoEndpoint(AgentId),
    /// The sender may not.
    #[error("{from} may not send to {to}: {}", why(rule.as_deref()))]
    Denied {
        /// The sender.
        from: AgentId,
        /// The receiver.
        to: AgentId,
        /// The rule that says so; `None`: there is none that matches.
        rule: Option<Box<Rule>>,
    },
    /// The body is too large.
    #[error("a message has {MAX_BODY_BYTES} bytes at most: send a path to what is larger")]
    TooLarge,
    /// Each time, the receiver's endpoint went elsewhere before the message was delivered.
    #[error("the endpoint of {0} moves again and again: try again later")]
    Moving(AgentId),
}

impl MailError {
    pub(super) fn new(what: &'static str, path: &Path, error: impl Into<std::io::Error>) -> Self {
        Self::Io { what, path: path.to_owned(), source: error.into() }
    }
}

fn why(rule: Option<&Rule>) -> String {
    rule.map_or_else(|| "no rule allows it".to_owned(), |rule| format!("the rule is {rule}"))
}

impl From<MailError> for RelayError {
    fn from(error: MailError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
