//! Behaviour, room by room, in one binary. Real SQLite and a real file system; only what is across a network is faked.

mod registry;
