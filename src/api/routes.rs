//! The routes: which there are, at the socket and at the loopback address, and their description.

use std::sync::Arc;

use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::description::completed;
use super::problem::Problem;
use super::server::Api;
use super::session::{Door, LINK, link};
use super::{agents, events, health, log_level, metrics, overview, page, projects, registration, session};

/// What the description says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "meshd", description = "The registry of AI agents on this machine, and how it is."),
    tags(
        (name = "agents", description = "Who is there, and registering, changing and letting go"),
        (name = "namespaces", description = "Who may reach whom"),
        (name = "projects", description = "What looks like an agent, and what is denied"),
        (name = "roots", description = "Where agents are looked for"),
        (name = "watching", description = "How everything is, and what happens"),
        (name = "page", description = "How a page comes in"),
    )
)]
struct Described;

/// What is served at the socket and at the address.
fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(events::events))
        .merge(overview::routes())
        .merge(agents::routes())
        .merge(projects::routes())
        .merge(log_level::routes())
}

/// The routes at the socket: those, and what only `meshd` itself asks for.
pub(super) fn at_socket(api: Api) -> Router {
    let internal = Router::new().route(LINK, post(link)).merge(registration::routes());
    ended(described(), internal).with_state(api)
}

/// The routes at the loopback address: those, the page and how it comes in. Who may ask is looked at before.
pub(super) fn at_tcp(api: Api, door: Arc<Door>) -> Router {
    let described = described().routes(routes!(session::session));
    ended(described, page::routes()).with_state(api).layer(Extension(door))
}

fn ended(described: OpenApiRouter<Api>, others: Router<Api>) -> Router<Api> {
    let (routes, description) = described.split_for_parts();
    let description = completed(serde_json::to_value(description).unwrap_or_default());
    let description = Arc::<str>::from(description.to_string());
    let json = [(header::CONTENT_TYPE, "application/json")];
    routes
        .merge(others)
        .route("/openapi.json", get(async move || (json, description.to_string()).into_response()))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route has another"))
        .fallback(async |uri: Uri| Problem::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path())))
}
