//! Text of a given width on a terminal, in any script.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text, in so many columns at most. What is cut off is marked.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = columns.saturating_sub(1);
    for c in text.chars() {
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

/// The end of a text, in so many columns at most: of a path that is what tells it from others.
pub fn tail(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut room = columns.saturating_sub(1);
    for c in text.chars().rev() {
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
    kept.into_iter().rev().collect()
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
    fn an_age_is_short_and_never_negative() {
        let age = |seconds: i64| ago(seconds * 1_000, Some(0));
        assert_eq!([age(-5), age(59), age(60), age(7_200), age(200_000)], ["0s", "59s", "1m", "2h", "2d"]);
        assert_eq!(ago(0, None), "-");
    }
}
