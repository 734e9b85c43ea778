//! Rewriting a manifest's text: what is given changes, and everything else keeps the text that it was written as.
//!
//! A number of any size, an escape, a key that meshd does not know: none of them goes through a number or string of
//! ours, since what cannot be held exactly would come back as something else. Only the white space between is ours:
//! two spaces a level, keys in the order in which they are found, a newline at the end.

#[cfg(test)]
mod tests;
mod text;

use serde_json::{Map, Value};

use super::shown::acts;
use super::{Manifest, Namespace};
use text::Node;

/// A manifest cannot be written like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text that is to be changed is no manifest.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(String),
    /// Nobody may give this key: it is meshd's, or it never changes.
    #[error("`{0}` cannot be set or changed")]
    Fixed(&'static str),
    /// What was given for this key cannot be used.
    #[error("`{key}`: {why}")]
    Refused {
        /// The key.
        key: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The result would be no manifest.
    #[error("{0}")]
    Invalid(String),
}

/// What a manifest is known by, and what only meshd could say.
const FIXED: [&str; 4] = ["id", "registeredAt", "registeredBy", "isSystem"];

/// Keys of which a file may hold a bad value, which counts as absent; a person who gives one has to know.
const LENIENT: [&str; 3] = ["model", "effort", "account"];

/// The text of a new manifest with these fields, in their order. `null` stands for a field that is left out.
///
/// # Errors
/// [`EditError::Invalid`] also where a field is missing that every manifest has.
pub fn create(fields: &Map<String, Value>) -> Result<String, EditError> {
    if fields.contains_key("isSystem") {
        return Err(EditError::Fixed("isSystem"));
    }
    written(Node::object(), fields)
}

/// The text of the manifest `text` with `patch` merged into it, as RFC 7396 says: only what is given changes, `null`
/// removes, an object that is given for an object is merged into it. New keys go to the end.
pub fn merge(text: &str, patch: &Map<String, Value>) -> Result<String, EditError> {
    if let Some(key) = FIXED.into_iter().find(|key| patch.contains_key(*key)) {
        return Err(EditError::Fixed(key));
    }
    Manifest::parse(text.as_bytes()).map_err(EditError::Unreadable)?;
    let before = Node::scan(text).ok_or_else(|| EditError::Unreadable("not valid JSON".to_owned()))?;
    written(before, patch)
}

fn written(mut manifest: Node<'_>, given: &Map<String, Value>) -> Result<String, EditError> {
    must_be_sensible(given)?;
    manifest.merge(given);
    let text = manifest.print();
    let parsed = Manifest::parse(text.as_bytes()).map_err(EditError::Invalid)?;
    for (key, taken) in LENIENT.into_iter().zip([&parsed.model, &parsed.effort, &parsed.account]) {
        match given.get(key) {
            None | Some(Value::Null) => {}
            Some(value) if taken.as_deref() == value.as_str() && taken.is_some() => {}
            Some(_) => return Err(EditError::Refused { key, why: "must be text, and not empty" }),
        }
    }
    Ok(text)
}

/// Refuses what a file may hold, because somebody wrote it, but what no person should be helped to write.
fn must_be_sensible(given: &Map<String, Value>) -> Result<(), EditError> {
    let text = |key| given.get(key).and_then(Value::as_str);
    if let Some(name) = text("name") {
        let refused = |why| Err(EditError::Refused { key: "name", why });
        if name.trim().is_empty() {
            return refused("must not be blank");
        }
        if name.chars().any(acts) {
            return refused("must not have control characters, nor invisible ones, in it");
        }
    }
    if text("namespace").is_some_and(|namespace| Namespace::normalise(namespace.as_bytes()).is_none()) {
        return Err(EditError::Refused { key: "namespace", why: "must have a letter a to z or a digit in it" });
    }
    Ok(())
}
