//! How times and counts are put for people.

use std::time::Duration;

/// A duration for people: its two largest units, such as `23 h 59 min`, and one of them where the other is zero. Up to two
/// days it is told in hours, as it is configured.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {smaller}"),
    };
    match seconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..172_800 => two(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

/// A number of things: `1 agent`, `2 agents`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A number of directories: `1 directory`, `2 directories`.
#[must_use]
pub fn directories(number: u64) -> String {
    if number == 1 { "1 directory".to_owned() } else { format!("{number} directories") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_put_in_their_two_largest_units() {
        let put = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [put(0), put(59), put(60), put(61), put(86_399), put(86_400), put(172_800), put(180_000)],
            ["0 s", "59 s", "1 min", "1 min 1 s", "23 h 59 min", "24 h", "2 d", "2 d 2 h"]
        );
    }
}
