//! Who claims which id where, and which claims can be granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::homes::{Home, Homes};
use super::{Checkout, Found, Policy, Probe, Site, View};
use crate::agent::{Agent, AgentId, Observation, Sighting};

/// One manifest that was read, and that says whose project this is.
pub struct Claim<'a> {
    /// Where.
    pub project: &'a Path,
    /// What was found there.
    pub site: &'a Site,
    /// Whom it describes.
    pub agent: &'a Arc<Agent>,
    /// The manifest's fingerprint.
    pub observation: Observation,
}

impl Claim<'_> {
    /// What is recorded of the file and its directory when the claim is granted.
    pub fn sighting(&self) -> Sighting {
        Sighting { observation: Some(self.observation), home: self.site.identity }
    }

    /// The order in which copies of a new id win: a main checkout before a linked worktree, then the lowest path.
    fn rank(&self) -> (Checkout, &Path) {
        (self.site.checkout, self.project)
    }
}

/// All claims of a view.
pub struct Claims<'a> {
    by_id: BTreeMap<&'a AgentId, Vec<Claim<'a>>>,
    blocked: BTreeMap<&'a Path, Block<'a>>,
}

/// Why nobody can be recorded at a path for the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Block<'a> {
    /// An agent that cannot be looked for is recorded there.
    KeptFor(&'a AgentId),
    /// The agent recorded there has been missing for so short a time that it may be on its way to another place.
    Settling,
}

impl<'a> Claims<'a> {
    /// Collects the claims. A denied path and one under no configured root are none, nor is an agent's hold on its home.
    pub fn collect(view: &'a View, homes: &Homes<'a>, policy: &Policy) -> Self {
        let mut by_id: BTreeMap<&AgentId, Vec<Claim>> = BTreeMap::new();
        for (project, site) in &view.sites {
            let Probe::Present(Found::Read(agent, observation)) = &site.probe else { continue };
            let at_home = view.recorded.get(agent.id()).is_some_and(|record| record.project == *project);
            if site.denied || site.held || site.root.is_none() || at_home {
                continue;
            }
            by_id.entry(agent.id()).or_default().push(Claim { project, site, agent, observation: *observation });
        }
        for claims in by_id.values_mut() {
            claims.sort_by(|a, b| a.rank().cmp(&b.rank()));
        }
        let mut claims = Self { by_id, blocked: BTreeMap::new() };
        claims.block(view, homes, policy);
        claims
    }

    /// Ids that are claimed somewhere.
    pub fn ids(&self) -> BTreeSet<&'a AgentId> {
        self.by_id.keys().copied().collect()
    }

    /// Every claim on `id`, the one that wins first.
    pub fn of(&self, id: &AgentId) -> &[Claim<'a>] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }

    /// The claims on `id` that can be granted now, the one that wins first.
    pub fn grantable(&self, id: &AgentId) -> impl Iterator<Item = &Claim<'a>> {
        self.of(id).iter().filter(|claim| !self.blocked.contains_key(claim.project))
    }

    /// Why nobody can be recorded at `project` now, if so.
    pub fn blocked(&self, project: &Path) -> Option<Block<'a>> {
        self.blocked.get(project).copied()
    }

    /// Finds the paths that cannot change hands. Whoever cannot leave blocks its home, and so on along a chain of
    /// agents of which each is found where the next one is recorded.
    fn block(&mut self, view: &'a View, homes: &Homes<'a>, policy: &Policy) {
        for (id, home) in homes.iter() {
            if let (Home::Offline, Some(record)) = (home, view.recorded.get(id)) {
                self.blocked.insert(&record.project, Block::KeptFor(id));
            }
        }
        loop {
            let before = self.blocked.len();
            for (id, home) in homes.iter() {
                let (Home::CarriesOther { standing }, Some(record)) = (home, view.recorded.get(id)) else { continue };
                if self.blocked.contains_key(record.project.as_path()) || self.grantable(id).next().is_some() {
                    continue;
                }
                if !self.of(id).is_empty() {
                    self.blocked.insert(&record.project, Block::KeptFor(id));
                } else if record.unreachable.is_none() && *standing < policy.missing_after {
                    self.blocked.insert(&record.project, Block::Settling);
                }
            }
            if self.blocked.len() == before {
                return;
            }
        }
    }
}
