//! How a command ends: the exit codes, which systemd and scripts act on.

use std::process::ExitCode;

/// How a command ended. The numbers above 64 are those of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked for.
    Done,
    /// It failed, or what it was asked about is not well.
    Failed,
    /// The command line is wrong. clap ends with this one by itself.
    Usage,
    /// Only a daemon can do this, and none is running.
    DaemonNeeded,
    /// Another process holds the registry: a second one would only be in its way.
    Held,
    /// The configuration, or a registry of a newer meshd, must be put right by a person: starting again is of no use, and
    /// the units do not.
    Configuration,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::DaemonNeeded => 69,
            Self::Held => 75,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
