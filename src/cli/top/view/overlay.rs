//! What lies over the lists for a moment: why an agent is as it is, and which keys there are.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::strong;
use super::text::{cut, tail};
use crate::cli::top::state::{Panel, State};

const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ j k", "one line; PgUp PgDn a page; Home End g G the ends"),
    ("Enter e", "why the selected agent is in its state"),
    ("Tab", "agents or events"),
    ("/", "only what has this text; Enter keeps it, Esc drops it"),
    ("s", "only one status: unreachable, stale, inactive, active, all"),
    ("n", "only one namespace, the next one, all"),
    ("Esc", "drops filters; without any, ends"),
    ("q Ctrl-C", "ends"),
    ("AGE", "since last seen; unreachable: since when"),
    ("status!", "the row is damaged; the next pass repairs it"),
    ("?", "this; any key closes it"),
];

pub fn draw(frame: &mut Frame<'_>, state: &mut State) {
    if state.is_help {
        let keys = KEYS.iter().map(|(key, what)| entry(key, what, 9));
        let mut scroll = 0;
        over(frame, " keys ", keys.collect::<Vec<_>>().into(), &mut scroll);
    } else if let Some(panel) = &mut state.panel {
        explanation(frame, panel);
    }
}

fn explanation(frame: &mut Frame<'_>, panel: &mut Panel) {
    let room = usize::from(frame.area().width).saturating_sub(22);
    let path = crate::agent::Shown::path(&panel.project).to_string();
    let title = format!(" why: {} — Esc closes ", tail(&path, room));
    let widest = panel.lines.iter().map(|[about, _]| super::text::width(about)).max().unwrap_or(0).min(18);
    let text: Text<'static> = if panel.lines.is_empty() {
        "looking …".into()
    } else {
        panel.lines.iter().map(|[about, what]| entry(about, what, widest)).collect::<Vec<_>>().into()
    };
    let Panel { scroll, .. } = panel;
    over(frame, &title, text, scroll);
}

fn entry(about: &str, what: &str, columns: usize) -> Line<'static> {
    let about = super::text::fitted(about, columns);
    Line::from(vec![Span::styled(format!("{about}  "), strong()), Span::raw(what.to_owned())])
}

/// A box over the middle of the screen, as large as what is in it, or as the screen.
fn over(frame: &mut Frame<'_>, title: &str, text: Text<'static>, scroll: &mut u16) {
    let whole = frame.area();
    let margin = if whole.width >= 60 { 2 } else { 0 };
    let width = whole.width.saturating_sub(margin * 2);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    // Words are wrapped, so that a line may take one more than its columns say.
    let height = text.lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum::<usize>();
    let spare = text.lines.iter().filter(|line| line.width() > inner).count();
    let rows = u16::try_from(height.saturating_add(spare)).unwrap_or(u16::MAX);
    let height = rows.saturating_add(2).min(whole.height);
    *scroll = (*scroll).min(rows.saturating_add(2).saturating_sub(height));
    let area = Rect { x: margin, y: (whole.height - height) / 2, width, height };
    let block = Block::bordered().title(cut(title, usize::from(width.saturating_sub(2))));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).scroll((*scroll, 0)).block(block), area);
}
