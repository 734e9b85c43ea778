//! Whether others reach an agent: whether the relay has its endpoint.

use std::collections::HashSet;
use std::path::Path;

use crate::registry::Record;
use crate::relay::Subject;
use crate::relay::local::{Post, PostError};

/// What the relay has.
pub enum Reach {
    /// There is no relay.
    NoRelay,
    /// Endpoints at these subjects.
    Endpoints(HashSet<Subject>),
    /// It cannot be read: through such a relay nobody is reached.
    Unknown,
}

impl Reach {
    /// What the relay that is built in has now, in this state directory.
    ///
    /// # Errors
    /// The relay's mail cannot be looked at.
    pub fn look(state_dir: &Path) -> Result<Self, PostError> {
        match Post::open(state_dir).and_then(|post| post.subjects()) {
            Ok(subjects) => Ok(Self::Endpoints(subjects)),
            // Why is said where mail is sent.
            Err(PostError::Store(_)) => Ok(Self::Unknown),
            Err(error) => Err(error),
        }
    }

    /// In a word: `registered` at the relay, `pending`, or `none` where there is no relay.
    #[must_use]
    pub fn of(&self, record: &Record) -> &'static str {
        match self {
            Self::NoRelay => "none",
            Self::Unknown => "pending",
            Self::Endpoints(subjects) => {
                let subject = format!("relay.agent.{}.{}", record.columns.namespace, record.columns.id).parse();
                if subject.is_ok_and(|subject| subjects.contains(&subject)) { "registered" } else { "pending" }
            }
        }
    }
}
