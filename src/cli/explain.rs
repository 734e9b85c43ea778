//! `meshd explain`: why an agent, or a directory, is in the state it is in: evidence, timers, problems.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::agent::Which;
use super::status::remedy;
use super::wording::{duration, put_path};
use super::{CliError, Context, Exit, Form};
use crate::agent::moment::iso;
use crate::agent::{Agent, Reason, Shown, Unreachable};
use crate::api::client::Client;
use crate::daemon::assemble::{self, Scanned};
use crate::decide::{Found, Policy, Probe, ProjectDir};
use crate::disk::{Kept, probe};
use crate::registry::{Reader, Record};

/// Say why an agent is in its state, or why a directory has none
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    which: Which,
}

/// Why something is as it is.
struct Explanation {
    id: Option<String>,
    project: PathBuf,
    status: &'static str,
    because: String,
    /// What disk and registry say, each with its source.
    evidence: Vec<[String; 2]>,
    /// What will happen by itself, and when.
    timers: Vec<String>,
    /// What needs a person, and what that person can do.
    problems: Vec<String>,
}

pub fn run(command: &Explain, context: &mut Context) -> Result<Exit, CliError> {
    let registry = context.registry()?;
    let record = command.which.record(&registry)?;
    let project = match (&record, command.which.id()) {
        (Some(record), _) => record.project(),
        (None, Some(_)) if !command.which.path().is_dir() => return Err(command.which.unknown()),
        (None, _) => command.which.path(),
    };
    let explanation = Case::look(&registry, record.as_ref(), &project, context)?.explain(context)?;
    match context.form {
        Form::Json => context.out.json(&explanation.json())?,
        Form::Text => explanation.print(context)?,
    }
    Ok(Exit::Done)
}

/// All that there is to explain it by.
struct Case<'a> {
    registry: &'a Reader,
    record: Option<&'a Record>,
    project: &'a Path,
    root: Option<Arc<Path>>,
    denied: Option<PathBuf>,
    kept: Kept,
    probe: Probe,
}

impl<'a> Case<'a> {
    fn look(
        registry: &'a Reader,
        record: Option<&'a Record>,
        project: &'a Path,
        context: &Context,
    ) -> Result<Self, CliError> {
        let Scanned { roots, kept } = assemble::scanned(&context.settings, registry.roots()?, &[]);
        let above = roots.into_iter().filter(|root| project.starts_with(root));
        let root: Option<Arc<Path>> = above.max_by_key(|root| root.components().count()).map(Arc::from);
        let denied = registry.denials()?.into_iter().find(|denied| project.starts_with(denied));
        let probe = probe(project, root.clone()).probe;
        Ok(Self { registry, record, project, root, denied, kept, probe })
    }

    fn explain(&self, context: &Context) -> Result<Explanation, CliError> {
        let problems = self.registry.problems()?.into_iter().filter(|(problem, _)| problem.project == self.project);
        let unreachable = self.record.and_then(|record| record.unreachable.as_ref());
        Ok(Explanation {
            id: self.record.map(|record| record.columns.id.clone()),
            project: self.project.to_owned(),
            status: self.record.map_or("not recorded", |record| record.health(&context.now).as_str()),
            because: match (self.record, unreachable) {
                (Some(_), Some(unreachable)) => why_unreachable(unreachable.reason).to_owned(),
                (Some(record), None) => self.why_recorded(record),
                (None, _) => self.why_not_recorded()?,
            },
            evidence: self.evidence(),
            timers: unreachable.map_or_else(Vec::new, |unreachable| timers(unreachable, context)),
            problems: problems
                .map(|(problem, since)| {
                    let (kind, detail) = (problem.kind.as_str(), &problem.detail);
                    format!("{kind} since {since}: {detail}. What to do: {}", remedy(problem.kind))
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

    fn why_not_recorded(&self) -> Result<String, CliError> {
        let Some(root) = &self.root else { return Ok("no scan root is above it".to_owned()) };
        if let Some(denied) = &self.denied {
            return Ok(format!("{} is denied", Shown::path(denied)));
        }
        if !self.kept.reaches(root, self.project) {
            return Ok("it is excluded, or too many directories below its scan root".to_owned());
        }
        Ok(match &self.probe {
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

    fn evidence(&self) -> Vec<[String; 2]> {
        let mut evidence = Vec::new();
        let mut say = |source: &str, what: String| evidence.push([source.to_owned(), what]);
        match &self.root {
            Some(root) => say("scan root", format!("{}, {}", Shown::path(root), self.state_of(root))),
            None => say("scan root", "none is above it".to_owned()),
        }
        say("manifest now", of_probe(&self.probe));
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

    fn state_of(&self, root: &Path) -> String {
        let known = self.registry.roots().unwrap_or_default().into_iter().find(|known| known.path == *root);
        match known.and_then(|known| known.state) {
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

fn why_unreachable(reason: Reason) -> &'static str {
    match reason {
        Reason::ManifestGone => "its manifest is gone",
        Reason::OtherManifest => "its project carries another agent's manifest, which is refused there",
        Reason::Contested => "its manifest is gone, its project is there, and another project claims its id",
        Reason::RootOffline => {
            "its scan root is offline, or what was mounted on the way is not: nothing is known of it"
        }
        Reason::OutOfScope => "no configured scan root is above it any more",
    }
}

/// What will happen by itself, by the times that the daemon goes by; by those of this command if none is running.
fn timers(unreachable: &Unreachable, context: &Context) -> Vec<String> {
    let Policy { grace_period, relocate_after, .. } = context.settings.policy;
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir).facts();
    let (grace_period, relocate_after) = daemon.map_or((grace_period, relocate_after), |facts| {
        (Duration::from_millis(facts.grace_period_ms), Duration::from_millis(facts.relocate_after_ms))
    });
    let elapsed = unreachable.clock.elapsed(&context.now);
    let left = |whole: Duration| duration(whole.saturating_sub(elapsed));
    let spent = format!("{} of the grace period of {} are spent", duration(elapsed), duration(grace_period));
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

impl Explanation {
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), self.id.clone().into());
        put_path(&mut object, "projectPath", &self.project);
        object.insert("status".to_owned(), self.status.into());
        object.insert("because".to_owned(), self.because.clone().into());
        let evidence = self.evidence.iter().map(|[source, what]| (source.clone(), Value::from(what.clone())));
        object.insert("evidence".to_owned(), Value::Object(evidence.collect()));
        object.insert("timers".to_owned(), self.timers.clone().into());
        object.insert("problems".to_owned(), self.problems.clone().into());
        Value::Object(object)
    }

    fn print(&self, context: &mut Context) -> Result<(), CliError> {
        let mut rows = vec![["project".to_owned(), Shown::path(&self.project).to_string()]];
        rows.extend(self.id.iter().map(|id| ["id".to_owned(), id.clone()]));
        rows.push(["status".to_owned(), format!("{}: {}", self.status, self.because)]);
        rows.extend(self.evidence.iter().cloned());
        rows.extend(self.timers.iter().map(|timer| ["timer".to_owned(), timer.clone()]));
        rows.extend(self.problems.iter().map(|problem| ["problem".to_owned(), problem.clone()]));
        context.out.table(&rows)
    }
}
