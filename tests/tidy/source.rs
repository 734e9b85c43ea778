//! One Rust file as tidy reads it: its words, without comments and literals, and the paths that are written in them.

use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::str::CharIndices;

/// A Rust file.
pub struct Source {
    /// Its path below the directory that was read, with `/`.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Its words and signs, each with the line it stands on.
    tokens: Vec<(usize, String)>,
}

impl Source {
    /// Reads a file below `top`.
    pub fn read(top: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(top).unwrap_or(path).display().to_string();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, tokens: tokens(&text), text }
    }

    /// The rooms that are imported or named: what follows `crate::`, also in a group, and what a chain of `super::`
    /// leads to when it leaves the room.
    pub fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            if self.word(at) == "crate" && self.word(at + 1) == "::" {
                self.first_names(at + 2, &mut found);
            }
            let step = |up: &usize| self.word(at + 2 * up) == "super" && self.word(at + 2 * up + 1) == "::";
            let ups = (0..self.tokens.len()).take_while(step).count();
            let starts = at == 0 || self.word(at - 1) != "::";
            if starts && ups > 0 && ups > self.depth(at) {
                self.first_names(at + 2 * ups, &mut found);
            }
        }
        found.retain(|(_, name)| name != "*" && name != "self");
        found
    }

    /// The libraries that are named: the first name of a path, or of a `use`.
    pub fn libraries(&self) -> Vec<(usize, String)> {
        let named = |at: &usize| {
            let (before, after) = (at.checked_sub(1).map_or("", |before| self.word(before)), self.word(at + 1));
            let heads = after == "::" && before != "::" && before != ".";
            heads || (["use", "crate"].contains(&before) && [";", "as"].contains(&after))
        };
        (0..self.tokens.len()).filter(named).filter_map(|at| self.tokens.get(at).cloned()).collect()
    }

    /// How many `super::` stay inside the room: none in `src/room.rs` and `src/room/mod.rs`, one in `src/room/file.rs`,
    /// and one more in each module that is written inside of the file.
    fn depth(&self, at: usize) -> usize {
        let mut open = Vec::new();
        for place in 0..at {
            match self.word(place) {
                "{" => open.push(place >= 2 && self.word(place - 2) == "mod"),
                "}" => drop(open.pop()),
                _ => (),
            }
        }
        let file = self.name.strip_suffix("/mod.rs").unwrap_or(&self.name);
        file.matches('/').count() + open.into_iter().filter(|is_module| *is_module).count()
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(_, word)| word)
    }

    /// The names that a path goes on with at `at`: one, or each first one of a group.
    fn first_names(&self, at: usize, found: &mut Vec<(usize, String)>) {
        if self.word(at) != "{" {
            found.extend(self.tokens.get(at).cloned());
            return;
        }
        let (mut depth, mut first) = (0, true);
        for token in self.tokens.iter().skip(at) {
            match token.1.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," if depth == 1 => first = true,
                _ if depth == 1 && first => {
                    found.push(token.clone());
                    first = false;
                }
                _ => (),
            }
            if depth == 0 {
                return;
            }
        }
    }
}

type Chars<'a> = Peekable<CharIndices<'a>>;

/// The words and signs of a Rust text, `::` as one, without white space, comments, literals and lifetimes.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut line = 1;
    let mut counted = 0;
    while let Some((at, c)) = chars.next() {
        line += text[counted..at].matches('\n').count();
        counted = at;
        let rest = &text[at..];
        if rest.starts_with("//") {
            skip(&mut chars, rest.find('\n').unwrap_or(rest.len()), at);
        } else if rest.starts_with("/*") {
            skip(&mut chars, block_comment(rest), at);
        } else if let Some(length) = raw_string(rest) {
            skip(&mut chars, length, at);
        } else if c == '"' {
            skip(&mut chars, quoted(rest, '"'), at);
        } else if c == '\'' {
            skip(&mut chars, character_or_lifetime(rest), at);
        } else if is_word(c) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            skip(&mut chars, length, at);
            let prefix = ["b", "c"].contains(&&rest[..length]) && rest[length..].starts_with(['"', '\'']);
            if !prefix {
                found.push((line, rest[..length].to_owned()));
            }
        } else if rest.starts_with("::") {
            chars.next();
            found.push((line, "::".to_owned()));
        } else if !c.is_whitespace() {
            found.push((line, c.to_string()));
        }
    }
    found
}

/// Goes on to `length` bytes behind `at`.
fn skip(chars: &mut Chars<'_>, length: usize, at: usize) {
    while chars.next_if(|(next, _)| *next < at + length).is_some() {}
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment, of which others may be part.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a raw string that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let marks = body.len() - body.trim_start_matches('#').len();
    let start = text.len() - body.len() + marks;
    text[start..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(text[start + 1..].find(&end).map_or(text.len(), |length| start + 1 + length + end.len()))
}

/// The length of a literal that starts with `mark` and ends with the next one that no backslash stands before.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => (),
        }
    }
    text.len()
}

fn character_or_lifetime(text: &str) -> usize {
    let mut inside = text[1..].chars();
    let (first, second) = (inside.next(), inside.next());
    if first == Some('\\') || second == Some('\'') {
        return quoted(text, '\'');
    }
    1 + text[1..].find(|c| !is_word(c)).unwrap_or(text.len() - 1)
}

/// A source of this text, at this path below `src`.
#[cfg(test)]
fn written(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned(), tokens: tokens(text) }
}

#[test]
fn imports_are_found_in_groups_in_paths_and_through_super() {
    let text = "use crate::{agent::{AgentId, Moment}, decide, self};\nfn f() { crate::disk::probe(); }\n\
                use super::super::watch::Plan;\nuse super::inside;\n";
    let found = written("engine/look.rs", text).imports();
    let names: Vec<(usize, &str)> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(names, [(1, "agent"), (1, "decide"), (2, "disk"), (3, "watch")]);
}

#[test]
fn a_module_of_tests_may_name_its_own_file_and_room() {
    assert!(written("scope.rs", "mod tests { use super::*; }").imports().is_empty());
    assert!(written("disk/walk.rs", "fn f() {} mod tests { use super::super::probe; }").imports().is_empty());
    let leaves = written("disk/walk.rs", "mod tests { use super::super::super::api; }").imports();
    assert_eq!(leaves, [(1, "api".to_owned())]);
}

#[test]
fn comments_and_literals_import_nothing() {
    let text = "/// [`crate::watch`]\n// crate::a\n/* crate::b /* crate::c */ crate::d */\n\
                const A: &str = \"crate::e\\\"crate::f\";\n\
                const B: &str = r#\"crate::g\"crate::h\"#; const C: u8 = b'\\'';\n\
                fn f<'a>(x: &'a str) -> char { '\"' }\n\
                use crate::found;";
    assert_eq!(written("x/y.rs", text).imports(), [(7, "found".to_owned())]);
}

#[test]
fn a_library_is_found_where_a_path_starts_with_it() {
    let text = "use notify::Watcher;\nuse rusqlite;\n\
                fn f() { self.toml::x(); crate::axum::x(); clap::Parser::parse() }\n\
                #[derive(serde::Serialize)] struct A;";
    let found = written("x.rs", text).libraries();
    let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["notify", "rusqlite", "crate", "clap", "serde"]);
}
