//! What the registry holds as problems: manifests that cannot be used, and ids that two projects claim.

use std::path::Path;

use super::{Finding, Patient, shown};
use crate::agent::Shown;
use crate::decide::{Problem, ProblemKind};
use crate::report::wording::count;
use crate::report::{is_contender, paste, remedy_among};

/// The most problems of a kind that are told one by one: what is wrong a thousand times is seen in the first ten.
const MAX_TOLD: usize = 10;

pub fn check(patient: &Patient) -> Vec<Finding> {
    let reader = match patient.reader("problems") {
        Ok(reader) => reader,
        Err(findings) => return findings,
    };
    let problems = match reader.problems() {
        Ok(problems) => problems,
        Err(error) => return vec![Finding::needs_person("problems", error)],
    };
    let mut findings = Vec::new();
    for kind in [ProblemKind::Unreadable, ProblemKind::DuplicateId, ProblemKind::Contested] {
        let of_kind: Vec<_> = problems.iter().filter(|(problem, _)| problem.kind == kind).collect();
        findings.extend(of_kind.iter().take(MAX_TOLD).map(|(problem, since)| of(problem, since, &problems, patient)));
        let more = u64::try_from(of_kind.len().saturating_sub(MAX_TOLD)).unwrap_or(u64::MAX);
        if more > 0 {
            let found = format!("{} more", count(more, "project"));
            let rest = new(kind, kind.as_str(), &found).advise("the rest is in:");
            findings.push(rest.command(patient.meshd("status --json")));
        }
    }
    findings.extend(unreachable(patient, &reader));
    if problems.is_empty() {
        findings.push(Finding::ok("problems", "none: no manifest is unreadable, and no id is claimed twice"));
    }
    findings
}

fn of(problem: &Problem, since: &str, all: &[(Problem, String)], patient: &Patient) -> Finding {
    let all = || all.iter().map(|(problem, _)| problem);
    let found = format!("{}: {} (since {})", shown(&problem.project), Shown::text(&problem.detail), Shown::text(since));
    let (project, is_contender) = (paste::quoted(&problem.project), is_contender(problem, all()));
    let kind = if is_contender { ProblemKind::Contested } else { problem.kind };
    let finding = new(kind, problem.kind.as_str(), &found).advise(remedy_among(problem, all()));
    let finding = match (kind, &problem.id) {
        (ProblemKind::Contested, Some(id)) if is_contender => {
            finding.command(patient.meshd(&format!("relocate --accept {id} {project}")))
        }
        (ProblemKind::Contested, _) => finding,
        (ProblemKind::Unreadable | ProblemKind::DuplicateId, _) => {
            let manifest = paste::quoted(&problem.project.join(".dork/agent.json"));
            finding.command(format!("${{EDITOR:-vi}} {manifest}"))
        }
    };
    finding.command(patient.meshd(&format!("explain {project}")))
}

/// A contested id goes to the other project by itself: there a person may, and need not.
fn new(kind: ProblemKind, looked_at: &str, found: &str) -> Finding {
    match kind {
        ProblemKind::Unreadable | ProblemKind::DuplicateId => Finding::needs_person(looked_at, found),
        ProblemKind::Contested => Finding::note(looked_at, found),
    }
}

/// Agents that are missing. Whether that is meant only a person knows, and what becomes of them happens by itself.
fn unreachable(patient: &Patient, reader: &crate::registry::Reader) -> Option<Finding> {
    let missing = match reader.list_unreachable() {
        Ok(records) => records,
        Err(error) => return Some(Finding::needs_person("unreachable", error)),
    };
    let first = missing.first()?;
    let number = count(u64::try_from(missing.len()).unwrap_or(u64::MAX), "agent");
    let example: &Path = &first.project();
    let finding = Finding::note("unreachable", format_args!("{number}, as the one at {}", shown(example)));
    Some(
        finding
            .advise("`explain` says why, and for how long each is kept")
            .command(patient.meshd("list --status unreachable"))
            .command(patient.meshd(&format!("explain {}", paste::quoted(example)))),
    )
}
