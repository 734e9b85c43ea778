//! What can go wrong with a command, and which exit code that is.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::{Exit, systems};
use crate::agent::Shown;
use crate::api::client::ClientError;
use crate::config::ConfigError;
use crate::daemon::DaemonError;
use crate::engine::{EngineError, StartError};
use crate::lock::LockError;
use crate::registration::RegistrationError;
use crate::registry::RegistryError;
use crate::relay::local::{PostError, StoreError};
use crate::telemetry::LogError;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output(#[source] std::io::Error),
    /// The pages of the manual could not be written.
    #[error("cannot write the manual into {}: {error}", Shown::path(directory))]
    Pages {
        /// Where they were to go.
        directory: PathBuf,
        /// Why they could not.
        error: std::io::Error,
    },
    /// What meshd was told is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be written as asked.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// There is no registry yet.
    #[error("{0}: `meshd reconcile ROOT` makes one, and so does `meshd run ROOT`")]
    NoRegistry(RegistryError),
    /// The daemon did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no daemon or no registry here, and the system's daemon runs.
    #[error("{0}; {asked}", asked = systems::ASKED)]
    BesideSystems(Box<Self>),
    /// Somebody else writes the registry.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The pass failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The daemon failed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A message was not sent, taken or allowed.
    #[error(transparent)]
    Post(#[from] PostError),
    /// There is nothing to look at.
    #[error("no scan root is known: name one (`meshd reconcile ROOT`, or `roots` in the configuration)")]
    NoRoots,
    /// An agent was not registered, updated or unregistered.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The engine cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The command was not told what to do.
    #[error("{0}")]
    NothingToDo(&'static str),
    /// The path is not denied.
    #[error("{} is not denied itself: `meshd denied` lists what is", Shown::path(.0))]
    NotDenied(PathBuf),
    /// What was named to be looked under is no directory.
    #[error("{} is not there, or no directory", Shown::path(.0))]
    NoSuchRoot(PathBuf),
    /// There is nothing at the path of a root that is to be accepted.
    #[error("there is nothing at {}, so there is nothing to accept", Shown::path(.0))]
    NothingToAccept(PathBuf),
    /// What was to be read from stdin could not be: a message, or a person's answer.
    #[error("cannot read from stdin")]
    Input(#[source] std::io::Error),
    /// A person was to pick, and there is none.
    #[error("there is no terminal to ask on: say `--yes` for all")]
    NobodyToAsk,
    /// There is no such agent.
    #[error("no agent is recorded as `{0}`")]
    NoSuchAgent(String),
}

impl CliError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            // Whoever read the answer has read enough: `meshd list | head -1`.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
            Self::Config(_) | Self::NoRoots | Self::Post(PostError::Store(StoreError::Newer { .. })) => {
                Exit::Configuration
            }
            Self::NothingToDo(_) | Self::NobodyToAsk => Exit::Usage,
            Self::Registry(error)
            | Self::Start(StartError::Registry(error))
            | Self::Daemon(DaemonError::Registry(error) | DaemonError::Start(StartError::Registry(error))) => {
                of_registry(error)
            }
            Self::Client(ClientError::NoDaemon(_)) => Exit::DaemonNeeded,
            Self::BesideSystems(error) => error.exit(),
            Self::Lock(error) | Self::Daemon(DaemonError::Lock(error)) => of_lock(error),
            Self::Output(_)
            | Self::Pages { .. }
            | Self::Log(_)
            | Self::NoRegistry(_)
            | Self::Client(_)
            | Self::Engine(_)
            | Self::Daemon(_)
            | Self::Registration(_)
            | Self::Start(_)
            | Self::NotDenied(_)
            | Self::NoSuchRoot(_)
            | Self::NothingToAccept(_)
            | Self::Post(_)
            | Self::Input(_)
            | Self::NoSuchAgent(_) => Exit::Failed,
        }
    }
}

fn of_lock(error: &LockError) -> Exit {
    match error {
        LockError::Held { .. } => Exit::Held,
        LockError::Unusable { .. } => Exit::Failed,
    }
}

fn of_registry(error: &RegistryError) -> Exit {
    if matches!(error, RegistryError::Newer { .. }) { Exit::Configuration } else { Exit::Failed }
}
