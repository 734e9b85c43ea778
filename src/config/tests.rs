//! Which layer wins, where an error stands, and that a directory has one spelling.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// The settings that `variables` and a configuration file with this `content` make, under `flags`.
fn resolved(flags: Given, variables: &[(&str, &str)], content: &str) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, content).unwrap();
    let flags = Given { config: Some(file), ..flags };
    Settings::resolve(flags, &|variable| environment(variables, variable))
}

fn environment(variables: &[(&str, &str)], variable: &str) -> Option<OsString> {
    let all = [("HOME", "/home/ada")];
    variables.iter().chain(&all).find(|(name, _)| *name == variable).map(|(_, value)| OsString::from(value))
}

/// The line, the column and what an error in the file says.
fn error_in(content: &str) -> (usize, usize, String) {
    let error = resolved(Given::default(), &[], content).unwrap_err();
    let ConfigError::InFile { line, column, what, .. } = error else { panic!("{error}") };
    (line, column, what)
}

#[test]
fn flags_come_before_the_environment_before_the_file_before_defaults() {
    let flags = Given { sweep_interval: Some(Duration::from_secs(1)), ..Given::default() };
    let variables = [("MESHD_SWEEP_INTERVAL", "2s"), ("MESHD_GRACE_PERIOD", "2h")];
    let content = "sweep_interval = '3s'\ngrace_period = '3h'\nrelocate_after = '3m'\n";
    let settings = resolved(flags, &variables, content).unwrap();
    assert_eq!(settings.sweep_interval, Duration::from_secs(1));
    assert_eq!(settings.policy.grace_period, Duration::from_hours(2));
    assert_eq!(settings.policy.relocate_after, Duration::from_mins(3));
    assert_eq!(settings.max_depth, 5);
    assert!(settings.watch);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let (line, column, what) = error_in("# meshd\n\ngrace = '24h'\n");
    assert_eq!((line, column), (3, 1));
    assert!(what.contains("`grace`") && what.contains("grace_period"), "{what}");
}

#[test]
fn a_wrong_type_a_bad_value_and_bad_syntax_are_named_with_key_and_line() {
    let cases = [
        ("grace_period = 24\n", "grace_period"),
        ("watch = 'maybe'\n", "watch"),
        ("grace_period = '24 hours'\n", "grace_period"),
        ("grace_period = 24h\n", "grace_period"),
        ("sweep_interval = '0s'\n", "sweep_interval"),
        ("watch_budget = 0\n", "watch_budget"),
        ("max_depth = -1\n", "max_depth"),
        ("max_depth = 65\n", "max_depth"),
        ("exclude = ['ok', 'a[']\n", "exclude"),
        ("roots = ['/ok', 'projects']\n", "roots"),
        ("state_dir = 'state'\n", "state_dir"),
        ("log_level = 'loud'\n", "log_level"),
        ("log_format = 'xml'\n", "log_format"),
        ("watch = true\nwatch = true\n", "watch"),
    ];
    for (content, key) in cases {
        let (line, _, what) = error_in(&format!("\n{content}"));
        assert!(line >= 2, "{content}: line {line}");
        assert!(what.contains(key), "{content}: {what}");
    }
}

#[test]
fn an_error_reads_as_file_line_column_key() {
    let error = file::parse("max_depth = 'x'\n", Path::new("/etc/meshd/config.toml")).unwrap_err();
    assert!(error.to_string().starts_with("/etc/meshd/config.toml:1:13: `max_depth`: "), "{error}");
}

#[test]
fn a_bad_variable_is_named() {
    for variable in [
        "MESHD_WATCH_BUDGET",
        "MESHD_GRACE_PERIOD",
        "MESHD_MAX_DEPTH",
        "MESHD_WATCH",
        "MESHD_LOG_LEVEL",
        "MESHD_EXCLUDE",
    ] {
        let error = resolved(Given::default(), &[(variable, "a[")], "");
        let named = error.as_ref().is_err_and(|error| error.to_string().starts_with(variable));
        assert!(named, "{variable}: {error:?}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let flags = Given { config: Some("/nowhere/config.toml".into()), ..Given::default() };
    let error = Settings::resolve(flags, &|variable| environment(&[], variable)).unwrap_err();
    assert!(error.to_string().contains("/nowhere/config.toml"), "{error}");
}

#[test]
fn the_socket_is_in_the_runtime_directory_unless_a_state_directory_was_given() {
    let run = [("XDG_RUNTIME_DIR", "/run/user/7")];
    let settings = resolved(Given::default(), &run, "").unwrap();
    assert_eq!(settings.state_dir, Path::new("/home/ada/.local/state/meshd"));
    assert_eq!(settings.socket, Path::new("/run/user/7/meshd/meshd.sock"));
    let flags = Given { state_dir: Some("/s".into()), ..Given::default() };
    assert_eq!(resolved(flags, &run, "").unwrap().socket, Path::new("/s/meshd.sock"));
    assert_eq!(
        resolved(Given::default(), &run, "state_dir = '~/s'").unwrap().socket,
        Path::new("/home/ada/s/meshd.sock")
    );
}

#[test]
fn a_root_given_in_many_ways_is_one_root() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().canonicalize().unwrap();
    std::fs::create_dir_all(base.join("projects/nested")).unwrap();
    symlink(base.join("projects"), base.join("link")).unwrap();
    let given =
        ["projects", "projects/", "projects/./nested/..", "link", "projects/nested"].map(|path| base.join(path));
    let flags = Given { roots: Some(given.to_vec()), ..Given::default() };
    assert_eq!(
        resolved(flags, &[], "").unwrap().roots,
        [base.join("projects"), base.join("projects/nested")],
        "a nested root stays a root of its own"
    );
}

#[test]
fn a_missing_root_is_the_same_root_as_when_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().canonicalize().unwrap();
    symlink(base.join("drive/projects"), base.join("link")).unwrap();
    let root = |path: &str| canonical(&base.join(path));
    let unmounted = [root("link"), root("link/../b"), root("nowhere/a/../b")];
    assert_eq!(unmounted, [base.join("drive/projects"), base.join("drive/b"), base.join("nowhere/b")]);
    std::fs::create_dir_all(base.join("drive/projects")).unwrap();
    assert_eq!(root("link"), unmounted[0]);
}

#[test]
fn a_loop_of_links_ends() {
    let directory = tempfile::tempdir().unwrap();
    symlink("b", directory.path().join("a")).unwrap();
    symlink("a", directory.path().join("b")).unwrap();
    assert!(canonical(&directory.path().join("a/x")).ends_with("x"));
}

#[test]
fn a_tilde_is_the_home() {
    let settings = resolved(Given::default(), &[], "roots = ['~/meshd-no-such-root', '~']").unwrap();
    assert_eq!(settings.roots, [PathBuf::from("/home/ada/meshd-no-such-root"), "/home/ada".into()]);
}

#[test]
fn the_example_configuration_is_valid_and_says_the_defaults() {
    let example = include_str!("../../systemd/config.toml");
    file::parse(example, Path::new("config.toml")).unwrap();
    // With every commented setting taken in, it still parses: nothing in the example is out of date.
    let settings: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_lowercase)).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let full = resolved(Given::default(), &[], &settings).unwrap();
    let default = resolved(Given::default(), &[], "").unwrap();
    assert_eq!(full.policy, default.policy);
    assert_eq!((full.sweep_interval, full.max_depth), (default.sweep_interval, default.max_depth));
    assert_eq!((full.log_level, full.watch, full.relay), (Some(Level::Info), default.watch, default.relay));
}

#[test]
fn a_home_is_found_by_the_users_number() {
    let users = b"root:x:0:0:root:/root:/bin/bash\nbroken\nme:x:1000:1000:,,,:/home/m\xffe:/bin/sh\n";
    assert_eq!(paths::home_of(users, 0), Some(PathBuf::from("/root")));
    assert_eq!(paths::home_of(users, 1000), Some(Path::new(OsStr::from_bytes(b"/home/m\xffe")).to_owned()));
    assert_eq!(paths::home_of(users, 1), None);
}
