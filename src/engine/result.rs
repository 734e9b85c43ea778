//! A pass in numbers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::apply::Outcome;
use crate::decide::Action;

/// What a pass, or several, came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileResult {
    /// Agents that were recorded for the first time.
    pub discovered: u64,
    /// Records that were brought up to what their manifest says.
    pub synced: u64,
    /// Agents that are recorded at another place than before.
    pub relocated: u64,
    /// Agents that became unreachable, or are so for another reason.
    pub unreachable: u64,
    /// Agents that are reachable again.
    pub resurrected: u64,
    /// Agents that were removed.
    pub removed: u64,
    /// Problems that stand, new or not.
    pub problems: u64,
}

impl ReconcileResult {
    /// The numbers of one pass, after which `problems` problems stand.
    #[must_use]
    pub fn of(outcome: &Outcome, problems: usize) -> Self {
        let mut result = Self { problems: problems as u64, ..Self::default() };
        for action in &outcome.applied {
            let count = match action {
                Action::Upsert { .. } => &mut result.discovered,
                Action::Sync { .. } => &mut result.synced,
                Action::Relocate { .. } => &mut result.relocated,
                Action::MarkUnreachable { .. } => &mut result.unreachable,
                Action::MarkReachable { .. } => &mut result.resurrected,
                Action::Remove { .. } => &mut result.removed,
                Action::SetRoot { .. }
                | Action::NoteMount { .. }
                | Action::ForgetMount { .. }
                | Action::CarryClock { .. }
                | Action::Raise(_)
                | Action::Restate(_)
                | Action::Clear(_) => continue,
            };
            *count = count.saturating_add(1);
        }
        result
    }

    /// Adds what a later pass came to.
    pub fn add(&mut self, later: &Self) {
        let Self { discovered, synced, relocated, unreachable, resurrected, removed, problems } = later;
        for (sum, more) in [
            (&mut self.discovered, discovered),
            (&mut self.synced, synced),
            (&mut self.relocated, relocated),
            (&mut self.unreachable, unreachable),
            (&mut self.resurrected, resurrected),
            (&mut self.removed, removed),
        ] {
            *sum = sum.saturating_add(*more);
        }
        self.problems = *problems;
    }
}
