//! What the handle can ask for beside a pass, and the engine thread's part of it where an answer has to wait for the relay.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::run::{Occasion, Runner};
use super::{Begun, Denying, EngineError, Intent, MeshCore, ReconcileResult, Refusal, Reply, Token, Until, Verdict};
use crate::agent::{Agent, AgentId};
use crate::clock::monotonic;
use crate::registry::{AccessPair, Imported, Taken};
use crate::relay::RelayError;
use crate::scope::Scope;

/// What if the relay fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// Everything is taken back.
    Strict,
    /// The agent is registered all the same, and its endpoint later.
    AllowPending,
}

/// Somebody who waits for what the relay says about an agent.
pub struct Waiting {
    token: Token,
    then: Then,
    /// When it is over even if the relay's thread says nothing.
    until: Instant,
}

/// Longer than the relay may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

impl Waiting {
    fn new(token: Token, then: Then) -> Self {
        Self { token, then, until: monotonic() + ANSWER_WITHIN }
    }

    fn id(&self) -> &AgentId {
        match &self.then {
            Then::Registered { agent, .. } => agent.id(),
            Then::Retire { id, .. } => id,
        }
    }
}

/// What is done once the relay has answered.
enum Then {
    /// The agent is registered, or everything is taken back.
    Registered { agent: Box<Agent>, reply: Reply<Agent> },
    /// The agent goes, or stays.
    Retire { id: AgentId, denying: Denying, reply: Reply<AgentId> },
}

impl MeshCore {
    /// Holds a project whose manifest is about to be written or deleted.
    pub fn hold(&self, intent: Intent) -> Result<Begun, EngineError> {
        self.answer(move |runner| runner.engine.begin(&intent))
    }

    /// Records what is in a held project now; `id` must be what comes out. If it does not, or the relay refuses it and
    /// that counts, the registry is put back as it was.
    pub fn record_held(&self, token: Token, id: AgentId, strictness: Strictness) -> Result<Agent, EngineError> {
        self.ask(move |runner, reply| runner.commit(token, &id, strictness, reply))
    }

    /// Removes the agent of a held project: its relay endpoint, then its row.
    pub fn retire_held(&self, token: Token, denying: Denying, strictness: Strictness) -> Result<AgentId, EngineError> {
        self.ask(move |runner, reply| runner.retire(token, denying, strictness, reply))
    }

    /// Puts the registry back as it was before a held project was changed.
    pub fn undo_held(&self, token: Token) -> Result<(), EngineError> {
        self.answer(move |runner| runner.engine.undo(token))
    }

    /// Lets a held project go and passes over it.
    pub fn let_go(&self, token: Token) -> Result<ReconcileResult, EngineError> {
        self.ask(move |runner, reply| match runner.engine.end(token) {
            Ok(project) => {
                runner.wait_for(Until::Passed, reply);
                runner.pass(Scope::project(project), Occasion::Announced, None);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        })
    }

    /// One pass over a project, and what came of it.
    pub fn sync_from_disk(&self, project: PathBuf) -> Result<Verdict, EngineError> {
        let scope = Scope::project(project.clone());
        match self.ask(|runner, reply| runner.reconcile(scope, Until::Settled, reply)) {
            Ok(_) | Err(EngineError::NotUnderARoot(_)) => {}
            Err(error) => return Err(error),
        }
        self.answer(move |runner| Ok(runner.engine.verdict(&project)))
    }

    /// Notes that an agent was heard of.
    pub fn heartbeat(&self, id: AgentId, event: String) -> Result<(), EngineError> {
        self.answer(move |runner| runner.engine.heartbeat(&id, &event))
    }

    /// Denies a path: nothing at or below it is registered from now on, what was wrong there is no problem any more, and a
    /// sweep removes who is registered.
    pub fn deny(&self, path: PathBuf, reason: Option<String>, denier: Option<String>) -> Result<(), EngineError> {
        self.answer(move |runner| {
            runner.engine.deny(&path, reason.as_deref(), denier.as_deref())?;
            runner.pass(Scope::below(path), Occasion::Announced, None);
            Ok(())
        })
    }

    /// Takes a denial back and passes over what is below it. `false` if the path was not denied.
    pub fn allow(&self, path: PathBuf) -> Result<bool, EngineError> {
        self.answer(move |runner| {
            let was_denied = runner.engine.allow(&path)?;
            if was_denied {
                runner.pass(Scope::below(path), Occasion::Announced, None);
            }
            Ok(was_denied)
        })
    }

    /// Takes a person's word that a contested id belongs to the project at `path`.
    pub fn relocate(&self, id: AgentId, path: PathBuf) -> Result<(), EngineError> {
        self.answer(move |runner| runner.engine.relocate(&id, &path))
    }

    /// Takes over what a DorkOS database knew. Who is denied by it goes with the next sweep.
    pub fn import(&self, imported: Imported) -> Result<Taken, EngineError> {
        self.answer(move |runner| runner.engine.import(&imported))
    }

    /// Says whether agents of one namespace may reach those of another.
    pub fn set_access(&self, pair: AccessPair) -> Result<(), EngineError> {
        self.answer(move |runner| runner.engine.set_access(&pair))
    }
}

impl Runner {
    fn commit(&mut self, token: Token, id: &AgentId, strictness: Strictness, reply: Reply<Agent>) {
        let committed = self.engine.commit(token, id);
        self.ring();
        match committed {
            Ok(agent) if strictness == Strictness::Strict && self.engine.insist(id) => {
                let then = Then::Registered { agent: Box::new(agent), reply };
                self.waiting.push(Waiting::new(token, then));
            }
            committed => {
                let _ = reply.send(committed);
            }
        }
    }

    fn retire(&mut self, token: Token, denying: Denying, strictness: Strictness, reply: Reply<AgentId>) {
        let id = match self.engine.held_agent(token) {
            Ok(id) => id,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        if strictness == Strictness::Strict && self.engine.insist_gone(&id) {
            self.waiting.push(Waiting::new(token, Then::Retire { id, denying, reply }));
        } else {
            let _ = reply.send(self.engine.retire(token, &denying));
        }
    }

    /// Answers whoever waited for a relay that said nothing at all.
    pub(super) fn stop_waiting(&mut self) {
        let now = monotonic();
        let over: Vec<AgentId> =
            self.waiting.iter().filter(|waiting| waiting.until <= now).map(|waiting| waiting.id().clone()).collect();
        for id in over {
            self.insisted(&id, &Err(RelayError::Ambiguous("it did not answer".to_owned())));
        }
    }

    /// When somebody will have waited for long enough.
    pub(super) fn next_to_stop_waiting(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// What the relay did about an agent that somebody waits for.
    pub(super) fn insisted(&mut self, id: &AgentId, result: &Result<(), RelayError>) {
        let is_meant = |waiting: &mut Waiting| waiting.id() == id;
        let failed = result.as_ref().err().map(|error| EngineError::from(Refusal::Relay(error.to_string())));
        for Waiting { token, then, .. } in self.waiting.extract_if(.., is_meant).collect::<Vec<_>>() {
            match (then, &failed) {
                (Then::Registered { agent, reply }, None) => {
                    let _ = reply.send(Ok(*agent));
                }
                (Then::Registered { reply, .. }, Some(error)) => {
                    let undone = self.engine.undo(token);
                    let _ = reply.send(Err(undone.err().unwrap_or_else(|| error.clone())));
                }
                (Then::Retire { denying, reply, .. }, None) => {
                    let _ = reply.send(self.engine.retire(token, &denying));
                }
                (Then::Retire { id, reply, .. }, Some(error)) => {
                    let wanted = self.engine.want_endpoints(vec![id]);
                    let _ = reply.send(Err(wanted.err().unwrap_or_else(|| error.clone())));
                }
            }
        }
        self.ring();
    }
}
