//! How times and counts are put for people.

use std::time::Duration;

/// A duration for people: its two largest units, such as `23 h 59 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{} ms", duration.as_millis()),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A number of things: `1 agent`, `2 agents`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_put_in_their_two_largest_units() {
        let put = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [put(0), put(59), put(60), put(86_399), put(90_000)],
            ["0 ms", "59 s", "1 min 0 s", "23 h 59 min", "1 d 1 h"]
        );
    }
}
