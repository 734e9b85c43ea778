//! Which relay agents are made known to.

use std::str::FromStr;

use serde::Deserialize;

/// A relay by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayKind {
    /// There is none: agents are recorded, and nobody reaches them.
    None,
    /// The one that is built in: mailboxes beside the registry.
    #[default]
    Local,
}

impl RelayKind {
    /// How they are written.
    pub const NAMES: [&str; 2] = ["none", "local"];
}

impl FromStr for RelayKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "local" => Ok(Self::Local),
            other => Err(format!("`{other}` is none of {}", Self::NAMES.join(", "))),
        }
    }
}
