//! The decision table, row by row: id by id, not path by path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::claims::{Block, Claims};
use super::grants::{Grants, waited};
use super::homes::{Home, Homes};
use super::problems;
use super::roots::Roots;
use super::{Action, Plan, Policy, Problem, ProblemKind, ProjectDir, Reach, RemoveCause, View};
use crate::agent::{Agent, AgentId, Columns, GraceClock, Moment, Observation, Reason, Recorded, Shown, Sighting};

/// Decides what is to be done about a view.
#[must_use]
pub fn decide(view: &View, now: &Moment, policy: &Policy) -> Plan {
    let roots = Roots::decide(view);
    let homes = Homes::read(view, &roots);
    let claims = Claims::collect(view, &homes, policy);
    let grants = Grants::decide(view, now, policy, &homes, &claims);
    let mut decision = Decision { view, now, policy, claims: &claims, grants: &grants, draft: Draft::default() };
    for (id, home) in homes.iter() {
        if let Some(record) = view.recorded.get(id) {
            decision.recorded(record, home);
        }
    }
    for id in claims.ids() {
        decision.claimed(id);
    }
    let mut draft = decision.draft;
    problems::unreadable(view, &roots, policy, &mut draft.problems, &mut draft.look_again);

    let mut actions: Vec<Action> = roots.changes().collect();
    actions.append(&mut draft.departures);
    actions.append(&mut draft.arrivals);
    actions.append(&mut draft.changes);
    actions.extend(problems::changes(view, &roots, &draft.problems));
    Plan { actions, sightings: draft.sightings, look_again: draft.look_again }
}

struct Decision<'a> {
    view: &'a View,
    now: &'a Moment,
    policy: &'a Policy,
    claims: &'a Claims<'a>,
    grants: &'a Grants<'a>,
    draft: Draft,
}

/// What has been decided so far, by kind: departures are carried out before arrivals, whoever was looked at first.
#[derive(Default)]
struct Draft {
    departures: Vec<Action>,
    arrivals: Vec<Action>,
    changes: Vec<Action>,
    problems: BTreeSet<Problem>,
    sightings: Vec<(AgentId, Sighting)>,
    look_again: Vec<(PathBuf, Duration)>,
}

impl Decision<'_> {
    /// An id that is recorded.
    fn recorded(&mut self, record: &Recorded, home: &Home) {
        if let Some(claim) = self.grants.of(&record.id) {
            let (agent, from) = (claim.agent.clone(), record.project.clone());
            self.draft.arrivals.push(Action::Relocate { agent, from, sighting: claim.sighting() });
            return;
        }
        match home {
            Home::Holds(read) => self.holds(record, *read),
            Home::CarriesOther { .. } if self.grants.lands_at(&record.project) => {
                self.remove(record, RemoveCause::Displaced);
            }
            Home::CarriesOther { standing } => self.missing(record, Reason::OtherManifest, *standing),
            Home::Absent { dir: ProjectDir::There, standing } if !self.claims.of(&record.id).is_empty() => {
                self.contested(record, *standing);
            }
            Home::Absent { standing, .. } => self.missing(record, Reason::ManifestGone, *standing),
            Home::Offline => self.mark(record, Reason::RootOffline, GraceClock::stop),
            Home::OutOfScope => self.mark_or_remove(record, Reason::OutOfScope),
            Home::Denied if self.view.reach == Reach::Everything => self.remove(record, RemoveCause::Denied),
            Home::Denied | Home::Unknown => {}
        }
    }

    /// The home still holds the id.
    fn holds(&mut self, record: &Recorded, read: Option<(&Arc<Agent>, Observation)>) {
        if record.unreachable.is_some() {
            let (id, project, scan_root) = (record.id.clone(), record.project.clone(), record.scan_root.clone());
            self.draft.changes.push(Action::MarkReachable { id, project, scan_root });
        }
        let home = self.view.sites.get(&record.project).and_then(|site| site.identity);
        let sighting = Sighting { observation: read.map(|(_, observation)| observation), home };
        match read {
            Some((agent, _)) if Columns::of(agent).digest() != record.digest => {
                self.draft.changes.push(Action::Sync { agent: agent.clone(), sighting });
            }
            Some(_) if sighting.observation != record.observation => {
                self.draft.sightings.push((record.id.clone(), sighting));
            }
            Some(_) | None if home != record.home => self.draft.sightings.push((record.id.clone(), sighting)),
            Some(_) | None => {}
        }
    }

    /// There is no manifest, the project is there, and another one claims the id: a branch switch, or a manifest that was
    /// copied away and deleted. It waits before it goes elsewhere.
    fn contested(&mut self, record: &Recorded, standing: Duration) {
        self.missing(record, Reason::Contested, standing);
        let left = self.policy.relocate_after.saturating_sub(waited(record, self.now));
        self.draft.look_again.push((record.project.clone(), left));
        if let (true, Some(claim)) = (self.counts(record, standing), self.claims.of(&record.id).first()) {
            let detail = format!("its manifest is gone, and {} claims its id", Shown::path(claim.project));
            let (project, id) = (record.project.clone(), Some(record.id.clone()));
            self.draft.problems.insert(Problem { project, kind: ProblemKind::Contested, id, detail });
        }
    }

    /// The agent is certainly not at home, and nowhere else.
    fn missing(&mut self, record: &Recorded, reason: Reason, standing: Duration) {
        if self.counts(record, standing) {
            self.mark_or_remove(record, reason);
        } else {
            let left = self.policy.missing_after.saturating_sub(standing);
            self.draft.look_again.push((record.project.clone(), left));
        }
    }

    /// Whether the agent has been missing for long enough to be called so.
    fn counts(&self, record: &Recorded, standing: Duration) -> bool {
        record.unreachable.is_some() || standing >= self.policy.missing_after
    }

    /// Unreachable for a reason that time settles: the grace clock runs, and its end removes the agent.
    fn mark_or_remove(&mut self, record: &Recorded, reason: Reason) {
        let over = record.unreachable.as_ref().is_some_and(|mark| {
            // A clock that does not run in this boot is carried over first: the first pass after a boot sees the absence,
            // and only a later one removes.
            let runs_here = mark.clock.running_since.as_ref().is_some_and(|since| since.boot == self.now.boot);
            runs_here && mark.clock.elapsed(self.now) >= self.policy.grace_period
        });
        // Whose manifest lies somewhere below a root only waits for its place.
        let waits = reason != Reason::OutOfScope && !self.claims.of(&record.id).is_empty();
        if over && !waits && self.view.reach == Reach::Everything {
            self.remove(record, RemoveCause::GraceOver);
        } else {
            self.mark(record, reason, GraceClock::run);
        }
    }

    /// Marks the agent unreachable if that says anything new.
    fn mark(&mut self, record: &Recorded, reason: Reason, turn: fn(&GraceClock, &Moment) -> GraceClock) {
        let before = record.unreachable.as_ref();
        let clock = turn(before.map_or(&GraceClock::stopped(), |mark| &mark.clock), self.now);
        match before {
            Some(mark) if mark.reason == reason && mark.clock == clock => {}
            Some(mark) if mark.reason == reason => {
                self.draft.changes.push(Action::CarryClock { id: record.id.clone(), clock });
            }
            Some(_) | None => self.draft.changes.push(Action::MarkUnreachable {
                id: record.id.clone(),
                project: record.project.clone(),
                scan_root: record.scan_root.clone(),
                reason,
                clock,
            }),
        }
    }

    fn remove(&mut self, record: &Recorded, cause: RemoveCause) {
        let (id, project, scan_root) = (record.id.clone(), record.project.clone(), record.scan_root.clone());
        self.draft.departures.push(Action::Remove { id, project, scan_root, cause });
    }

    /// An id that some manifest claims: a new one is registered where the claim was granted, and every claim that was
    /// not is a problem, unless it only waits for the dust to settle.
    fn claimed(&mut self, id: &AgentId) {
        let granted = self.grants.of(id);
        let recorded = self.view.recorded.get(id);
        if let (Some(claim), None) = (granted, recorded) {
            self.draft.arrivals.push(Action::Upsert { agent: claim.agent.clone(), sighting: claim.sighting() });
        }
        let holder: Option<&Path> =
            granted.map(|claim| claim.project).or(recorded.map(|record| record.project.as_path()));
        for claim in self.claims.of(id).iter().filter(|claim| Some(claim.project) != holder) {
            let (kind, detail) = match (self.claims.blocked(claim.project), holder) {
                (Some(Block::Settling), _) | (None, None) => continue,
                (_, Some(holder)) => (ProblemKind::DuplicateId, format!("{} holds this id", Shown::path(holder))),
                (Some(Block::KeptFor(kept)), None) => (
                    ProblemKind::Contested,
                    format!("this place is kept for agent {kept}, which cannot be looked for now"),
                ),
            };
            let (project, id) = (claim.project.to_owned(), Some(id.clone()));
            self.draft.problems.insert(Problem { project, kind, id, detail });
        }
    }
}
