//! The configuration file's layer: TOML, whose every error says which key, in which line and column.

use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigError, Given};

/// What the file at `path` gives; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Given>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(ConfigError::Unreadable { file: path.to_owned(), why: error.to_string() }),
    }
}

/// What `text`, the content of the file at `path`, gives.
pub(super) fn parse(text: &str, path: &Path) -> Result<Given, ConfigError> {
    let at = |error: &toml::de::Error, key: Option<String>| {
        let start = error.span().map_or(0, |span| span.start);
        let (line, column, content) = place(text, start);
        // An error of syntax, or at the top, comes without a key: it is what stands before the `=` of its line.
        let key = key.or_else(|| content.split_once('=').map(|(key, _)| key.trim().to_owned()));
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let what = key.map_or_else(|| message.clone(), |key| format!("`{key}`: {message}"));
        ConfigError::InFile { file: path.to_owned(), line, column, what }
    };
    let toml = toml::Deserializer::parse(text).map_err(|error| at(&error, None))?;
    serde_path_to_error::deserialize(toml).map_err(|error| {
        let key = Some(error.path().to_string()).filter(|key| key != ".");
        at(error.inner(), key)
    })
}

/// The line and column, from 1, of the byte at `offset`, and what stands in that line.
fn place(text: &str, offset: usize) -> (usize, usize, &str) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
    let content = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    (line, column, content)
}
