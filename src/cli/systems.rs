//! The system's daemon: where it is, and that whoever asks for their own may mean it.

use std::io::ErrorKind;
use std::path::Path;

use super::CliError;
use crate::api::client::ClientError;
use crate::config::Settings;

/// Where the system's unit has the registry.
pub const STATE_DIR: &str = "/var/lib/meshd";

/// Where the system's daemon listens.
const SOCKET: &str = "/run/meshd/meshd.sock";

/// What to say to whoever may mean the system's daemon.
pub const ASKED: &str = "the system's daemon is asked with `--state-dir /var/lib/meshd --socket /run/meshd/meshd.sock`";

/// The same as a command to paste, for an examination.
pub const DOCTOR: &str = "sudo meshd doctor --state-dir /var/lib/meshd --socket /run/meshd/meshd.sock";

/// Whether the system's daemon runs, and whoever finds none here may mean that.
pub fn is_elsewhere(settings: &Settings) -> bool {
    is_other(&settings.state_dir, Path::new(SOCKET))
}

/// Whether a state directory is not the system's, whose daemon listens at `socket`.
fn is_other(state_dir: &Path, socket: &Path) -> bool {
    state_dir != Path::new(STATE_DIR) && is_there(socket)
}

/// systemd takes the directory of the socket away with the daemon: one that may not be looked into is there.
fn is_there(socket: &Path) -> bool {
    match std::fs::symlink_metadata(socket) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// An error for want of a daemon or a registry, with where those of the system are.
pub fn pointed_to(error: CliError, settings: &Settings) -> CliError {
    let is_for_want = matches!(error, CliError::NoRegistry(_) | CliError::Client(ClientError::NoDaemon(_)));
    if is_for_want && is_elsewhere(settings) { CliError::BesideSystems(Box::new(error)) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_registry_of_their_own_is_told_of_the_systems_daemon_only_while_that_runs() {
        let directory = tempfile::tempdir().unwrap();
        let (mine, socket) = (directory.path(), directory.path().join("meshd.sock"));
        assert!(!is_other(mine, &socket));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(is_other(mine, &socket));
        assert!(!is_other(Path::new(STATE_DIR), &socket));
    }
}
