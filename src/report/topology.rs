//! Who is in which namespace, and which namespaces may reach which.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::Moment;
use crate::registry::{Filter, Reader, RegistryError};

/// The namespaces and what people said about them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyReport {
    /// Every namespace with an agent in it.
    pub namespaces: Vec<NamespaceReport>,
    /// Which may reach which others, as people said, one direction each. Within a namespace all may, out of it none.
    pub access: Vec<AccessReport>,
}

/// A namespace.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceReport {
    /// Its name.
    pub namespace: String,
    /// Its agents.
    pub agents: Vec<MemberReport>,
}

/// An agent of a namespace.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// `active`, `inactive`, `stale` or `unreachable`.
    pub status: &'static str,
}

/// What a person said of two namespaces.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessReport {
    /// The senders'.
    pub from: String,
    /// The receivers'.
    pub to: String,
    /// `allow` or `deny`.
    pub access: &'static str,
}

impl TopologyReport {
    /// What the registry says.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn of(registry: &Reader, now: &Moment) -> Result<Self, RegistryError> {
        let mut namespaces: BTreeMap<String, Vec<MemberReport>> = BTreeMap::new();
        for record in registry.list(&Filter::default(), now)? {
            let status = record.health(now).as_str();
            let member = MemberReport { id: record.columns.id, name: record.columns.name, status };
            namespaces.entry(record.columns.namespace).or_default().push(member);
        }
        let namespaces =
            namespaces.into_iter().map(|(namespace, agents)| NamespaceReport { namespace, agents }).collect();
        let access = registry.access_pairs()?.into_iter().map(|pair| AccessReport {
            from: pair.from.to_string(),
            to: pair.to.to_string(),
            access: pair.access.as_str(),
        });
        Ok(Self { namespaces, access: access.collect() })
    }
}
