//! One agent: what its manifest says, and what the registry adds to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Reach, shown_and_hex};
use crate::agent::Moment;
use crate::agent::moment::iso;
use crate::registry::Record;

/// An agent: every key of its manifest that is none of these, and these.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// What its manifest says: `id`, `name`, `runtime` and so on. Of a row that is no agent, what can be read of it.
    #[serde(flatten)]
    #[schema(value_type = Object, additional_properties)]
    pub manifest: Map<String, Value>,
    /// Why the row is no agent, where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// The directory that holds `.dork/agent.json`.
    pub project_path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_path_hex: Option<String>,
    /// The scan root that it is under; `null` if that is not known.
    pub scan_root: Option<String>,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_root_hex: Option<String>,
    /// The group that it belongs to.
    pub namespace: String,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
    /// Where others send to.
    pub relay_subject: String,
}

/// The keys that are told beside the manifest's. What a manifest says under such a name is nobody's to believe.
const OWN: [&str; 14] = [
    "damaged",
    "projectPath",
    "projectPathHex",
    "scanRoot",
    "scanRootHex",
    // The one that it got, and not the one that it asks for.
    "namespace",
    "status",
    "healthStatus",
    "lastSeenAt",
    "lastSeenEvent",
    "unreachableSince",
    "unreachableReason",
    "relay",
    "relaySubject",
];

/// How one agent is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// Which agent.
    pub agent_id: String,
    /// What it is called.
    pub name: String,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
}

/// How an agent is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `active`, `inactive`, `stale` or `unreachable`.
    pub status: &'static str,
    /// The same.
    pub health_status: &'static str,
    /// When it was last heard of: ISO 8601 in UTC.
    pub last_seen_at: Option<String>,
    /// What was heard then.
    pub last_seen_event: Option<String>,
    /// Since when it is unreachable.
    pub unreachable_since: Option<String>,
    /// Why: `manifest_gone`, `other_manifest`, `contested`, `root_offline` or `out_of_scope`.
    pub unreachable_reason: Option<&'static str>,
    /// `registered` at the relay, `pending`, or `none` where there is no relay.
    pub relay: &'static str,
}

impl AgentReport {
    /// What is told of a record.
    #[must_use]
    pub fn of(record: &Record, reach: &Reach, now: &Moment) -> Self {
        let columns = &record.columns;
        let mut manifest = match &record.agent {
            Ok(agent) => object(serde_json::to_value(&agent.manifest).unwrap_or_default()),
            Err(_) => readable(record),
        };
        manifest.retain(|key, _| !OWN.contains(&key.as_str()));
        let (project_path, project_path_hex) = shown_and_hex(&record.project());
        let root = Some(Path::new(OsStr::from_bytes(&columns.scan_root))).filter(|root| !root.as_os_str().is_empty());
        let (scan_root, scan_root_hex) = root.map(shown_and_hex).unzip();
        Self {
            manifest,
            damaged: record.agent.as_ref().err().cloned(),
            project_path,
            project_path_hex,
            scan_root,
            scan_root_hex: scan_root_hex.flatten(),
            namespace: columns.namespace.clone(),
            health: Health::of(record, reach, now),
            relay_subject: format!("relay.agent.{}.{}", columns.namespace, columns.id),
        }
    }
}

impl HealthReport {
    /// How a record's agent is.
    #[must_use]
    pub fn of(record: &Record, reach: &Reach, now: &Moment) -> Self {
        let (agent_id, name) = (record.columns.id.clone(), record.columns.name.clone());
        Self { agent_id, name, health: Health::of(record, reach, now) }
    }
}

impl Health {
    fn of(record: &Record, reach: &Reach, now: &Moment) -> Self {
        let status = record.health(now).as_str();
        let unreachable = record.unreachable.as_ref();
        Self {
            status,
            health_status: status,
            last_seen_at: record.last_seen_at.clone(),
            last_seen_event: record.last_seen_event.clone(),
            unreachable_since: unreachable.map(|unreachable| iso(unreachable.since_ms)),
            unreachable_reason: unreachable.map(|unreachable| unreachable.reason.as_str()),
            relay: reach.of(record),
        }
    }
}

/// What can be read of a row that is no agent.
fn readable(record: &Record) -> Map<String, Value> {
    let columns = &record.columns;
    let part = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let mut agent = object(part(&columns.rest_json));
    let read: [(&str, Value); 10] = [
        ("id", columns.id.clone().into()),
        ("name", columns.name.clone().into()),
        ("displayName", columns.display_name.clone().into()),
        ("description", columns.description.clone().into()),
        ("runtime", columns.runtime.clone().into()),
        ("registeredAt", record.registered_at.clone().into()),
        ("registeredBy", columns.approver.clone().into()),
        ("capabilities", part(&columns.capabilities_json)),
        ("behavior", part(&columns.behavior_json)),
        ("budget", part(&columns.budget_json)),
    ];
    agent.extend(read.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    agent
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn report(manifest: Map<String, Value>) -> AgentReport {
        let some = || Some(String::new());
        AgentReport {
            manifest,
            damaged: some(),
            project_path: String::new(),
            project_path_hex: some(),
            scan_root: some(),
            scan_root_hex: some(),
            namespace: String::new(),
            health: Health {
                status: "active",
                health_status: "active",
                last_seen_at: some(),
                last_seen_event: some(),
                unreachable_since: some(),
                unreachable_reason: Some("manifest_gone"),
                relay: "none",
            },
            relay_subject: String::new(),
        }
    }

    #[test]
    fn every_key_that_is_told_beside_a_manifest_is_taken_from_none() {
        let told = serde_json::to_value(report(Map::new())).unwrap();
        let told: BTreeSet<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, OWN.into_iter().collect());
    }
}
