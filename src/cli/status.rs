//! `meshd status`: how the agents, the roots and the daemon are, what is wrong, and what to do about it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::roots::{self, RootLine};
use super::wording::{count, put_path};
use super::{CliError, Context, Exit, Form};
use crate::agent::Shown;
use crate::api::DaemonFacts;
use crate::api::client::{Client, ClientError};
use crate::decide::{Problem, ProblemKind};
use crate::registry::{Reader, Stats};

/// Say how the agents, the scan roots and the daemon are
#[derive(Debug, Args)]
pub struct Status {}

/// The most problems that are put for people: what is wrong a thousand times is seen in the first twenty.
const MAX_PROBLEMS: usize = 20;

/// What there is to say.
struct Report {
    registry: PathBuf,
    stats: Option<Stats>,
    roots: Vec<RootLine>,
    problems: Vec<(Problem, String)>,
    daemon: Result<DaemonFacts, ClientError>,
}

pub fn run(_: &Status, context: &mut Context) -> Result<Exit, CliError> {
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir).facts();
    let registry = match context.registry() {
        Ok(registry) => Some(registry),
        Err(CliError::NoRegistry(_)) => None,
        Err(error) => return Err(error),
    };
    let report = Report::of(registry.as_ref(), daemon, context)?;
    match context.form {
        Form::Json => context.out.json(&report.json())?,
        Form::Text => report.print(context)?,
    }
    Ok(Exit::Done)
}

impl Report {
    fn of(
        registry: Option<&Reader>,
        daemon: Result<DaemonFacts, ClientError>,
        context: &Context,
    ) -> Result<Self, CliError> {
        Ok(Self {
            registry: context.settings.registry(),
            stats: registry.map(|registry| registry.stats(&context.now)).transpose()?,
            roots: registry
                .map(|registry| roots::lines(registry, &context.now, daemon.as_ref().ok()))
                .transpose()?
                .unwrap_or_default(),
            problems: registry.map(Reader::problems).transpose()?.unwrap_or_default(),
            daemon,
        })
    }

    fn json(&self) -> Value {
        let stats = self.stats.clone().unwrap_or_default();
        let facts = self.daemon.as_ref().ok();
        let mut answer = object(json!({
            "ready": facts.is_some_and(|facts| facts.ready),
            "totalAgents": stats.total,
            "activeCount": stats.active,
            "inactiveCount": stats.inactive,
            "staleCount": stats.stale,
            "unreachableCount": stats.unreachable,
            "byRuntime": stats.by_runtime,
            "byProject": stats.by_project,
            "roots": self.roots.iter().map(RootLine::json).collect::<Vec<_>>(),
            "problems": self.problems.iter().map(|(problem, since)| problem_json(problem, since)).collect::<Vec<_>>(),
            "daemon": self.daemon_json(),
            "missedEvents": facts.map(|facts| facts.missed_events),
        }));
        put_path(&mut answer, "registry", &self.registry);
        Value::Object(answer)
    }

    fn daemon_json(&self) -> Value {
        match &self.daemon {
            Ok(facts) => {
                let mut daemon = object(json!({ "running": true }));
                daemon.extend(object(serde_json::to_value(facts).unwrap_or_default()));
                Value::Object(daemon)
            }
            Err(ClientError::NoDaemon(_)) => json!({ "running": false }),
            Err(error) => json!({ "running": null, "error": error.to_string() }),
        }
    }

    fn print(&self, context: &mut Context) -> Result<(), CliError> {
        let out = &mut context.out;
        match &self.daemon {
            Ok(facts) => {
                let ready = if facts.ready { "ready" } else { "starting: not every root is watched and swept yet" };
                out.line(format_args!("daemon: {ready} (pid {}, since {})", facts.pid, facts.started_at))?;
                out.line(format_args!("watches: {} of {} needed", facts.watches, facts.watches_needed))?;
                for why in &facts.degraded {
                    out.line(format_args!("degraded: {why}"))?;
                }
                if let Some(relay) = facts.relay.as_ref().filter(|relay| relay.pending > 0 || relay.error.is_some()) {
                    let why = relay.error.as_deref().map_or_else(String::new, |why| format!(": {why}"));
                    out.line(format_args!("relay: {} not reached yet{why}", count(relay.pending, "agent")))?;
                }
                if let Some(error) = &facts.registry_error {
                    out.line(format_args!("registry: cannot be written, and is tried again: {error}"))?;
                }
            }
            Err(ClientError::NoDaemon(_)) => {
                out.line("daemon: not running; what follows is what the last pass found")?;
            }
            Err(error) => out.line(format_args!("daemon: {error}"))?,
        }
        let Some(stats) = &self.stats else {
            let none = Shown::path(&self.registry);
            return out.line(format_args!("agents: none yet, there is no {none}: `meshd run ROOT` makes one"));
        };
        out.line(format_args!("agents: {}", counts(stats)))?;
        if stats.unreachable > 0 {
            out.line(
                "  unreachable: `meshd list --status unreachable`, and `meshd explain ID` says why and for how long",
            )?;
        }
        if self.roots.is_empty() {
            out.line("roots: none; name one: `meshd run ROOT`")?;
        } else {
            out.line("roots:")?;
            out.table(&self.roots.iter().map(RootLine::cells).collect::<Vec<_>>())?;
            if self.roots.iter().any(RootLine::is_offline) {
                out.line("  offline: bring it back, or if what is there now is meant: `meshd roots accept ROOT`")?;
            }
            if self.roots.iter().any(RootLine::is_degraded) {
                out.line("  degraded: mount what is missing, give the permission, or `exclude` what cannot be listed")?;
                out.line("  (if what is not mounted is meant to be gone: `meshd roots accept ROOT`)")?;
            }
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        out.line("problems:")?;
        for (problem, since) in self.problems.iter().take(MAX_PROBLEMS) {
            let project = Shown::path(&problem.project);
            out.line(format_args!("  {} {project} (since {since})", problem.kind.as_str()))?;
            out.line(format_args!("    {}", problem.detail))?;
        }
        let more = self.problems.len().saturating_sub(MAX_PROBLEMS);
        if more > 0 {
            out.line(format_args!("  and {more} more: `meshd status --json` has them all"))?;
        }
        out.line("what to do:")?;
        let kinds: BTreeSet<ProblemKind> = self.problems.iter().map(|(problem, _)| problem.kind).collect();
        kinds.into_iter().try_for_each(|kind| out.line(format_args!("  {}: {}", kind.as_str(), remedy(kind))))
    }
}

fn counts(stats: &Stats) -> String {
    let parts = [
        (stats.active, "active"),
        (stats.inactive, "inactive"),
        (stats.stale, "stale"),
        (stats.unreachable, "unreachable"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, status)| format!("{number} {status}")).collect();
    if parts.is_empty() { stats.total.to_string() } else { format!("{} ({})", stats.total, parts.join(", ")) }
}

/// A problem in JSON.
pub fn problem_json(problem: &Problem, since: &str) -> Value {
    let mut object = Map::new();
    object.insert("kind".to_owned(), problem.kind.as_str().into());
    put_path(&mut object, "projectPath", &problem.project);
    object.insert("agentId".to_owned(), problem.id.as_ref().map(ToString::to_string).into());
    object.insert("detail".to_owned(), problem.detail.clone().into());
    object.insert("since".to_owned(), since.into());
    Value::Object(object)
}

/// What a person can do about a problem.
pub fn remedy(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unreadable => {
            "repair or delete the manifest, or give the permission back; until then the agent stays as it was last read"
        }
        ProblemKind::DuplicateId => "give one of the two another id, or delete its manifest; the recorded one keeps it",
        ProblemKind::Contested => "put the manifest back where it was, or wait: then the id goes to the other project",
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
