//! What the home of every record says: the left column of the decision table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::roots::Roots;
use super::{Found, Probe, ProjectDir, Site, View};
use crate::agent::{Agent, AgentId, Observation, Recorded};

/// What the home of a record says.
pub enum Home<'a> {
    /// It carries the agent's manifest; the manifest itself where it was read again.
    Holds(Option<(&'a Arc<Agent>, Observation)>),
    /// It carries a valid manifest with another id.
    CarriesOther {
        /// For how long that has been seen.
        standing: Duration,
    },
    /// There is certainly no manifest.
    Absent {
        /// Whether the project is there.
        dir: ProjectDir,
        /// For how long that has been seen.
        standing: Duration,
    },
    /// There is something that cannot be taken for a manifest, or it could not be looked at: nothing is known.
    Unknown,
    /// Its scan root is offline, or what was mounted on the way to it is not mounted: it cannot be looked for.
    Offline,
    /// A person denied its path.
    Denied,
    /// It is under no configured scan root.
    OutOfScope,
}

/// The homes of all records of a view.
pub struct Homes<'a>(BTreeMap<&'a AgentId, Home<'a>>);

impl<'a> Homes<'a> {
    /// Reads them off the view.
    pub fn read(view: &'a View, roots: &Roots) -> Self {
        let homes = view.recorded.iter().filter_map(|(id, record)| {
            let site = view.sites.get(&record.project)?;
            Some((id, home(record, site, roots)))
        });
        Self(homes.collect())
    }

    /// Every record's id and home.
    pub fn iter(&self) -> impl Iterator<Item = (&'a AgentId, &Home<'a>)> {
        self.0.iter().map(|(id, home)| (*id, home))
    }
}

fn home<'a>(record: &Recorded, site: &'a Site, roots: &Roots) -> Home<'a> {
    if site.held {
        return Home::Unknown;
    }
    let Some(root) = site.root.as_deref() else { return Home::OutOfScope };
    if site.denied {
        return Home::Denied;
    }
    match &site.probe {
        Probe::Present(found) if *found.id() == record.id => Home::Holds(match found {
            Found::AsRecorded(_) => None,
            Found::Read(agent, observation) => Some((agent, *observation)),
        }),
        Probe::Present(_) | Probe::Absent(_) | Probe::Unreadable(_) if roots.is_away(root, &record.project) => {
            Home::Offline
        }
        Probe::Present(_) => Home::CarriesOther { standing: site.standing },
        Probe::Absent(_) if roots.in_doubt(root, &record.project) => Home::Unknown,
        Probe::Absent(dir) => Home::Absent { dir: *dir, standing: site.standing },
        Probe::Unreadable(_) => Home::Unknown,
    }
}
