//! A problem, and what a person can do about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::shown_and_hex;
use crate::decide::{Problem, ProblemKind};

/// A finding that needs a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemReport {
    /// `unreadable`, `duplicate_id` or `contested`.
    pub kind: &'static str,
    /// The project.
    pub project_path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_path_hex: Option<String>,
    /// The agent that it is about, if any.
    pub agent_id: Option<String>,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// Since when it is known: ISO 8601 in UTC.
    pub since: String,
    /// What a person can do.
    pub remedy: &'static str,
}

impl ProblemReport {
    /// What is told of all that are known, each with since when it is.
    #[must_use]
    pub fn all(problems: &[(Problem, String)]) -> Vec<Self> {
        let remedy = |problem| remedy_among(problem, problems.iter().map(|(problem, _)| problem));
        problems.iter().map(|(problem, since)| Self { remedy: remedy(problem), ..Self::of(problem, since) }).collect()
    }

    /// What is told of a problem by itself.
    fn of(problem: &Problem, since: &str) -> Self {
        let (project_path, project_path_hex) = shown_and_hex(&problem.project);
        Self {
            kind: problem.kind.as_str(),
            project_path,
            project_path_hex,
            agent_id: problem.id.as_ref().map(ToString::to_string),
            detail: problem.detail.clone(),
            since: since.to_owned(),
            remedy: remedy(problem.kind),
        }
    }
}

/// What a person can do about a problem, among all that are known. Of a contested id the claimant is told where it stands.
#[must_use]
pub fn remedy_among<'a>(problem: &Problem, all: impl Iterator<Item = &'a Problem>) -> &'static str {
    if is_contender(problem, all) {
        return "the id is contested: it comes to this project after the wait, or now: `meshd relocate --accept ID PATH`";
    }
    remedy(problem.kind)
}

/// Whether it is that of the project to which a contested id goes after the wait.
#[must_use]
pub fn is_contender<'a>(problem: &Problem, mut all: impl Iterator<Item = &'a Problem>) -> bool {
    let is_contested = |other: &Problem| other.kind == ProblemKind::Contested && other.id == problem.id;
    problem.kind == ProblemKind::DuplicateId && problem.id.is_some() && all.any(is_contested)
}

/// What a person can do about a problem of this kind.
#[must_use]
fn remedy(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unreadable => {
            "repair or delete the manifest, or give the permission back; until then the agent stays as it was last read"
        }
        ProblemKind::DuplicateId => "give one of the two another id, or delete its manifest; the recorded one keeps it",
        ProblemKind::Contested => {
            "put the manifest back where it was, or wait: then the id goes to the other project; or now: `meshd relocate \
             --accept ID PATH`, with the other project's path"
        }
    }
}
