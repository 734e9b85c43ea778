//! How values are spelt: durations like `24h`, and paths that mean the same wherever meshd is started.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The units that a duration may have, in milliseconds. `ms` comes before `m` and `s`, whose end it has.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The deepest walk that may be asked for. The design's is 5; far beyond that, a walk only meets its own open files.
const DEEPEST: usize = 64;

/// The duration that `text` means: a whole number with a unit, like `24h`, `5m`, `2s` or `500ms`.
///
/// # Errors
/// A sentence that says how a duration is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    UNITS
        .iter()
        .find_map(|(unit, ms)| {
            let count: u64 = text.trim().strip_suffix(unit)?.parse().ok()?;
            count.checked_mul(*ms).map(Duration::from_millis)
        })
        .ok_or_else(|| {
            format!("`{text}` is no duration: write a whole number and a unit, like 500ms, 2s, 5m, 24h or 7d")
        })
}

/// A duration that something is repeated at: not nothing.
///
/// # Errors
/// A sentence that says how a duration is written.
pub fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval.is_zero() { Err("an interval of nothing would never rest".to_owned()) } else { Ok(interval) }
}

/// The most watches that are used: some.
///
/// # Errors
/// A sentence that says how it is written.
pub fn watch_budget(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no number of watches")).and_then(some_watches)
}

fn some_watches(budget: u64) -> Result<u64, String> {
    if budget == 0 { Err("to watch nothing: `watch = false`, `--no-watch`".to_owned()) } else { Ok(budget) }
}

/// An address at which only this machine can connect, such as `127.0.0.1:4848`.
///
/// # Errors
/// A sentence that says how it is written.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.trim().parse().map_err(|_| format!("`{text}` is no address and port, like 127.0.0.1:4848"))?;
    if !address.ip().is_loopback() {
        return Err(format!("{address} can be reached from other machines: only 127.0.0.1 and ::1 are served"));
    }
    if address.port() == 0 { Err("the port must be said: links name it".to_owned()) } else { Ok(address) }
}

/// How deep a walk goes.
pub(super) fn depth(depth: usize) -> Result<usize, String> {
    if depth > DEEPEST { Err(format!("{depth} is deeper than {DEEPEST}")) } else { Ok(depth) }
}

/// A path that means the same wherever meshd is started: from `/` or from `~`.
pub(super) fn anchored(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_absolute() || path.starts_with("~") {
        Ok(path)
    } else {
        let shown = path.display();
        Err(format!(
            "`{shown}` is relative, and there is nothing here that it could be relative to: begin with `/` or `~/`"
        ))
    }
}

/// Deserialises with one of the functions above.
pub(super) mod with {
    use serde::de::Error;

    use super::{Deserialize, Deserializer, Duration, PathBuf, SocketAddr};

    pub fn duration<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
        super::duration(&String::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn loopback<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SocketAddr>, D::Error> {
        super::loopback(&String::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn interval<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
        super::interval(&String::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn watch_budget<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
        super::some_watches(u64::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn depth<'de, D: Deserializer<'de>>(value: D) -> Result<Option<usize>, D::Error> {
        super::depth(usize::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn path<'de, D: Deserializer<'de>>(value: D) -> Result<Option<PathBuf>, D::Error> {
        super::anchored(PathBuf::deserialize(value)?).map(Some).map_err(D::Error::custom)
    }

    pub fn paths<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
        let paths = Vec::<PathBuf>::deserialize(value)?;
        let paths: Result<Vec<PathBuf>, String> = paths.into_iter().map(super::anchored).collect();
        paths.map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        assert!(loopback("127.0.0.1:4848").is_ok() && loopback("[::1]:4848").is_ok());
        for bad in
            ["0.0.0.0:4848", "[::]:4848", "10.0.0.1:80", "4848", "127.0.0.1", "127.0.0.1:0", "localhost:4848", ""]
        {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("7d"), Ok(Duration::from_hours(168)));
        for bad in ["", "5", "h", "-1s", "1.5h", "5 minutes", "99999999999999999999d", "9999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
