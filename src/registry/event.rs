//! What the registry tells: one event a change, numbered without gaps and committed with the change.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::agent::AgentId;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub name: EventName,
    /// To whom, where it is about one agent.
    pub agent: Option<AgentId>,
    /// The project it is about, if any.
    pub project: Option<PathBuf>,
    /// The scan root it is about, if any.
    pub scan_root: Option<PathBuf>,
    /// What else there is to say.
    pub detail: Map<String, Value>,
}

impl Event {
    /// An event that is about nothing in particular yet.
    #[must_use]
    pub fn new(name: EventName) -> Self {
        Self { name, agent: None, project: None, scan_root: None, detail: Map::new() }
    }

    /// The same event with one more fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its number: the one before it plus one.
    pub seq: u64,
    /// When it happened: ISO 8601 in UTC.
    pub at: String,
    /// What happened.
    pub event: Event,
}

/// What can happen. The same names in log, event stream and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventName {
    /// An agent was recorded for the first time.
    AgentRegistered,
    /// A record says again what its manifest says.
    AgentSynced,
    /// An agent is recorded at another place.
    AgentRelocated,
    /// An agent became unreachable, or is for another reason.
    AgentUnreachable,
    /// An agent is reachable again.
    AgentReachable,
    /// A record was removed.
    AgentRemoved,
    /// A person unregistered an agent.
    AgentUnregistered,
    /// A manifest cannot be used.
    ManifestUnreadable,
    /// A manifest claims an id that another project holds.
    ManifestDuplicateId,
    /// A scan root is online.
    RootOnline,
    /// A scan root is offline.
    RootOffline,
    /// Parts of a scan root could not be looked at.
    RootDegraded,
    /// Notifications were lost; what they were about is looked at.
    WatchOverflow,
    /// The system refuses more watches.
    WatchLimit,
    /// A sweep changed something.
    SweepCompleted,
    /// The relay refused or could not be reached.
    RelayFailed,
    /// The daemon is ready.
    DaemonStarted,
    /// The daemon is about to end.
    DaemonStopping,
}

impl EventName {
    /// Every event.
    pub const ALL: [Self; 18] = [
        Self::AgentRegistered,
        Self::AgentSynced,
        Self::AgentRelocated,
        Self::AgentUnreachable,
        Self::AgentReachable,
        Self::AgentRemoved,
        Self::AgentUnregistered,
        Self::ManifestUnreadable,
        Self::ManifestDuplicateId,
        Self::RootOnline,
        Self::RootOffline,
        Self::RootDegraded,
        Self::WatchOverflow,
        Self::WatchLimit,
        Self::SweepCompleted,
        Self::RelayFailed,
        Self::DaemonStarted,
        Self::DaemonStopping,
    ];

    /// The event's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentRegistered => "agent.registered",
            Self::AgentSynced => "agent.synced",
            Self::AgentRelocated => "agent.relocated",
            Self::AgentUnreachable => "agent.unreachable",
            Self::AgentReachable => "agent.reachable",
            Self::AgentRemoved => "agent.removed",
            Self::AgentUnregistered => "agent.unregistered",
            Self::ManifestUnreadable => "manifest.unreadable",
            Self::ManifestDuplicateId => "manifest.duplicate_id",
            Self::RootOnline => "root.online",
            Self::RootOffline => "root.offline",
            Self::RootDegraded => "root.degraded",
            Self::WatchOverflow => "watch.overflow",
            Self::WatchLimit => "watch.limit",
            Self::SweepCompleted => "sweep.completed",
            Self::RelayFailed => "relay.failed",
            Self::DaemonStarted => "daemon.started",
            Self::DaemonStopping => "daemon.stopping",
        }
    }

    /// The event that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }

    /// The journal's `MESSAGE_ID`: fixed for ever, so that a catalogue or an alert may name it.
    #[must_use]
    pub fn message_id(self) -> &'static str {
        match self {
            Self::AgentRegistered => "d18b93d33ccbf015530a13a36f4eac80",
            Self::AgentSynced => "b4068588768cd6566e2adc402508cd93",
            Self::AgentRelocated => "65b789ea4308c510b3bd74788d4a244a",
            Self::AgentUnreachable => "685111b301f8763bac231ea9893442c6",
            Self::AgentReachable => "23258e77a991ec6a2b22f3164043ad96",
            Self::AgentRemoved => "b4fc2ba8fed9af2a2a35ae2e725db53b",
            Self::AgentUnregistered => "5dc6f090dba3c827269b9b18613eda92",
            Self::ManifestUnreadable => "f1209e662d48763b36f9ef841afc2a42",
            Self::ManifestDuplicateId => "e393e6fe7fcfcbb003add96310ac3148",
            Self::RootOnline => "c1b2bc02c32aac33cc428ba99c6ced80",
            Self::RootOffline => "9dfb572dd50b1c4d70d156c5ec4bbc95",
            Self::RootDegraded => "b2602d6cb839c481e560be5a4f5045e7",
            Self::WatchOverflow => "f4a7df797271ab8c393b62cd5efdd859",
            Self::WatchLimit => "0c87d634f48f8a5d1e316ef8dd89dc7d",
            Self::SweepCompleted => "b7240a35e2fc822984304b5d1d7e2f0b",
            Self::RelayFailed => "40fa8c458614ec5ce1a9ac0a686a19f5",
            Self::DaemonStarted => "f45085f89fe004006cb2e7493a33c5e1",
            Self::DaemonStopping => "402cb009ae5e90ca5474180a4261ec1e",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_named_as_it_is_read_and_has_an_id_of_its_own() {
        let ids: std::collections::BTreeSet<_> = EventName::ALL.into_iter().map(EventName::message_id).collect();
        assert_eq!(ids.len(), EventName::ALL.len());
        for event in EventName::ALL {
            assert_eq!(EventName::from_name(event.as_str()), Some(event));
            assert!(event.message_id().len() == 32 && event.message_id().bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
