//! The loopback address: TCP, for browsers and for tools that speak no Unix sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// The address, listening.
#[derive(Debug)]
pub struct Tcp {
    listener: TcpListener,
}

impl Tcp {
    /// Listens at a loopback address.
    ///
    /// # Errors
    /// Somebody else listens there, or it is no address of this machine.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
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
}
