//! An error, as a client gets it: RFC 9457 `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::registration::{StepError, StepErrorKind};

/// Why a request was not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words; the same for every problem of its kind.
    pub title: String,
    /// What went wrong this time.
    pub detail: String,
    /// What a client can do about a step of a registration that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StepErrorKind>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), kind: None }
    }
}

impl From<StepError> for Problem {
    fn from(error: StepError) -> Self {
        let status = match error.kind {
            StepErrorKind::Denied => StatusCode::FORBIDDEN,
            StepErrorKind::Unknown => StatusCode::NOT_FOUND,
            StepErrorKind::Busy | StepErrorKind::Conflict => StatusCode::CONFLICT,
            StepErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            StepErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { kind: Some(error.kind), ..Self::new(status, error.detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body).into_response()
    }
}
