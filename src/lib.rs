//! meshd keeps the registry of AI agents on a machine true to the manifests on its disk.
//!
//! The modules stand in the order in which data flows through them; `ARCHITECTURE.md` has the picture.

pub mod agent;
pub mod scope;

pub mod watch;

pub mod disk;

pub mod decide;

pub mod registry;

pub mod relay;

pub mod apply;

pub mod telemetry;

pub mod engine;

pub mod registration;

pub mod report;

pub mod api;
pub mod cli;

pub mod config;
pub mod daemon;
pub mod lock;
pub mod systemd;

pub mod clock;
