//! Draws states into terminals of every size, and reads what is there.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::*;
use crate::agent::shown::acts;
use crate::cli::top::line::RootLine;
use crate::cli::top::line::tests::{agent, event};
use crate::cli::top::source::Told;
use crate::cli::top::state::Ask;

/// What is on the screen, line by line.
fn screen(state: &mut State, width: u16, height: u16, look: Look) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, look)).unwrap();
    let buffer = terminal.backend().buffer();
    if look == Look::Plain {
        let is_plain = |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(buffer.content().iter().all(is_plain), "there is colour");
    }
    let rows = buffer.content().chunks(usize::from(width));
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
}

fn roots() -> Vec<RootLine> {
    let root = |path: &str, state, why: &str| RootLine { path: path.into(), state, why: why.into(), agents: 3 };
    vec![
        root("/home/ann/projects", "online", ""),
        root("/mnt/drive/work", "offline", "No such file or directory"),
        root("/srv/agents", "online", ""),
        root("/srv/more", "online", ""),
    ]
}

fn with(number: usize) -> State {
    let mut state = State::default();
    let of = |n: usize| if n % 10 == 9 { Status::Unreachable } else { Status::Active };
    let agents = (0..number).map(|n| agent(n, of(n))).collect();
    state.tell(Told::Agents { agents, roots: roots(), problems: 2 });
    state.tell(Told::Events((1..=50).map(event).collect()));
    state.tell(Told::Daemon(Err(None)));
    state
}

#[test]
fn it_is_drawn_at_every_size_with_any_number_of_agents() {
    for number in [0, 1, 5, 1_000] {
        for (width, height) in [(1, 1), (5, 3), (40, 10), (80, 24), (120, 40), (300, 100), (80, 5), (20, 60)] {
            let mut state = with(number);
            for key in ["", "jjj", "?", "", "\t", "/x", "\n"] {
                for c in key.chars() {
                    let code = match c {
                        '\t' => KeyCode::Tab,
                        '\n' => KeyCode::Enter,
                        c => KeyCode::Char(c),
                    };
                    state.press(KeyEvent::from(code));
                }
                screen(&mut state, width, height, Look::Colour);
                screen(&mut state, width, height, Look::Plain);
            }
        }
    }
}

#[test]
fn the_head_says_what_is_wrong_first_and_without_colour() {
    let said = screen(&mut with(20), 80, 24, Look::Plain).join("\n");
    for part in
        ["20 agents", "2 problems", "2 unreachable", "18 active", "no daemon runs", "root OFFLINE", "No such file"]
    {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert!(said.find("OFFLINE") < said.find("root online"), "{said}");
    assert!(said.contains("+1 more"), "{said}");
}

#[test]
fn what_is_wrong_is_the_last_to_go() {
    for (width, height) in [(40, 8), (40, 4), (40, 2), (80, 11)] {
        let said = screen(&mut with(20), width, height, Look::Plain).join("\n");
        for part in ["no daemon runs", "root OFFLINE"] {
            assert!(said.contains(part), "{part} at {width}x{height}:\n{said}");
        }
    }
    let mut state = with(20);
    state.tell(Told::NoRegistry("the registry is corrupt".into()));
    for (width, height) in [(60, 8), (60, 2), (60, 1)] {
        let said = screen(&mut state, width, height, Look::Plain).join("\n");
        assert!(said.contains("the registry is corrupt"), "at {width}x{height}:\n{said}");
    }
}

#[test]
fn the_selected_line_is_marked_and_its_status_is_a_word() {
    let mut state = with(20);
    for _ in 0..9 {
        state.press(KeyEvent::from(KeyCode::Down));
    }
    let said = screen(&mut state, 80, 24, Look::Plain);
    assert!(said.iter().any(|line| line.starts_with("> unreachable") && line.contains("agent-9")), "{said:#?}");
}

#[test]
fn the_smallest_terminal_has_the_counts_the_names_and_the_keys() {
    let said = screen(&mut with(20), 40, 10, Look::Plain);
    let all = said.join("\n");
    for part in ["20 agents", "agent-0", "active", "q:quit"] {
        assert!(all.contains(part), "{part}:\n{all}");
    }
    assert!(said.iter().all(|line| super::text::width(line) <= 40));
}

#[test]
fn a_wide_terminal_has_every_column() {
    let said = screen(&mut with(20), 160, 40, Look::Plain).join("\n");
    for part in
        ["STATUS", "AGE", "NAME", "NAMESPACE", "RUNTIME", "ID", "PATH", "01KKSXHD38RR8BEAEDRQ500000", "claude-code"]
    {
        assert!(said.contains(part), "{part}:\n{said}");
    }
}

#[test]
fn a_hostile_name_sends_nothing_to_the_terminal() {
    let mut state = with(0);
    let hostile = "a\u{1b}[2J\n\u{202e}\u{200b}項目";
    let mut line = agent(1, Status::Active);
    line.name = crate::agent::Shown::text(hostile).to_string();
    line.path = crate::agent::Shown::text(hostile).to_string();
    line.project = hostile.into();
    state.tell(Told::Agents { agents: vec![line], roots: Vec::new(), problems: 0 });
    for c in "/\u{1b}\u{202e}".chars() {
        state.press(KeyEvent::from(KeyCode::Char(c)));
    }
    for _ in 0..2 {
        let said = screen(&mut state, 100, 24, Look::Plain).concat();
        assert!(!said.chars().any(acts), "{said:?}");
        state.press(KeyEvent::from(KeyCode::Esc));
        // The path is in the title of what explains it, too.
        assert!(matches!(state.press(KeyEvent::from(KeyCode::Enter)), Some(Ask::Explain(_)) | None));
    }
}

#[test]
fn an_explanation_lies_over_the_lists_and_scrolls_no_further_than_its_end() {
    let mut state = with(5);
    state.press(KeyEvent::from(KeyCode::Enter));
    assert!(screen(&mut state, 80, 24, Look::Plain).join("\n").contains("looking"));
    let project = state.panel.as_ref().unwrap().project.clone();
    let lines = (0..60).map(|n| ["evidence".to_owned(), format!("line {n} {}", "word ".repeat(20))]).collect();
    state.tell(Told::Story(project, lines));
    assert!(screen(&mut state, 80, 24, Look::Plain).join("\n").contains("line 0"));
    for _ in 0..100 {
        state.press(KeyEvent::from(KeyCode::PageDown));
    }
    assert!(screen(&mut state, 80, 24, Look::Plain).join("\n").contains("line 59"));
    state.press(KeyEvent::from(KeyCode::PageUp));
    assert!(!screen(&mut state, 80, 24, Look::Plain).join("\n").contains("line 59"), "one page up is seen at once");
}
