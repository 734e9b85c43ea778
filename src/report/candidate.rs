//! A directory that looks like an agent project and has no manifest.

use serde::Serialize;
use utoipa::ToSchema;

use super::shown_and_hex;
use crate::disk::Candidate;

/// A candidate for a registration.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateReport {
    /// The directory.
    pub path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// A name that its manifest may have.
    pub name: String,
    /// The runtime that its markers belong to.
    pub runtime: &'static str,
    /// What it says it is.
    pub description: Option<String>,
    /// What was found in it.
    pub markers: Vec<&'static str>,
}

impl From<&Candidate> for CandidateReport {
    fn from(candidate: &Candidate) -> Self {
        let (path, path_hex) = shown_and_hex(&candidate.path);
        Self {
            path,
            path_hex,
            name: candidate.name.clone(),
            runtime: candidate.runtime.as_str(),
            description: candidate.description.clone(),
            markers: candidate.markers.clone(),
        }
    }
}
