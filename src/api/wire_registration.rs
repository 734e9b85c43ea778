//! What goes over the control socket where an agent is registered, updated, unregistered, or asked something of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::agent::{AgentId, Namespace};
use crate::engine::{Begun, Denying, Intent, Outside, Strictness, Target, Token};
use crate::registry::{Access, AccessPair};
use crate::report::WirePath;

/// `POST /api/mesh/holds`: a project whose manifest is about to be written or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum HoldRequest {
    /// A manifest is to be written into a project.
    Register {
        /// The project.
        path: WirePath,
        /// Whose manifest it is going to be.
        id: AgentId,
        /// What if no scan root is above it.
        outside: Outside,
    },
    /// A recorded agent's manifest is to be written anew.
    Update(WireTarget),
    /// A recorded agent is to go.
    Unregister(WireTarget),
}

/// A recorded agent: by its id, or by where it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WireTarget {
    /// By its id.
    Id(AgentId),
    /// By its project.
    Path(WirePath),
}

/// The answer: what the next steps are asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldAnswer {
    /// The word for the next steps, in `/api/mesh/holds/{token}/…`.
    pub token: Token,
    /// The project.
    pub path: WirePath,
    /// The agent that is recorded there.
    pub id: Option<AgentId>,
    /// Whether its scan root is online.
    pub root_online: bool,
}

/// `POST /api/mesh/holds/{token}/record`: the manifest is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRequest {
    /// Whose manifest it is.
    pub id: AgentId,
    /// What if the relay fails.
    pub strictness: Strictness,
}

/// The answer: where it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordAnswer {
    /// The scan root that it is under.
    pub scan_root: Option<WirePath>,
}

/// `POST /api/mesh/holds/{token}/retire`: the agent goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetireRequest {
    /// Whether its path is denied.
    pub denying: WireDenying,
    /// What if the relay fails.
    pub strictness: Strictness,
}

/// Whether a path is denied when its agent is unregistered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WireDenying {
    /// It is not.
    No,
    /// It is, by somebody.
    Yes(Option<String>),
}

/// The answer: who went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetireAnswer {
    /// Who.
    pub id: AgentId,
}

/// `POST /api/mesh/agents/{id}/heartbeat`: what the agent was seen to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// In a word or two; `heartbeat` where nothing is given.
    #[serde(default)]
    pub event: Option<String>,
}

/// `POST /api/mesh/agents/{id}/relocate` and `POST /api/mesh/sync`: which project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathRequest {
    /// The project.
    pub path: WirePath,
}

/// `POST /api/mesh/deny`: what is never registered from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DenyRequest {
    /// The path; all that is below it is denied, too.
    pub path: WirePath,
    /// Why, in a person's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who says so.
    #[serde(default)]
    pub denier: Option<String>,
}

/// The answer to `POST /api/mesh/allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowAnswer {
    /// Whether the path was denied.
    pub was_denied: bool,
}

/// `PUT /api/mesh/topology/access`: who may reach whom, one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRequest {
    /// The namespace whose agents send.
    pub from: String,
    /// The namespace whose agents are sent to.
    pub to: String,
    /// Whether they may.
    #[schema(value_type = String)]
    pub access: Access,
}

impl HoldRequest {
    /// What goes over the wire for an intent.
    #[must_use]
    pub fn of(intent: &Intent) -> Self {
        match intent {
            Intent::Register { project, id, outside } => {
                Self::Register { path: WirePath::of(project), id: id.clone(), outside: *outside }
            }
            Intent::Update(target) => Self::Update(WireTarget::of(target)),
            Intent::Unregister(target) => Self::Unregister(WireTarget::of(target)),
        }
    }

    /// The intent that this is, or a sentence that says why it is none.
    pub fn to_intent(&self) -> Result<Intent, String> {
        Ok(match self {
            Self::Register { path, id, outside } => {
                Intent::Register { project: path.to_path()?, id: id.clone(), outside: *outside }
            }
            Self::Update(target) => Intent::Update(target.to_target()?),
            Self::Unregister(target) => Intent::Unregister(target.to_target()?),
        })
    }
}

impl WireTarget {
    fn of(target: &Target) -> Self {
        match target {
            Target::Agent(id) => Self::Id(id.clone()),
            Target::Project(project) => Self::Path(WirePath::of(project)),
        }
    }

    fn to_target(&self) -> Result<Target, String> {
        Ok(match self {
            Self::Id(id) => Target::Agent(id.clone()),
            Self::Path(path) => Target::Project(path.to_path()?),
        })
    }
}

impl HoldAnswer {
    /// What goes over the wire.
    #[must_use]
    pub fn of(begun: &Begun) -> Self {
        let Begun { token, project, id, root_online } = begun;
        Self { token: *token, path: WirePath::of(project), id: id.clone(), root_online: *root_online }
    }

    /// What was begun, or a sentence that says why this is no such thing.
    pub fn to_begun(&self) -> Result<Begun, String> {
        let project: PathBuf = self.path.to_path()?;
        Ok(Begun { token: self.token, project, id: self.id.clone(), root_online: self.root_online })
    }
}

impl From<Denying> for WireDenying {
    fn from(denying: Denying) -> Self {
        match denying {
            Denying::No => Self::No,
            Denying::Yes { denier } => Self::Yes(denier),
        }
    }
}

impl From<WireDenying> for Denying {
    fn from(denying: WireDenying) -> Self {
        match denying {
            WireDenying::No => Self::No,
            WireDenying::Yes(denier) => Self::Yes { denier },
        }
    }
}

impl AccessRequest {
    /// The pair that is meant, or a sentence that says why it is none.
    pub fn to_pair(&self) -> Result<AccessPair, String> {
        let namespace =
            |text: &str| Namespace::normalise(text.as_bytes()).ok_or_else(|| format!("`{text}` is no namespace"));
        Ok(AccessPair { from: namespace(&self.from)?, to: namespace(&self.to)?, access: self.access })
    }
}
