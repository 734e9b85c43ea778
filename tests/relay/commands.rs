//! `meshd send`, `meshd inbox` and `meshd access`, as people and programs use them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use meshd::agent::Agent;
use meshd::registry::AgentRegistry;
use meshd::relay::Relay;
use serde_json::{Value, json};

use super::files::{Office, soon};
use super::*;

impl Office {
    pub fn meshd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshd"));
        command.args(arguments).arg("--state-dir").arg(self.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(&self.meshd(arguments).output().unwrap())
    }

    fn send_from(&self, from: &str, to: &str, body: &[u8]) -> Answer {
        self.with_stdin(&["send", to, "--from", from], body)
    }

    fn with_stdin(&self, arguments: &[&str], body: &[u8]) -> Answer {
        let mut child = self.meshd(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that refuses does not read to the end.
        let _ = child.stdin.take().unwrap().write_all(body);
        Answer::of(&child.wait_with_output().unwrap())
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Records an agent at a project, so that it can be named by its path.
    fn record(&self, agent: &str, project: &Path) {
        let manifest = json!({
            "id": agent, "name": agent, "runtime": "codex", "registeredAt": "2026-01-01T00:00:00Z", "registeredBy": "me",
        });
        let manifest = meshd::agent::Manifest::from_value(manifest).unwrap();
        let now = meshd::agent::Moment { wall_ms: 0, boot_ms: 0, boot: "boot".into() };
        let (mut registry, _) = AgentRegistry::open(&self.path().join("registry.db"), &now).unwrap();
        let sighting = meshd::agent::Sighting { observation: None, home: None };
        registry.upsert(&Agent::derive(manifest, project.to_owned(), None), &sighting, &now).unwrap();
    }
}

#[derive(Debug)]
struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

fn office() -> Office {
    Office::of(&[("a", "x"), ("b", "x"), ("c", "y")])
}

#[test]
fn a_message_is_sent_listed_and_taken() {
    let office = office();
    let sent = office.send_from("a", "b", b"hello\nyou\n");
    assert_eq!((sent.code, sent.err.as_str()), (0, ""));
    assert!(sent.out.starts_with("delivered to relay.agent.x.b: "), "{sent:?}");
    let listed = office.run(&["inbox", "b"]);
    assert!(
        listed.out.contains("(new)\nfrom: a\nto: b\nsent: 20") && listed.out.ends_with("\n  hello\n  you\n"),
        "{listed:?}"
    );
    let lines = office.lines(&["inbox", "b", "--json"]);
    let [message] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&message["from"], &message["to"], &message["state"]), (&json!("a"), &json!("b"), &json!("new")));
    assert_eq!(message["body"], "hello\nyou\n");
    assert!(message["sentAt"].as_str().unwrap().ends_with('Z') && message["id"].is_string());
    assert_eq!(office.lines(&["inbox", "b", "--take", "--json"])[0]["body"], "hello\nyou\n");
    assert_eq!(office.lines(&["inbox", "b", "--take", "--json"]), Vec::<Value>::new());
}

#[test]
fn sending_tells_programs_what_came_of_it() {
    let office = office();
    let sent = office.with_stdin(&["send", "b", "--from", "a", "--json"], b"x");
    let sent: Value = serde_json::from_str(&sent.out).unwrap();
    assert_eq!((&sent["from"], &sent["to"], &sent["subject"]), (&json!("a"), &json!("b"), &json!("relay.agent.x.b")));
    assert_eq!(sent["id"], office.lines(&["inbox", "b", "--json"])[0]["id"]);
}

#[test]
fn agents_can_be_named_by_their_projects() {
    let office = office();
    let project = office.path().canonicalize().unwrap().join("project");
    fs::create_dir(&project).unwrap();
    office.record("b", &project);
    let path = project.to_str().unwrap();
    assert_eq!(office.send_from("a", path, b"x").code, 0);
    assert_eq!(office.send_from(path, "a", b"x").code, 0);
    assert_eq!(office.lines(&["inbox", path, "--json"]).len(), 1);
    assert_eq!(office.run(&["access", path, "a"]).code, 0);
    let unknown = office.send_from("a", "/nowhere", b"x");
    assert_eq!((unknown.code, unknown.err.as_str()), (1, "meshd: no agent is recorded as `/nowhere`\n"));
    // Recorded, and not reached yet.
    office.record("new", &office.path().join("other"));
    let waiting = office.send_from("a", "new", b"x");
    assert!(waiting.code == 1 && waiting.err.contains("has no relay endpoint"), "{waiting:?}");
}

#[test]
fn nothing_in_a_message_acts_on_the_terminal() {
    let office = office();
    let hostile = "\u{1b}]52;c;x\u{7}\r\u{9b}2J\u{202e}evil\nmessage 1 (new)\nfrom: root\n";
    office.send_from("a", "b", &[hostile.as_bytes(), b"\xff\0"].concat());
    for arguments in [&["inbox", "b"][..], &["inbox", "b", "--json"]] {
        let answer = office.run(arguments);
        assert!(answer.out.chars().all(|c| c == '\n' || !c.is_control()), "{answer:?}");
        assert!(!answer.out.contains('\u{202e}'));
    }
    let text = office.run(&["inbox", "b"]).out;
    assert_eq!(text.lines().filter(|line| line.starts_with("from: ")).count(), 1, "nor passes for a header: {text}");
    let message = &office.lines(&["inbox", "b", "--json"])[0];
    let bytes = [hostile.as_bytes(), b"\xff\0"].concat();
    let hex = meshd::report::hex(Path::new(std::ffi::OsStr::from_bytes(&bytes)));
    assert_eq!((&message["bodyHex"], message.get("body")), (&json!(hex), None));
}

#[test]
fn who_may_not_is_told_by_which_rule_and_ends_with_one() {
    let office = office();
    let denied = office.run(&["access", "a", "c"]);
    let out_of = "denied: deny relay.agent.x.* → relay.agent.> (priority 10)\n";
    assert_eq!((denied.code, denied.out.as_str()), (1, out_of));
    let allowed = office.run(&["access", "a", "b"]);
    assert_eq!(
        (allowed.code, allowed.out.as_str()),
        (0, "allowed: allow relay.agent.x.* → relay.agent.x.* (priority 100)\n")
    );
    let answer: Value = serde_json::from_str(&office.run(&["access", "a", "c", "--json"]).out).unwrap();
    assert_eq!((&answer["allowed"], &answer["toSubject"]), (&json!(false), &json!("relay.agent.y.c")));
    let rule = json!({ "from": "relay.agent.x.*", "to": "relay.agent.>", "action": "deny", "priority": 10 });
    assert_eq!(answer["rule"], rule);
    for change in rules("x") {
        office.relay().change(&Change::RemoveRule(change), soon()).unwrap();
    }
    assert_eq!(office.run(&["access", "a", "b"]).out, "denied: no rule matches\n");
    let answer: Value = serde_json::from_str(&office.run(&["access", "a", "b", "--json"]).out).unwrap();
    assert_eq!(answer["rule"], Value::Null);
    let refused = office.send_from("a", "b", b"x");
    assert_eq!((refused.code, refused.err.as_str()), (1, "meshd: a may not send to b: no rule allows it\n"));
}

#[test]
fn what_is_refused_says_what_to_do() {
    let nothing = Office::empty();
    let answer = nothing.run(&["inbox", "b"]);
    assert!(answer.code == 1 && answer.err.contains("a running meshd makes it"), "{answer:?}");
    assert_eq!(nothing.names(), Vec::<String>::new());
    let office = office();
    let large = office.send_from("a", "b", &vec![b'x'; 1024 * 1024 + 1]);
    assert!(large.code == 1 && large.err.contains("1048576 bytes at most"), "{large:?}");
    assert_eq!(office.names(), ["relay.db"], "before it is written");
    assert_eq!(office.run(&["inbox", "b", "--again"]).code, 2, "--again is about taking");
    assert_eq!(office.run(&["send", "b"]).code, 2);
    office.sql().pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(office.run(&["access", "a", "b"]).code, 78, "only a newer meshd can use it");
}

#[test]
fn an_empty_message_and_one_of_a_mebibyte_arrive() {
    let office = office();
    assert_eq!(office.send_from("a", "b", b"").code, 0);
    assert_eq!(office.send_from("a", "b", &vec![b'x'; 1024 * 1024]).code, 0);
    let lines = office.lines(&["inbox", "b", "--json"]);
    assert_eq!(lines.iter().map(|line| line["body"].as_str().unwrap().len()).collect::<Vec<_>>(), [0, 1024 * 1024]);
}

#[test]
fn what_nobody_read_to_the_end_can_be_taken_again() {
    let office = office();
    office.send_from("a", "b", &vec![b'x'; 500_000]);
    office.send_from("a", "b", b"second");
    let mut child = office.meshd(&["inbox", "b", "--take", "--json"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    drop(stdout);
    child.wait().unwrap();
    let states: Vec<Value> =
        office.lines(&["inbox", "b", "--json"]).into_iter().map(|message| message["state"].clone()).collect();
    assert_eq!(states, ["taken", "new"]);
    let again = office.lines(&["inbox", "b", "--take", "--again", "--json"]);
    assert_eq!(again.len(), 2);
    assert_eq!(again[0]["body"].as_str().unwrap().len(), 500_000);
}
