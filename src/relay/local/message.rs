//! One message as a file: a few lines of headers, an empty line, and the body as it was given.

use std::str::FromStr;

use crate::agent::AgentId;

/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest file that is read: a body with its headers.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024 + 4 * 1024;

const FROM: &str = "From";
const TO: &str = "To";
const SENT_AT: &str = "Sent-At";

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name in the mailbox. Names sort in the order of delivery.
    pub id: String,
    /// Who sent it; `None` where its headers do not say, since another program put it there.
    pub from: Option<AgentId>,
    /// To whom.
    pub to: Option<AgentId>,
    /// When: ISO 8601 in UTC.
    pub sent_at: Option<String>,
    /// Whether somebody took it.
    pub state: MessageState,
    /// What was sent, byte for byte.
    pub body: Vec<u8>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageState {
    /// Somebody took it and did not finish: that is going on, or it ended in the middle.
    Taken,
    /// Nobody took it yet.
    New,
}

impl MessageState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::New => "new",
        }
    }
}

/// The headers of a message, as they stand in its file before the body.
pub(super) fn headers(from: &AgentId, to: &AgentId, sent_at: &str) -> String {
    format!("{FROM}: {from}\n{TO}: {to}\n{SENT_AT}: {sent_at}\n\n")
}

/// The message in a file. What has no headers of ours is all body.
pub(super) fn parse(id: String, state: MessageState, content: Vec<u8>) -> Message {
    let end = content.windows(2).position(|pair| pair == b"\n\n");
    let head = end.and_then(|end| content.get(..end)).and_then(|head| std::str::from_utf8(head).ok());
    let header = |name: &str| {
        let value = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        head?.lines().find_map(value)
    };
    let agent = |name: &str| header(name).and_then(|value| AgentId::from_str(&value).ok());
    match (end, agent(FROM), agent(TO), header(SENT_AT)) {
        (Some(end), from @ Some(_), to @ Some(_), sent_at) => {
            let body = content.get(end.saturating_add(2)..).unwrap_or_default().to_vec();
            Message { id, from, to, sent_at, state, body }
        }
        _ => Message { id, from: None, to: None, sent_at: None, state, body: content },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_byte_for_byte() {
        let (from, to): (AgentId, AgentId) = ("a".parse().unwrap(), "b".parse().unwrap());
        for body in [&b""[..], b"\n", b"\n\nFrom: x\n\n", b"\xff\0\n", b"From: c\nTo: d\n\nx"] {
            let mut content = headers(&from, &to, "2026-01-01T00:00:00.000Z").into_bytes();
            content.extend_from_slice(body);
            let message = parse("1".to_owned(), MessageState::New, content);
            assert_eq!(message.body, body);
            assert_eq!((message.from, message.to), (Some(from.clone()), Some(to.clone())));
            assert_eq!(message.sent_at.as_deref(), Some("2026-01-01T00:00:00.000Z"));
        }
    }

    #[test]
    fn what_another_program_put_there_is_all_body() {
        for content in [&b"hello"[..], b"hello\n\nworld", b"From: a b\nTo: c\n\nx", b"From: a\n\nx", b"\xff\n\nx"] {
            let message = parse("1".to_owned(), MessageState::New, content.to_vec());
            assert_eq!((message.body.as_slice(), message.to), (content, None));
        }
    }
}
