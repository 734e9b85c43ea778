//! Stdout: nothing but the answer, and nothing in it that a terminal would obey.
//!
//! `println!` panics when the reader is gone; here that is an error like any other, with an exit code of its own.

use std::fmt::{Arguments, Display, Write as _};
use std::io::{BufWriter, StdoutLock, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::CliError;
use crate::agent::Shown;

/// Stdout, buffered.
pub struct Out {
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Out {
    /// Stdout of this process.
    #[must_use]
    pub fn new() -> Self {
        Self { stdout: BufWriter::new(std::io::stdout().lock()) }
    }

    /// One line, whatever is in it shown and not sent.
    pub fn line(&mut self, line: impl Display) -> Result<(), CliError> {
        self.write(format_args!("{}\n", Shown::text(&line.to_string())))
    }

    /// A value as JSON, over many lines.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(error.into()))?;
        self.write(format_args!("{}\n", harmless(&text)))
    }

    /// A value as JSON on one line.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|error| CliError::Output(error.into()))?;
        self.write(format_args!("{}\n", harmless(&text)))
    }

    /// Rows with their columns aligned; the last column is as long as it is.
    pub fn table<const N: usize>(&mut self, rows: &[[String; N]]) -> Result<(), CliError> {
        let rows: Vec<[String; N]> =
            rows.iter().map(|row| row.each_ref().map(|cell| Shown::text(cell).to_string())).collect();
        let mut widths = [0; N];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(cell.width()).saturating_add(2)));
            }
            self.write(format_args!("{}\n", line.trim_end()))?;
        }
        Ok(())
    }

    /// Text of our own that is no line: a manual page, a completion script.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.stdout.write_all(bytes).map_err(CliError::Output)
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.stdout.flush().map_err(CliError::Output)
    }

    fn write(&mut self, text: Arguments<'_>) -> Result<(), CliError> {
        self.stdout.write_fmt(text).map_err(CliError::Output)
    }
}

impl Default for Out {
    fn default() -> Self {
        Self::new()
    }
}

/// The same JSON, with what a terminal would obey escaped. JSON itself only asks for that below U+0020.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // A newline is between the values: inside of a string it is escaped already.
        let plain =
            c == '\n' || matches!(c, ' '..='~') || Shown::text(c.encode_utf8(&mut [0; 4])).to_string() == c.to_string();
        if plain {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_value_and_sends_nothing_to_the_terminal() {
        let value = serde_json::json!({ "name": "a\u{1b}[2J\u{9b}31m\u{202e}\u{e0041}\n項目 \\u{9b}" });
        let text = harmless(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{e0041}']) && text.contains("項目"), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
