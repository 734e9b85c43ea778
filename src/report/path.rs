//! Paths in JSON: a string where they are UTF-8, and no byte lost where they are not.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::agent::Shown;

/// A path that is asked about: a string, or `{"hex": "2f61ff"}` where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WirePath {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Hex {
        /// Two hexadecimal digits a byte.
        hex: String,
    },
}

impl WirePath {
    /// How `path` goes over the wire.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Hex { hex: hex(path) },
        }
    }

    /// The absolute path that this is, or a sentence that says why it is none.
    pub fn to_path(&self) -> Result<PathBuf, String> {
        let path = match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Hex { hex } => from_hex(hex).ok_or("not hexadecimal")?,
        };
        if path.as_os_str().as_bytes().contains(&0) {
            return Err("no path has a NUL in it".to_owned());
        }
        if path.is_absolute() { Ok(path) } else { Err("not an absolute path".to_owned()) }
    }
}

/// The bytes of `path`, two hexadecimal digits each.
#[must_use]
pub fn hex(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn from_hex(hex: &str) -> Option<PathBuf> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [one, other] if one.is_ascii_hexdigit() && other.is_ascii_hexdigit() => {
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
        }
        _ => None,
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    Some(PathBuf::from(OsString::from_vec(bytes?)))
}

/// A path that is told: as it is, with nothing beside it; one that is not UTF-8 is shown escaped, and its bytes are beside
/// it.
#[must_use]
pub fn shown_and_hex(path: &Path) -> (String, Option<String>) {
    match path.to_str() {
        Some(text) => (text.to_owned(), None),
        None => (Shown::path(path).to_string(), Some(hex(path))),
    }
}

/// Puts a path into a JSON object: under `key`, and its bytes under `…Hex` where it is not UTF-8.
pub fn put_path(object: &mut Map<String, Value>, key: &str, path: &Path) {
    let (shown, hex) = shown_and_hex(path);
    object.insert(key.to_owned(), shown.into());
    if let Some(hex) = hex {
        object.insert(format!("{key}Hex"), hex.into());
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_goes_over_the_wire_and_back_whatever_its_bytes() {
        for bytes in [b"/a/\xe9\xa0\x85".as_slice(), b"/a\xff/b"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            let json = serde_json::to_string(&WirePath::of(path)).unwrap();
            assert_eq!(serde_json::from_str::<WirePath>(&json).unwrap().to_path().unwrap(), path);
        }
    }

    #[test]
    fn what_is_no_absolute_path_is_refused() {
        let bad = [
            "\"a\"",
            "\"/a\\u0000\"",
            "{\"hex\":\"2f6\"}",
            "{\"hex\":\"zz\"}",
            "{\"hex\":\"61\"}",
            "{\"hex\":\"é\"}",
            "{\"hex\":\"2f+f\"}",
        ];
        for bad in bad {
            assert!(serde_json::from_str::<WirePath>(bad).unwrap().to_path().is_err(), "{bad}");
        }
    }
}
