//! `meshd access`: whether one agent may send to another, and by which rule; and which namespaces may reach which.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::agent::Which;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::Namespace;
use crate::registry::{self, AccessPair};
use crate::relay::{Rule, Verdict};

/// Say whether an agent may send to another, and by which rule; ends with 1 if it may not
///
/// Agents of one namespace may send to each other, and to those of others only where that was allowed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Access {
    /// The sender: an agent's id, or the directory of its project
    #[arg(value_name = "FROM", required = true)]
    from: Option<Which>,
    /// The receiver, likewise
    #[arg(value_name = "TO", required = true)]
    to: Option<Which>,
    #[command(subcommand)]
    command: Option<AccessCommand>,
}

#[derive(Debug, Subcommand)]
enum AccessCommand {
    /// Let the agents of one namespace send to those of another; one direction
    Allow(Namespaces),
    /// Let them not; one direction
    Deny(Namespaces),
}

/// Two namespaces.
#[derive(Debug, Args)]
struct Namespaces {
    /// The senders' namespace
    #[arg(value_name = "FROM", value_parser = namespace)]
    from: Namespace,
    /// The receivers' namespace
    #[arg(value_name = "TO", value_parser = namespace)]
    to: Namespace,
}

pub fn run(command: &Access, context: &mut Context) -> Result<Exit, CliError> {
    match (&command.command, &command.from, &command.to) {
        (Some(AccessCommand::Allow(pair)), _, _) => set(pair, registry::Access::Allow, context),
        (Some(AccessCommand::Deny(pair)), _, _) => set(pair, registry::Access::Deny, context),
        (None, Some(from), Some(to)) => say(from, to, context),
        (None, _, _) => Err(CliError::NothingToDo("name two agents, or `allow` or `deny` and two namespaces")),
    }
}

fn set(pair: &Namespaces, access: registry::Access, context: &mut Context) -> Result<Exit, CliError> {
    let Namespaces { from, to } = pair;
    let pair = AccessPair { from: from.clone(), to: to.clone(), access };
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.set_access(&pair)?),
        |core| Ok(core.set_access(pair.clone())?),
    )?;
    match context.form {
        Form::Json => {
            context.out.json(&json!({ "from": from.as_str(), "to": to.as_str(), "access": access.as_str() }))?;
        }
        Form::Text => {
            let may = match access {
                registry::Access::Allow => "may now send",
                registry::Access::Deny => "may no longer send",
            };
            context.out.line(format_args!("agents of {from} {may} to those of {to}"))?;
        }
    }
    Ok(Exit::Done)
}

fn namespace(text: &str) -> Result<Namespace, String> {
    Namespace::normalise(text.as_bytes()).ok_or_else(|| "nothing of it is left in a namespace's letters".to_owned())
}

fn say(from: &Which, to: &Which, context: &mut Context) -> Result<Exit, CliError> {
    let post = context.post()?;
    let (from, to) = (from.reached(&post, context)?, to.reached(&post, context)?);
    let access = post.access(&from, &to)?;
    let (exit, word, rule) = match &access.verdict {
        Verdict::Allowed(rule) => (Exit::Done, "allowed", Some(rule)),
        Verdict::Denied(rule) => (Exit::Failed, "denied", rule.as_ref()),
    };
    match context.form {
        Form::Json => context.out.json(&json!({
            "from": from,
            "fromSubject": access.from.as_str(),
            "to": to,
            "toSubject": access.to.as_str(),
            "allowed": exit == Exit::Done,
            "rule": rule.map(rule_json),
        }))?,
        Form::Text => {
            let by = rule.map_or_else(|| "no rule matches".to_owned(), ToString::to_string);
            context.out.line(format_args!("{word}: {by}"))?;
        }
    }
    Ok(exit)
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "from": rule.from.as_str(),
        "to": rule.to.as_str(),
        "action": rule.action.as_str(),
        "priority": rule.priority,
    })
}
