//! The loopback address: TCP, for browsers and for tools that speak no Unix sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::OnceCell;

use super::session::Door;

/// Connections that may wait to be taken in: as many as a burst has.
const WAITING: u32 = 4_096;

/// How long after an address could not be listened at it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The loopback address. While it cannot be listened at, the daemon does everything else.
#[derive(Debug)]
pub struct Tcp {
    door: Arc<Door>,
    listener: OnceCell<TcpListener>,
}

impl Tcp {
    /// The address of this door.
    #[must_use]
    pub fn new(door: Arc<Door>) -> Self {
        Self { door, listener: OnceCell::new() }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> TcpStream {
        let listener = self.listener.get_or_init(|| self.listen()).await;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Events are small, and should not wait for more.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) => {
                    // Mostly no more file descriptors: asking again at once would spin until one is free.
                    tracing::warn!(%error, "the HTTP address cannot accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Listens as soon as that is possible: whoever has the address may let it go.
    async fn listen(&self) -> TcpListener {
        let address = self.door.address();
        loop {
            match listen(address) {
                Ok(listener) => {
                    if self.door.close(None).is_some() {
                        tracing::info!("HTTP is served at {address}");
                    }
                    return listener;
                }
                Err(error) => {
                    let why = format!("cannot serve HTTP at {address}: {}", in_words(&error));
                    if self.door.close(Some(why.clone())).is_none() {
                        tracing::error!("{why}; it is tried again");
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier daemon may still be ending there.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Why, with what to do where that is not plain.
fn in_words(error: &std::io::Error) -> String {
    // What a unit that is given no network says.
    let is_forbidden = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    let advice = if is_forbidden { "; its unit forbids that, meshd-http.conf says what to add to it" } else { "" };
    format!("{error}{advice}")
}
