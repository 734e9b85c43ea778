//! What `meshd top` shows: what it was told, and where somebody is in it. Told and pressed; nothing here reads or draws.

#![allow(clippy::wildcard_enum_match_arm, reason = "of all the keys that there are, some mean something here")]

use std::collections::VecDeque;
use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::line::{AgentLine, EventLine, RootLine};
use super::source::Told;
use crate::registry::Status;
use crate::report::DaemonFacts;

/// Events that are kept: more than anybody scrolls through. All of them are in `meshd events`.
const MAX_EVENTS: usize = 2_000;

/// The longest filter: no path is found better by more.
const MAX_FILTER: usize = 200;

/// What somebody looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    #[default]
    Agents,
    Events,
}

/// What a key asks for that cannot be done here.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    Quit,
    /// To be stopped, as by SIGTSTP.
    Stop,
    /// Why the agent at this project is as it is.
    Explain(PathBuf),
}

/// How the daemon is.
#[derive(Debug, Default)]
pub enum Daemon {
    /// It was not heard of yet.
    #[default]
    Unknown,
    None,
    /// It does not answer as it should.
    Ill(String),
    Runs(Box<DaemonFacts>),
}

/// One list, and where somebody is in it.
#[derive(Debug, Default)]
pub struct Place {
    /// The line that is selected.
    pub at: usize,
    /// The first line that is seen.
    pub top: usize,
    /// How many lines were seen when it was last drawn.
    pub page: usize,
}

/// Why an agent is as it is.
#[derive(Debug, Default)]
pub struct Panel {
    pub project: PathBuf,
    /// What each line is about, and what there is to say; none until the answer is there.
    pub lines: Vec<[String; 2]>,
    pub scroll: u16,
}

/// All of it.
#[derive(Debug, Default)]
pub struct State {
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    pub daemon: Daemon,
    /// Why the registry cannot be read.
    pub no_registry: Option<String>,
    /// Whether the registry was read.
    pub is_read: bool,
    pub roots: Vec<RootLine>,
    pub problems: usize,
    pub focus: Focus,
    pub agents_at: Place,
    pub events_at: Place,
    pub status: Option<Status>,
    pub namespace: Option<String>,
    pub text: String,
    /// Whether keys go into the filter.
    pub is_typing: bool,
    pub panel: Option<Panel>,
    pub is_help: bool,
    agents: Vec<AgentLine>,
    /// Newest first.
    events: VecDeque<EventLine>,
    /// Which agents fit the filter, by their place.
    fitting: Vec<usize>,
    fitting_events: Vec<usize>,
}

impl State {
    /// Takes in what was told.
    pub fn tell(&mut self, told: Told) -> Option<Ask> {
        match told {
            Told::Agents { agents, roots, problems } => {
                let selected = self.selected().map(|agent| agent.project.clone());
                (self.agents, self.roots, self.problems) = (agents, roots, problems);
                (self.is_read, self.no_registry) = (true, None);
                self.filter_agents(selected);
                // What is explained may be otherwise now.
                return self.panel.as_ref().map(|panel| Ask::Explain(panel.project.clone()));
            }
            Told::Events(events) => {
                let is_at_top = self.events_at.at == 0;
                let before = self.fitting_events.len();
                for event in events {
                    self.events.push_front(event);
                }
                self.events.truncate(MAX_EVENTS);
                self.filter_events();
                // Who looks at an older one goes on looking at that one.
                if !is_at_top {
                    let more = self.fitting_events.len().saturating_sub(before);
                    self.events_at.at = self.events_at.at.saturating_add(more);
                    self.events_at.top = self.events_at.top.saturating_add(more);
                }
                self.events_at.clamp(self.fitting_events.len());
            }
            Told::Anew => {
                self.no_registry = None;
                self.events.clear();
                self.filter_events();
            }
            Told::NoRegistry(why) => {
                (self.agents, self.roots, self.problems) = (Vec::new(), Vec::new(), 0);
                self.no_registry = Some(why);
                self.filter_agents(None);
            }
            Told::Daemon(Ok(facts)) => self.daemon = Daemon::Runs(facts),
            Told::Daemon(Err(None)) => self.daemon = Daemon::None,
            Told::Daemon(Err(Some(why))) => self.daemon = Daemon::Ill(why),
            Told::Story(project, lines) => {
                if let Some(panel) = self.panel.as_mut().filter(|panel| panel.project == project) {
                    panel.lines = lines;
                }
            }
        }
        None
    }

    /// Takes in a key.
    pub fn press(&mut self, key: KeyEvent) -> Option<Ask> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        // Keys that are signals elsewhere.
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Ask::Quit),
            KeyCode::Char('z') if is_control => return Some(Ask::Stop),
            _ => {}
        }
        if self.is_typing {
            self.type_filter(key.code, is_control);
            return None;
        }
        if self.is_help {
            self.is_help = false;
            return None;
        }
        if self.panel.is_some() {
            self.press_in_panel(key.code);
            return None;
        }
        match key.code {
            // First out of what narrows the view, then out of it.
            KeyCode::Esc if self.is_filtered() => self.clear_filter(),
            KeyCode::Esc | KeyCode::Char('q') => return Some(Ask::Quit),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.is_help = true,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('s') => self.next_status(),
            KeyCode::Char('n') => self.next_namespace(),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = if self.focus == Focus::Agents { Focus::Events } else { Focus::Agents };
            }
            KeyCode::Enter | KeyCode::Char('e') if self.focus == Focus::Agents => return self.open_panel(),
            code => {
                let (place, lines) = match self.focus {
                    Focus::Agents => (&mut self.agents_at, self.fitting.len()),
                    Focus::Events => (&mut self.events_at, self.fitting_events.len()),
                };
                place.go(code, lines);
            }
        }
        None
    }

    /// The agents that fit, between two places.
    pub fn agents(&self, from: usize, number: usize) -> impl Iterator<Item = &AgentLine> {
        self.fitting.iter().skip(from).take(number).filter_map(|place| self.agents.get(*place))
    }

    /// The events that fit, newest first, between two places.
    pub fn events(&self, from: usize, number: usize) -> impl Iterator<Item = &EventLine> {
        self.fitting_events.iter().skip(from).take(number).filter_map(|place| self.events.get(*place))
    }

    /// How many agents there are, and how many fit.
    pub fn agent_counts(&self) -> (usize, usize) {
        (self.agents.len(), self.fitting.len())
    }

    /// How many events fit.
    pub fn event_count(&self) -> usize {
        self.fitting_events.len()
    }

    /// How many agents are in a state, whatever the filter.
    pub fn count(&self, status: Status) -> usize {
        self.agents.iter().filter(|agent| agent.status == status).count()
    }

    /// The agent that is selected.
    pub fn selected(&self) -> Option<&AgentLine> {
        self.agents(self.agents_at.at, 1).next()
    }

    fn is_filtered(&self) -> bool {
        !self.text.is_empty() || self.status.is_some() || self.namespace.is_some()
    }

    fn clear_filter(&mut self) {
        (self.status, self.namespace) = (None, None);
        self.text.clear();
        self.refilter();
    }

    fn type_filter(&mut self, code: KeyCode, is_control: bool) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.text.clear();
            }
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char('u') if is_control => self.text.clear(),
            KeyCode::Char(c) if !is_control && self.text.len() < MAX_FILTER => self.text.push(c),
            _ => return,
        }
        self.refilter();
    }

    fn press_in_panel(&mut self, code: KeyCode) {
        let Some(panel) = &mut self.panel else { return };
        let page = 10;
        panel.scroll = match code {
            KeyCode::Down | KeyCode::Char('j') => panel.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => panel.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => panel.scroll.saturating_add(page),
            KeyCode::PageUp => panel.scroll.saturating_sub(page),
            KeyCode::Home => 0,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | 'e') => {
                self.panel = None;
                return;
            }
            _ => panel.scroll,
        };
    }

    fn open_panel(&mut self) -> Option<Ask> {
        let project = self.selected()?.project.clone();
        self.panel = Some(Panel { project: project.clone(), ..Panel::default() });
        Some(Ask::Explain(project))
    }

    fn next_status(&mut self) {
        // The worst first: that is what somebody looks for.
        const ORDER: [Status; 4] = [Status::Unreachable, Status::Stale, Status::Inactive, Status::Active];
        self.status = match self.status {
            None => ORDER.first().copied(),
            Some(now) => ORDER.iter().skip_while(|status| **status != now).nth(1).copied(),
        };
        self.refilter();
    }

    fn next_namespace(&mut self) {
        let mut names: Vec<&String> = self.agents.iter().map(|agent| &agent.namespace).collect();
        names.sort_unstable();
        let now = self.namespace.as_ref();
        self.namespace = names.into_iter().find(|name| now.is_none_or(|now| *name > now)).cloned();
        self.refilter();
    }

    fn refilter(&mut self) {
        let selected = self.selected().map(|agent| agent.project.clone());
        self.filter_agents(selected);
        self.filter_events();
    }

    /// Finds what fits, and goes on with the agent that was selected, if that still does.
    fn filter_agents(&mut self, selected: Option<PathBuf>) {
        let text = self.text.to_lowercase();
        let fits = |agent: &AgentLine| {
            self.status.is_none_or(|status| agent.status == status)
                && self.namespace.as_ref().is_none_or(|namespace| agent.namespace == *namespace)
                && agent.has(&text)
        };
        let fitting = self.agents.iter().enumerate().filter(|(_, agent)| fits(agent));
        self.fitting = fitting.map(|(place, _)| place).collect();
        let again = selected.and_then(|project| {
            self.fitting.iter().position(|place| self.agents.get(*place).is_some_and(|agent| agent.project == project))
        });
        self.agents_at.at = again.unwrap_or(self.agents_at.at);
        self.agents_at.clamp(self.fitting.len());
    }

    fn filter_events(&mut self) {
        let text = self.text.to_lowercase();
        let fitting = self.events.iter().enumerate().filter(|(_, event)| event.has(&text));
        self.fitting_events = fitting.map(|(place, _)| place).collect();
        self.events_at.clamp(self.fitting_events.len());
    }
}

impl Place {
    /// Moves by a key in a list of so many lines.
    fn go(&mut self, code: KeyCode, lines: usize) {
        let page = self.page.max(1);
        self.at = match code {
            KeyCode::Down | KeyCode::Char('j') => self.at.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.at.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.at.saturating_add(page),
            KeyCode::PageUp | KeyCode::Char('b') => self.at.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            _ => self.at,
        };
        self.clamp(lines);
    }

    fn clamp(&mut self, lines: usize) {
        self.at = self.at.min(lines.saturating_sub(1));
    }

    /// Has the selected line among so many that are seen, and as few lines as possible unused.
    pub fn see(&mut self, page: usize, lines: usize) {
        self.page = page;
        let last_top = lines.saturating_sub(page);
        let least = self.at.saturating_add(1).saturating_sub(page);
        self.top = self.top.clamp(least.min(self.at), self.at).min(last_top);
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::{agent, event};
    use super::*;

    fn told(number: usize) -> Told {
        let agents = (0..number).map(|n| agent(n, if n % 10 == 9 { Status::Unreachable } else { Status::Active }));
        Told::Agents { agents: agents.collect(), roots: Vec::new(), problems: 0 }
    }

    fn with(number: usize) -> State {
        let mut state = State::default();
        state.tell(told(number));
        state
    }

    fn press(state: &mut State, keys: &str) -> Option<Ask> {
        keys.chars().map(|c| state.press(KeyEvent::from(KeyCode::Char(c)))).last().flatten()
    }

    fn key(state: &mut State, code: KeyCode) -> Option<Ask> {
        state.press(KeyEvent::from(code))
    }

    #[test]
    fn keys_move_and_never_out_of_the_list() {
        let mut state = with(100);
        state.agents_at.see(10, 100);
        press(&mut state, "jjjk");
        assert_eq!(state.agents_at.at, 2);
        key(&mut state, KeyCode::PageDown);
        assert_eq!(state.agents_at.at, 12);
        key(&mut state, KeyCode::End);
        key(&mut state, KeyCode::Down);
        assert_eq!(state.agents_at.at, 99);
        state.agents_at.see(10, 100);
        assert_eq!(state.agents_at.top, 90);
        key(&mut state, KeyCode::Home);
        key(&mut state, KeyCode::Up);
        state.agents_at.see(10, 100);
        assert_eq!((state.agents_at.at, state.agents_at.top), (0, 0));
        let mut empty = with(0);
        key(&mut empty, KeyCode::End);
        assert_eq!((empty.agents_at.at, key(&mut empty, KeyCode::Enter)), (0, None));
    }

    #[test]
    fn filters_narrow_and_escape_takes_them_back_before_it_quits() {
        let mut state = with(100);
        press(&mut state, "s");
        assert_eq!((state.status, state.agent_counts()), (Some(Status::Unreachable), (100, 10)));
        press(&mut state, "ssss");
        assert_eq!((state.status, state.agent_counts().1), (None, 100));
        press(&mut state, "n");
        assert_eq!((state.namespace.as_deref(), state.agent_counts().1), (Some("team-0"), 34));
        press(&mut state, "/AGENT-9q");
        assert_eq!((state.is_typing, state.text.as_str()), (true, "AGENT-9q"));
        key(&mut state, KeyCode::Backspace);
        key(&mut state, KeyCode::Enter);
        assert_eq!(state.agent_counts().1, 5, "9, 90, 93, 96 and 99");
        assert_eq!(key(&mut state, KeyCode::Esc), None);
        assert_eq!(state.agent_counts().1, 100);
        assert_eq!(key(&mut state, KeyCode::Esc), Some(Ask::Quit));
        assert_eq!(press(&mut state, "q"), Some(Ask::Quit));
        press(&mut state, "/");
        assert_eq!(
            state.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)),
            Some(Ask::Quit),
            "while typing, too"
        );
        assert_eq!(state.press(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL)), Some(Ask::Stop));
    }

    #[test]
    fn the_selected_agent_stays_selected_when_others_come_and_go() {
        let mut state = with(50);
        press(&mut state, "jjjjj");
        let selected = state.selected().unwrap().id.clone();
        let agents = (3..80).map(|n| agent(n, Status::Active)).collect();
        state.tell(Told::Agents { agents, roots: Vec::new(), problems: 0 });
        assert_eq!(state.selected().unwrap().id, selected);
        state.tell(told(2));
        assert!(state.selected().is_some(), "its neighbour, where it is gone");
    }

    #[test]
    fn an_explanation_is_asked_for_shown_and_asked_for_again_when_something_changed() {
        let mut state = with(5);
        press(&mut state, "j");
        let project = state.selected().unwrap().project.clone();
        assert_eq!(key(&mut state, KeyCode::Enter), Some(Ask::Explain(project.clone())));
        state.tell(Told::Story("/another".into(), vec![["status".into(), "wrong".into()]]));
        assert!(state.panel.as_ref().unwrap().lines.is_empty(), "an answer to an earlier question");
        state.tell(Told::Story(project.clone(), vec![["status".into(), "active".into()]]));
        assert_eq!(state.panel.as_ref().unwrap().lines.len(), 1);
        assert_eq!(state.tell(told(6)), Some(Ask::Explain(project)));
        assert_eq!(press(&mut state, "q"), None, "closes it");
        assert!(state.panel.is_none());
    }

    #[test]
    fn events_are_newest_first_bounded_and_stand_still_for_who_looks_at_an_older_one() {
        let mut state = with(0);
        state.tell(Told::Events((1..=10).map(event).collect()));
        assert_eq!(state.events(0, 1).next().unwrap().seq, 10);
        key(&mut state, KeyCode::Tab);
        press(&mut state, "jj");
        state.tell(Told::Events((11..=20).map(event).collect()));
        assert_eq!(state.events(state.events_at.at, 1).next().unwrap().seq, 8);
        key(&mut state, KeyCode::Home);
        state.tell(Told::Events((21..=9_999).map(event).collect()));
        assert_eq!(state.events(state.events_at.at, 1).next().unwrap().seq, 9_999, "who is at the top stays there");
        assert_eq!(state.event_count(), MAX_EVENTS);
        state.tell(Told::Anew);
        assert_eq!(state.event_count(), 0, "another registry counts from one again");
    }
}
