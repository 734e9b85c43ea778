//! Bad manifests: the record keeps what the manifest last said, and the problem says what is wrong.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use meshd::decide::ProblemKind;

use crate::support::{SETTLED, World, manifest};

fn with_one_agent() -> World {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.agent("root/ns/other", "other");
    world.sweep();
    world
}

/// The one problem of the agent, as a sentence.
#[track_caller]
fn problem(world: &World) -> String {
    let problems = world.registry().problems().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let (problem, _) = problems.into_iter().next().unwrap();
    assert_eq!((problem.kind, problem.project), (ProblemKind::Unreadable, world.path("root/ns/a")));
    assert_eq!(problem.id.map(|id| id.to_string()).as_deref(), Some("a"));
    problem.detail
}

/// Whatever was done to the manifest: the row stays as it was, the problem says why, and a good manifest ends it.
#[track_caller]
fn is_unreadable(mut world: World, why: &str) {
    let before = world.record("a").unwrap().columns;
    world.look_at("root/ns/a");
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/a");
    world.assert_active_at("other", "root/ns/other");
    assert_eq!(world.record("a").unwrap().columns, before);
    let detail = problem(&world);
    assert!(detail.contains(why), "{detail:?} does not say {why:?}");

    let _ = fs::remove_file(world.path("root/ns/a/.dork"));
    let _ = fs::remove_dir_all(world.path("root/ns/a/.dork"));
    world.agent("root/ns/a", "a");
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(world.problems(), []);
}

#[test]
fn content_that_is_no_manifest_never_changes_a_row() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let with = |key: &str| manifest("a", "n").replacen('{', &format!("{{{key},"), 1);
    let cases: [(Vec<u8>, &str); 19] = [
        (b"".to_vec(), "not valid JSON"),
        (manifest("a", "n").as_bytes()[..40].to_vec(), "not valid JSON"),
        (vec![b' '; 256 * 1024 + 1], "256 KiB"),
        (deep.into_bytes(), "recursion limit"),
        (with("\"x\":1e999").into_bytes(), "out of range"),
        (with("\"x\":NaN").into_bytes(), "not valid JSON"),
        (with("\"x\":\"\\u0000\"").into_bytes(), "NUL"),
        (with("\"x\":\"\\ud800\"").into_bytes(), "not valid JSON"),
        (b"{\"id\":\"\xff\"}".to_vec(), "not UTF-8"),
        (manifest("a", "n").encode_utf16().flat_map(u16::to_le_bytes).collect(), "not valid JSON"),
        ([b"\xff\xfe".to_vec(), b"{}".to_vec()].concat(), "UTF-16"),
        ([b"\xef\xbb\xbf".to_vec(), manifest("a", "n").into_bytes()].concat(), "byte-order mark"),
        (with("\"name\":\"twice\"").into_bytes(), "comes twice"),
        (manifest("a", "n").replace("\"n\"", "7").into_bytes(), "`name`"),
        (manifest("a", "n").replace("\"id\"", "\"di\"").into_bytes(), "id"),
        (manifest("a", "n").replace("\"name\"", "\"mane\"").into_bytes(), "name"),
        (manifest("a.b", "n").into_bytes(), "one token"),
        (manifest(&"a".repeat(65), "n").into_bytes(), "one token"),
        (manifest("", "n").into_bytes(), "one token"),
    ];
    for (content, why) in cases {
        let world = with_one_agent();
        world.write("root/ns/a", content);
        is_unreadable(world, why);
    }
}

#[test]
fn a_torn_write_is_no_problem_unless_it_stays() {
    let mut world = with_one_agent();
    world.write("root/ns/a", "{\"id\":");
    world.look_at("root/ns/a");
    assert_eq!(world.problems(), []);
    let wait = world.engine().next_look().unwrap();
    assert!(wait.as_millis() <= 26, "read again soon: {wait:?}");
    world.write("root/ns/a", manifest("a", "whole again"));
    assert_eq!(world.look_at("root/ns/a").synced, 1);
    assert!(!world.events().contains(&"manifest.unreadable"));
}

#[test]
fn a_file_of_a_gigabyte_is_not_read() {
    let world = with_one_agent();
    File::options().write(true).open(world.manifest_of("root/ns/a")).unwrap().set_len(1 << 30).unwrap();
    is_unreadable(world, "256 KiB");
}

#[test]
fn unknown_keys_are_kept_and_are_no_problem() {
    let mut world = with_one_agent();
    world.write("root/ns/a", manifest("a", "n").replacen('{', "{\"later\": {\"x\": 1.25},", 1));
    world.look_at("root/ns/a");
    assert_eq!(world.problems(), []);
    assert_eq!(world.record("a").unwrap().agent.unwrap().manifest.rest["later"]["x"], 1.25);
}

#[test]
fn hostile_strings_are_stored_as_they_are() {
    let mut world = with_one_agent();
    let name = "\\u001b]52;c;x\\u0007\\n\\u202e<script>../..";
    world.write("root/ns/a", manifest("a", name));
    world.look_at("root/ns/a");
    assert_eq!(world.record("a").unwrap().columns.name, "\u{1b}]52;c;x\u{7}\n\u{202e}<script>../..");
}

#[test]
fn what_is_no_regular_file_is_unreadable_at_once_and_blocks_nothing() {
    let replace = |make: &dyn Fn(&std::path::Path)| {
        let world = with_one_agent();
        let path = world.manifest_of("root/ns/a");
        fs::remove_file(&path).unwrap();
        make(&path);
        world
    };
    is_unreadable(replace(&|path| fs::create_dir(path).unwrap()), "a directory");
    is_unreadable(replace(&|path| drop(UnixListener::bind(path).unwrap())), "a socket");
    let fifo = |path: &std::path::Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    let mut world = replace(&fifo);
    world.look_at("root/ns/a");
    assert!(problem(&world).contains("a FIFO"), "at once");
    is_unreadable(world, "a FIFO");
}

#[test]
fn a_link_is_never_followed_and_never_absent() {
    type Place = fn(&World) -> std::path::PathBuf;
    let manifest_itself: Place = |world| world.manifest_of("root/ns/a");
    let dork: Place = |world| world.path("root/ns/a/.dork");
    for place in [manifest_itself, dork] {
        for target in ["root/ns/other/.dork", "outside", "nowhere", "root/ns/a/.dork"] {
            let world = with_one_agent();
            let (place, target) = (place(&world), world.path(target));
            world.agent("outside-project", "evil");
            fs::rename(world.path("outside-project/.dork"), world.path("outside")).unwrap();
            if place.ends_with(".dork") {
                fs::remove_dir_all(&place).unwrap();
                symlink(target, &place).unwrap();
            } else {
                fs::remove_file(&place).unwrap();
                let target = if target == place { target } else { target.join("agent.json") };
                symlink(target, &place).unwrap();
            }
            is_unreadable(world, "symbolic link");
        }
    }
}

#[test]
fn a_project_that_became_a_link_is_unknown_and_not_missing() {
    let mut world = with_one_agent();
    world.rename("root/ns/a", "moved-out");
    symlink(world.path("moved-out"), world.path("root/ns/a")).unwrap();
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/a");
    assert!(problem(&world).contains("symbolic link"));
}

#[test]
fn a_file_in_the_place_of_the_dork_directory_is_certainly_no_manifest() {
    let mut world = with_one_agent();
    fs::remove_dir_all(world.path("root/ns/a/.dork")).unwrap();
    fs::write(world.path("root/ns/a/.dork"), "").unwrap();
    world.sweep_settled();
    world.assert_unreachable("a", "root/ns/a", meshd::agent::Reason::ManifestGone);
}

#[test]
fn a_manifest_that_is_just_being_put_back_is_no_problem_yet() {
    let mut world = World::new();
    world.agent("root/p", "a");
    world.sweep();
    std::fs::remove_file(world.manifest_of("root/p")).unwrap();
    world.look_at("root/p");
    world.pass_time(SETTLED);
    world.look_at("root/p");
    world.assert_unreachable("a", "root/p", meshd::agent::Reason::ManifestGone);
    world.pass_time(SETTLED);
    world.write("root/p", "");
    world.look_at("root/p");
    assert_eq!(world.problems(), []);
    world.agent("root/p", "a");
    world.look_at("root/p");
    world.assert_active_at("a", "root/p");
}
