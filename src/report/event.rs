//! An event, as `meshd events` prints it and the event stream sends it.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::shown_and_hex;
use crate::registry::StoredEvent;

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventReport {
    /// Its number: the one before it plus one.
    pub seq: u64,
    /// When: ISO 8601 in UTC.
    pub at: String,
    /// What, such as `agent.synced`.
    pub event: &'static str,
    /// The agent that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The project that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_path_hex: Option<String>,
    /// The scan root that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_root: Option<String>,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_root_hex: Option<String>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub detail: Map<String, Value>,
}

impl From<StoredEvent> for EventReport {
    fn from(StoredEvent { seq, at, event }: StoredEvent) -> Self {
        let (project_path, project_path_hex) = event.project.as_deref().map(shown_and_hex).unzip();
        let (scan_root, scan_root_hex) = event.scan_root.as_deref().map(shown_and_hex).unzip();
        Self {
            seq,
            at,
            event: event.name.as_str(),
            agent_id: event.agent.as_ref().map(ToString::to_string),
            project_path,
            project_path_hex: project_path_hex.flatten(),
            scan_root,
            scan_root_hex: scan_root_hex.flatten(),
            detail: event.detail,
        }
    }
}
