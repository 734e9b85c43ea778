//! Many real processes at one mailbox, and processes that are killed in the middle.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use meshd::relay::local::Take;
use serde_json::Value;

use super::files::{Office, names_in};
use super::*;

/// Messages that each of four senders sends, each with a process of its own.
const EACH: usize = 250;

#[test]
fn of_four_processes_that_send_and_four_that_take_none_is_lost_and_none_comes_twice() {
    let office = Office::of(&[("s0", "x"), ("s1", "x"), ("s2", "x"), ("s3", "x"), ("b", "x")]);
    let take = |office: &Office| -> Vec<String> {
        let output = office.meshd(&["inbox", "b", "--take", "--json"]).output().unwrap();
        assert!(output.status.success());
        let body = |line: &str| {
            let message: Value = serde_json::from_str(line).unwrap();
            message["body"].as_str().unwrap().to_owned()
        };
        String::from_utf8(output.stdout).unwrap().lines().map(body).collect()
    };
    let sent_all = AtomicBool::new(false);
    let mut taken: Vec<String> = thread::scope(|scope| {
        let (office, take, sent_all) = (&office, &take, &sent_all);
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                scope.spawn(move || {
                    for number in 0..EACH {
                        let from = format!("s{sender}");
                        let mut command = office.meshd(&["send", "b", "--from", &from]);
                        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
                        child.stdin.take().unwrap().write_all(format!("{sender}-{number}").as_bytes()).unwrap();
                        assert!(child.wait_with_output().unwrap().status.success());
                    }
                })
            })
            .collect();
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut bodies = Vec::new();
                    while !sent_all.load(Ordering::SeqCst) {
                        bodies.extend(take(office));
                    }
                    bodies
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        sent_all.store(true, Ordering::SeqCst);
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    taken.extend(take(&office));
    let unique: BTreeSet<&String> = taken.iter().collect();
    assert_eq!((taken.len(), unique.len()), (4 * EACH, 4 * EACH));
}

#[test]
fn a_message_whose_sender_is_killed_is_there_whole_or_not_at_all() {
    let office = Office::of(&[("a", "x"), ("b", "x")]);
    let (mut delivered, mut killed) = (0, 0);
    let body = |round: usize| format!("{round} ").repeat(100_000 / 4);
    for round in 0..60 {
        let mut child = office.meshd(&["send", "b", "--from", "a"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = body(round);
        let writer = thread::spawn(move || {
            // A killed reader does not read to the end.
            let _ = stdin.write_all(text.as_bytes());
        });
        // Spread over the time that one takes, a few milliseconds.
        thread::sleep(std::time::Duration::from_micros(u64::try_from(round).unwrap() * 200));
        child.kill().unwrap();
        writer.join().unwrap();
        if child.wait().unwrap().success() {
            delivered += 1;
        } else {
            killed += 1;
        }
    }
    assert!(killed > 0, "{delivered} were faster");
    let messages: Vec<_> = office.post().messages(&subject("x", "b")).unwrap().map(Result::unwrap).collect();
    assert!(messages.len() >= delivered);
    for message in &messages {
        let text = String::from_utf8(message.body.clone()).unwrap();
        let round: usize = text.split(' ').next().unwrap().parse().unwrap();
        assert!(text == body(round), "whole: {round}");
    }
    office.post().send(&id("a"), &id("b"), b"the next one").unwrap();
    assert_eq!(names_in(&office.path().join("mail/relay.agent.x.b/tmp")), Vec::<String>::new(), "nothing is left");
}

#[test]
fn what_a_killed_taker_had_in_hand_is_taken_again() {
    let office = Office::of(&[("a", "x"), ("b", "x")]);
    for number in 0..40 {
        office.post().send(&id("a"), &id("b"), number.to_string().as_bytes()).unwrap();
    }
    let mut printed = BTreeSet::new();
    for round in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let answer = directory.path().join("answer");
        let mut command = office.meshd(&["inbox", "b", "--take", "--json"]);
        let mut child = command.stdout(fs::File::create(&answer).unwrap()).spawn().unwrap();
        thread::sleep(std::time::Duration::from_micros(2_000 + round * 400));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in fs::read_to_string(&answer).unwrap().lines() {
            if let Ok(message) = serde_json::from_str::<Value>(line) {
                printed.insert(message["body"].as_str().unwrap().to_owned());
            }
        }
    }
    for taken in office.post().take(&subject("x", "b"), Take::Again).unwrap() {
        let taken = taken.unwrap();
        printed.insert(String::from_utf8(taken.message().body.clone()).unwrap());
        taken.done().unwrap();
    }
    let all: BTreeSet<String> = (0..40).map(|number: u32| number.to_string()).collect();
    assert_eq!(printed, all, "every one was printed, or is still there");
}
