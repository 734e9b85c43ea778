//! What meshd tells is told in words and fields that people and programs can rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use meshd::registry::{Event, EventName};
use meshd::telemetry::{Metrics, Telemetry};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

/// The entries of the journal's message catalog: id, headers, text.
fn catalog() -> Vec<(String, BTreeMap<String, String>, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/meshd.catalog");
    let text = std::fs::read_to_string(path).unwrap();
    let entries = text.split("\n-- ").skip(1).map(|entry| {
        let (head, body) = entry.split_once("\n\n").unwrap();
        let (id, headers) = head.split_once('\n').unwrap();
        let headers = headers.lines().map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        (id.to_owned(), headers, body.to_owned())
    });
    entries.collect()
}

#[test]
fn every_event_is_explained_once_and_nothing_else_is() {
    let ids: Vec<String> = catalog().into_iter().map(|(id, _, _)| id).collect();
    let mut wanted: Vec<&str> = EventName::ALL.into_iter().map(EventName::message_id).collect();
    let mut found: Vec<&str> = ids.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn an_explanation_says_who_it_is_from_and_quotes_only_what_its_line_has() {
    for (id, headers, text) in catalog() {
        let keys: Vec<&str> = headers.keys().map(String::as_str).collect();
        assert_eq!(keys, ["Defined-By", "Subject", "Support"], "{id}");
        assert_eq!(headers["Defined-By"], "meshd", "{id}");
        let event = EventName::ALL.into_iter().find(|event| event.message_id() == id).unwrap();
        let has: BTreeSet<String> = fields(&full(event)).into_keys().map(|key| key.to_uppercase()).collect();
        let whole = format!("{}\n{text}", headers["Subject"]);
        let quoted: BTreeSet<String> = whole.split('@').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(quoted.is_subset(&has), "{}: of {quoted:?} its line has {has:?}", event.as_str());
    }
}

#[test]
fn no_command_that_is_shown_has_a_strangers_words_in_it() {
    for (file, inserted) in [("systemd/meshd.catalog", '@'), ("monitoring/rules.yml", '{')] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for commands in text.split("\n\n").flat_map(|part| part.split('`').skip(1).step_by(2)) {
            assert!(!commands.contains(inserted), "{file}: `{commands}`");
        }
    }
}

#[test]
fn a_field_that_says_nothing_is_left_out() {
    let fields = fields(&Event::new(EventName::DaemonStarted));
    let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(keys, ["event", "message", "message_id"]);
    assert_eq!(fields["message"], "daemon.started");
}

#[test]
fn what_a_stranger_wrote_acts_nowhere() {
    let event = full(EventName::ManifestUnreadable).with("why", "a\u{1b}[2Jb\nc");
    for (key, value) in fields(&event) {
        assert!(!value.chars().any(char::is_control), "{key}: {value:?}");
    }
}

/// An event with all that one of its name has.
fn full(name: EventName) -> Event {
    let (of_root, of_agent) = (name.as_str().starts_with("root."), name.as_str().starts_with("agent."));
    let of_manifest = name.as_str().starts_with("manifest.");
    let event = Event {
        agent: (of_agent || name == EventName::ManifestDuplicateId).then(|| "a".parse().unwrap()),
        project: (of_agent || of_manifest).then(|| "/r/p".into()),
        scan_root: (of_agent || of_root).then(|| "/r".into()),
        ..Event::new(name)
    };
    match name {
        EventName::AgentUnreachable => event.with("reason", "manifest_gone"),
        EventName::ManifestUnreadable
        | EventName::ManifestDuplicateId
        | EventName::RootOffline
        | EventName::RootDegraded
        | EventName::WatchOverflow
        | EventName::WatchLimit
        | EventName::RelayFailed => event.with("why", "because"),
        EventName::AgentRegistered
        | EventName::AgentSynced
        | EventName::AgentRelocated
        | EventName::AgentReachable
        | EventName::AgentRemoved
        | EventName::AgentUnregistered
        | EventName::RootOnline
        | EventName::SweepCompleted
        | EventName::DaemonStarted
        | EventName::DaemonStopping => event,
    }
}

/// The fields of the line that tells of an event.
fn fields(event: &Event) -> BTreeMap<String, String> {
    let line = Line::default();
    let telemetry = Telemetry { metrics: Arc::new(Metrics::new()) };
    tracing::subscriber::with_default(registry().with(line.clone()), || telemetry.event(event));
    let fields = line.0.lock().unwrap();
    fields.clone()
}

/// Remembers the fields of the last line.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<BTreeMap<String, String>>>);

impl<S: tracing::Subscriber> Layer<S> for Line {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = self.0.lock().unwrap();
        fields.clear();
        event.record(&mut Fields(&mut fields));
    }
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
