//! Watching: notifications become scopes.
//!
//! The kind of an event is dropped at the door: an event says where to look, never what happened.

pub mod backend;
pub mod hint;
pub mod settle;
pub mod watcher;

pub use watcher::{WatchFacts, Watcher, limit_reached};
