//! The two lists: agents and events.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text::{ago, cut, fitted, fitted_tail, width};
use super::{Look, dim, rule, selected};
use crate::cli::top::line::{AgentLine, EventLine};
use crate::cli::top::state::{Focus, State};
use crate::registry::EventName;

/// How wide the columns of the agents are; 0 for one that there is no room for.
struct Columns {
    name: usize,
    namespace: usize,
    runtime: usize,
    id: usize,
    path: usize,
}

/// `unreachable`, and a sign for a damaged row.
const STATUS: usize = 12;

/// `59m`.
const AGE: usize = 4;

/// Before the status: which line is selected, without colour and without reversing it, too.
const MARK: usize = 2;

/// An id, mostly a ULID.
const ID: usize = 26;

impl Columns {
    /// Those that fit, the most telling first: name, path, namespace, runtime, id.
    fn fit(columns: usize, lines: &[&AgentLine]) -> Self {
        let widest = |of: fn(&AgentLine) -> &str, least: usize, most: usize| {
            lines.iter().map(|line| width(of(line))).max().unwrap_or(0).clamp(least, most)
        };
        // Two between any two columns.
        let mut left = columns.saturating_sub(MARK + STATUS + 1 + AGE + 2);
        let mut take = |wanted: usize, keep: usize| {
            if left < wanted.saturating_add(2).saturating_add(keep) {
                return 0;
            }
            left = left.saturating_sub(wanted + 2);
            wanted
        };
        let name = match take(widest(|line| &line.name, 4, 28), 24) {
            0 => take(12, 8),
            name => name,
        };
        let namespace = take(widest(|line| &line.namespace, 9, 18), 24);
        let runtime = take(widest(|line| &line.runtime, 7, 12), 30);
        let id = take(ID, 30);
        // On the smallest terminals the name alone, as far as it goes.
        if name == 0 {
            return Self { name: left, namespace: 0, runtime: 0, id: 0, path: 0 };
        }
        Self { name, namespace, runtime, id, path: left }
    }

    fn line(&self, cells: [&str; 7]) -> String {
        let [status, age, name, namespace, runtime, id, path] = cells;
        let mut line = format!("{} {}", fitted(status, STATUS), fitted(age, AGE));
        for (cell, columns) in [(name, self.name), (namespace, self.namespace), (runtime, self.runtime), (id, self.id)]
        {
            if columns > 0 {
                line.push_str("  ");
                line.push_str(&fitted(cell, columns));
            }
        }
        if self.path > 0 {
            line.push_str("  ");
            line.push_str(&fitted_tail(path, self.path));
        }
        line
    }
}

pub fn agents(frame: &mut Frame<'_>, area: Rect, state: &mut State, look: Look) {
    let (all, fit) = state.agent_counts();
    let title = if all == fit { format!("agents {all}") } else { format!("agents {fit} of {all}") };
    // The rule and the columns' names are no lines of the list.
    let page = usize::from(area.height.saturating_sub(2));
    state.agents_at.see(page, fit);
    let top = state.agents_at.top;
    let title = of_place(title, top, page, fit);
    let lines: Vec<&AgentLine> = state.agents(top, page).collect();
    let columns = Columns::fit(usize::from(area.width), &lines);
    let is_focused = state.focus == Focus::Agents;
    let names = columns.line(["STATUS", "AGE", "NAME", "NAMESPACE", "RUNTIME", "ID", "PATH"]);
    let mut rows = vec![rule(&title, area.width, is_focused), Line::styled(format!("  {names}"), dim())];
    if lines.is_empty() {
        rows.push(Line::styled(format!("  {}", why_no_agents(state, all)), dim()));
    }
    for (place, line) in (top..).zip(lines) {
        let status =
            if line.is_damaged { format!("{}!", line.status.as_str()) } else { line.status.as_str().to_owned() };
        let age = ago(state.now_ms, line.since_ms);
        let text = columns.line([&status, &age, &line.name, &line.namespace, &line.runtime, &line.id, &line.path]);
        rows.push(row(&text, look.of(line.status), place == state.agents_at.at, is_focused));
    }
    put(frame, area, rows);
}

fn why_no_agents(state: &State, all: usize) -> &'static str {
    if all > 0 {
        "none fits the filter: Esc takes it back"
    } else if state.no_registry.is_some() {
        "no registry"
    } else if state.is_read {
        "none yet: a directory with .dork/agent.json below a scan root is one"
    } else {
        "reading …"
    }
}

/// The status is coloured, and all of the selected line is reversed and marked.
fn row(text: &str, status: Style, is_selected: bool, is_focused: bool) -> Line<'static> {
    if is_selected && is_focused {
        return Line::styled(format!("> {text}"), selected());
    }
    let mark = if is_selected { "> " } else { "  " };
    // The status is ASCII, so that its columns are its bytes.
    let (head, rest) = text.split_at_checked(STATUS).unwrap_or((text, ""));
    Line::from(vec![Span::raw(mark), Span::styled(head.to_owned(), status), Span::raw(rest.to_owned())])
}

pub fn events(frame: &mut Frame<'_>, area: Rect, state: &mut State, look: Look) {
    let fit = state.event_count();
    let page = usize::from(area.height.saturating_sub(1));
    state.events_at.see(page, fit);
    let top = state.events_at.top;
    let is_focused = state.focus == Focus::Events;
    let title = of_place("events, newest first".to_owned(), top, page, fit);
    let mut rows = vec![rule(&title, area.width, is_focused)];
    if fit == 0 {
        rows.push(Line::styled("  none", dim()));
    }
    for (place, event) in (top..).zip(state.events(top, page)) {
        rows.push(of_event(event, state.now_ms, place == state.events_at.at && is_focused, area.width, look));
    }
    put(frame, area, rows);
}

fn of_event(event: &EventLine, now_ms: i64, is_selected: bool, width: u16, look: Look) -> Line<'static> {
    let columns = usize::from(width);
    let mark = if is_selected { "> " } else { "  " };
    // The time of day where there is room for it: an event is looked for by when it was.
    let time = match event.at.get(11..19) {
        Some(time) if columns >= 70 => format!("{time} "),
        _ => String::new(),
    };
    let when = format!("{mark}{time}{} ", fitted(&ago(now_ms, event.at_ms), AGE));
    let name = fitted(event.name, if columns >= 60 { 22 } else { 18 });
    let room = columns.saturating_sub(when.len()).saturating_sub(name.len()).saturating_sub(1);
    let about = cut(&event.about, room);
    if is_selected {
        return Line::styled(fitted(&format!("{when}{name} {about}"), columns), selected());
    }
    Line::from(vec![Span::raw(when), Span::styled(name, style(event.name, look)), Span::raw(format!(" {about}"))])
}

fn style(name: &str, look: Look) -> Style {
    let Some(name) = EventName::from_name(name) else { return Style::new() };
    match name {
        EventName::AgentRegistered | EventName::AgentReachable | EventName::RootOnline => look.well(),
        EventName::AgentUnreachable
        | EventName::AgentRemoved
        | EventName::RootDegraded
        | EventName::WatchOverflow
        | EventName::DaemonStopping => look.doubtful(),
        EventName::ManifestUnreadable
        | EventName::ManifestDuplicateId
        | EventName::RootOffline
        | EventName::WatchLimit
        | EventName::RelayFailed => look.wrong(),
        EventName::AgentSynced
        | EventName::AgentRelocated
        | EventName::AgentUnregistered
        | EventName::SweepCompleted
        | EventName::DaemonStarted => Style::new(),
    }
}

/// Which part of a list is seen, where that is not all of it.
fn of_place(title: String, top: usize, page: usize, lines: usize) -> String {
    if lines <= page || page == 0 {
        return title;
    }
    let last = top.saturating_add(page).min(lines);
    format!("{title} ({}–{last})", top.saturating_add(1))
}

fn put(frame: &mut Frame<'_>, area: Rect, rows: Vec<Line<'static>>) {
    for (line, area) in rows.into_iter().zip(area.rows()) {
        frame.render_widget(line, area);
    }
}
