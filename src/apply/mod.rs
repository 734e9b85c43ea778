//! Carrying out a plan: every action in its order, in one transaction, each with the event that tells of it.
//!
//! Nothing is chosen in here. An action that fails is undone alone and reported; what could not be applied still differs,
//! so the next pass finds it again.

mod events;

use crate::agent::Moment;
use crate::decide::{Action, Plan, Reach};
use crate::registry::{AgentRegistry, Batch, Durability, Event, RegistryError};

pub use events::event;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done, in order.
    pub applied: Vec<Action>,
    /// What was told of it, with the numbers of the events.
    pub events: Vec<(u64, Event)>,
    /// What could not be done, and why.
    pub failed: Vec<(Action, String)>,
}

/// What becomes of the rest of a plan where one action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// It is done: one failing agent never stops another.
    Each,
    /// It is not: all of it or nothing.
    Whole,
}

/// Carries out a plan. `reach` says what the pass looked at: a sweep that changed something is told as such.
///
/// # Errors
/// The transaction as a whole failed, or one action of a plan that is done whole: nothing of the plan was done.
pub fn apply(
    plan: &Plan,
    reach: Reach,
    isolation: Isolation,
    registry: &mut AgentRegistry,
    now: &Moment,
) -> Result<Outcome, RegistryError> {
    if plan.actions.is_empty() {
        return Ok(Outcome::default());
    }
    registry.transact(durability(plan), |batch| {
        let mut outcome = Outcome::default();
        let relocations: Vec<&Action> = plan.actions.iter().filter(|action| is_relocation(action)).collect();
        // All at once, or those that can: agents that change places with each other need the places free first.
        let together = !relocations.is_empty() && batch.isolated(|batch| relocate(&relocations, batch, now)).is_ok();
        for action in &plan.actions {
            let done_already = together && is_relocation(action);
            let done = if done_already { Ok(()) } else { batch.isolated(|batch| perform(action, batch, now)) };
            match done {
                Ok(()) => {
                    if let Some(event) = event(action) {
                        outcome.events.push((batch.append(&event, now)?, event));
                    }
                    outcome.applied.push(action.clone());
                }
                Err(error) if isolation == Isolation::Whole || error.is_fatal_to_transaction() => return Err(error),
                Err(error) => outcome.failed.push((action.clone(), error.to_string())),
            }
        }
        if reach == Reach::Everything
            && let Some(event) = events::sweep_completed(&outcome)
        {
            outcome.events.push((batch.append(&event, now)?, event));
        }
        Ok(outcome)
    })
}

/// What no file can rebuild is on disk before it counts: a lost grace clock would start anew, a lost root identity would
/// let an empty mount point pass for the drive, so would a lost mount, and when an agent was last seen stands in no file.
fn durability(plan: &Plan) -> Durability {
    let needs_sync = plan.actions.iter().any(|action| match action {
        Action::SetRoot { .. }
        | Action::NoteMount { .. }
        | Action::ForgetMount { .. }
        | Action::MarkUnreachable { .. }
        | Action::MarkReachable { .. }
        | Action::CarryClock { .. } => true,
        Action::Remove { .. }
        | Action::Relocate { .. }
        | Action::Upsert { .. }
        | Action::Sync { .. }
        | Action::Raise(_)
        | Action::Restate(_)
        | Action::Clear(_) => false,
    });
    if needs_sync { Durability::Synced } else { Durability::Rebuildable }
}

fn is_relocation(action: &Action) -> bool {
    matches!(action, Action::Relocate { .. })
}

fn relocate(relocations: &[&Action], batch: &mut Batch<'_>, now: &Moment) -> Result<(), RegistryError> {
    for action in relocations {
        if let Action::Relocate { agent, .. } = action {
            batch.vacate(agent.id())?;
        }
    }
    relocations.iter().try_for_each(|action| perform(action, batch, now))
}

fn perform(action: &Action, batch: &mut Batch<'_>, now: &Moment) -> Result<(), RegistryError> {
    match action {
        Action::SetRoot { root, state, identity } => batch.set_root(root, state, *identity, now),
        Action::NoteMount { point } => batch.note_mount(point).map(drop),
        Action::ForgetMount { point } => batch.forget_mount(point).map(drop),
        Action::Remove { id, .. } => batch.remove(id).map(drop),
        Action::Relocate { agent, sighting, .. }
        | Action::Upsert { agent, sighting }
        | Action::Sync { agent, sighting } => batch.upsert(agent, sighting, now).map(drop),
        Action::MarkUnreachable { id, reason, clock, .. } => batch.mark_unreachable(id, *reason, clock, now).map(drop),
        Action::CarryClock { id, clock } => batch.carry_clock(id, clock).map(drop),
        Action::MarkReachable { id, .. } => batch.mark_reachable(id, now).map(drop),
        Action::Raise(problem) | Action::Restate(problem) => batch.raise(problem, now),
        Action::Clear(problem) => batch.clear(problem).map(drop),
    }
}
