//! The socket file: private, made anew by whoever holds the lock, gone when the daemon goes.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::agent::Shown;
use crate::lock::Lock;

/// The control socket, listening. Dropping it removes the file.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: only the file that we made is removed.
    file: (u64, u64),
}

/// There is no control socket to listen at.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon of another registry listens there.
    #[error("{}: another daemon answers there", Shown::path(.0))]
    Taken(PathBuf),
    /// There is something else than a socket.
    #[error("{}: there is a file that is no socket", Shown::path(.0))]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("{}: cannot listen there", Shown::path(path))]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Socket {
    /// Listens at `path`. A socket file that a killed daemon left is replaced: the lock says that it is gone.
    pub fn listen(path: &Path, _witness: &Lock) -> Result<Self, SocketError> {
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        }
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(io)?;
        // Until here the file has the process's umask; whoever is quicker than this still fails the check of credentials.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io)?;
        let file = std::fs::symlink_metadata(path).map_err(io)?;
        Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
    }

    /// The next connection of somebody who may connect. Everybody else is hung up on.
    pub(super) async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if may_connect(&stream) => return stream,
                Ok(_) => tracing::warn!("a connection of another user to the control socket was refused"),
                Err(error) => {
                    // Mostly no more file descriptors: the connection stays in the queue, and asking again at once
                    // would spin until one is free.
                    tracing::warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let io = |source| SocketError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    // The lock is that of a state directory. A daemon of another one may have been told the same socket.
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(path.to_owned())),
        Err(_) => std::fs::remove_file(path).map_err(io),
    }
}

/// Whether whoever connected is this user or root.
fn may_connect(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::client::{Client, ClientError};
    use crate::lock::What;

    fn locked() -> (tempfile::TempDir, Lock, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path(), What::Daemon, Duration::ZERO).unwrap();
        let path = directory.path().join("run/meshd.sock");
        (directory, lock, path)
    }

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_daemon() {
        let (_directory, lock, path) = locked();
        let socket = Socket::listen(&path, &lock).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        drop(socket);
        assert!(!path.try_exists().unwrap());
    }

    #[tokio::test]
    async fn a_socket_that_a_killed_daemon_left_is_replaced() {
        let (_directory, lock, path) = locked();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Socket::listen(&path, &lock).unwrap();
    }

    #[tokio::test]
    async fn a_socket_at_which_somebody_answers_and_a_file_are_left_alone() {
        let (_directory, lock, path) = locked();
        let _other = Socket::listen(&path, &lock).unwrap();
        assert!(matches!(Socket::listen(&path, &lock), Err(SocketError::Taken(_))));
        let file = path.with_extension("txt");
        std::fs::write(&file, "mine").unwrap();
        assert!(matches!(Socket::listen(&file, &lock), Err(SocketError::NoSocket(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    }

    #[test]
    fn no_daemon_is_told_from_every_other_failure() {
        let (directory, _lock, path) = locked();
        let left = directory.path().join("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [&path, &left, &file.join("x.sock"), &path.join("x".repeat(200))] {
            assert!(
                matches!(Client::new(path, directory.path()).facts(), Err(ClientError::NoDaemon(_))),
                "{}",
                path.display()
            );
        }
    }
}
