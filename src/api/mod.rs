//! HTTP: how commands, tools, people and their browsers ask the running daemon, and how it answers.
//!
//! At the control socket, whoever connects must be this user or root; at the loopback address, which is there only if it was
//! asked for, they must have the token. Nothing that a client does or leaves undone holds up the daemon: what it sends is
//! bounded in size and time, and so is how many there are at once. This room writes the registry never: it asks the engine.
//! It reads it through connections of its own.

mod agents;
mod answer;
pub mod client;
mod client_registration;
mod description;
mod events;
mod feed;
mod health;
mod lease;
mod log_level;
mod metrics;
mod overview;
mod page;
mod problem;
mod projects;
mod registration;
mod routes;
mod server;
mod session;
mod socket;
mod tcp;
mod wire;
mod wire_import;
mod wire_registration;

pub use answer::Looks;
pub use feed::Feed;
pub use server::{Api, Places, serve};
pub use session::Door;
pub use socket::{Socket, SocketError};
pub use tcp::Tcp;
pub use wire::{AcceptRoot, ReconcileRequest};
