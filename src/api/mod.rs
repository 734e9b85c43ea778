//! The control socket: how a command asks the running daemon, and how the daemon answers.
//!
//! Whoever connects must be this user or root. Nothing that a client does or leaves undone holds up the daemon: what it
//! sends is bounded in size and time, and so is how many there are at once. This room writes the registry never and reads it
//! only to count it for the metrics: it asks the engine.

pub mod client;
mod client_registration;
mod handlers;
mod log_level;
mod metrics;
mod problem;
mod registration;
mod server;
mod socket;
mod wire;
mod wire_import;
mod wire_registration;

pub use server::{Api, serve};
pub use socket::{Socket, SocketError};
pub use wire::{AcceptRoot, DaemonFacts, LastSweep, ReconcileRequest, RootHeard, WirePath, hex};
