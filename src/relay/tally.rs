//! How often a relay was asked for what, and how often it did not do it.
//!
//! Counted by the conversation, one number an answer: what is asked for all at once counts one by one, and a call that
//! never came back is one of which nobody knows what it did.

use super::{Change, RelayError};

/// What a relay can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// What there is.
    List,
    /// That a rule be there.
    PutRule,
    /// That an endpoint be there.
    EnsureEndpoint,
    /// That an endpoint be gone.
    RetireEndpoint,
    /// That a rule be gone.
    RemoveRule,
}

/// How often one thing was asked for, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// All of them, good or bad.
    pub all: u64,
    /// Those of [`RelayError::Rejected`].
    pub rejected: u64,
    /// Those of [`RelayError::Unavailable`].
    pub unavailable: u64,
    /// Those of [`RelayError::Ambiguous`].
    pub ambiguous: u64,
}

/// The answers to everything that was asked for so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    list: Answers,
    put_rule: Answers,
    ensure_endpoint: Answers,
    retire_endpoint: Answers,
    remove_rule: Answers,
}

impl Operation {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::List, Self::PutRule, Self::EnsureEndpoint, Self::RetireEndpoint, Self::RemoveRule];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::PutRule => "put_rule",
            Self::EnsureEndpoint => "ensure_endpoint",
            Self::RetireEndpoint => "retire_endpoint",
            Self::RemoveRule => "remove_rule",
        }
    }

    /// What makes this change.
    pub(super) fn of(change: &Change) -> Self {
        match change {
            Change::PutRule(_) => Self::PutRule,
            Change::EnsureEndpoint(_) => Self::EnsureEndpoint,
            Change::RetireEndpoint { .. } => Self::RetireEndpoint,
            Change::RemoveRule(_) => Self::RemoveRule,
        }
    }
}

impl Answers {
    /// The bad ones, each kind under its name in metrics.
    #[must_use]
    pub fn failures(&self) -> [(&'static str, u64); 3] {
        let Self { all: _, rejected, unavailable, ambiguous } = *self;
        [("rejected", rejected), ("unavailable", unavailable), ("ambiguous", ambiguous)]
    }
}

impl Tally {
    /// The answers to one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> Answers {
        match operation {
            Operation::List => self.list,
            Operation::PutRule => self.put_rule,
            Operation::EnsureEndpoint => self.ensure_endpoint,
            Operation::RetireEndpoint => self.retire_endpoint,
            Operation::RemoveRule => self.remove_rule,
        }
    }

    /// One more answer: a bad one if there is an error.
    pub(super) fn count(&mut self, operation: Operation, error: Option<&RelayError>) {
        let answers = match operation {
            Operation::List => &mut self.list,
            Operation::PutRule => &mut self.put_rule,
            Operation::EnsureEndpoint => &mut self.ensure_endpoint,
            Operation::RetireEndpoint => &mut self.retire_endpoint,
            Operation::RemoveRule => &mut self.remove_rule,
        };
        answers.all = answers.all.saturating_add(1);
        let failures = match error {
            None => return,
            Some(RelayError::Rejected(_)) => &mut answers.rejected,
            Some(RelayError::Unavailable(_)) => &mut answers.unavailable,
            Some(RelayError::Ambiguous(_)) => &mut answers.ambiguous,
        };
        *failures = failures.saturating_add(1);
    }
}
