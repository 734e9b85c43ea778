//! What a floor is made of: bare system calls and bare SQL.

pub mod mirror;
pub mod rows;
pub mod walk;
pub mod watch;
