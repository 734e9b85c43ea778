//! Watching: notifications become scopes.
//!
//! The kind of an event is dropped at the door: an event says where to look, never what happened.

pub mod backend;
pub mod budget;
mod facts;
pub mod hint;
mod parents;
pub mod plan;
mod quiet;
mod vigil;
pub mod watcher;

pub use facts::WatchFacts;
pub use watcher::Watcher;
