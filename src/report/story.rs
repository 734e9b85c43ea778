//! Why an agent, or a directory, is in the state it is in: evidence, timers, problems.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wording::duration;
use super::{remedy_among, shown_and_hex};
use crate::agent::moment::iso;
use crate::agent::{Agent, Moment, Reason, Shown, Unreachable};
use crate::decide::{Found, Probe, ProjectDir, RootState};
use crate::disk::{Kept, probe};
use crate::registry::{Reader, Record, RegistryError};

/// Why an agent, or a directory without one, is as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// The agent that is recorded there, if any.
    pub id: Option<String>,
    /// The project.
    pub project_path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_path_hex: Option<String>,
    /// `active`, `inactive`, `stale`, `unreachable` or `not recorded`.
    pub status: &'static str,
    /// Why, in a sentence.
    pub because: String,
    /// What disk and registry say: a sentence by its source.
    #[schema(value_type = HashMap<String, String>)]
    pub evidence: Map<String, Value>,
    /// What will happen by itself, and when.
    pub timers: Vec<String>,
    /// What needs a person, and what that person can do.
    pub problems: Vec<String>,
}

/// The times that decisions go by.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long an unreachable agent is kept.
    pub grace_period: Duration,
    /// How long a contested id waits.
    pub relocate_after: Duration,
}

/// All that there is to explain it by.
pub struct Case<'a> {
    registry: &'a Reader,
    record: Option<&'a Record>,
    project: &'a Path,
    root: Option<Arc<Path>>,
    root_state: Option<RootState>,
    /// Why it cannot be looked for, if so.
    away: Option<String>,
    denied: Option<PathBuf>,
    kept: Kept,
    probe: Probe,
}

impl<'a> Case<'a> {
    /// Looks at what there is to say of a project, among these scan roots.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn look(
        registry: &'a Reader,
        record: Option<&'a Record>,
        project: &'a Path,
        roots: &[PathBuf],
        kept: Kept,
    ) -> Result<Self, RegistryError> {
        let above = roots.iter().filter(|root| project.starts_with(root));
        let root: Option<Arc<Path>> =
            above.max_by_key(|root| root.components().count()).map(|root| Arc::from(root.as_path()));
        let root_state = registry.roots()?.into_iter().find(|known| root.as_deref() == Some(&*known.path));
        let root_state = root_state.and_then(|known| known.state);
        let away = away(registry, record, project, root_state.as_ref())?;
        let denied = registry.denials()?.into_iter().find(|denied| project.starts_with(denied));
        let probe = probe(project, root.clone()).probe;
        Ok(Self { registry, record, project, root, root_state, away, denied, kept, probe })
    }

    /// Says why it is as it is.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn story(&self, now: &Moment, times: Times) -> Result<Story, RegistryError> {
        let (project_path, project_path_hex) = shown_and_hex(self.project);
        let all = self.registry.problems()?;
        let problems = all.iter().filter(|(problem, _)| problem.project == self.project);
        let unreachable = self.record.and_then(|record| record.unreachable.as_ref());
        Ok(Story {
            id: self.record.map(|record| record.columns.id.clone()),
            project_path,
            project_path_hex,
            status: self.record.map_or("not recorded", |record| record.health(now).as_str()),
            because: match (self.record, unreachable) {
                (Some(_), Some(unreachable)) => self.why_unreachable(unreachable.reason),
                (Some(record), None) => self.why_recorded(record),
                (None, _) => self.why_not_recorded()?,
            },
            evidence: self.evidence(),
            timers: unreachable.map_or_else(Vec::new, |unreachable| timers(unreachable, now, times)),
            problems: problems
                .map(|(problem, since)| {
                    let (kind, detail) = (problem.kind.as_str(), &problem.detail);
                    let remedy = remedy_among(problem, all.iter().map(|(problem, _)| problem));
                    format!("{kind} since {since}: {detail}. What to do: {remedy}")
                })
                .collect(),
        })
    }

    fn why_recorded(&self, record: &Record) -> String {
        if let Err(why) = &record.agent {
            return format!("its row is damaged ({why}); the next pass writes it anew from its manifest");
        }
        match &self.probe {
            Probe::Present(found) if found.id().as_str() == record.columns.id => "its manifest is there".to_owned(),
            Probe::Present(_) | Probe::Absent(_) => "disk changed since the last pass; the next one sees it".to_owned(),
            Probe::Unreadable(_) => "its manifest cannot be read, so it stays as it was last read".to_owned(),
        }
    }

    fn why_not_recorded(&self) -> Result<String, RegistryError> {
        let Some(root) = &self.root else { return Ok("no scan root is above it".to_owned()) };
        if let Some(denied) = &self.denied {
            return Ok(format!("{} is denied", Shown::path(denied)));
        }
        if !self.kept.reaches(root, self.project) {
            return Ok("it is excluded, or too many directories below its scan root".to_owned());
        }
        Ok(match &self.probe {
            Probe::Absent(_) if self.away.is_some() => "its scan root is offline: nothing is known of it".to_owned(),
            Probe::Absent(ProjectDir::Gone) => "there is no such directory".to_owned(),
            Probe::Absent(ProjectDir::There) => "there is no manifest in it: .dork/agent.json".to_owned(),
            Probe::Unreadable(unreadable) => format!("its manifest cannot be used: {}", unreadable.why),
            Probe::Present(found) => match self.registry.get(found.id())? {
                Some(holder) => {
                    format!("the id it claims, {}, is held by {}", found.id(), Shown::path(&holder.project()))
                }
                None => "no pass has seen it yet".to_owned(),
            },
        })
    }

    fn evidence(&self) -> Map<String, Value> {
        let mut evidence = Map::new();
        let mut say = |source: &str, what: String| {
            evidence.insert(source.to_owned(), what.into());
        };
        match &self.root {
            Some(root) => say("scan root", format!("{}, {}", Shown::path(root), self.state_of_root())),
            None => say("scan root", "none is above it".to_owned()),
        }
        match (&self.away, &self.probe) {
            (Some(away), Probe::Absent(_)) => say("manifest now", format!("cannot be looked for: {away}")),
            (_, probe) => say("manifest now", of_probe(probe)),
        }
        if let Some(record) = self.record {
            say("registered", record.registered_at.clone());
            say("row changed", record.updated_at.clone());
            if let Some(seen) = &record.last_seen_at {
                say("last seen", format!("{seen} ({})", record.last_seen_event.as_deref().unwrap_or("seen")));
            }
            if let Some(unreachable) = &record.unreachable {
                say("unreachable since", format!("{} ({})", iso(unreachable.since_ms), unreachable.reason.as_str()));
            }
        }
        evidence
    }

    fn why_unreachable(&self, reason: Reason) -> String {
        match reason {
            Reason::ManifestGone => "its manifest is gone".to_owned(),
            Reason::OtherManifest => "its project carries another agent's manifest, which is refused there".to_owned(),
            Reason::Contested => {
                "its manifest is gone, its project is there, and another project claims its id".to_owned()
            }
            Reason::RootOffline => match &self.away {
                Some(away) => format!("{away}: nothing is known of it"),
                None => "disk changed since the last pass; the next one sees it".to_owned(),
            },
            Reason::OutOfScope => "no configured scan root is above it any more".to_owned(),
        }
    }

    fn state_of_root(&self) -> String {
        match &self.root_state {
            Some(state) if state.why().is_empty() => state.as_str().to_owned(),
            Some(state) => format!("{}: {}", state.as_str(), state.why()),
            None => "not looked at yet".to_owned(),
        }
    }
}

fn of_probe(probe: &Probe) -> String {
    match probe {
        Probe::Absent(ProjectDir::There) => "none, and the project's directory is there".to_owned(),
        Probe::Absent(ProjectDir::Gone) => "none, and the project's directory is gone too".to_owned(),
        Probe::Unreadable(unreadable) => format!("unreadable: {}", unreadable.why),
        Probe::Present(Found::Read(agent, _)) => of_agent(agent),
        Probe::Present(Found::AsRecorded(id)) => format!("carries the id {id}"),
    }
}

fn of_agent(agent: &Agent) -> String {
    format!("carries the id {}, named {}", agent.id(), agent.manifest.name)
}

/// Why what is recorded at a project cannot be looked for, if so: its root is offline, or what was mounted on the way is not
/// there.
fn away(
    registry: &Reader,
    record: Option<&Record>,
    project: &Path,
    root: Option<&RootState>,
) -> Result<Option<String>, RegistryError> {
    if matches!(root, Some(RootState::Offline(_))) {
        return Ok(Some("its scan root is offline".to_owned()));
    }
    let unreachable = record.and_then(|record| record.unreachable.as_ref());
    if unreachable.is_none_or(|unreachable| unreachable.reason != Reason::RootOffline) {
        return Ok(None);
    }
    let above = registry.mounts()?.into_iter().filter(|point| project.starts_with(point));
    let deepest = above.max_by_key(|point| point.components().count());
    Ok(deepest.map(|point| format!("what was mounted at {} is not there", Shown::path(&point))))
}

/// What will happen by itself.
fn timers(unreachable: &Unreachable, now: &Moment, times: Times) -> Vec<String> {
    let Times { grace_period, relocate_after } = times;
    let elapsed = unreachable.clock.elapsed(now);
    let left = |whole: Duration| duration(whole.saturating_sub(elapsed));
    let whole = duration(grace_period);
    let spent = match elapsed.as_secs() {
        0 => format!("none of the {whole} grace period is spent"),
        _ => format!("{} of the {whole} grace period are spent", duration(elapsed)),
    };
    match unreachable.reason {
        Reason::RootOffline => vec![format!("{spent}; it stands still until the agent can be looked for again")],
        Reason::Contested => vec![
            format!("{spent}; it is removed no sooner than in {}, by a sweep", left(grace_period)),
            format!("the id goes to the other project in {}, if its own has no manifest then", left(relocate_after)),
        ],
        Reason::ManifestGone | Reason::OtherManifest | Reason::OutOfScope => {
            vec![format!("{spent}; it is removed no sooner than in {}, by a sweep", left(grace_period))]
        }
    }
}
