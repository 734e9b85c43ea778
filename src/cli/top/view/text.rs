//! Text of a given width on a terminal, in any script.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text, in so many columns at most. What is cut off is marked.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns { text.to_owned() } else { marked(text.chars(), columns).into_iter().collect() }
}

/// The end of a text, in so many columns at most: of a path that is what tells it from others.
pub fn tail(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    marked(text.chars().rev(), columns).into_iter().rev().collect()
}

/// As many characters as there is room for, and a mark behind them.
fn marked(text: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let (mut kept, mut room) = (Vec::new(), columns.saturating_sub(1));
    for c in text {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room = room.saturating_sub(wide);
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text in exactly so many columns.
pub fn fitted(text: &str, columns: usize) -> String {
    padded(cut(text, columns), columns)
}

/// The end of a text in exactly so many columns.
pub fn fitted_tail(text: &str, columns: usize) -> String {
    padded(tail(text, columns), columns)
}

fn padded(mut text: String, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    text.push_str(&" ".repeat(missing));
    text
}

/// A text in lines of so many columns at most, broken between words where that can be.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let (columns, mut lines, mut line) = (columns.max(1), Vec::new(), String::new());
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if line.width().saturating_add(gap).saturating_add(word.width()) <= columns {
            line.push_str(if gap == 1 { " " } else { "" });
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is longer than a line, as a path.
        for c in word.chars() {
            if !line.is_empty() && line.width().saturating_add(c.width().unwrap_or(0)) > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// How long ago something was, in its largest unit.
pub fn ago(now_ms: i64, then_ms: Option<i64>) -> String {
    let Some(then_ms) = then_ms else { return "-".to_owned() };
    let passed = Duration::from_millis(u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)).as_secs();
    match passed {
        0..60 => format!("{passed}s"),
        60..3_600 => format!("{}m", passed / 60),
        3_600..86_400 => format!("{}h", passed / 3_600),
        _ => format!("{}d", passed / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_takes_exactly_the_columns_that_there_are() {
        for text in ["", "short", "a longer text than fits", "項目項目項目", "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}"]
        {
            for columns in 0..12 {
                assert_eq!(fitted(text, columns).width(), columns, "{text:?} in {columns}");
                assert_eq!(fitted_tail(text, columns).width(), columns, "{text:?} in {columns}");
            }
        }
        assert_eq!((cut("abcdef", 4), tail("abcdef", 4)), ("abc…".to_owned(), "…def".to_owned()));
    }

    #[test]
    fn lines_are_broken_between_words_and_where_a_word_is_longer_than_a_line() {
        assert_eq!(wrapped("a path: /home/ann/x is", 8), ["a path:", "/home/an", "n/x is"]);
        assert_eq!((wrapped("", 8), wrapped("項目項目", 5)), (vec![String::new()], vec!["項目".into(), "項目".into()]));
    }

    #[test]
    fn an_age_is_short_and_never_negative() {
        let age = |seconds: i64| ago(seconds * 1_000, Some(0));
        assert_eq!([age(-5), age(59), age(60), age(7_200), age(200_000)], ["0s", "59s", "1m", "2h", "2d"]);
        assert_eq!(ago(0, None), "-");
    }
}
