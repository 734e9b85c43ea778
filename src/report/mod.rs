//! What is told of the registry to whoever asks: the same words to the command line, the API and the page.
//!
//! This room reads, through a read-only connection, and changes nothing. Nothing here knows how an answer is printed or
//! sent.

mod agent;
mod candidate;
mod daemon;
mod denial;
mod event;
mod finding;
pub mod paste;
mod path;
mod problem;
mod reach;
mod root;
mod status;
mod story;
mod topology;
pub mod wording;

pub use agent::{AgentReport, Health, HealthReport};
pub use candidate::CandidateReport;
pub use daemon::{DaemonFacts, LastSweep, RootHeard};
pub use denial::DenialReport;
pub use event::EventReport;
pub use finding::{Examination, Finding, Level, Part};
pub use path::{WirePath, hex, put_path, shown_and_hex};
pub use problem::{ProblemReport, is_contender, remedy_among};
pub use reach::Reach;
pub use root::{RootRemedy, RootReport, roots};
pub use status::{DaemonState, StatusReport};
pub use story::{Case, Story, Times};
pub use topology::{AccessReport, MemberReport, NamespaceReport, TopologyReport};
