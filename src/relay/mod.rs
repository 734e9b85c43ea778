//! The relay: where other agents reach an agent, and who may send to whom.
//!
//! The registry's rows say what is wanted, a backend says what is there, and only the difference is written. That is the
//! whole protocol, so a backend may be slow, fail, forget everything or leave open whether it did something: looking
//! again puts it right. [`Desk`] is the engine's side of it. It waits for no relay.

mod desk;
pub mod local;
mod rule;
mod subject;
mod tally;
mod there;
mod wanted;

use std::time::Instant;

pub use desk::{Desk, Limits, RelayFacts, Report};
pub use rule::{Pair, Rule, RuleAction, Verdict, decide_access};
pub use subject::{Pattern, Subject, SubjectError};
pub use tally::{Answers, Operation, Tally};
pub use there::There;
pub use wanted::{Target, Wanted};

use crate::agent::AgentId;

/// A backend. What meshd made there is marked as such; what others made is never listed, changed or removed.
pub trait Relay: Send + Sync {
    /// Its name, as it stands in the configuration.
    fn name(&self) -> &'static str;

    /// What there is of what meshd made, by this instant.
    fn list(&self, by: Instant) -> Result<Present, RelayError>;

    /// Makes one change by this instant. One that is made already is made.
    fn change(&self, change: &Change, by: Instant) -> Result<(), RelayError>;

    /// Makes all of them at once, in this order, where the backend can, with a result for each. One that needs another
    /// that failed must fail too. `None`: they are made one by one.
    fn change_all(&self, changes: &[Change], by: Instant) -> Option<Vec<Result<(), RelayError>>> {
        let _ = (changes, by);
        None
    }
}

/// One thing that is to be done to a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This rule is there.
    PutRule(Rule),
    /// This endpoint is there.
    EnsureEndpoint(Endpoint),
    /// There is no endpoint at this subject.
    RetireEndpoint {
        /// Where it is.
        subject: Subject,
        /// The endpoint of the same agent that mail which was not taken goes to; without one it is put away.
        successor: Option<Subject>,
    },
    /// This rule is not there.
    RemoveRule(Rule),
}

/// Where one agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The subject that it is reached at.
    pub subject: Subject,
    /// Whose it is.
    pub agent: AgentId,
}

/// What there is of what meshd made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Present {
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Agents' subjects at which there is no endpoint, but something is left of one, as mail that was not taken. They are
    /// retired like endpoints unless they are wanted.
    pub leftovers: Vec<Subject>,
}

/// Something a relay was asked for and did not do, sorted by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It never will: something else must change first.
    #[error("the relay refuses: {0}")]
    Rejected(String),
    /// It cannot now: try again later.
    #[error("the relay cannot be used: {0}")]
    Unavailable(String),
    /// It may have been done or not: look again before doing anything more.
    #[error("it is not known what the relay did: {0}")]
    Ambiguous(String),
}
