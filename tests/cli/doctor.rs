//! `meshd doctor`: what it finds, with a daemon and without, and whatever is broken.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// What it says, and how it ends.
fn examined(home: &Home, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = home.meshd(&[&["doctor"], arguments].concat()).arg("--json").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let examination =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said:?} {:?}", output.stderr));
    (examination, output.status.code())
}

/// The findings of one part that are at a level.
fn found(examination: &Value, topic: &str, level: &str) -> Vec<String> {
    let parts = examination["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["topic"] == topic).unwrap_or_else(|| panic!("no part {topic}"));
    let findings = part["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == level);
    findings.map(ToString::to_string).collect()
}

#[track_caller]
fn assert_found(examination: &Value, topic: &str, level: &str, what: &str) {
    let findings = found(examination, topic, level);
    assert!(findings.iter().any(|finding| finding.contains(what)), "{topic}: {what}: {findings:?} in {examination:#}");
}

/// A home with two agents and nothing wrong.
fn well() -> Home {
    let home = Home::new();
    home.write("root/web/shop/.dork/agent.json", &manifest("shop"));
    home.write("root/ops/deploy/.dork/agent.json", &manifest("deploy"));
    home.meshd(&["reconcile", "root"]).assert().success();
    home
}

#[test]
fn where_nothing_is_wrong_nothing_needs_a_person() {
    let home = well();
    let (examination, code) = examined(&home, &[]);
    assert_eq!((code, examination["well"].as_bool()), (Some(0), Some(true)), "{examination:#}");
    assert_found(&examination, "registry", "ok", "is whole");
    assert_found(&examination, "relay", "ok", "2 agents, each with its endpoint");
    assert_found(&examination, "daemon", "note", "none runs");
    let text = home.meshd(&["doctor"]).assert().success();
    assert!(String::from_utf8_lossy(&text.get_output().stdout).contains("nothing needs a person"));
}

#[test]
fn each_finding_of_a_manifest_says_what_to_paste() {
    let home = well();
    home.write("root/it's a $(test)/.dork/agent.json", "{");
    home.write("root/copy/.dork/agent.json", &manifest("shop"));
    home.meshd(&["reconcile"]).assert().success();
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(1), "{examination:#}");
    assert_found(&examination, "agents", "needsPerson", "unreadable");
    assert_found(&examination, "agents", "needsPerson", "duplicate_id");
    assert_found(&examination, "agents", "needsPerson", "it'\\\\''s a $(test)'");
}

#[test]
fn a_root_that_is_gone_and_one_that_is_only_configured_need_a_person() {
    let home = well();
    std::fs::rename(home.below("root"), home.below("away")).unwrap();
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(1));
    assert_found(&examination, "roots", "needsPerson", "was there at the last pass");
    home.meshd(&["reconcile"]).assert().success();
    let (examination, _) = examined(&home, &[]);
    assert_found(&examination, "roots", "needsPerson", "offline");
    assert_found(&examination, "roots", "needsPerson", "take the root out of the configuration");
    assert!(!examination.to_string().contains("roots accept"), "there is nothing to accept: {examination:#}");
    std::fs::create_dir(home.below("root")).unwrap();
    home.meshd(&["reconcile"]).assert().success();
    assert_found(&examined(&home, &[]).0, "roots", "needsPerson", "roots accept");
    home.write("config.toml", "roots = ['/nowhere/at/all']");
    assert_found(&examined(&home, &["--config", "config.toml"]).0, "roots", "needsPerson", "not to be looked at");
    assert_found(&examined(&Home::new(), &[]).0, "roots", "needsPerson", "no scan root is known");
}

#[test]
fn a_registry_that_is_damaged_is_a_finding_and_is_left_alone() {
    let home = well();
    let file = home.below("state/registry.db");
    // Until then all of it is in the log.
    rusqlite::Connection::open(&file).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut page = whole.clone();
    let end = page.len().min(12 * 4096);
    page[2 * 4096..end].fill(0xa5);
    for damaged in [b"no database, and longer than a header ".repeat(9), vec![0; 5], page] {
        std::fs::write(&file, &damaged).unwrap();
        let (examination, code) = examined(&home, &[]);
        assert_eq!(code, Some(1), "{examination:#}");
        assert!(!found(&examination, "registry", "needsPerson").is_empty(), "{examination:#}");
        assert!(!examination.to_string().contains("…"), "a command to paste has no gap: {examination:#}");
        assert!(!found(&examination, "clock", "ok").is_empty(), "the other parts are looked at all the same");
        assert_eq!(std::fs::read(&file).unwrap(), damaged);
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_found(&examined(&home, &[]).0, "registry", "needsPerson", "not a regular file");
}

#[test]
fn a_damaged_registry_says_nothing_of_roots_that_are_configured_and_there() {
    let home = well();
    home.write("config.toml", &format!("roots = ['{}']", home.below("root").display()));
    home.write("state/registry.db", &"no database, and longer than a header ".repeat(9));
    let (examination, _) = examined(&home, &["--config", "config.toml"]);
    assert_eq!(found(&examination, "roots", "needsPerson"), [""; 0], "{examination:#}");
    let configured = format!("meshd reconcile --state-dir {0}/state --config {0}/config.toml", home.path().display());
    assert_found(&examination, "registry", "needsPerson", &configured);
}

#[test]
fn roots_that_a_damaged_registry_still_has_are_named_and_a_pass_over_them_mends_it() {
    let home = well();
    let file = home.below("state/registry.db");
    let registry = rusqlite::Connection::open(&file).unwrap();
    let index = "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'agents'";
    let page: u32 = registry.query_row(index, [], |row| row.get(0)).unwrap();
    registry.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(registry);
    let mut bytes = std::fs::read(&file).unwrap();
    let begin = usize::try_from(page - 1).unwrap() * 4096;
    bytes[begin..begin + 4096].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let root = home.below("root");
    let (examination, _) = examined(&home, &[]);
    assert_found(&examination, "registry", "needsPerson", &format!("meshd reconcile {}", root.display()));
    home.meshd(&["reconcile", root.to_str().unwrap()]).assert().success();
    assert_found(&examined(&home, &[]).0, "registry", "ok", "is whole");
}

#[test]
fn a_relay_that_cannot_be_read_says_what_fits() {
    let home = well();
    let file = home.below("state/relay.db");
    std::fs::write(&file, "no database, and longer than a header ".repeat(9)).unwrap();
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(1), "{examination:#}");
    assert_found(&examination, "relay", "needsPerson", "meshd reconcile");
    home.meshd(&["reconcile"]).assert().success();
    assert_found(&examined(&home, &[]).0, "relay", "ok", "each with its endpoint");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let (examination, _) = examined(&home, &[]);
    assert_found(&examination, "relay", "needsPerson", "mv ");
    assert_eq!(found(&examination, "permissions", "needsPerson"), [""; 0], "{examination:#}");
}

#[test]
fn a_contested_id_is_no_claimants_mistake() {
    let home = well();
    home.write("root/copy/.dork/agent.json", &manifest("shop"));
    std::fs::remove_file(home.below("root/web/shop/.dork/agent.json")).unwrap();
    home.meshd(&["reconcile"]).assert().success();
    let (examination, code) = examined(&home, &[]);
    assert_eq!((code, found(&examination, "agents", "needsPerson").len()), (Some(0), 0), "{examination:#}");
    let command = format!("relocate --accept shop {}", home.below("root/copy").display());
    assert_found(&examination, "agents", "note", &command);
}

#[test]
fn an_address_that_another_program_has_needs_a_person() {
    let home = well();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    home.write("config.toml", &format!("http = '{}'", listener.local_addr().unwrap()));
    let (examination, code) = examined(&home, &["--config", "config.toml"]);
    assert_eq!(code, Some(1), "{examination:#}");
    assert_found(&examination, "daemon", "needsPerson", "another program listens");
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_its_line_and_stops_nothing() {
    let home = well();
    home.write("config.toml", "# roots\nsweep_interval = 'soon'\n");
    let (examination, code) = examined(&home, &["--config", "config.toml"]);
    assert_eq!(code, Some(1));
    assert_found(&examination, "configuration", "needsPerson", "config.toml:2:");
    assert_found(&examination, "configuration", "needsPerson", "+2 ");
    assert_found(&examination, "registry", "ok", "is whole");
    assert_found(&examined(&home, &["--config", "none.toml"]).0, "configuration", "needsPerson", "no such file");
    let environment = home.meshd(&["doctor", "--json"]).env("MESHD_MAX_DEPTH", "deep").assert().code(1);
    let said = String::from_utf8(environment.get_output().stdout.clone()).unwrap();
    assert!(said.contains("unset MESHD_MAX_DEPTH"), "{said}");
    // Neither a home nor a state directory: the system's.
    let mut bare = Command::cargo_bin("meshd").unwrap();
    let bare = bare.env_clear().args(["doctor", "--json"]).assert().code(1);
    assert!(String::from_utf8_lossy(&bare.get_output().stdout).contains("XDG_STATE_HOME"));
}

#[test]
fn what_others_may_read_needs_a_person() {
    let home = well();
    let mode = |path: &str, mode| {
        std::fs::set_permissions(home.below(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    home.write("state/http.token", "secret");
    mode("state/http.token", 0o644);
    mode("state", 0o755);
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(1));
    assert_found(&examination, "permissions", "needsPerson", "chmod 600");
    assert_found(&examination, "permissions", "needsPerson", "chmod 700");
    mode("state/http.token", 0o600);
    mode("state", 0o700);
    assert_eq!(examined(&home, &[]).1, Some(0));
}

#[test]
fn what_its_owner_may_not_write_needs_a_person() {
    let home = well();
    for (path, narrow, right) in [("state", 0o500, 0o700), ("state/registry.db", 0o400, 0o600)] {
        let mode = |mode| {
            std::fs::set_permissions(home.below(path), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(narrow);
        assert_found(&examined(&home, &[]).0, "permissions", "needsPerson", &format!("chmod {right:o}"));
        mode(right);
    }
}

#[test]
fn a_state_directory_that_is_a_link_is_what_it_leads_to() {
    let home = well();
    std::fs::rename(home.below("state"), home.below("private")).unwrap();
    std::os::unix::fs::symlink(home.below("private"), home.below("state")).unwrap();
    // The link is not the directory's owner's, as far as that can be said here.
    let _ = std::os::unix::fs::lchown(home.below("state"), Some(1), Some(1));
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(0), "{examination:#}");
}

#[test]
fn it_takes_no_lock_and_makes_nothing() {
    let home = Home::new();
    let (_, code) = examined(&home, &[]);
    assert_eq!(code, Some(1), "no root is known");
    assert!(!home.below("state").try_exists().unwrap());
    let home = well();
    let lock = std::fs::File::open(home.below("state/meshd.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(examined(&home, &[]).1, Some(0));
}

#[test]
fn a_daemon_that_runs_is_asked_and_one_that_hangs_is_found() {
    let home = well();
    let daemon = std::process::Command::new(assert_cmd::cargo::cargo_bin("meshd"))
        .env_clear()
        .args(["run", "--log-level", "error", "--state-dir"])
        .arg(home.below("state"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let daemon = registering::Running(daemon);
    let deadline = meshd::clock::monotonic() + std::time::Duration::from_secs(30);
    let examination = loop {
        let (examination, _) = examined(&home, &[]);
        if found(&examination, "daemon", "ok").iter().any(|finding| finding.contains("ready")) {
            break examination;
        }
        assert!(meshd::clock::monotonic() < deadline, "{examination:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(examination["well"], true, "{examination:#}");
    assert_found(&examination, "daemon", "ok", "the same as this command's");
    assert_found(&examination, "limits", "ok", "of at most");
    let process = rustix::process::Pid::from_raw(i32::try_from(daemon.0.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    let (examination, code) = examined(&home, &[]);
    assert_eq!(code, Some(1));
    assert_found(&examination, "daemon", "needsPerson", "did not answer");
    assert_found(&examination, "daemon", "needsPerson", &format!("kill {}", daemon.0.id()));
}
