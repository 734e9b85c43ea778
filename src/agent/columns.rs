//! An agent as the columns of its row: what is written, and what two agents are compared by.
//!
//! Keys of a manifest that have no column of their own go into `rest_json`, so that a key which is added to manifests
//! is stored and compared without anyone adding it here.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::Xxh3;

use super::{Agent, Manifest, Namespace};

/// The columns that are derived from a manifest and its place, in the form in which SQLite holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// `id`.
    pub id: String,
    /// `name`.
    pub name: String,
    /// `display_name`.
    pub display_name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `runtime`.
    pub runtime: String,
    /// `project_path`: bytes, since a path need not be UTF-8.
    pub project_path: Vec<u8>,
    /// `namespace`.
    pub namespace: String,
    /// `capabilities_json`.
    pub capabilities_json: String,
    /// `approver`: the manifest's `registeredBy`.
    pub approver: Option<String>,
    /// `scan_root`: bytes; empty where it is not known.
    pub scan_root: Vec<u8>,
    /// `behavior_json`.
    pub behavior_json: String,
    /// `budget_json`.
    pub budget_json: String,
    /// `rest_json`: every other key of the manifest.
    pub rest_json: String,
}

/// A hash of all [`Columns`]: agents are in sync when it is the same.
pub type Digest = u128;

/// The manifest's keys that have a column.
const WITH_COLUMN: [&str; 9] =
    ["id", "name", "displayName", "description", "runtime", "capabilities", "registeredBy", "behavior", "budget"];

impl Columns {
    /// The columns of an agent.
    #[must_use]
    pub fn of(agent: &Agent) -> Self {
        let manifest = &agent.manifest;
        let mut rest = match serde_json::to_value(manifest) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        rest.retain(|key, _| !WITH_COLUMN.contains(&key.as_str()));
        Self {
            id: manifest.id.to_string(),
            name: manifest.name.clone(),
            display_name: manifest.display_name.clone(),
            description: Some(manifest.description.clone()),
            runtime: manifest.runtime.as_str().to_owned(),
            project_path: agent.project.as_os_str().as_bytes().to_vec(),
            namespace: agent.namespace.as_str().to_owned(),
            capabilities_json: json(&manifest.capabilities),
            approver: Some(manifest.registered_by.clone()),
            scan_root: agent.scan_root.as_deref().map_or_else(Vec::new, |root| root.as_os_str().as_bytes().to_vec()),
            behavior_json: json(&manifest.behavior),
            budget_json: json(&manifest.budget),
            rest_json: json(&rest),
        }
    }

    /// The agent that these columns are, or why they are none (a row that somebody edited, or an older registry's).
    ///
    /// # Errors
    /// A column that is not JSON, or values that no manifest may have.
    pub fn to_agent(&self) -> Result<Agent, String> {
        let mut map: Map<String, Value> = parse("rest_json", &self.rest_json)?;
        map.insert("id".to_owned(), self.id.clone().into());
        map.insert("name".to_owned(), self.name.clone().into());
        map.insert("runtime".to_owned(), self.runtime.clone().into());
        map.insert("description".to_owned(), self.description.clone().unwrap_or_default().into());
        if let Some(name) = &self.display_name {
            map.insert("displayName".to_owned(), name.clone().into());
        }
        if let Some(by) = &self.approver {
            map.insert("registeredBy".to_owned(), by.clone().into());
        }
        map.insert("capabilities".to_owned(), parse("capabilities_json", &self.capabilities_json)?);
        map.insert("behavior".to_owned(), parse("behavior_json", &self.behavior_json)?);
        map.insert("budget".to_owned(), parse("budget_json", &self.budget_json)?);
        Ok(Agent {
            manifest: Manifest::from_value(Value::Object(map))?,
            project: path(&self.project_path),
            scan_root: (!self.scan_root.is_empty()).then(|| Arc::from(path(&self.scan_root))),
            namespace: Namespace::as_recorded(self.namespace.clone()),
        })
    }

    /// The digest of these columns.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            id,
            name,
            display_name,
            description,
            runtime,
            project_path,
            namespace,
            capabilities_json,
            approver,
            scan_root,
            behavior_json,
            budget_json,
            rest_json,
        } = self;
        let mut hash = Xxh3::new();
        let texts = [id, name, runtime, namespace, capabilities_json, behavior_json, budget_json, rest_json];
        let options = [display_name, description, approver];
        let fields = texts
            .into_iter()
            .map(|text| Some(text.as_bytes()))
            .chain(options.into_iter().map(|option| option.as_deref().map(str::as_bytes)))
            .chain([Some(project_path.as_slice()), Some(scan_root.as_slice())]);
        for field in fields {
            // The length keeps `ab`,`c` apart from `a`,`bc`; MAX stands for NULL.
            let length = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
            hash.update(&length.to_le_bytes());
            hash.update(field.unwrap_or_default());
        }
        hash.digest128()
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Only maps with keys that are no strings, and failing writers, fail here; neither can be.
    serde_json::to_string(value).unwrap_or_default()
}

fn parse<T: serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))
}

/// The scan root that a column holds: `None` where it is empty.
#[must_use]
pub fn scan_root(bytes: &[u8]) -> Option<Arc<Path>> {
    (!bytes.is_empty()).then(|| Arc::from(path(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Agent {
        let manifest = Manifest::parse(
            r#"{"id":"a1","name":"naïve","displayName":"項目","runtime":"codex","capabilities":[],
                "behavior":{"responseMode":"silent","escalationThreshold":3,"later":true},
                "budget":{"maxHopsPerMessage":2},"namespace":"Team","registeredAt":"2026-01-01T00:00Z",
                "registeredBy":"me","persona":"p","personaEnabled":false,"isSystem":true,"model":"m",
                "traits":{"humor":1},"unknown":[1,{"a":null}]}"#
                .as_bytes(),
        )
        .unwrap();
        let project = path(b"/r/x/p\xff");
        Agent::derive(manifest, project, Some(Arc::from(Path::new("/r"))))
    }

    #[test]
    fn every_field_round_trips_through_the_columns() {
        assert_eq!(Columns::of(&agent()).to_agent().unwrap(), agent());
    }

    #[test]
    fn a_change_to_any_key_changes_the_digest() {
        let digest = Columns::of(&agent()).digest();
        let Value::Object(whole) = serde_json::to_value(agent().manifest).unwrap() else { panic!("not an object") };
        for key in whole.keys() {
            let mut other = whole.clone();
            if matches!(key.as_str(), "id" | "runtime" | "registeredAt" | "registeredBy" | "name") {
                let value = match key.as_str() {
                    "runtime" => "cursor",
                    "registeredAt" => "2027-01-01T00:00Z",
                    _ => "z",
                };
                other.insert(key.clone(), value.into());
            } else {
                other.remove(key);
            }
            let manifest = Manifest::from_value(Value::Object(other)).unwrap();
            let changed = Agent { manifest, ..agent() };
            assert_ne!(Columns::of(&changed).digest(), digest, "{key}");
        }
    }
}
