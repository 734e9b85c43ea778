//! An error, as a client gets it: RFC 9457 `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::disk::write::WriteError;
use crate::registration::{RegistrationError, StepError, StepErrorKind};

/// Why a request was not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words; the same for every problem of its kind.
    pub title: String,
    /// What went wrong this time.
    pub detail: String,
    /// What a client can do about a step of a registration that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<StepErrorKind>,
    /// Why the daemon is not ready: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), kind: None, reasons: Vec::new() }
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

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        let status = match &error {
            RegistrationError::Step(_) => None,
            RegistrationError::AlreadyRegistered(_)
            | RegistrationError::NoManifest(_)
            | RegistrationError::Unreadable { .. }
            | RegistrationError::OtherId { .. }
            | RegistrationError::Offline(_) => Some(StatusCode::CONFLICT),
            RegistrationError::Invalid(_) => Some(StatusCode::UNPROCESSABLE_ENTITY),
            RegistrationError::File(error) => Some(of_file(error)),
            RegistrationError::Left { .. } => Some(StatusCode::INTERNAL_SERVER_ERROR),
        };
        match (status, error) {
            (None, RegistrationError::Step(step)) => step.into(),
            (status, error) => Self::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_string()),
        }
    }
}

fn of_file(error: &WriteError) -> StatusCode {
    match error {
        WriteError::Missing(_) | WriteError::NotADirectory(_) | WriteError::NotAManifest { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        WriteError::Exists(_) | WriteError::Changed(_) | WriteError::OtherId { .. } | WriteError::NotOurs(_) => {
            StatusCode::CONFLICT
        }
        WriteError::Busy(_) | WriteError::Io { .. } => StatusCode::SERVICE_UNAVAILABLE,
        WriteError::Left { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body).into_response()
    }
}
