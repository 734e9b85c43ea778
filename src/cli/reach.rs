//! Whether others reach an agent: whether the relay has its endpoint.

use std::collections::HashSet;

use super::{CliError, Context};
use crate::config::RelayKind;
use crate::registry::Record;
use crate::relay::Subject;
use crate::relay::local::{Post, PostError};

/// What the relay has.
pub enum Reach {
    /// There is no relay.
    NoRelay,
    /// Endpoints at these subjects.
    Endpoints(HashSet<Subject>),
}

impl Reach {
    /// What the relay has now.
    pub fn look(context: &Context) -> Result<Self, CliError> {
        if context.settings.relay == RelayKind::None {
            return Ok(Self::NoRelay);
        }
        match Post::open(&context.settings.state_dir).and_then(|post| post.subjects()) {
            Ok(subjects) => Ok(Self::Endpoints(subjects)),
            // Nobody is reached through a relay that cannot be read; that is said where mail is sent.
            Err(PostError::Store(_)) => Ok(Self::Endpoints(HashSet::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// In a word: `registered` at the relay, `pending`, or `none` where there is no relay.
    pub fn of(&self, record: &Record) -> &'static str {
        match self {
            Self::NoRelay => "none",
            Self::Endpoints(subjects) => {
                let subject = format!("relay.agent.{}.{}", record.columns.namespace, record.columns.id).parse();
                if subject.is_ok_and(|subject| subjects.contains(&subject)) { "registered" } else { "pending" }
            }
        }
    }
}
