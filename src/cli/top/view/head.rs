//! The head: how many agents are how, how the daemon is, and the roots, the worst first. Where there is no room for all of
//! it, what is wrong goes last.

use ratatui::text::{Line, Span};

use super::text::{ago, cut, tail};
use super::{BOTH_LISTS_HEIGHT, Look, strong};
use crate::agent::Shown;
use crate::agent::moment::wall_ms;
use crate::cli::top::line::RootLine;
use crate::cli::top::state::{Daemon, State};
use crate::registry::Status;
use crate::report::DaemonFacts;
use crate::report::wording::count;

/// Below this there is room for the counts and for what is wrong.
const TINY_HEIGHT: u16 = 12;

/// The most roots that are told of; of more, the worst.
const MAX_ROOTS: usize = 3;

pub fn lines(state: &State, look: Look, width: u16, height: u16) -> Vec<Line<'static>> {
    let (columns, rows) = (usize::from(width), usize::from(height));
    let most = if height >= BOTH_LISTS_HEIGHT { MAX_ROOTS } else { 1 };
    let (counts, daemon, roots) =
        (counts(state, look), daemon(state, look, columns), roots(state, look, columns, most));
    let is_tiny = height < TINY_HEIGHT;
    let mut lines = Vec::new();
    if !is_tiny || !is_well(&state.daemon) {
        lines.push(daemon);
    }
    if !is_tiny || !state.roots.iter().all(RootLine::is_well) {
        lines.extend(roots);
    }
    // The counts stand above, and say why there are none.
    if lines.len() < rows || state.no_registry.is_some() {
        lines.insert(0, counts);
    }
    lines.truncate(rows);
    lines
}

fn counts(state: &State, look: Look) -> Line<'static> {
    let mut spans = vec![Span::styled("meshd  ", strong())];
    match &state.no_registry {
        Some(why) => spans.push(Span::styled(format!("{why}; it is looked for again"), look.doubtful())),
        None if !state.is_read => spans.push(Span::raw("reading …")),
        None => {
            let (all, _) = state.agent_counts();
            let all = u64::try_from(all).unwrap_or(u64::MAX);
            // The worst first: a narrow terminal cuts off the end.
            let mut parts = vec![Span::raw(count(all, "agent"))];
            for status in [Status::Unreachable, Status::Stale, Status::Inactive, Status::Active] {
                let number = state.count(status);
                if number > 0 {
                    parts.push(Span::styled(format!("{number} {}", status.as_str()), look.of(status)));
                }
            }
            if state.problems > 0 {
                let problems = count(u64::try_from(state.problems).unwrap_or(u64::MAX), "problem");
                parts.insert(1, Span::styled(format!("{problems}: meshd status"), look.wrong()));
            }
            for (number, part) in parts.into_iter().enumerate() {
                spans.extend((number > 0).then(|| Span::raw(" · ")));
                spans.push(part);
            }
        }
    }
    Line::from(spans)
}

fn daemon(state: &State, look: Look, columns: usize) -> Line<'static> {
    match &state.daemon {
        Daemon::Unknown => Line::from("daemon …"),
        Daemon::None => {
            let none = "no daemon runs: this is what the last pass found (meshd run, meshd doctor)";
            Line::styled(cut(none, columns), look.doubtful())
        }
        Daemon::Ill(why) => Line::styled(cut(&format!("daemon: {}", Shown::text(why)), columns), look.wrong()),
        Daemon::Runs(facts) => {
            let said = cut(&in_words(facts, state.now_ms), columns);
            if is_well(&state.daemon) { Line::from(said) } else { Line::styled(said, look.wrong()) }
        }
    }
}

/// Whether nothing is wrong with the daemon, as far as it was heard of.
fn is_well(daemon: &Daemon) -> bool {
    match daemon {
        Daemon::Unknown => true,
        Daemon::None | Daemon::Ill(_) => false,
        Daemon::Runs(facts) => {
            let relay_fails = facts.relay.as_ref().is_some_and(|relay| relay.error.is_some());
            facts.ready && facts.degraded.is_empty() && facts.registry_error.is_none() && !relay_fails
        }
    }
}

fn in_words(facts: &DaemonFacts, now_ms: i64) -> String {
    let mut parts = vec![if facts.ready { "daemon ready".to_owned() } else { "daemon starting".to_owned() }];
    if let Some(error) = &facts.registry_error {
        parts.push(format!("REGISTRY NOT WRITTEN: {}", Shown::text(error)));
    }
    if facts.cold_directories > 0 {
        parts.push(format!("{} directories POLLED for want of watches", facts.cold_directories));
    }
    if let Some(relay) = facts.relay.as_ref().filter(|relay| relay.pending > 0 || relay.error.is_some()) {
        let why = relay.error.as_ref().map(|error| format!(", FAILS: {}", Shown::text(error)));
        parts.push(format!("relay: {} pending{}", relay.pending, why.unwrap_or_default()));
    }
    if let Some(sweep) = &facts.last_sweep {
        parts.push(format!("swept {} ago in {:.0} ms", ago(now_ms, wall_ms(&sweep.at)), sweep.took_ms));
    }
    parts.push(format!("{} watches", facts.watches));
    if facts.missed_events > 0 {
        parts.push(format!("{} missed", facts.missed_events));
    }
    parts.push(format!("up {}", ago(now_ms, wall_ms(&facts.started_at))));
    parts.push(format!("pid {}", facts.pid));
    parts.join(" · ")
}

fn roots(state: &State, look: Look, columns: usize, most: usize) -> Vec<Line<'static>> {
    if state.roots.is_empty() {
        let none = "no scan root is known: meshd reconcile ROOT names one";
        let is_known = state.is_read && state.no_registry.is_none();
        return is_known.then(|| Line::styled(cut(none, columns), look.doubtful())).into_iter().collect();
    }
    let mut roots: Vec<&RootLine> = state.roots.iter().collect();
    // Stable: roots that are well stay in the order in which they are configured.
    roots.sort_by_key(|root| root.is_well());
    let more = roots.len().saturating_sub(most);
    let last = most.saturating_sub(1);
    let lines = roots.into_iter().take(most).enumerate();
    lines.map(|(place, root)| of_root(root, look, columns, if place == last { more } else { 0 })).collect()
}

fn of_root(root: &RootLine, look: Look, columns: usize, more: usize) -> Line<'static> {
    let style = match root.state {
        "online" => look.well(),
        "new" => look.doubtful(),
        _ => look.wrong(),
    };
    let state = if root.is_well() { root.state.to_owned() } else { root.state.to_uppercase() };
    let more = if more > 0 { format!("  +{more} more") } else { String::new() };
    let agents = format!("  {}{more}", count(root.agents, "agent"));
    let word = format!("root {state}  ");
    let left = columns.saturating_sub(word.len()).saturating_sub(agents.len());
    // Why it is not online matters more than all of its path.
    let for_path = if root.why.is_empty() { left } else { (left / 2).max(10) };
    let path = tail(&root.path, for_path);
    let why = if root.why.is_empty() { String::new() } else { format!("  {}", root.why) };
    Line::from(vec![
        Span::raw("root "),
        Span::styled(format!("{state}  "), style),
        Span::raw(cut(&format!("{path}{agents}{why}"), columns.saturating_sub(word.len()))),
    ])
}
