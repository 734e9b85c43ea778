//! How `meshd top` looks: a state drawn into a frame of any size. Nothing is said by colour alone.

mod head;
mod overlay;
mod table;
mod text;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::state::{Focus, State};
use crate::registry::Status;

/// Whether there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Colour,
    Plain,
}

/// Below this, one list is shown, and the other one by a key.
const BOTH_LISTS_HEIGHT: u16 = 16;

/// What part of the lists the events have where both are shown.
const EVENTS_SHARE: u16 = 3;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, state: &mut State, look: Look) {
    let area = frame.area();
    let head = head::lines(state, look, area.width, area.height);
    let head_height = u16::try_from(head.len()).unwrap_or(1);
    // The keys go before what the head says.
    let foot_height = u16::from(head_height < area.height);
    let parts = [Constraint::Length(head_height), Constraint::Min(0), Constraint::Length(foot_height)];
    let [top, lists, foot] = Layout::vertical(parts).areas(area);
    for (line, area) in head.into_iter().zip(top.rows()) {
        frame.render_widget(line, area);
    }
    if area.height < BOTH_LISTS_HEIGHT {
        match state.focus {
            Focus::Agents => table::agents(frame, lists, state, look),
            Focus::Events => table::events(frame, lists, state, look),
        }
    } else {
        let events = lists.height / EVENTS_SHARE;
        let [agents, events] = Layout::vertical([Constraint::Min(0), Constraint::Length(events)]).areas(lists);
        table::agents(frame, agents, state, look);
        table::events(frame, events, state, look);
    }
    frame.render_widget(foot_line(state, foot), foot);
    overlay::draw(frame, state);
}

/// The last line: what is typed, or which keys there are and how the list is narrowed.
fn foot_line(state: &State, area: Rect) -> Line<'static> {
    if state.is_typing {
        // What does not fit is cut at its beginning: the end is where somebody types.
        let room = usize::from(area.width).saturating_sub(3);
        let typed = crate::agent::Shown::text(&state.text).to_string();
        return Line::from(format!("/{}_", text::tail(&typed, room))).style(strong());
    }
    let status = state.status.map_or("all", Status::as_str);
    let namespace = state.namespace.as_deref().unwrap_or("all");
    let filter = if state.text.is_empty() { String::new() } else { format!(":{}", state.text) };
    let filter = crate::agent::Shown::text(&filter).to_string();
    let keys = if area.width < 60 {
        format!("?:help q:quit /{filter} s:{status}")
    } else {
        format!("q quit  ? help  / filter{filter}  s status:{status}  n namespace:{namespace}  Enter explain  Tab list")
    };
    Line::from(text::fitted(&keys, usize::from(area.width))).style(dim())
}

/// A line that parts what is above from what is below, and says what that is.
fn rule(title: &str, width: u16, is_focused: bool) -> Line<'static> {
    let mark = if is_focused { "▶ " } else { "  " };
    let title = text::cut(&format!("{mark}{title} "), usize::from(width));
    let rest = usize::from(width).saturating_sub(text::width(&title));
    let style = if is_focused { strong() } else { Style::new() };
    Line::from(vec![Span::styled(title, style), Span::styled("─".repeat(rest), dim())])
}

fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

impl Look {
    fn coloured(self, colour: Color) -> Style {
        match self {
            Self::Colour => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    fn well(self) -> Style {
        self.coloured(Color::Green)
    }

    fn doubtful(self) -> Style {
        self.coloured(Color::Yellow)
    }

    fn wrong(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn of(self, status: Status) -> Style {
        match status {
            Status::Active => self.well(),
            Status::Inactive => Style::new(),
            Status::Stale => self.doubtful(),
            Status::Unreachable => self.wrong(),
        }
    }
}

#[cfg(test)]
mod tests;
