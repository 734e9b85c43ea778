//! Mail is delivered in order, taken by exactly one, follows its agent, and is never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use meshd::relay::local::{Local, MailError, MessageState, Post, PostError, Take};
use meshd::relay::{Desk, Limits, Relay};

use super::fake::{DEADLINE, until};
use super::files::{Office, make_all, names_in, soon};
use super::*;

impl Office {
    fn mailbox(&self, name: &str, agent: &str) -> PathBuf {
        self.path().join("mail").join(subject(name, agent).as_str())
    }

    fn bodies(&self, name: &str, agent: &str) -> Vec<String> {
        let messages = self.post().messages(&subject(name, agent)).unwrap();
        messages.map(|message| String::from_utf8(message.unwrap().body).unwrap()).collect()
    }

    /// Takes everything out of a mailbox.
    fn take(&self, name: &str, agent: &str, which: Take) -> Vec<String> {
        let taking = self.post().take(&subject(name, agent), which).unwrap();
        taking.map(|taken| taken_body(taken.unwrap())).collect()
    }

    /// The archived mailboxes, each with what is in it.
    fn archived(&self) -> BTreeMap<String, Vec<String>> {
        let archive = self.path().join("mail/.archive");
        let contents = |name: String| {
            let parts = ["new", "cur"].map(|part| files_in(&archive.join(&name).join(part)));
            (name, parts.concat())
        };
        names_in(&archive).into_iter().map(contents).collect()
    }

    fn send(&self, from: &str, to: &str, body: &str) {
        self.post().send(&id(from), &id(to), body.as_bytes()).unwrap();
    }
}

fn taken_body(taken: meshd::relay::local::Taken) -> String {
    let body = String::from_utf8(taken.message().body.clone()).unwrap();
    taken.done().unwrap();
    body
}

/// The bodies of the messages in a directory.
fn files_in(directory: &Path) -> Vec<String> {
    let body = |name: &String| {
        let content = fs::read_to_string(directory.join(name)).unwrap();
        content.split_once("\n\n").unwrap().1.to_owned()
    };
    names_in(directory).iter().map(body).collect()
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn office() -> Office {
    Office::of(&[("a", "x"), ("b", "x")])
}

#[test]
fn a_message_arrives_with_its_headers_and_its_bytes() {
    let office = office();
    let body = b"hello\0\xff\n\nFrom: nobody\n";
    let delivered = office.post().send(&id("a"), &id("b"), body).unwrap();
    assert_eq!(delivered.subject, subject("x", "b"));
    let messages: Vec<_> = office.post().messages(&subject("x", "b")).unwrap().map(Result::unwrap).collect();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.from.clone(), message.to.clone()), (Some(id("a")), Some(id("b"))));
    assert_eq!((message.id.clone(), message.sent_at.clone()), (delivered.id, Some(delivered.sent_at)));
    assert_eq!((message.body.as_slice(), message.state), (&body[..], MessageState::New));
}

#[test]
fn a_mailbox_is_made_at_the_first_delivery_and_is_private() {
    let office = office();
    office.post().messages(&subject("x", "b")).unwrap();
    office.post().take(&subject("x", "b"), Take::Again).unwrap();
    assert!(!is_there(&office.path().join("mail")));
    office.send("a", "b", "hello");
    assert_eq!(names_in(&office.path().join("mail")), ["relay.agent.x.b"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mailbox = office.mailbox("x", "b");
    assert_eq!(names_in(&mailbox), ["cur", "new", "tmp"]);
    for directory in [office.path().join("mail"), mailbox.clone(), mailbox.join("new"), mailbox.join("tmp")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    let name = &names_in(&mailbox.join("new"))[0];
    assert_eq!(mode(&mailbox.join("new").join(name)), 0o600);
}

#[test]
fn messages_come_in_the_order_of_delivery() {
    let office = office();
    let bodies: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for body in &bodies {
        office.send("a", "b", body);
    }
    assert_eq!(office.bodies("x", "b"), bodies);
    assert_eq!(office.take("x", "b", Take::New), bodies);
}

#[test]
fn a_clock_that_was_set_back_misorders_nothing() {
    let office = office();
    office.send("a", "b", "0");
    // As if the last delivery had been in the year 2200, by the clock of then.
    let mailbox = fs::File::open(office.mailbox("x", "b")).unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_hours(2_016_144);
    mailbox.set_modified(then).unwrap();
    for body in ["1", "2", "3"] {
        office.send("a", "b", body);
    }
    assert_eq!(office.bodies("x", "b"), ["0", "1", "2", "3"]);
    // A move keeps the order, too.
    let relay = office.relay();
    make_all(&relay, &[("b", "y")]);
    relay.change(&retire("x", "b", Some("y")), soon()).unwrap();
    relay.change(&Change::PutRule(pair("x", "y", RuleAction::Allow).rule().unwrap()), soon()).unwrap();
    office.send("a", "b", "4");
    assert_eq!(office.bodies("y", "b"), ["0", "1", "2", "3", "4"]);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_written() {
    let office = office();
    let most = vec![b'x'; 1024 * 1024];
    let more = vec![b'x'; 1024 * 1024 + 1];
    assert!(matches!(office.post().send(&id("a"), &id("b"), &more), Err(PostError::TooLarge)));
    assert!(!is_there(&office.path().join("mail")));
    office.post().send(&id("a"), &id("b"), &most).unwrap();
    assert_eq!(office.bodies("x", "b")[0].len(), most.len());
}

#[test]
fn what_may_not_be_sent_leaves_nothing() {
    let office = Office::of(&[("a", "x"), ("c", "y")]);
    assert!(matches!(office.post().send(&id("a"), &id("c"), b"x"), Err(PostError::Denied { .. })));
    for (from, to) in [("a", "nobody"), ("nobody", "a")] {
        assert!(matches!(office.post().send(&id(from), &id(to), b"x"), Err(PostError::NoEndpoint(_))));
    }
    assert!(!is_there(&office.path().join("mail")));
}

#[test]
fn what_is_taken_and_not_done_can_be_taken_again() {
    let office = office();
    for body in ["1", "2", "3"] {
        office.send("a", "b", body);
    }
    let post = office.post();
    let mut taking = post.take(&subject("x", "b"), Take::New).unwrap();
    let first = taking.next().unwrap().unwrap();
    assert_eq!(first.message().body, b"1");
    // Somebody is at it: nobody else gets it, however they ask.
    let second: Vec<_> = post.take(&subject("x", "b"), Take::Again).unwrap().map(Result::unwrap).collect();
    assert_eq!(second.iter().map(|taken| taken.message().body.clone()).collect::<Vec<_>>(), [b"2", b"3"]);
    drop((first, second));
    let states: Vec<_> = post.messages(&subject("x", "b")).unwrap().map(|message| message.unwrap().state).collect();
    assert_eq!(states, [MessageState::Taken; 3]);
    assert_eq!(office.take("x", "b", Take::New), Vec::<String>::new());
    office.send("a", "b", "4");
    assert_eq!(office.take("x", "b", Take::Again), ["1", "2", "3", "4"]);
    assert_eq!(office.bodies("x", "b"), Vec::<String>::new());
}

#[test]
fn mail_of_a_removed_agent_is_archived_and_an_empty_mailbox_goes() {
    let office = office();
    office.send("a", "b", "new");
    office.send("a", "b", "taken");
    drop(office.post().take(&subject("x", "b"), Take::New).unwrap().next());
    office.send("b", "a", "read");
    office.take("x", "a", Take::New);
    let relay = office.relay();
    for agent in ["a", "b"] {
        assert_eq!(relay.change(&retire("x", agent, None), soon()), Ok(()));
    }
    assert_eq!(names_in(&office.path().join("mail")), [".archive"]);
    let archived = office.archived();
    let names: Vec<&String> = archived.keys().collect();
    assert!(names.len() == 1 && names[0].starts_with("relay.agent.x.b.20"), "{names:?}");
    let bodies: BTreeSet<&String> = archived.values().flatten().collect();
    assert_eq!(bodies, BTreeSet::from([&"new".to_owned(), &"taken".to_owned()]));
    // And once more, with the same id.
    make_all(&relay, &[("a", "x"), ("b", "x")]);
    office.send("a", "b", "again");
    relay.change(&retire("x", "b", None), soon()).unwrap();
    assert_eq!(office.archived().len(), 2);
}

#[test]
fn mail_follows_its_agent_to_another_namespace() {
    let office = office();
    office.send("a", "b", "taken");
    drop(office.post().take(&subject("x", "b"), Take::New).unwrap().next());
    office.send("a", "b", "new");
    let at_it = office.post().take(&subject("x", "b"), Take::New).unwrap();
    office.send("a", "b", "later");
    let relay = office.relay();
    make_all(&relay, &[("b", "y")]);
    assert_eq!(relay.change(&retire("x", "b", Some("y")), soon()), Ok(()));
    assert_eq!(office.bodies("y", "b"), ["taken", "new", "later"]);
    assert!(!is_there(&office.mailbox("x", "b")));
    assert_eq!(office.archived(), BTreeMap::new());
    assert_eq!(at_it.count(), 0, "it is where it went");
    assert_eq!(office.take("y", "b", Take::Again), ["taken", "new", "later"]);
}

#[test]
fn what_somebody_is_at_does_not_move_under_their_hands() {
    let office = office();
    office.send("a", "b", "1");
    let post = office.post();
    let taken = post.take(&subject("x", "b"), Take::New).unwrap().next().unwrap().unwrap();
    let relay = office.relay();
    make_all(&relay, &[("b", "y")]);
    relay.change(&retire("x", "b", Some("y")), soon()).unwrap();
    assert_eq!(office.bodies("y", "b"), Vec::<String>::new());
    assert_eq!(taken_body(taken), "1");
    assert!(office.archived().values().all(Vec::is_empty), "it is nowhere any more: {:?}", office.archived());
}

#[test]
fn what_a_kill_left_of_a_retirement_is_finished() {
    let office = Office::of(&[("a", "x"), ("moved", "x"), ("gone", "x"), ("back", "x")]);
    for agent in ["moved", "gone", "back"] {
        office.send("a", agent, agent);
    }
    // As a kill leaves it: the rows are gone, the mail is not yet where it should be.
    office.sql().execute_batch("DELETE FROM endpoints WHERE agent_id IN ('moved', 'gone', 'back')").unwrap();
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.want_all(agents(&[("a", "x"), ("moved", "y"), ("back", "x")]), vec![]);
    desk.finish(DEADLINE);
    assert_eq!(office.bodies("y", "moved"), ["moved"]);
    assert_eq!(office.bodies("x", "back"), ["back"]);
    assert_eq!(office.archived().into_values().flatten().collect::<Vec<_>>(), ["gone"]);
    assert_eq!(names_in(&office.path().join("mail")), [".archive", "relay.agent.x.back", "relay.agent.y.moved"]);
}

#[test]
fn a_relay_that_is_made_anew_archives_nobodys_mail() {
    let office = office();
    office.send("a", "b", "kept");
    fs::write(office.file(), [b'x'; 5000]).unwrap();
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.verify();
    desk.finish(DEADLINE);
    desk.want_all(agents(&[("a", "x"), ("b", "x")]), vec![]);
    desk.finish(DEADLINE);
    assert_eq!(office.bodies("x", "b"), ["kept"]);
    assert_eq!(office.archived(), BTreeMap::new());
}

#[test]
fn strangers_mailboxes_stay() {
    let office = office();
    let mail = office.path().join("mail");
    for name in ["relay.human.bob", "not a subject", "relay.agent.x.c"] {
        fs::create_dir_all(mail.join(name).join("new")).unwrap();
    }
    office.sql().execute_batch("INSERT INTO endpoints VALUES ('relay.agent.x.c', 'c', 'them', '')").unwrap();
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.want_all(agents(&[("a", "x"), ("b", "x")]), vec![]);
    desk.finish(DEADLINE);
    assert_eq!(names_in(&mail), ["not a subject", "relay.agent.x.c", "relay.human.bob"]);
    office.send("a", "c", "hello");
    assert_eq!(office.bodies("x", "c"), ["hello"]);
}

#[test]
fn links_are_never_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    for part in ["tmp", "new", "cur"] {
        fs::create_dir(elsewhere.path().join(part)).unwrap();
    }
    let untouched =
        || assert_eq!(["tmp", "new", "cur"].map(|part| names_in(&elsewhere.path().join(part)).len()), [0; 3]);
    // All of `mail`, one mailbox, one part of it.
    for link in ["mail", "mail/relay.agent.x.b", "mail/relay.agent.x.b/new", "mail/relay.agent.x.b/tmp"] {
        let office = office();
        let target = if link.ends_with("new") || link.ends_with("tmp") {
            elsewhere.path().join("new")
        } else {
            elsewhere.path().to_owned()
        };
        fs::create_dir_all(office.path().join(link).parent().unwrap()).unwrap();
        symlink(target, office.path().join(link)).unwrap();
        let sent = office.post().send(&id("a"), &id("b"), b"x");
        assert!(matches!(sent, Err(PostError::Mail(MailError::NotADirectory(_)))), "{link}: {sent:?}");
        untouched();
        // Nor does it keep anybody from being reached.
        let relay = office.relay();
        make_all(&relay, &[("c", "x")]);
        assert_eq!(relay.list(soon()).unwrap().endpoints.len(), 3, "{link}");
    }
    // A message that is a link, or waits for a writer.
    let office = office();
    office.send("a", "b", "real");
    let new = office.mailbox("x", "b").join("new");
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, new.join("0")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(new.join("1")).status().unwrap();
    assert!(fifo.success());
    fs::create_dir(new.join("2")).unwrap();
    assert_eq!(office.bodies("x", "b"), ["real"]);
    assert_eq!(office.take("x", "b", Take::Again), ["real"]);
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    let relay = office.relay();
    assert_eq!(relay.change(&retire("x", "b", None), soon()), Ok(()));
    assert!(is_there(&secret) && !is_there(&office.mailbox("x", "b")));
}

#[test]
fn what_another_program_put_there_is_shown_and_what_is_no_message_is_left() {
    let office = office();
    office.send("a", "b", "ours");
    let new = office.mailbox("x", "b").join("new");
    fs::write(new.join("0.theirs"), "no headers\n").unwrap();
    fs::write(new.join("9.huge"), vec![b'x'; 2 * 1024 * 1024]).unwrap();
    let post = office.post();
    let read: Vec<_> = post.messages(&subject("x", "b")).unwrap().collect();
    assert!(matches!(&read[0], Ok(message) if message.from.is_none() && message.body == b"no headers\n"));
    assert!(matches!(&read[2], Err(PostError::Mail(MailError::TooLarge(_)))));
    let taken: Vec<_> = post.take(&subject("x", "b"), Take::New).unwrap().map(|taken| taken.map(taken_body)).collect();
    assert!(matches!(taken.as_slice(), [Ok(_), Ok(_), Err(PostError::Mail(MailError::TooLarge(_)))]), "{taken:?}");
    assert_eq!(names_in(&new), ["9.huge"]);
}

#[test]
fn parts_of_a_mailbox_that_were_deleted_by_hand_are_made_again() {
    let office = office();
    office.send("a", "b", "1");
    for part in ["cur", "tmp"] {
        fs::remove_dir(office.mailbox("x", "b").join(part)).unwrap();
    }
    assert_eq!(office.take("x", "b", Take::New), ["1"]);
    fs::remove_dir(office.mailbox("x", "b").join("new")).unwrap();
    assert_eq!(office.bodies("x", "b"), Vec::<String>::new());
    office.send("a", "b", "2");
    assert_eq!(office.take("x", "b", Take::New), ["2"]);
}

#[test]
fn what_killed_deliveries_left_is_deleted_and_live_ones_are_not_disturbed() {
    let office = office();
    office.send("a", "b", "1");
    let tmp = office.mailbox("x", "b").join("tmp");
    let left = || names_in(&tmp);
    fs::write(tmp.join("killed"), "half a mess").unwrap();
    let live = fs::File::create(tmp.join("live")).unwrap();
    live.lock().unwrap();
    office.send("a", "b", "2");
    assert_eq!(left(), ["live"]);
    drop(live);
    office.relay().list(soon()).unwrap();
    assert_eq!(left(), Vec::<String>::new(), "the first look of a daemon");
    assert_eq!(office.bodies("x", "b"), ["1", "2"]);
}

#[test]
fn of_four_who_send_and_four_who_take_none_is_lost_and_none_comes_twice() {
    const EACH: usize = 250;
    let office = Office::of(&[("s0", "x"), ("s1", "x"), ("s2", "x"), ("s3", "x"), ("b", "x")]);
    let sent_all = AtomicBool::new(false);
    let (mut taken, path) = (Vec::new(), office.path());
    thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                scope.spawn(move || {
                    let post = Post::open(path).unwrap();
                    for number in 0..EACH {
                        post.send(&id(&format!("s{sender}")), &id("b"), format!("{sender}-{number}").as_bytes())
                            .unwrap();
                    }
                })
            })
            .collect();
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let sent_all = &sent_all;
                scope.spawn(move || {
                    let post = Post::open(path).unwrap();
                    let mut bodies = Vec::new();
                    loop {
                        let last_round = sent_all.load(Ordering::SeqCst);
                        for taken in post.take(&subject("x", "b"), Take::New).unwrap() {
                            bodies.push(taken_body(taken.unwrap()));
                        }
                        if last_round {
                            return bodies;
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        sent_all.store(true, Ordering::SeqCst);
        for taker in takers {
            taken.extend(taker.join().unwrap());
        }
    });
    // Somebody may have had the last ones in hand when the others looked.
    taken.extend(office.take("x", "b", Take::Again));
    let unique: BTreeSet<&String> = taken.iter().collect();
    assert_eq!((taken.len(), unique.len()), (4 * EACH, 4 * EACH));
    assert_eq!(names_in(&office.mailbox("x", "b").join("cur")), Vec::<String>::new());
}

/// Where every message of the world is: bodies in mailboxes of endpoints, in the archive, and in mailboxes of nobody.
fn everywhere(office: &Office, relay: &Local) -> (Vec<String>, Vec<String>, Vec<String>) {
    let endpoints: BTreeSet<String> =
        relay.list(soon()).unwrap().endpoints.into_iter().map(|endpoint| endpoint.subject.to_string()).collect();
    let (mut reached, mut lost) = (Vec::new(), Vec::new());
    for name in names_in(&office.path().join("mail")).into_iter().filter(|name| name != ".archive") {
        let mailbox = office.path().join("mail").join(&name);
        let bodies = ["new", "cur"].map(|part| files_in(&mailbox.join(part))).concat();
        if endpoints.contains(&name) { reached.extend(bodies) } else { lost.extend(bodies) }
    }
    (reached, office.archived().into_values().flatten().collect(), lost)
}

#[test]
fn a_delivery_that_races_with_a_retirement_ends_somewhere_or_is_an_error() {
    let office = Office::of(&[("s0", "x"), ("s1", "x"), ("s2", "x"), ("b", "x")]);
    let relay = office.relay();
    let all: Change = Change::PutRule(Rule {
        from: "relay.>".parse().unwrap(),
        to: "relay.>".parse().unwrap(),
        action: RuleAction::Allow,
        priority: 500,
    });
    relay.change(&all, soon()).unwrap();
    let (over, tried) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut delivered, mut refused, path) = (Vec::new(), Vec::new(), office.path());
    thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let (over, tried) = (&over, &tried);
                scope.spawn(move || {
                    let post = Post::open(path).unwrap();
                    let (mut delivered, mut refused) = (Vec::new(), Vec::new());
                    let mut number = 0;
                    while !over.load(Ordering::SeqCst) {
                        let body = format!("{sender}-{number}");
                        number += 1;
                        let sent = post.send(&id(&format!("s{sender}")), &id("b"), body.as_bytes());
                        tried.fetch_add(1, Ordering::SeqCst);
                        match sent {
                            Ok(_) => delivered.push(body),
                            Err(PostError::NoEndpoint(_) | PostError::Moving(_)) => refused.push(body),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (delivered, refused)
                })
            })
            .collect();
        for round in 0..60 {
            // To another namespace and back, then gone, then back again.
            for changes in [
                vec![ensure("y", "b"), retire("x", "b", Some("y"))],
                vec![ensure("x", "b"), retire("y", "b", Some("x"))],
                vec![retire("x", "b", None)],
                vec![ensure("x", "b")],
            ] {
                // Now one right after the other, now with some deliveries in between.
                let enough = tried.load(Ordering::SeqCst) + round % 5;
                until("messages are sent", || tried.load(Ordering::SeqCst) >= enough);
                assert!(relay.change_all(&changes, soon()).unwrap().iter().all(Result::is_ok));
            }
        }
        over.store(true, Ordering::SeqCst);
        for sender in senders {
            let (ok, error) = sender.join().unwrap();
            delivered.extend(ok);
            refused.extend(error);
        }
    });
    for subject in relay.list(soon()).unwrap().leftovers {
        relay.change(&Change::RetireEndpoint { subject, successor: None }, soon()).unwrap();
    }
    let (reached, archived, lost) = everywhere(&office, &relay);
    assert_eq!(lost, Vec::<String>::new());
    let found: Vec<&String> = reached.iter().chain(&archived).collect();
    let unique: BTreeSet<&String> = found.iter().copied().collect();
    assert_eq!(found.len(), unique.len(), "none is there twice");
    assert_eq!(unique, delivered.iter().collect(), "what was acknowledged is there, and nothing else");
    assert!(!delivered.is_empty() && !archived.is_empty(), "{} {}", delivered.len(), refused.len());
}
