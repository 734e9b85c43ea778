//! Which further directories are not entered.
//!
//! A pattern without a slash is a directory's name anywhere; one with a slash is held against the whole path, from its
//! beginning if the pattern begins with one. `*` does not cross a slash, `**` does.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// The patterns of `exclude`, compiled.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Exclude {
    patterns: Vec<String>,
    globs: GlobSet,
}

impl Exclude {
    /// Compiles `patterns`; the error says which one is wrong and why.
    pub fn new(patterns: Vec<String>) -> Result<Self, String> {
        let mut builder = GlobSetBuilder::new();
        for pattern in &patterns {
            builder.add(compile(pattern)?);
        }
        let globs = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { patterns, globs })
    }

    /// Whether the directory `path` is not entered. It says so of the directory itself, not of what is below it.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.globs.is_match(path)
    }

    /// The compiled patterns, which are matched against a directory's whole path.
    #[must_use]
    pub fn globs(&self) -> &GlobSet {
        &self.globs
    }
}

fn compile(pattern: &str) -> Result<globset::Glob, String> {
    if pattern.is_empty() {
        return Err("an empty pattern excludes nothing".to_owned());
    }
    let trimmed = pattern.strip_suffix('/').unwrap_or(pattern);
    let anchored = trimmed.starts_with('/') || trimmed.starts_with("**");
    let whole = if anchored { trimmed.to_owned() } else { format!("**/{trimmed}") };
    GlobBuilder::new(&whole)
        .literal_separator(true)
        .build()
        .map_err(|error| format!("`{pattern}` is no pattern: {}", error.kind()))
}

impl Default for Exclude {
    fn default() -> Self {
        Self { patterns: Vec::new(), globs: GlobSet::empty() }
    }
}

impl PartialEq for Exclude {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl TryFrom<Vec<String>> for Exclude {
    type Error = String;

    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        Self::new(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(pattern: &str, path: &str) -> bool {
        Exclude::new(vec![pattern.to_owned()]).unwrap().matches(Path::new(path))
    }

    #[test]
    fn a_name_is_excluded_wherever_it_is() {
        assert!(excludes("scratch", "/r/a/scratch"));
        assert!(excludes("scratch-*", "/r/a/scratch-7"));
        assert!(!excludes("scratch", "/r/scratch/a"));
    }

    #[test]
    fn a_path_is_excluded_from_its_beginning() {
        assert!(excludes("/r/old/", "/r/old"));
        assert!(!excludes("/r/old", "/x/r/old"));
        assert!(excludes("team/*/old", "/r/team/one/old"));
        assert!(!excludes("team/*/old", "/r/team/one/two/old"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Exclude::new(vec!["fine".to_owned(), "a[".to_owned()]).unwrap_err();
        assert!(error.contains("`a[`"), "{error}");
    }
}
