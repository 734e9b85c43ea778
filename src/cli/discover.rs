//! `meshd discover`: directories that look like agent projects and have no manifest.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, json};

use super::{CliError, Context, Exit, Form, local};
use crate::agent::{AgentId, Moment, Shown};
use crate::clock;
use crate::config::{canonical, homes};
use crate::daemon::assemble::{self, Scanned};
use crate::disk::{Candidate, Kept, candidates, stat};
use crate::registration::{self, Register, RegistrationError, Steps};
use crate::report::wording::directories;
use crate::report::{CandidateReport, put_path};

/// Find directories that look like agent projects and have no manifest
#[derive(Debug, Args)]
pub struct Discover {
    /// Where to look [default: the scan roots]
    #[arg(value_name = "ROOT")]
    roots: Vec<PathBuf>,
    /// Register those that are picked
    #[arg(long)]
    register: bool,
    /// Pick all of them without asking
    #[arg(long, requires = "register")]
    yes: bool,
}

/// Where to look, and what is never registered.
struct Places {
    roots: Vec<Arc<Path>>,
    kept: Kept,
    denied: Vec<PathBuf>,
}

pub fn run(command: &Discover, context: &mut Context) -> Result<Exit, CliError> {
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && context.form == Form::Text;
    let Places { roots, kept, denied } = places(command, context)?;
    if command.register && !command.yes && !may_ask {
        return Err(CliError::NobodyToAsk);
    }
    let missing = warn_of_missing(&roots);
    let homes = homes();
    let except = |path: &Path| homes.contains(path) || denied.iter().any(|denied| path.starts_with(denied));
    let mut progress = Progress::begin();
    let found = candidates(&roots, &kept, except, &mut |looked| progress.tell(looked));
    drop(progress);
    if !command.register {
        print(&found, context)?;
        // Who named a root wants to know; a drive of the configuration may well be unplugged.
        return Ok(if missing && !command.roots.is_empty() { Exit::Failed } else { Exit::Done });
    }
    if context.form == Form::Text {
        print(&found, context)?;
        context.out.flush()?;
    }
    let picked = if command.yes || found.is_empty() { (0..found.len()).collect() } else { ask(found.len())? };
    let picked = picked.into_iter().filter_map(|place| found.get(place));
    register_all(picked, context)
}

/// Registers them; one that fails is said and stops no other.
fn register_all<'a>(picked: impl Iterator<Item = &'a Candidate>, context: &mut Context) -> Result<Exit, CliError> {
    let (picked, now): (Vec<&Candidate>, Moment) = (picked.collect(), context.now.clone());
    let outcomes = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(picked.iter().map(|candidate| register(daemon, candidate, &now)).collect::<Vec<_>>()),
        |core| Ok(picked.iter().map(|candidate| register(core, candidate, &now)).collect::<Vec<_>>()),
    )?;
    let (mut registered, mut failed) = (Vec::new(), Vec::new());
    for (candidate, outcome) in picked.into_iter().zip(outcomes) {
        let mut object = Map::new();
        put_path(&mut object, "path", &candidate.path);
        match outcome {
            Ok(id) => {
                if context.form == Form::Text {
                    context.out.line(format_args!("registered {id} at {}", Shown::path(&candidate.path)))?;
                }
                object.insert("agentId".to_owned(), id.as_str().into());
                registered.push(object);
            }
            Err(error) => {
                if context.form == Form::Text {
                    context.out.line(format_args!("not registered: {}: {error}", Shown::path(&candidate.path)))?;
                }
                object.insert("why".to_owned(), error.to_string().into());
                failed.push(object);
            }
        }
    }
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    if context.form == Form::Json {
        context.out.json(&json!({ "registered": registered, "failed": failed }))?;
    }
    Ok(exit)
}

/// Registers one.
fn register(steps: &impl Steps, candidate: &Candidate, now: &Moment) -> Result<AgentId, RegistrationError> {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), candidate.name.clone().into());
    fields.insert("runtime".to_owned(), candidate.runtime.as_str().into());
    if let Some(description) = &candidate.description {
        fields.insert("description".to_owned(), description.clone().into());
    }
    let agent = registration::register(steps, &candidate.path, &Register::new(fields), now)?;
    Ok(agent.id().clone())
}

/// Where this command is to look.
fn places(command: &Discover, context: &Context) -> Result<Places, CliError> {
    let settings = &context.settings;
    let named = command.roots.iter().map(|root| canonical(&std::path::absolute(root).unwrap_or_else(|_| root.clone())));
    let (known, denied) = match context.registry() {
        Ok(registry) => (registry.roots()?, registry.denials()?),
        Err(CliError::NoRegistry(_)) => (Vec::new(), Vec::new()),
        Err(error) => return Err(error),
    };
    let Scanned { roots: known, kept } = assemble::scanned(settings, known, &[]);
    let roots: Vec<PathBuf> = if command.roots.is_empty() { known } else { named.collect() };
    if roots.is_empty() {
        return Err(CliError::NoRoots);
    }
    Ok(Places { roots: roots.into_iter().map(Arc::from).collect(), kept, denied })
}

/// Says which roots cannot be looked at; whether there are any.
fn warn_of_missing(roots: &[Arc<Path>]) -> bool {
    let mut missing = false;
    for root in roots {
        if let Err(error) = stat::directory(root) {
            tracing::warn!("{}: {}", Shown::path(root), std::io::Error::from(error));
            missing = true;
        }
    }
    missing
}

fn print(found: &[Candidate], context: &mut Context) -> Result<(), CliError> {
    match context.form {
        Form::Json => {
            let candidates: Vec<CandidateReport> = found.iter().map(CandidateReport::from).collect();
            context.out.json(&json!({ "candidates": candidates }))
        }
        Form::Text if found.is_empty() => context.out.line("no candidates"),
        Form::Text => {
            let mut rows = vec![["NO", "RUNTIME", "NAME", "PROJECT", "FOUND", "DESCRIPTION"].map(str::to_owned)];
            rows.extend((1_usize..).zip(found).map(|(number, candidate)| cells(number, candidate)));
            context.out.table(&rows)
        }
    }
}

fn cells(number: usize, candidate: &Candidate) -> [String; 6] {
    /// What is left of a line, mostly; all of it is in the JSON.
    const MAX_CHARS: usize = 60;
    let description = candidate.description.as_deref().unwrap_or_default();
    let cut = description.char_indices().nth(MAX_CHARS).and_then(|(end, _)| description.get(..end));
    [
        number.to_string(),
        candidate.runtime.as_str().to_owned(),
        candidate.name.clone(),
        Shown::path(&candidate.path).to_string(),
        candidate.markers.join(" "),
        cut.map_or_else(|| description.to_owned(), |cut| format!("{cut}…")),
    ]
}

/// Asks which of `count` are meant, until the answer is one.
fn ask(count: usize) -> Result<BTreeSet<usize>, CliError> {
    let mut stderr = std::io::stderr();
    loop {
        write!(stderr, "Which of them? (numbers, ranges like 2-5, `all`; nothing for none) ")
            .map_err(CliError::Output)?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(CliError::Input)?;
        match picked(&line, count) {
            Ok(picked) => return Ok(picked),
            Err(why) => writeln!(stderr, "{}", Shown::text(&why)).map_err(CliError::Output)?,
        }
    }
}

/// The places, counted from zero, that an answer means.
fn picked(answer: &str, count: usize) -> Result<BTreeSet<usize>, String> {
    let mut picked = BTreeSet::new();
    for part in answer.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()) {
        if part == "all" {
            picked.extend(0..count);
            continue;
        }
        let number = |text: &str| match text.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(format!("`{part}` is none of 1 to {count}")),
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("`{part}` goes backwards"));
        }
        picked.extend(first.saturating_sub(1)..last);
    }
    Ok(picked)
}

/// Says on a terminal how far it is; nothing where stderr is none.
struct Progress {
    told: Option<Instant>,
}

/// As often as a person can read it.
const TELL_EVERY: Duration = Duration::from_millis(100);

impl Progress {
    fn begin() -> Self {
        Self { told: std::io::stderr().is_terminal().then(clock::monotonic) }
    }

    fn tell(&mut self, looked: usize) {
        if self.told.is_some_and(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(clock::monotonic());
            // That nobody can be told changes nothing about what is found.
            let looked = directories(u64::try_from(looked).unwrap_or(u64::MAX));
            let _ = write!(std::io::stderr(), "\r{looked}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_some() {
            // To the beginning of the line, which is then cleared.
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_numbers_ranges_all_or_nothing() {
        let places = |answer: &str| picked(answer, 9).map(|picked| picked.into_iter().collect::<Vec<_>>());
        assert_eq!(places("1, 3-5 9\n").unwrap(), [0, 2, 3, 4, 8]);
        assert_eq!(places(" all\n").unwrap().len(), 9);
        assert!(places("\n").unwrap().is_empty() && places("").unwrap().is_empty());
        for bad in ["0", "10", "5-3", "1-", "-", "x", "1-10", "99999999999999999999999"] {
            assert!(places(bad).is_err(), "{bad}");
        }
    }
}
