//! Holds meshd against the tables of `fixtures/README.md`: they are the expectation, and name every file there is.

#![allow(clippy::panic, reason = "a test tells by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use meshd::agent::Manifest;
use meshd::agent::manifest::MAX_BYTES;

/// One line of a table.
struct Expected {
    probe: String,
    why: String,
}

/// What the two tables of manifests call the ones that are too large to keep.
const MADE: [&str; 3] = ["nested 10,000", "256 KiB", "256 KiB + 1"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The tables below one heading of the README, by the name in their first column.
fn table(heading: &str) -> BTreeMap<String, Expected> {
    let readme = fs::read_to_string(fixtures().join("README.md")).unwrap_or_default();
    let section = readme.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
    let mut lines = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [name, _situation, probe, why] = cells.as_slice() {
            let expected = Expected { probe: (*probe).to_owned(), why: why.trim_matches([' ', '|']).to_owned() };
            let before = lines.insert(name.trim_matches('`').to_owned(), expected);
            assert!(before.is_none(), "{name} stands in the table twice");
        }
    }
    assert!(!lines.is_empty(), "fixtures/README.md has no table below {heading}");
    lines
}

/// The words in code marks.
fn quoted(why: &str) -> impl Iterator<Item = &str> {
    why.split('`').skip(1).step_by(2)
}

fn valid_manifest() -> String {
    fs::read_to_string(fixtures().join("manifests/minimal.json")).unwrap_or_default()
}

fn made(name: &str) -> Vec<u8> {
    let valid = valid_manifest();
    let body = valid.trim_end().trim_end_matches('}').trim_end();
    let filled = |size: usize| {
        let start = format!("{body},\n  \"filling\": \"");
        let filling = "x".repeat(size - start.len() - "\"}".len());
        format!("{start}{filling}\"}}")
    };
    let text = match name {
        "nested 10,000" => format!("{body},\n  \"deep\": {}{}\n}}", "[".repeat(10_000), "]".repeat(10_000)),
        "256 KiB" => filled(MAX_BYTES),
        "256 KiB + 1" => filled(MAX_BYTES + 1),
        other => panic!("no rule to make {other}"),
    };
    text.into_bytes()
}

/// The names of the files in a directory.
fn files(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every project below a directory, `node_modules` included.
fn projects(directory: &Path, found: &mut Vec<PathBuf>) {
    for name in files(directory) {
        let path = directory.join(&name);
        if name == ".dork" {
            found.push(directory.to_owned());
        } else if path.is_dir() {
            projects(&path, found);
        }
    }
}

fn id_of(bytes: &[u8]) -> Option<String> {
    Manifest::parse(bytes).ok().map(|manifest| manifest.id.to_string())
}

/// 26 characters of Crockford's alphabet, of which the first holds three bits only.
fn is_ulid(id: &str) -> bool {
    let crockford = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !"ILOU".contains(c));
    id.len() == 26 && id.starts_with(|c| ('0'..='7').contains(&c)) && id.chars().all(crockford)
}

#[test]
fn every_manifest_is_what_the_table_says() {
    for (name, expected) in table("`manifests/`") {
        let file = fixtures().join("manifests").join(&name);
        let bytes = if MADE.contains(&name.as_str()) { made(&name) } else { fs::read(file).unwrap() };
        match (expected.probe.as_str(), Manifest::parse(&bytes)) {
            ("present", Ok(_)) => (),
            ("present", Err(why)) => panic!("{name} must be present, and is unreadable: {why}"),
            ("unreadable", Ok(_)) => panic!("{name} must be unreadable, and is present"),
            ("unreadable", Err(why)) => {
                assert!(quoted(&expected.why).next().is_some(), "{name}: the table does not say what must be told");
                for word in quoted(&expected.why) {
                    assert!(why.contains(word), "{name}: {why:?} does not say {word:?}");
                }
            }
            (other, _) => panic!("{name}: a manifest is present or unreadable, not {other:?}"),
        }
    }
}

#[test]
fn every_manifest_has_its_line_in_the_table() {
    let told: BTreeSet<String> =
        table("`manifests/`").into_keys().filter(|name| !MADE.contains(&name.as_str())).collect();
    assert_eq!(files(&fixtures().join("manifests")), told);
}

#[test]
fn every_project_of_the_tree_is_what_the_table_says() {
    let (tree, told) = (fixtures().join("tree"), table("`tree/`"));
    let mut found = Vec::new();
    projects(&tree, &mut found);
    let names: BTreeSet<String> =
        found.iter().filter_map(|path| path.strip_prefix(&tree).ok()).map(|path| path.display().to_string()).collect();
    assert_eq!(names, told.keys().cloned().collect());
    for (name, expected) in told {
        let bytes = fs::read(tree.join(&name).join(".dork/agent.json")).unwrap_or_default();
        match (expected.probe.as_str(), Manifest::parse(&bytes)) {
            ("present" | "pruned", Ok(_)) => (),
            ("unreadable", Err(why)) => {
                for word in quoted(&expected.why) {
                    assert!(why.contains(word), "{name}: {why:?} does not say {word:?}");
                }
            }
            (probe, parsed) => panic!("{name} must be {probe}, and is {parsed:?}"),
        }
    }
}

#[test]
fn an_id_stands_for_one_fixture_and_is_a_ulid() {
    let mut carriers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut found = Vec::new();
    projects(&fixtures().join("tree"), &mut found);
    let trees = found.into_iter().map(|project| project.join(".dork/agent.json"));
    let manifests = fixtures().join("manifests");
    for path in trees.chain(files(&manifests).into_iter().map(|name| manifests.join(name))) {
        let name = path.strip_prefix(fixtures()).unwrap_or(&path).display().to_string();
        if let Some(id) = id_of(&fs::read(&path).unwrap_or_default()) {
            // What these two are about is an id that is no ULID.
            let about_its_id = ["manifests/id-64.json", "manifests/id-by-hand.json"].contains(&name.as_str());
            assert!(about_its_id || is_ulid(&id), "{name}: {id} is no ULID");
            carriers.entry(id).or_default().push(name);
        }
    }
    carriers.retain(|_, names| names.len() > 1);
    let copies: Vec<&str> = carriers.values().flatten().map(String::as_str).collect();
    assert_eq!(copies, ["tree/ops/deploy/.dork/agent.json", "tree/ops/deploy-copy/.dork/agent.json"]);
}

#[test]
fn strings_that_could_do_something_are_taken_as_they_are() {
    let bytes = fs::read(fixtures().join("manifests/hostile-strings.json")).unwrap();
    let manifest = Manifest::parse(&bytes).unwrap();
    assert!(manifest.name.starts_with("\u{1b}[2J\u{1b}]52;c;") && manifest.description.contains("<script>"));
    let shown = meshd::agent::Shown::text(&manifest.name).to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}
