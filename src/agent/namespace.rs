//! The namespace of an agent: the manifest's if it asks for one, else the first directory below the scan root.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Runtime;

/// 1 to 64 characters of `[a-z0-9-]`, never a runtime's name. Deriving one never fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);

/// The longest namespace, in characters: it becomes one token of a relay subject.
const MAX_LENGTH: usize = 64;

/// What keeps a namespace apart from the runtime of the same name.
const SUFFIX: &str = "-ns";

impl Namespace {
    /// The namespace that `text` normalises to; `None` if nothing of it is left.
    ///
    /// Lowercase, every run outside `[a-z0-9]` becomes `-`, trimmed; `-ns` appended to a runtime's name; cut to 64.
    #[must_use]
    pub fn normalise(text: &[u8]) -> Option<Self> {
        let mut slug = String::new();
        for byte in text {
            let lower = char::from(byte.to_ascii_lowercase());
            if lower.is_ascii_lowercase() || lower.is_ascii_digit() {
                slug.push(lower);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(MAX_LENGTH);
        let slug = slug.trim_end_matches('-');
        if slug.is_empty() {
            return None;
        }
        let suffix = if Runtime::from_name(slug).is_some() { SUFFIX } else { "" };
        Some(Self(format!("{slug}{suffix}")))
    }

    /// The namespace of the project below `scan_root`, which may ask for `requested`.
    #[must_use]
    pub fn derive(requested: Option<&str>, scan_root: Option<&Path>, project: &Path) -> Self {
        let segment = scan_root
            .and_then(|root| project.strip_prefix(root).ok())
            .and_then(|below| below.components().next())
            .map(|first| first.as_os_str().as_bytes());
        requested
            .and_then(|text| Self::normalise(text.as_bytes()))
            .or_else(|| segment.and_then(Self::normalise))
            .or_else(|| project.file_name().and_then(|name| Self::normalise(name.as_bytes())))
            .unwrap_or_else(|| Self("default".to_owned()))
    }

    /// The namespace as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A namespace as it stands in a row. It is taken as it is: what it should be is decided from the manifest.
    #[must_use]
    pub fn as_recorded(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(requested: Option<&str>, project: &str) -> String {
        Namespace::derive(requested, Some(Path::new("/r")), Path::new(project)).to_string()
    }

    #[test]
    fn the_manifests_request_comes_first_and_is_normalised() {
        assert_eq!(derived(Some("  My Team!! "), "/r/a/b"), "my-team");
    }

    #[test]
    fn the_first_segment_below_the_root_is_the_default() {
        assert_eq!(derived(None, "/r/Team_One/deep/project"), "team-one");
    }

    #[test]
    fn a_runtimes_name_gets_a_suffix() {
        assert_eq!(derived(Some("Codex"), "/r/a"), "codex-ns");
    }

    #[test]
    fn what_normalises_to_nothing_falls_back_to_the_directory_then_to_default() {
        assert_eq!(derived(Some("項目"), "/r/項目/p1"), "p1");
        assert_eq!(derived(None, "/r"), "r");
        assert_eq!(derived(None, "/r/項目"), "default");
    }

    #[test]
    fn it_is_never_longer_than_a_token_and_never_ends_in_a_dash() {
        let long = format!("{}-{}", "a".repeat(63), "b".repeat(20));
        assert_eq!(derived(Some(&long), "/r/a"), "a".repeat(63));
    }
}
