//! What an examination found: what was looked at, what is there, and what a person can do about it.

use std::fmt::Display;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// It is as it should be.
    Ok,
    /// Worth knowing; meshd does its work all the same.
    Note,
    /// It does not mend by itself.
    NeedsPerson,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What was looked at.
    pub looked_at: String,
    /// What was found there, in a sentence.
    pub found: String,
    /// What to do about it, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    /// The same as commands that can be pasted into a shell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// What one part of the examination found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Which part: `configuration`, `daemon`, `roots`, …
    pub topic: &'static str,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// A whole examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// Whether nothing needs a person.
    pub well: bool,
    /// How many findings need a person.
    pub need_person: usize,
    /// How many are only worth knowing.
    pub notes: usize,
    /// Part by part.
    pub parts: Vec<Part>,
}

impl Finding {
    /// Something is as it should be.
    #[must_use]
    pub fn ok(looked_at: impl Display, found: impl Display) -> Self {
        Self::new(Level::Ok, looked_at, found)
    }

    /// Something is worth knowing.
    #[must_use]
    pub fn note(looked_at: impl Display, found: impl Display) -> Self {
        Self::new(Level::Note, looked_at, found)
    }

    /// Something does not mend by itself.
    #[must_use]
    pub fn needs_person(looked_at: impl Display, found: impl Display) -> Self {
        Self::new(Level::NeedsPerson, looked_at, found)
    }

    fn new(level: Level, looked_at: impl Display, found: impl Display) -> Self {
        let (looked_at, found) = (looked_at.to_string(), found.to_string());
        Self { level, looked_at, found, to_do: None, commands: Vec::new() }
    }

    /// The same finding with what to do about it.
    #[must_use]
    pub fn advise(mut self, to_do: impl Display) -> Self {
        self.to_do = Some(to_do.to_string());
        self
    }

    /// The same finding with one more command to paste.
    #[must_use]
    pub fn command(mut self, command: impl Display) -> Self {
        self.commands.push(command.to_string());
        self
    }

    /// The same, where there is a command for it.
    #[must_use]
    pub fn command_if_any(self, command: Option<impl Display>) -> Self {
        match command {
            Some(command) => self.command(command),
            None => self,
        }
    }
}

impl Examination {
    /// What these parts come to.
    #[must_use]
    pub fn of(parts: Vec<Part>) -> Self {
        let count = |level| parts.iter().flat_map(|part| &part.findings).filter(|found| found.level == level).count();
        let (need_person, notes) = (count(Level::NeedsPerson), count(Level::Note));
        Self { well: need_person == 0, need_person, notes, parts }
    }
}
