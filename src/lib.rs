//! meshd keeps the registry of AI agents on a machine true to the manifests on its disk.
//!
//! The modules stand in the order in which data flows through them; `ARCHITECTURE.md` has the picture.

pub mod agent;
pub mod clock;
pub mod decide;
pub mod registry;
pub mod scope;
