//! A path at and below which nothing is registered.

use serde::Serialize;
use utoipa::ToSchema;

use super::shown_and_hex;
use crate::registry::Denial;

/// A denied path.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DenialReport {
    /// The path.
    pub path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// Who said so.
    pub denier: Option<String>,
    /// When: ISO 8601 in UTC.
    pub created_at: String,
}

impl From<Denial> for DenialReport {
    fn from(denial: Denial) -> Self {
        let (path, path_hex) = shown_and_hex(&denial.path);
        let Denial { reason, denier, created_at, .. } = denial;
        Self { path, path_hex, reason, denier, created_at }
    }
}
