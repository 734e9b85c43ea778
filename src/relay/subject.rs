//! Subjects, which say where a message goes, and the patterns that rules match them with.
//!
//! The grammar is NATS': tokens with dots between them. A subject is also the name of a mailbox's directory, so it is
//! nothing that a file system would take for something else.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::agent::{AgentId, Namespace};

/// The most tokens of a subject or a pattern.
const MAX_TOKENS: usize = 16;

/// The longest subject or pattern, in bytes. A file name may have 255, and a mailbox that is archived gets the time
/// behind its name. An agent's subject has at most 144.
const MAX_BYTES: usize = 200;

/// What every agent's subject begins with.
const OF_AGENTS: &str = "relay.agent.";

/// A place that messages are sent to: 1 to 16 tokens `[A-Za-z0-9_-]+` with dots between them. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

/// Which subjects are meant: like a subject, but `*` stands for any one token, and `>` for all that follow, one or more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

/// That a text is no subject or no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// One part is no token.
    #[error("`{0}` is no token: letters, digits, `_` and `-` only, and at least one of them")]
    NoToken(String),
    /// `>` stands before the end.
    #[error("`>` stands for all that follows, so nothing may follow it")]
    RestNotLast,
    /// There is too much of it.
    #[error("more than {MAX_TOKENS} tokens or {MAX_BYTES} bytes")]
    TooLong,
}

impl Subject {
    /// The subject of an agent: `relay.agent.{namespace}.{id}`.
    ///
    /// # Errors
    /// A namespace is taken from a row as it is there, and one that is no token makes no subject.
    pub fn of_agent(namespace: &Namespace, id: &AgentId) -> Result<Self, SubjectError> {
        must_be_token(namespace.as_str())?;
        let text = format!("{OF_AGENTS}{namespace}.{id}");
        if text.len() > MAX_BYTES {
            return Err(SubjectError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// Whether it is [that](Self::of_agent) of this agent.
    #[must_use]
    pub fn is_of(&self, namespace: &Namespace, id: &AgentId) -> bool {
        self.agent() == Some((namespace.as_str(), id.as_str()))
    }

    /// Namespace and id, if it is the subject of an agent.
    #[must_use]
    pub fn agent(&self) -> Option<(&str, &str)> {
        let (namespace, id) = self.0.strip_prefix(OF_AGENTS)?.split_once('.')?;
        (!id.contains('.')).then_some((namespace, id))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    /// The subjects of all agents of a namespace.
    ///
    /// # Errors
    /// Like [`Subject::of_agent`].
    pub fn of_namespace(namespace: &Namespace) -> Result<Self, SubjectError> {
        must_be_token(namespace.as_str())?;
        format!("{OF_AGENTS}{namespace}.*").parse()
    }

    /// The subjects of all agents.
    #[must_use]
    pub fn of_agents() -> Self {
        Self(format!("{OF_AGENTS}>").into())
    }

    /// The namespace, if it is [that](Self::of_namespace) of one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let namespace = self.0.strip_prefix(OF_AGENTS)?.strip_suffix(".*")?;
        (!namespace.contains(['.', '*'])).then_some(namespace)
    }

    /// Whether the subject is one of those that are meant.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut tokens = subject.0.split('.');
        for part in self.0.split('.') {
            match (part, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (part, token) if token == Some(part) => {}
                (_, Some(_) | None) => return false,
            }
        }
        tokens.next().is_none()
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        must_be_short(text)?;
        text.split('.').try_for_each(must_be_token)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Pattern {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        must_be_short(text)?;
        let mut parts = text.split('.').peekable();
        while let Some(part) = parts.next() {
            match part {
                ">" if parts.peek().is_some() => return Err(SubjectError::RestNotLast),
                ">" | "*" => {}
                token => must_be_token(token)?,
            }
        }
        Ok(Self(text.into()))
    }
}

fn must_be_token(text: &str) -> Result<(), SubjectError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || !text.bytes().all(good) {
        return Err(SubjectError::NoToken(text.to_owned()));
    }
    Ok(())
}

fn must_be_short(text: &str) -> Result<(), SubjectError> {
    let short = text.len() <= MAX_BYTES && text.split('.').count() <= MAX_TOKENS;
    if short { Ok(()) } else { Err(SubjectError::TooLong) }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    fn matches(pattern: &str, text: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&subject(text))
    }

    fn namespace(text: &str) -> Namespace {
        Namespace::as_recorded(text.to_owned())
    }

    #[test]
    fn a_star_is_one_token_and_an_arrow_is_the_rest() {
        assert!(matches("a.*.c", "a.b.c") && matches("a.>", "a.b") && matches("a.>", "a.b.c.d") && matches(">", "a"));
        assert!(!matches("a.*", "a") && !matches("a.*", "a.b.c") && !matches("a.>", "a") && !matches("*", "a.b"));
        assert!(
            matches("a.b", "a.b") && !matches("a.b", "a.B") && !matches("a.b", "a.b.c") && !matches("a.b.c", "a.b")
        );
        assert!(matches("*.*.>", "a.b.c") && !matches("*.*.>", "a.b"));
    }

    #[test]
    fn what_is_no_token_is_no_subject() {
        for text in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "a.*", "a.>", "ä", "a\n", "../a", "a.\u{0}"] {
            assert!(matches!(text.parse::<Subject>(), Err(SubjectError::NoToken(_))), "{text:?}");
        }
        assert_eq!("a.>.b".parse::<Pattern>(), Err(SubjectError::RestNotLast));
        for text in ["a*", "**", "a.>b", "", "a..*"] {
            assert!(matches!(text.parse::<Pattern>(), Err(SubjectError::NoToken(_))), "{text:?}");
        }
    }

    #[test]
    fn sixteen_tokens_are_the_most() {
        assert!(vec!["a"; 16].join(".").parse::<Subject>().is_ok());
        assert_eq!(vec!["a"; 17].join(".").parse::<Subject>(), Err(SubjectError::TooLong));
        assert_eq!(vec!["*"; 17].join(".").parse::<Pattern>(), Err(SubjectError::TooLong));
        assert_eq!("a".repeat(201).parse::<Subject>(), Err(SubjectError::TooLong));
    }

    #[test]
    fn an_agents_subject_says_whose_it_is() {
        let (team, id) = (namespace("team-a"), "01J_x".parse().unwrap());
        let of_agent = Subject::of_agent(&team, &id).unwrap();
        assert_eq!(of_agent.as_str(), "relay.agent.team-a.01J_x");
        assert_eq!(of_agent.agent(), Some(("team-a", "01J_x")));
        assert!(of_agent.is_of(&team, &id) && !of_agent.is_of(&namespace("team"), &id));
        assert!(Pattern::of_namespace(&team).unwrap().matches(&of_agent) && Pattern::of_agents().matches(&of_agent));
        assert_eq!(Pattern::of_namespace(&team).unwrap().namespace(), Some("team-a"));
        for other in ["relay.agent.a", "relay.agent.a.b.c", "relay.agents.a.b", "relay.human.a.b"] {
            assert_eq!(subject(other).agent(), None, "{other}");
        }
        for other in ["relay.agent.*.*", "relay.agent.>", "relay.agent.a.b.*", "relay.agent.*"] {
            assert_eq!(other.parse::<Pattern>().unwrap().namespace(), None, "{other}");
        }
    }

    #[test]
    fn a_recorded_namespace_that_is_no_token_makes_no_subject() {
        let id = "a".parse().unwrap();
        for text in ["", "a.b", "*", ">", "a b", "../x"] {
            assert!(Subject::of_agent(&namespace(text), &id).is_err(), "{text:?}");
            assert!(Pattern::of_namespace(&namespace(text)).is_err(), "{text:?}");
        }
        assert!(Subject::of_agent(&namespace(&"n".repeat(200)), &id).is_err());
    }
}
