//! What a pass is asked for with: JSON, its keys in camelCase.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::WirePath;

/// `POST /api/mesh/reconcile`: the roots to look at; everything where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Which directories, with all that is below them.
    #[serde(default)]
    pub roots: Vec<WirePath>,
}

/// `POST /api/mesh/roots/accept`: the root whose present directory is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptRoot {
    /// Which root.
    pub root: WirePath,
}
