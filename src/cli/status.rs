//! `meshd status`: how the agents, the roots and the daemon are, what is wrong, and what to do about it.

use std::collections::BTreeSet;

use clap::Args;

use super::out::Out;
use super::{CliError, Context, Exit, Form, roots, systems};
use crate::api::client::{Client, ClientError};
use crate::config::Settings;
use crate::report::wording::count;
use crate::report::{DaemonFacts, DaemonState, ProblemReport, RootReport, StatusReport};

/// Say how the agents, the scan roots and the daemon are
#[derive(Debug, Args)]
pub struct Status {}

/// The most problems that are put for people: what is wrong a thousand times is seen in the first twenty.
const MAX_PROBLEMS: usize = 20;

pub fn run(_: &Status, context: &mut Context) -> Result<Exit, CliError> {
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir).facts();
    let registry = match context.registry() {
        Ok(registry) => Some(registry),
        Err(CliError::NoRegistry(_)) => None,
        Err(error) => return Err(error),
    };
    let report = StatusReport::of(registry.as_ref(), &context.settings.registry(), state(daemon), &context.now)?;
    match context.form {
        Form::Json => context.out.json(&report)?,
        Form::Text => {
            print_daemon(&report.daemon, &context.settings, &mut context.out)?;
            print(&report, registry.is_some(), &mut context.out)?;
        }
    }
    Ok(Exit::Done)
}

/// How the daemon is, by what came of asking it.
fn state(daemon: Result<DaemonFacts, ClientError>) -> DaemonState {
    match daemon {
        Ok(facts) => DaemonState { running: Some(true), error: None, facts: Some(facts) },
        Err(ClientError::NoDaemon(_)) => DaemonState { running: Some(false), error: None, facts: None },
        Err(error) => DaemonState { running: None, error: Some(error.to_string()), facts: None },
    }
}

fn print(report: &StatusReport, has_registry: bool, out: &mut Out) -> Result<(), CliError> {
    if !has_registry {
        let none = &report.registry;
        return out.line(format_args!(
            "agents: none yet, there is no {none}: `meshd reconcile ROOT` makes one, and so does `meshd run ROOT`"
        ));
    }
    out.line(format_args!("agents: {}", counts(report)))?;
    if report.unreachable_count > 0 {
        out.line("  unreachable: `meshd list --status unreachable`, and `meshd explain ID` says why and for how long")?;
    }
    print_roots(&report.roots, out)?;
    print_problems(&report.problems, out)
}

fn print_daemon(daemon: &DaemonState, settings: &Settings, out: &mut Out) -> Result<(), CliError> {
    let Some(facts) = &daemon.facts else {
        return match &daemon.error {
            Some(error) => out.line(format_args!("daemon: {error}")),
            None if systems::is_elsewhere(settings) => {
                out.line(format_args!("daemon: not running; {}", systems::ASKED))
            }
            None => out.line("daemon: not running; what follows is what the last pass found"),
        };
    };
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
    if let Some(error) = &facts.http_error {
        out.line(format_args!("http: {error}"))?;
    }
    if let Some(error) = &facts.registry_error {
        out.line(format_args!("registry: cannot be written, and is tried again: {error}"))?;
    }
    Ok(())
}

fn print_roots(roots: &[RootReport], out: &mut Out) -> Result<(), CliError> {
    if roots.is_empty() {
        return out.line("roots: none; name one: `meshd reconcile ROOT`, or `roots` in the configuration");
    }
    out.line("roots:")?;
    roots::print(roots, out)
}

fn print_problems(problems: &[ProblemReport], out: &mut Out) -> Result<(), CliError> {
    if problems.is_empty() {
        return Ok(());
    }
    out.line("problems:")?;
    for problem in problems.iter().take(MAX_PROBLEMS) {
        out.line(format_args!("  {} {} (since {})", problem.kind, problem.project_path, problem.since))?;
        out.line(format_args!("    {}", problem.detail))?;
    }
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        out.line(format_args!("  and {more} more: `meshd status --json` has them all"))?;
    }
    out.line("what to do:")?;
    let remedies: BTreeSet<_> = problems.iter().map(|problem| (problem.kind, problem.remedy)).collect();
    remedies.into_iter().try_for_each(|(kind, remedy)| out.line(format_args!("  {kind}: {remedy}")))
}

fn counts(report: &StatusReport) -> String {
    let parts = [
        (report.active_count, "active"),
        (report.inactive_count, "inactive"),
        (report.stale_count, "stale"),
        (report.unreachable_count, "unreachable"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, status)| format!("{number} {status}")).collect();
    let total = report.total_agents;
    if parts.is_empty() { total.to_string() } else { format!("{total} ({})", parts.join(", ")) }
}
