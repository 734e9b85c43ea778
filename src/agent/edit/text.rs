//! JSON as it is written: a tree whose leaves are pieces of the text.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A JSON value, of which every string, number and literal is the text that it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// Keys, as written with their quotes, and values.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    /// Values.
    List(Vec<Node<'a>>),
    /// A string with its quotes, a number, `true`, `false` or `null`.
    Leaf(Cow<'a, str>),
}

impl<'a> Node<'a> {
    /// An object without keys.
    pub fn object() -> Self {
        Self::Object(Vec::new())
    }

    /// The value that valid JSON is. It descends as deep as that is nested, which a parser bounded before.
    pub fn scan(text: &'a str) -> Option<Self> {
        let mut scanner = Scanner { rest: text };
        let value = scanner.value()?;
        scanner.skip_white_space();
        scanner.rest.is_empty().then_some(value)
    }

    /// The value that was given.
    fn of(value: &Value) -> Self {
        match value {
            Value::Object(map) => Self::Object(map.iter().map(|(key, value)| (quoted(key), Self::of(value))).collect()),
            Value::Array(values) => Self::List(values.iter().map(Self::of).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Leaf(value.to_string().into()),
        }
    }

    /// Merges `patch` into this value, as RFC 7396 says. What is no object becomes one.
    pub fn merge(&mut self, patch: &Map<String, Value>) {
        let mut entries = match std::mem::replace(self, Self::object()) {
            Self::Object(entries) => entries,
            Self::List(_) | Self::Leaf(_) => Vec::new(),
        };
        for (key, given) in patch {
            let known = entries.iter_mut().find(|(written, _)| is_key(written, key)).map(|(_, value)| value);
            match (given, known) {
                (Value::Null, _) => entries.retain(|(written, _)| !is_key(written, key)),
                (Value::Object(inner), Some(value)) => value.merge(inner),
                (Value::Object(inner), None) => {
                    let mut value = Self::object();
                    value.merge(inner);
                    entries.push((quoted(key), value));
                }
                (given, Some(value)) => *value = Self::of(given),
                (given, None) => entries.push((quoted(key), Self::of(given))),
            }
        }
        *self = Self::Object(entries);
    }

    /// The value as text: two spaces a level, and a newline at the end.
    pub fn print(&self) -> String {
        let mut text = String::new();
        self.print_to(&mut text, "\n");
        text.push('\n');
        text
    }

    /// `line` is a newline and the indentation of the line that the value begins on.
    fn print_to(&self, text: &mut String, line: &str) {
        let inner = format!("{line}  ");
        match self {
            Self::Leaf(leaf) => text.push_str(leaf),
            Self::Object(entries) if entries.is_empty() => text.push_str("{}"),
            Self::List(values) if values.is_empty() => text.push_str("[]"),
            Self::Object(entries) => {
                let mut before = "{";
                for (key, value) in entries {
                    text.extend([before, &inner, key, ": "]);
                    value.print_to(text, &inner);
                    before = ",";
                }
                text.extend([line, "}"]);
            }
            Self::List(values) => {
                let mut before = "[";
                for value in values {
                    text.extend([before, &inner]);
                    value.print_to(text, &inner);
                    before = ",";
                }
                text.extend([line, "]"]);
            }
        }
    }
}

fn quoted(key: &str) -> Cow<'static, str> {
    Value::from(key).to_string().into()
}

/// Whether a key, as written, is this one: it may have escapes in it.
fn is_key(written: &str, key: &str) -> bool {
    serde_json::from_str::<String>(written).is_ok_and(|decoded| decoded == key)
}

/// What is left of a text.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn value(&mut self) -> Option<Node<'a>> {
        self.skip_white_space();
        match self.rest.as_bytes().first()? {
            b'{' => {
                let mut entries = Vec::new();
                self.each(b'}', |scanner| {
                    scanner.skip_white_space();
                    let key = scanner.string()?;
                    scanner.skip_white_space();
                    scanner.take(1).filter(|colon| *colon == ":")?;
                    entries.push((key.into(), scanner.value()?));
                    Some(())
                })?;
                Some(Node::Object(entries))
            }
            b'[' => {
                let mut values = Vec::new();
                self.each(b']', |scanner| {
                    values.push(scanner.value()?);
                    Some(())
                })?;
                Some(Node::List(values))
            }
            b'"' => Some(Node::Leaf(self.string()?.into())),
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
                Some(Node::Leaf(self.take(end)?.into()))
            }
        }
    }

    /// Goes over what stands between this bracket and the `closing` one, with commas between.
    fn each(&mut self, closing: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(1)?;
        self.skip_white_space();
        if self.rest.as_bytes().first() == Some(&closing) {
            return self.take(1).map(drop);
        }
        loop {
            item(self)?;
            self.skip_white_space();
            match self.take(1)?.as_bytes() {
                b"," => {}
                [byte] if *byte == closing => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string with its quotes: up to the first quote that no backslash stands before.
    fn string(&mut self) -> Option<&'a str> {
        let mut escaped = false;
        let inside = self.rest.strip_prefix('"')?;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        self.take(end.checked_add(2)?)
    }

    fn skip_white_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}
