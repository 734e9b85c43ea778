//! Registering, updating and unregistering an agent: file first, then row, then relay endpoint, and all or nothing.
//!
//! Whoever asks writes the file, with their own rights: a daemon that may only read serves just as well. The engine does
//! the rest, step by step ([`Steps`]), in this process or behind the control socket. Whatever fails, everything is put
//! back as it was; a compensation touches only what this very call wrote. What cannot be put back is said, and the next
//! pass brings registry and relay to what the files say.

mod error;
mod register;
mod steps;
mod unregister;
mod update;

pub use error::RegistrationError;
pub use register::{Existing, Register, register};
pub use steps::{StepError, StepErrorKind, Steps};
pub use unregister::{Fate, Unregister, Unregistered, unregister};
pub use update::{Updated, update};
