//! What lies over the lists for a moment: why an agent is as it is, and which keys there are.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::strong;
use super::text::{cut, fitted, tail, width, wrapped};
use crate::cli::top::state::{Panel, State};

const KEYS: [(&str, &str); 12] = [
    ("↑ ↓ j k", "one line; PgUp PgDn a page; Home End g G the ends"),
    ("Enter e", "why the selected agent is in its state"),
    ("Tab", "agents or events"),
    ("/", "only what has this text; Enter keeps it, Esc drops it"),
    ("s", "only one status: unreachable, stale, inactive, active, all"),
    ("n", "only one namespace, the next one, all"),
    ("Esc", "drops filters; without any, ends"),
    ("q Ctrl-C", "ends"),
    ("Ctrl-Z", "stops; `fg` goes on"),
    ("AGE", "since last seen; unreachable: since when"),
    ("status!", "the row is damaged; the next pass repairs it"),
    ("?", "this; any key closes it"),
];

pub fn draw(frame: &mut Frame<'_>, state: &mut State) {
    if state.is_help {
        over(frame, " keys ", &KEYS, 9, &mut 0);
    } else if let Some(Panel { project, lines, scroll }) = &mut state.panel {
        let room = usize::from(frame.area().width).saturating_sub(22);
        let path = crate::agent::Shown::path(project).to_string();
        let title = format!(" why: {} — Esc closes ", tail(&path, room));
        let mut entries: Vec<(&str, &str)> =
            lines.iter().map(|[about, what]| (about.as_str(), what.as_str())).collect();
        if entries.is_empty() {
            entries.push(("looking", "…"));
        }
        let widest = entries.iter().map(|(about, _)| width(about)).max().unwrap_or(0).min(18);
        over(frame, &title, &entries, widest, scroll);
    }
}

/// A box over the middle of the screen, as large as what is in it, or as the screen.
fn over(frame: &mut Frame<'_>, title: &str, entries: &[(&str, &str)], columns: usize, scroll: &mut u16) {
    let whole = frame.area();
    let margin = if whole.width >= 60 { 2 } else { 0 };
    let width = whole.width.saturating_sub(margin * 2);
    let inner = usize::from(width.saturating_sub(2));
    let lines: Vec<Line<'static>> =
        entries.iter().flat_map(|(about, what)| entry(about, what, columns, inner)).collect();
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = rows.min(whole.height);
    *scroll = (*scroll).min(rows.saturating_sub(height));
    let area = Rect { x: margin, y: (whole.height - height) / 2, width, height };
    let block = Block::bordered().title(cut(title, inner));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).scroll((*scroll, 0)).block(block), area);
}

/// What it is about on the left, and beside it what there is to say, in as many lines as that takes.
fn entry(about: &str, what: &str, columns: usize, inner: usize) -> Vec<Line<'static>> {
    let lines = wrapped(what, inner.saturating_sub(columns).saturating_sub(2)).into_iter().enumerate();
    let line = |(number, text): (usize, String)| {
        let about = fitted(if number == 0 { about } else { "" }, columns);
        Line::from(vec![Span::styled(format!("{about}  "), strong()), Span::raw(text)])
    };
    lines.map(line).collect()
}
