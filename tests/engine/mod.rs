//! The engine over a real file system and a real registry, without threads: every pass is asked for.

mod bad_input;
mod checkouts;
mod identity;
mod mounts;
mod random;
mod registry_faults;
mod reloading;
mod roots;
mod sweeping;
mod time;
