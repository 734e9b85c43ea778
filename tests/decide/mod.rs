//! The decision, held against models of it: no file system, no registry.

mod worlds;
