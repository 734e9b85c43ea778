//! A command has the daemon do its part of a registration, and tells it things about agents, paths and namespaces.

use std::path::{Path, PathBuf};

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Client, ClientError, PASS_WITHIN};
use super::wire_import::ImportRequest;
use super::wire_registration::{
    AccessRequest, AllowAnswer, DenyRequest, HeartbeatRequest, HoldAnswer, HoldRequest, PathRequest, RecordAnswer,
    RecordRequest, RetireAnswer, RetireRequest,
};
use crate::agent::AgentId;
use crate::engine::{Begun, Denying, Intent, ReconcileResult, Strictness, Token, Verdict};
use crate::registration::{StepError, StepErrorKind, Steps};
use crate::registry::{AccessPair, Imported, Taken};
use crate::report::WirePath;

impl Client {
    /// Says that an agent was heard of.
    pub fn heartbeat(&self, id: &AgentId, event: &str) -> Result<(), ClientError> {
        let request = HeartbeatRequest { event: Some(event.to_owned()) };
        self.post(&format!("/api/mesh/agents/{id}/heartbeat"), &request)
    }

    /// Says that a contested id belongs to the project at `path`.
    pub fn relocate(&self, id: &AgentId, path: &Path) -> Result<(), ClientError> {
        self.post(&format!("/api/mesh/agents/{id}/relocate"), &PathRequest { path: WirePath::of(path) })
    }

    /// Has it make one pass over a project, and say what came of it.
    pub fn sync(&self, path: &Path) -> Result<Verdict, ClientError> {
        self.post("/api/mesh/sync", &PathRequest { path: WirePath::of(path) })
    }

    /// Has it deny a path.
    pub fn deny(&self, path: &Path, reason: Option<&str>, denier: Option<&str>) -> Result<(), ClientError> {
        let (reason, denier) = (reason.map(str::to_owned), denier.map(str::to_owned));
        self.post("/api/mesh/deny", &DenyRequest { path: WirePath::of(path), reason, denier })
    }

    /// Has it take a denial back. `false` if the path was not denied.
    pub fn allow(&self, path: &Path) -> Result<bool, ClientError> {
        let answer: AllowAnswer = self.post("/api/mesh/allow", &PathRequest { path: WirePath::of(path) })?;
        Ok(answer.was_denied)
    }

    /// Says whether agents of one namespace may reach those of another.
    pub fn set_access(&self, pair: &AccessPair) -> Result<(), ClientError> {
        let AccessPair { from, to, access } = pair;
        let request = AccessRequest { from: from.to_string(), to: to.to_string(), access: *access };
        self.ask(Method::PUT, "/api/mesh/topology/access", Some(&request), PASS_WITHIN)
    }

    /// Has it take over what a DorkOS database knew.
    pub fn import(&self, imported: &Imported) -> Result<Taken, ClientError> {
        let mut sum = Taken::default();
        for part in ImportRequest::parts_of(imported) {
            sum.add(self.post("/api/mesh/import", &part)?);
        }
        Ok(sum)
    }

    fn post<Q: Serialize, A: DeserializeOwned>(&self, route: &str, question: &Q) -> Result<A, ClientError> {
        self.ask(Method::POST, route, Some(question), PASS_WITHIN)
    }

    fn step<Q: Serialize, A: DeserializeOwned>(&self, token: Token, step: &str, question: &Q) -> Result<A, StepError> {
        self.post(&format!("/api/mesh/holds/{token}/{step}"), question).map_err(untaken)
    }
}

impl Steps for Client {
    fn begin(&self, intent: &Intent) -> Result<Begun, StepError> {
        let answer: HoldAnswer = self.post("/api/mesh/holds", &HoldRequest::of(intent)).map_err(untaken)?;
        answer.to_begun().map_err(|detail| StepError { kind: StepErrorKind::Unavailable, detail })
    }

    fn commit(&self, token: Token, id: &AgentId, strictness: Strictness) -> Result<Option<PathBuf>, StepError> {
        let answer: RecordAnswer = self.step(token, "record", &RecordRequest { id: id.clone(), strictness })?;
        let root = answer.scan_root.map(|root| root.to_path()).transpose();
        root.map_err(|detail| StepError { kind: StepErrorKind::Unavailable, detail })
    }

    fn retire(&self, token: Token, denying: &Denying, strictness: Strictness) -> Result<AgentId, StepError> {
        let request = RetireRequest { denying: denying.clone().into(), strictness };
        let answer: RetireAnswer = self.step(token, "retire", &request)?;
        Ok(answer.id)
    }

    fn undo(&self, token: Token) -> Result<(), StepError> {
        self.step(token, "undo", &())
    }

    fn end(&self, token: Token) -> Result<(), StepError> {
        self.step::<_, ReconcileResult>(token, "end", &()).map(drop)
    }
}

/// A step that the daemon did not take, or did not say that it took.
fn untaken(error: ClientError) -> StepError {
    if let ClientError::Step(error) = error {
        return error;
    }
    StepError { kind: StepErrorKind::Unavailable, detail: error.to_string() }
}
