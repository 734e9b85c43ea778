//! A placeholder.
#![allow(missing_docs)]
use crate::agent::{AgentId, Namespace};
use std::sync::Arc;
use std::time::Duration;
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError { #[error("{0}")] Rejected(String), #[error("{0}")] Unavailable(String), #[error("{0}")] Ambiguous(String) }
pub trait Relay: Send + Sync {}
pub struct Desk;
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleAction { Allow, Deny }
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair { pub from_namespace: Namespace, pub to_namespace: Namespace, pub action: RuleAction }
pub enum Report { Insisted { id: AgentId, result: Result<(), RelayError> }, Failing { why: String, pending: u64 }, Rejected { id: AgentId, why: String }, Recovered }
#[derive(Debug, Clone, Default)]
pub struct Limits;
#[derive(Debug, Clone)]
pub struct RelayFacts { pub backend: &'static str, pub pending: u64, pub error: Option<String> }
impl Desk {
    pub fn start(_: Arc<dyn Relay>, _: Limits, _: impl Fn(Report) + Send + 'static) -> std::io::Result<Self> { Ok(Self) }
    pub fn want_all(&self, _: Vec<(AgentId, Namespace)>, _: Vec<Pair>) {}
    pub fn want(&self, _: Vec<(AgentId, Option<Namespace>)>) {}
    pub fn want_pairs(&self, _: Vec<Pair>) {}
    pub fn insist(&self, _: AgentId) {}
    pub fn verify(&self) {}
    pub fn facts(&self) -> RelayFacts { RelayFacts { backend: "none", pending: 0, error: None } }
    pub fn finish(&self, _: Duration) {}
}
