//! Behaviour, room by room, in one binary. Real SQLite and a real file system; only what is across a network is faked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic, in its helpers too"
)]

mod registry;
