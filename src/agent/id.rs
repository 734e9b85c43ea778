//! The id of an agent: one token that is safe in a subject, a file name and a URL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One token `[A-Za-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(Arc<str>);

/// The longest id, in characters: it becomes one token of a relay subject.
const MAX_LENGTH: usize = 64;

impl AgentId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > MAX_LENGTH || !text.chars().all(token) {
            return Err(format!("an id is one token of 1 to {MAX_LENGTH} letters, digits, `_` or `-`"));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for AgentId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
