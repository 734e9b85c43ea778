//! How text and paths from a stranger's files are shown: nothing in them reaches a terminal, log line or page raw.

use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Displays bytes with everything escaped that could do something where it is printed: control characters (ESC, newline,
/// C1), bidirectional and invisible formatting, and bytes that are not UTF-8 (as `\xNN`). Of text with nothing to see in it
/// all is escaped.
pub struct Shown<'a>(&'a [u8]);

impl<'a> Shown<'a> {
    /// Shows text.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Shows bytes that are mostly text.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Shows a path, whatever its bytes.
    #[must_use]
    pub fn path(path: &'a Path) -> Self {
        Self(path.as_os_str().as_bytes())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shows_nothing =
            self.0.utf8_chunks().all(|chunk| chunk.invalid().is_empty() && chunk.valid().chars().all(is_blank));
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if shows_nothing || acts(c) {
                    write!(f, "{}", c.escape_unicode())?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character does something else than show itself: Unicode's `Cc`, those of `Cf`, `Zl` and `Zp` that reorder,
/// break or hide text, and the letters that are nothing but room (the fillers of Hangul).
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Whether a character shows nothing where it is alone: white space, the empty cell of Braille, and what only changes the
/// character before it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{34f}' | '\u{2800}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn escapes_and_bidi_are_shown_and_never_sent() {
        let hostile = "a\u{1b}]52;c;x\u{7}\n\u{202e}b\u{9b}";
        assert_eq!(Shown::text(hostile).to_string(), "a\\u{1b}]52;c;x\\u{7}\\u{a}\\u{202e}b\\u{9b}");
    }

    #[test]
    fn ordinary_text_in_any_script_is_left_alone() {
        assert_eq!(Shown::text("naïve — 項目 ✓").to_string(), "naïve — 項目 ✓");
    }

    #[test]
    fn text_with_nothing_to_see_in_it_shows_what_it_is() {
        assert_eq!(Shown::text("\u{a0} \u{fe0f}").to_string(), "\\u{a0}\\u{20}\\u{fe0f}");
        assert_eq!(Shown::text("\u{3164}").to_string(), "\\u{3164}");
        assert_eq!(
            (Shown::text("").to_string(), Shown::text("a\u{a0}b").to_string()),
            (String::new(), "a\u{a0}b".into())
        );
    }

    #[test]
    fn a_path_that_is_not_utf8_shows_its_bytes() {
        assert_eq!(Shown::path(Path::new(OsStr::from_bytes(b"/a\xff/b"))).to_string(), "/a\\xff/b");
    }
}
