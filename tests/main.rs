//! One integration binary: every module is a field of behaviour, every test a sentence about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod cli;
mod decide;
mod engine;
mod fixtures;
mod registration;
mod registry;
mod relay;
mod support;
mod telemetry;
mod tidy;
mod watching;
