//! The page: a handful of files that are in the binary. Everything that it shows it asks the API for.

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};

use super::problem::Problem;
use super::server::Api;

/// What it is made of: name, type, content.
const FILES: [(&str, &str, &str); 0] = [];

const PAGE: &str = "<!doctype html><title>meshd</title>";

/// Nothing comes from elsewhere, nothing is run that is not one of these files, and nobody shows the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/", get(async || sent("text/html; charset=utf-8", PAGE))).route("/page/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, _, _)| *known == name);
    let (_, kind, content) = found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the page has no such file"))?;
    Ok(sent(kind, content))
}

fn sent(kind: &'static str, content: &'static str) -> Response {
    let mut answer = Body::from(content).into_response();
    let with: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    answer.headers_mut().extend(with.map(|(name, value)| (Some(name), HeaderValue::from_static(value))));
    answer
}
