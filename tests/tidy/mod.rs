//! Keeps the architecture: what may import what, where each library lives, and what no file may be.
//!
//! The tables below are the picture of the house. To change the architecture, change them, and say why in the commit.

mod page;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// Which room may import which: bottom up, in the order in which data flows. A room is `src/X.rs` or `src/X/`.
const MAY_IMPORT: [(&str, &[&str]); 19] = [
    ("agent", &[]),
    ("clock", &["agent"]),
    ("systemd", &[]),
    ("lock", &["agent", "clock"]),
    ("scope", &["agent", "clock"]),
    ("decide", &["agent", "scope"]),
    ("disk", &["agent", "scope", "clock", "decide"]),
    ("registry", &["agent", "scope", "decide"]),
    ("relay", &["agent", "scope", "clock"]),
    ("watch", &["agent", "scope", "clock", "disk"]),
    ("apply", &["agent", "decide", "registry", "relay"]),
    ("telemetry", &["agent", "scope", "clock", "decide", "registry", "relay", "apply"]),
    ("config", &["agent", "scope", "decide", "disk", "telemetry"]),
    ("engine", &["agent", "scope", "clock", "decide", "disk", "registry", "relay", "apply", "telemetry"]),
    ("registration", &["agent", "clock", "disk", "engine"]),
    ("report", &["agent", "decide", "disk", "registry", "relay", "engine"]),
    (
        "api",
        &[
            "agent",
            "scope",
            "clock",
            "lock",
            "decide",
            "disk",
            "registry",
            "relay",
            "apply",
            "telemetry",
            "config",
            "engine",
            "registration",
            "report",
        ],
    ),
    (
        "daemon",
        &[
            "agent",
            "scope",
            "clock",
            "systemd",
            "lock",
            "decide",
            "disk",
            "registry",
            "relay",
            "watch",
            "apply",
            "telemetry",
            "config",
            "engine",
            "registration",
            "report",
            "api",
        ],
    ),
    (
        "cli",
        &[
            "agent",
            "scope",
            "clock",
            "systemd",
            "lock",
            "decide",
            "disk",
            "registry",
            "relay",
            "apply",
            "telemetry",
            "config",
            "engine",
            "registration",
            "report",
            "api",
            "daemon",
        ],
    ),
];

/// Where each library may be named: files and directories below `src`. Every dependency has its line here.
const HOMES: [(&str, &[&str]); 33] = [
    ("notify", &["watch/backend.rs"]),
    ("rusqlite", &["registry", "relay/local"]),
    ("axum", &["api"]),
    ("utoipa", &["engine", "report", "api"]),
    ("utoipa_axum", &["api"]),
    ("percent_encoding", &["api"]),
    ("tokio_io_timeout", &["api"]),
    ("hyper", &["api"]),
    ("hyper_util", &["api"]),
    ("http_body_util", &["api"]),
    ("clap", &["cli", "main.rs"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("unicode_width", &["cli"]),
    ("ratatui", &["cli/top"]),
    ("signal_hook", &["cli/top"]),
    ("tracing_subscriber", &["telemetry"]),
    ("prometheus_client", &["telemetry"]),
    ("sd_notify", &["systemd.rs"]),
    ("toml", &["config.rs", "config"]),
    ("ulid", &["registration"]),
    ("xxhash_rust", &["agent"]),
    ("globset", &["disk", "config.rs", "config"]),
    ("jiff", &["agent"]),
    ("serde_path_to_error", &["agent", "config.rs", "config", "api"]),
    ("anyhow", &["main.rs"]),
    (
        "rustix",
        &[
            "disk",
            "clock.rs",
            "lock.rs",
            "api",
            "relay/local",
            "watch",
            "systemd.rs",
            "cli/events.rs",
            "cli/doctor",
            "cli/top",
            "daemon",
            "telemetry",
        ],
    ),
    (
        "crossbeam_channel",
        &["scope", "telemetry", "relay", "watch", "engine", "api/feed.rs", "systemd.rs", "daemon.rs", "daemon"],
    ),
    ("tokio", &["api", "daemon.rs", "daemon"]),
    ("serde", ANYWHERE),
    ("serde_json", ANYWHERE),
    ("tracing", ANYWHERE),
    ("thiserror", ANYWHERE),
];

/// For libraries that are vocabulary rather than a device.
const ANYWHERE: &[&str] = &[""];

/// Names that say nothing: a thing without a home is a missing noun.
const NO_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "type", "types", "shared", "misc"];

/// The most lines of a file: about what one can read in one sitting.
const MAX_LINES: usize = 600;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the repository, in order.
fn rust_files(directory: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&top().join(directory), &mut paths);
    paths.sort();
    paths.into_iter().map(|path| Source::read(&top().join(directory), &path)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Fails with all findings at once, each on a line of its own.
#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The room that a file below `src` belongs to; `None` for `lib.rs` and `main.rs`, which name them all.
fn room(source: &Source) -> Option<String> {
    let first = source.name.split('/').next().unwrap_or_default();
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&room)).then(|| room.to_owned())
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut findings = Vec::new();
    for source in rust_files("src") {
        let Some(room) = room(&source) else { continue };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            findings.push(format!("src/{}: the room `{room}` has no line in tests/tidy/mod.rs", source.name));
            continue;
        };
        for (line, imported) in source.imports() {
            if imported != room && !allowed.contains(&imported.as_str()) {
                findings.push(format!("src/{}:{line}: `{room}` may not import `{imported}`", source.name));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_table_has_no_circle() {
    for (place, (room, allowed)) in MAY_IMPORT.iter().enumerate() {
        for imported in *allowed {
            let below = MAY_IMPORT.iter().position(|(name, _)| name == imported);
            assert!(below.is_some_and(|below| below < place), "`{imported}` must stand above `{room}` in the table");
        }
    }
}

#[test]
fn a_library_is_named_only_in_its_home() {
    let mut findings = Vec::new();
    for source in rust_files("src") {
        for (line, library) in source.libraries() {
            let Some((_, homes)) = HOMES.iter().find(|(name, _)| *name == library) else { continue };
            let at_home =
                |home: &&&str| home.is_empty() || source.name == **home || source.name.starts_with(&format!("{home}/"));
            if homes.iter().find(at_home).is_none() {
                findings.push(format!("src/{}:{line}: `{library}` lives in {homes:?}", source.name));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_dependency_has_a_home_and_a_reason() {
    let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap_or_default();
    let (mut section, mut before, mut findings) = ("", "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| section.ends_with("dependencies")) {
            let library = key.trim().replace('-', "_");
            if !before.trim_start().starts_with('#') && !value.contains(" # ") {
                findings.push(format!("Cargo.toml: say in a comment why `{library}` is there"));
            }
            if section == "dependencies" && !HOMES.iter().any(|(name, _)| *name == library) {
                findings.push(format!("Cargo.toml: `{library}` has no home in tests/tidy/mod.rs"));
            }
        }
        before = line;
    }
    none(&findings);
}

#[test]
fn a_file_is_named_after_a_thing_and_says_what_it_is_for() {
    let mut findings = Vec::new();
    for directory in ["src", "tests", "benches"] {
        for source in rust_files(directory) {
            let name = format!("{directory}/{}", source.name);
            let mut parts = source.name.split('/').map(|part| part.trim_end_matches(".rs"));
            if let Some(part) = parts.find(|part| NO_NAMES.contains(part)) {
                findings.push(format!("{name}: `{part}` is no noun of this house"));
            }
            if !source.text.starts_with("//! ") {
                findings.push(format!("{name}: must open with `//!`, what it is for"));
            }
            let lines = source.text.lines().count();
            if lines > MAX_LINES {
                findings.push(format!("{name}: {lines} lines, more than {MAX_LINES}: there are two things in it"));
            }
            for (number, line) in source.text.lines().enumerate() {
                // Written in two halves, so that this line does not find itself.
                if ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).any(|(a, b)| line.contains(&format!("{a}{b}"))) {
                    findings.push(format!("{name}:{}: an open end belongs into an issue", number + 1));
                }
            }
        }
    }
    none(&findings);
}

/// The section of ARCHITECTURE.md that says what lies where.
fn code_map() -> String {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).unwrap_or_default();
    let is_map = |section: &&str| section.lines().next().is_some_and(|title| title.to_lowercase().contains("code map"));
    let Some(map) = text.split("\n## ").find(is_map) else { panic!("ARCHITECTURE.md has no section `Code map`") };
    map.to_owned()
}

#[test]
fn the_code_map_names_every_file_once_and_no_other() {
    let mut findings = Vec::new();
    for line in code_map().lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, room, _, files, _] = cells.as_slice() else { continue };
        let room = room.trim_matches('`');
        // What stands in brackets is said about a file.
        let files: String = files.split('(').map(|part| part.rsplit(')').next().unwrap_or_default()).collect();
        let named: Vec<&str> = files.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/')).collect();
        for name in &named {
            let path = format!("src/{room}/{name}");
            if !top().join(format!("{path}.rs")).is_file() && !top().join(&path).is_dir() {
                findings.push(format!("ARCHITECTURE.md: the code map names {path}.rs, and it is not there"));
            }
            if named.iter().filter(|other| *other == name).count() > 1 {
                findings.push(format!("ARCHITECTURE.md: the code map names `{name}` of `{room}` more than once"));
            }
        }
        for entry in fs::read_dir(top().join("src").join(room)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
            if !["mod", "tests"].contains(&name.as_str()) && !named.contains(&name.as_str()) {
                findings.push(format!("ARCHITECTURE.md: the code map does not name `{name}` of `{room}`"));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_code_map_names_every_room() {
    let map = code_map();
    let names: BTreeSet<&str> = map
        .split(|c: char| !(c.is_alphanumeric() || "_/.".contains(c)))
        .map(|word| word.trim_start_matches("src/"))
        .collect();
    let rooms: BTreeSet<String> = rust_files("src").iter().filter_map(room).collect();
    let missing: Vec<String> = rooms
        .into_iter()
        .filter(|room| {
            ![room.clone(), format!("{room}/"), format!("{room}.rs")].iter().any(|n| names.contains(n.as_str()))
        })
        .map(|room| format!("ARCHITECTURE.md: the code map does not name `{room}`"))
        .collect();
    none(&missing);
}
