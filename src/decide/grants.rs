//! Which claims are granted: who is recorded at another place than before, or for the first time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::claims::{Claim, Claims};
use super::homes::{Home, Homes};
use super::{Policy, ProjectDir, Reach, View};
use crate::agent::{AgentId, Moment, Recorded};

/// The granted claims: at most one an id, at most one a path.
pub struct Grants<'a> {
    by_id: BTreeMap<AgentId, &'a Claim<'a>>,
    landings: BTreeSet<&'a Path>,
}

impl<'a> Grants<'a> {
    /// Grants what can be granted.
    pub fn decide(view: &View, now: &Moment, policy: &Policy, homes: &Homes, claims: &'a Claims<'a>) -> Self {
        let mut by_id = BTreeMap::new();
        for (id, home) in homes.iter() {
            let Some(record) = view.recorded.get(id) else { continue };
            if let Some(claim) = leaves_for(record, home, view, now, policy, claims) {
                by_id.insert(id.clone(), claim);
            }
        }
        for id in claims.ids() {
            if !view.recorded.contains_key(id)
                && let Some(claim) = claims.grantable(id).next()
            {
                by_id.insert(id.clone(), claim);
            }
        }
        let landings = by_id.values().map(|claim| claim.project).collect();
        Self { by_id, landings }
    }

    /// The claim on `id` that is granted.
    pub fn of(&self, id: &AgentId) -> Option<&'a Claim<'a>> {
        self.by_id.get(id).copied()
    }

    /// Whether some agent is going to be recorded at `project`.
    pub fn lands_at(&self, project: &Path) -> bool {
        self.landings.contains(project)
    }
}

/// The claim that a recorded agent follows, if its home lets it go.
fn leaves_for<'a>(
    record: &Recorded,
    home: &Home,
    view: &View,
    now: &Moment,
    policy: &Policy,
    claims: &'a Claims<'a>,
) -> Option<&'a Claim<'a>> {
    let is_home_moved = |claim: &&Claim| record.home.is_some() && claim.site.identity == record.home;
    let moved = claims.grantable(&record.id).find(is_home_moved);
    let accepted = view.accepted.get(&record.id);
    let meant = claims.grantable(&record.id).find(|claim| accepted.is_some_and(|path| path == claim.project));
    let best = meant.or(moved).or_else(|| claims.grantable(&record.id).next());
    match home {
        Home::CarriesOther { .. } | Home::Absent { dir: ProjectDir::Gone, .. } => best,
        Home::Absent { dir: ProjectDir::There, .. } if waited(record, now) >= policy.relocate_after => best,
        Home::Absent { dir: ProjectDir::There, .. } => meant.or(moved),
        // Only a pass over everything removes; a claim elsewhere keeps the agent alive there.
        Home::Denied => best.filter(|_| view.reach == Reach::Everything),
        Home::Holds(_) | Home::Unknown | Home::Offline | Home::OutOfScope => None,
    }
}

/// For how long an agent has been certainly absent from its home.
pub fn waited(record: &Recorded, now: &Moment) -> Duration {
    record.unreachable.as_ref().map_or(Duration::ZERO, |mark| mark.clock.elapsed(now))
}
