//! A path in a command that somebody pastes into a shell: whatever its name, it is one word there and does nothing.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::agent::shown::acts;

/// The path as one word of a shell. What a terminal would obey is escaped as bash, zsh and ksh read it (`$'…'`).
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%,".contains(byte);
    // A word that begins with `-` would be taken for a flag, and one that begins with `=` is looked up by zsh.
    if bytes.iter().all(is_plain) && bytes.first().is_some_and(|first| !b"-=".contains(first)) {
        return path.display().to_string();
    }
    match path.to_str() {
        Some(text) if !text.chars().any(acts) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escaped(bytes),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                word.push('\\');
                word.push(char::from(*byte));
            }
            b' '..=b'~' => word.push(char::from(*byte)),
            // Three octal digits end by themselves; more hexadecimal ones would be taken in. Writing into a string does
            // not fail.
            byte => drop(write!(word, "\\{byte:03o}")),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn any_path_is_one_word_of_a_shell_and_harmless_on_a_terminal() {
        let paths: [&[u8]; 8] = [
            b"/home/ann/projects",
            b"/a b",
            b"/a'b",
            b"/$(id);`id`&*?\"",
            b"/\x1b[2J\n1",
            b"/\xff1\\'",
            "/項目 x".as_bytes(),
            "/\u{202e}b".as_bytes(),
        ];
        for path in paths {
            let word = quoted(Path::new(OsStr::from_bytes(path)));
            assert!(!word.chars().any(acts), "{word:?}");
            let said = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(said.stdout, path, "{word}");
        }
        assert_eq!(quoted(Path::new("/home/ann/projects")), "/home/ann/projects");
    }
}
