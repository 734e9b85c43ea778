//! What one look found: everything a decision may use, and nothing else.
//!
//! A view is closed: an id that is seen brings in its record, and a record brings in its home, until nothing new comes
//! in. A narrower view would register an agent twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Problem;
use crate::agent::{Agent, AgentId, DirIdentity, Observation, Recorded, RootIdentity};

/// Disk and registry, as far as one pass looked at them.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Whether the pass looked at everything: only then is anything removed for its absence.
    pub reach: Reach,
    /// Every configured scan root.
    pub roots: BTreeMap<Arc<Path>, Root>,
    /// The records of all ids that were seen and of all places that were looked at.
    pub recorded: BTreeMap<AgentId, Arc<Recorded>>,
    /// What was found at each project that was looked at.
    pub sites: HashMap<PathBuf, Site>,
    /// The known problems at these projects; all of them if the pass looked at everything.
    pub problems: BTreeSet<Problem>,
    /// The claims of which a person just said that they win, should the id's home have let it go.
    pub accepted: BTreeMap<AgentId, PathBuf>,
}

/// How much of the world a view holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Every project below every configured root, and every record.
    Everything,
    /// Some projects, closed over ids and homes.
    #[default]
    Part,
}

/// What one look at one project found.
#[derive(Debug, Clone)]
pub struct Site {
    /// The deepest configured scan root that the project is under.
    pub root: Option<Arc<Path>>,
    /// Whether a person denied this path or one above it.
    pub denied: bool,
    /// Whether somebody is just registering or unregistering here: until that is over nothing is decided about it.
    pub held: bool,
    /// What became of its manifest.
    pub probe: Probe,
    /// Which directory the project is, where there is one.
    pub identity: Option<DirIdentity>,
    /// Whether the project is a linked git worktree. Only known, because only needed, where an id is claimed twice.
    pub checkout: Checkout,
    /// For how long what was found has been so, where it is a finding that may pass by itself: a manifest that is
    /// missing from its agent's home, or that does not parse.
    pub standing: Duration,
}

/// What one look at one manifest found.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Certainly no manifest: `ENOENT` or `ENOTDIR`, no link on the way.
    Absent(ProjectDir),
    /// A valid manifest.
    Present(Found),
    /// There is something, and it cannot be taken for a manifest, or it could not be looked at.
    Unreadable(Unreadable),
}

impl Probe {
    /// Whether a valid manifest with this id was found.
    #[must_use]
    pub fn carries(&self, id: &AgentId) -> bool {
        matches!(self, Self::Present(found) if found.id() == id)
    }
}

/// A valid manifest that was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// The manifest of the agent that is recorded at this very place, unchanged since it was read into the record,
    /// which still holds it: it was not read again.
    AsRecorded(AgentId),
    /// It was read.
    Read(Arc<Agent>, Observation),
}

impl Found {
    /// The id that the manifest carries.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        match self {
            Self::AsRecorded(id) => id,
            Self::Read(agent, _) => agent.id(),
        }
    }
}

/// Whether a project without a manifest is there itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectDir {
    /// The directory is there.
    There,
    /// It is certainly not.
    Gone,
}

/// Why a manifest is unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// A sentence for a person; may quote the file.
    pub why: String,
    /// Whether it may be right again in a moment.
    pub kind: UnreadableKind,
}

/// Whether an unreadable manifest may be right again in a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableKind {
    /// Its content is not valid: perhaps somebody is just writing it.
    Content,
    /// It is no regular file, behind a link, or the system refused to show it.
    Access,
    /// The system failed: it had no file left to open, or its disk did not answer.
    System,
}

/// Whether a project is a linked git worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Checkout {
    /// A main checkout (`.git` is a directory), or under no version control.
    #[default]
    Main,
    /// A linked worktree (`.git` is a file).
    Linked,
}

/// A scan root: what the registry knows of it and what a look found.
#[derive(Debug, Clone)]
pub struct Root {
    /// The directory that it was when it was last online; `None` if it never was.
    pub known: Option<RootIdentity>,
    /// The state in which the last pass left it; `None` for a new root.
    pub state: Option<RootState>,
    /// What is there now.
    pub found: RootFound,
    /// Directories below it that could not be listed, and the first of the reasons.
    pub unlisted: Vec<Unlisted>,
    /// Directories strictly below it, and below no deeper root, at which a file system is mounted now or was when agents
    /// were found below.
    pub mounts: Vec<MountSeen>,
    /// Whether a person just said that what is there is meant.
    pub accepted: bool,
}

/// What was found at a scan root's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootFound {
    /// A directory.
    Directory(RootIdentity),
    /// Something else, nothing, or it could not be looked at: a sentence that says which.
    Nothing(String),
}

/// A directory at which a file system is mounted, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSeen {
    /// Where.
    pub point: PathBuf,
    /// Whether the registry knows that agents were found below while something was mounted there.
    pub is_known: bool,
    /// Whether something is mounted there now.
    pub is_mounted: bool,
    /// Whether agents are recorded below, or projects were seen there.
    pub has_agents: bool,
}

/// A directory that could not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// Which one.
    pub directory: PathBuf,
    /// A sentence that says why.
    pub why: String,
    /// How far the doubt reaches.
    pub doubt: Doubt,
}

/// How far a failed listing puts what was not found in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Below that directory only: permission was refused, which says nothing about its neighbours.
    Below,
    /// Everywhere in the root: the disk, the system's tables or the network failed.
    Root,
}

/// The state of a scan root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootState {
    /// It is the directory that it was, and was looked at whole.
    Online,
    /// It is online, but parts of it could not be looked at: the sentence says which and why.
    Degraded(String),
    /// It is not there, or not the one that it was: the sentence says what is there instead.
    Offline(String),
}

impl RootState {
    /// Why a root is offline at whose path there is something else.
    pub const REPLACED: &'static str =
        "another directory than before is there, and none of its agents: if it is meant, accept it";

    /// The state's name in SQL, JSON and log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Degraded(_) => "degraded",
            Self::Offline(_) => "offline",
        }
    }

    /// The sentence that says why it is not online; empty if it is.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Online => "",
            Self::Degraded(why) | Self::Offline(why) => why,
        }
    }
}
