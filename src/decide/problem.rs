//! A problem is a finding that needs a person; the pass goes on.

use std::path::PathBuf;

use crate::agent::AgentId;

/// One finding, at one project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub project: PathBuf,
    /// What kind.
    pub kind: ProblemKind,
    /// Whose, where that is known.
    pub id: Option<AgentId>,
    /// A sentence that says what was found; may quote a stranger's file.
    pub detail: String,
}

/// What kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// There is something where a manifest should be, and it cannot be used. The record keeps what it last said.
    Unreadable,
    /// The manifest claims an id that another project holds.
    DuplicateId,
    /// The agent's manifest is gone while its project is there, and another project claims its id.
    Contested,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Unreadable, Self::DuplicateId, Self::Contested];

    /// The kind's name in SQL, JSON and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::DuplicateId => "duplicate_id",
            Self::Contested => "contested",
        }
    }

    /// The kind that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
