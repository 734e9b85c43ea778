//! The relay: whether every agent has its endpoint there, and what keeps it from having one.

use std::collections::HashSet;

use super::{Finding, Patient};
use crate::agent::Shown;
use crate::config::RelayKind;
use crate::registry::Filter;
use crate::relay::Subject;
use crate::relay::local::{Post, PostError, StoreError};
use crate::report::paste;
use crate::report::wording::count;

pub fn check(patient: &Patient) -> Vec<Finding> {
    match patient.settings.relay {
        RelayKind::None => vec![Finding::ok("relay", "none is wanted: agents do not reach each other")],
        RelayKind::Local => {
            let mut findings: Vec<Finding> = told(patient).into_iter().collect();
            findings.extend(endpoints(patient));
            findings
        }
    }
}

/// What the daemon says of it.
fn told(patient: &Patient) -> Option<Finding> {
    let relay = patient.facts()?.relay.as_ref()?;
    let waiting = count(relay.pending, "agent");
    match &relay.error {
        Some(error) => Some(
            Finding::needs_person("relay", format_args!("{waiting} not reached yet: {}", Shown::text(error)))
                .advise("correct what it says; the daemon tries again by itself"),
        ),
        None if relay.pending > 0 => {
            Some(Finding::note("relay", format_args!("{waiting} not reached yet: it is at it")))
        }
        None => None,
    }
}

/// What its file says, against what is recorded.
fn endpoints(patient: &Patient) -> Vec<Finding> {
    let subjects = match Post::open(&patient.settings.state_dir).and_then(|post| post.subjects()) {
        Ok(subjects) => subjects,
        Err(error) => return vec![unreadable(patient, &error)],
    };
    let reader = match patient.reader("endpoints") {
        Ok(reader) => reader,
        Err(findings) => return findings,
    };
    let records = match reader.list(&Filter::default(), &patient.now()) {
        Ok(records) => records,
        Err(error) => return vec![Finding::needs_person("endpoints", error)],
    };
    let subject = |namespace: &str, id: &str| format!("relay.agent.{namespace}.{id}").parse::<Subject>().ok();
    let wanted: HashSet<Subject> =
        records.iter().filter_map(|record| subject(&record.columns.namespace, &record.columns.id)).collect();
    let (missing, left) = (wanted.difference(&subjects).count(), subjects.difference(&wanted).count());
    let agents = count(u64::try_from(wanted.len()).unwrap_or(u64::MAX), "agent");
    if missing == 0 && left == 0 {
        return vec![Finding::ok("endpoints", format_args!("{agents}, each with its endpoint"))];
    }
    let found = format!("{missing} of {agents} without one, and {left} of no agent that is recorded");
    vec![
        Finding::note("endpoints", found)
            .advise("a pass puts that right; endpoints that others made stay")
            .command(patient.meshd("reconcile")),
    ]
}

fn unreadable(patient: &Patient, error: &PostError) -> Finding {
    let word = paste::quoted(&patient.settings.state_dir.join("relay.db"));
    let needs = Finding::needs_person("endpoints", error);
    match error {
        PostError::Store(StoreError::Missing(_)) if patient.registry().is_err() => Finding::ok("endpoints", "none yet"),
        PostError::Store(StoreError::Missing(_)) => {
            Finding::note("endpoints", error).command(patient.meshd("reconcile"))
        }
        // Nobody looks into it before something is to be changed there.
        PostError::Store(StoreError::Damaged(_)) => needs
            .advise("a pass moves it aside and makes it anew; look at the disk, too")
            .command(patient.meshd("reconcile")),
        PostError::Store(StoreError::Newer { .. }) => needs.advise("use the newer meshd").command("type -a meshd"),
        PostError::Store(StoreError::NotAFile(_)) => {
            needs.advise("move it away: a pass makes a new one").command(format!("mv {word} {word}.aside"))
        }
        PostError::Store(StoreError::Busy) => {
            needs.advise("another program holds it for long").command(format!("fuser -v {word}"))
        }
        _ if patient.is_foreign() => needs.advise("ask as the user whose meshd it is").command(patient.meshd("doctor")),
        PostError::Store(StoreError::Io(_) | StoreError::Sqlite(_))
        | PostError::Mail(_)
        | PostError::NoEndpoint(_)
        | PostError::Denied { .. }
        | PostError::TooLarge
        | PostError::Moving(_) => {
            needs.advise("give the permission back, or look at its file system").command(format!("ls -l {word}*"))
        }
    }
}
