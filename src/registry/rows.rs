//! Rows as types and types as values.
//!
//! Reading a row never fails for what is in it: a value that does not belong there makes that row differ from every
//! manifest, so that the next pass writes it anew, and hides no other row.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::agent::columns::scan_root;
use crate::agent::moment::wall_ms;
use crate::agent::{
    Agent, AgentId, Columns, Digest, DirIdentity, Fingerprint, GraceClock, Moment, Observation, Reason, Recorded,
    Unreachable,
};

/// All that is kept of an agent, in the order of [`at`].
pub(super) const SELECT: &str = "SELECT \
    a.id, a.name, a.display_name, a.description, a.runtime, a.project_path, a.namespace, a.capabilities_json, \
    a.approver, a.scan_root, a.behavior_json, a.budget_json, a.rest_json, \
    a.status, a.last_seen_at, a.last_seen_event, a.registered_at, a.updated_at, \
    a.unreachable_since, a.unreachable_reason, \
    o.digest, o.device, o.inode, o.size, o.modified_ns, o.changed_ns, o.looked_ns, \
    o.home_device, o.home_inode, o.home_born_ns, \
    g.spent_ms, g.running_since_wall_ms, g.running_since_boot_ms, g.boot_id \
    FROM agents a LEFT JOIN observations o ON o.agent_id = a.id LEFT JOIN grace_clocks g ON g.agent_id = a.id";

/// Where in [`SELECT`] each column stands.
mod at {
    pub const ID: usize = 0;
    pub const NAME: usize = 1;
    pub const DISPLAY_NAME: usize = 2;
    pub const DESCRIPTION: usize = 3;
    pub const RUNTIME: usize = 4;
    pub const PROJECT_PATH: usize = 5;
    pub const NAMESPACE: usize = 6;
    pub const CAPABILITIES: usize = 7;
    pub const APPROVER: usize = 8;
    pub const SCAN_ROOT: usize = 9;
    pub const BEHAVIOR: usize = 10;
    pub const BUDGET: usize = 11;
    pub const REST: usize = 12;
    pub const STATUS: usize = 13;
    pub const LAST_SEEN_AT: usize = 14;
    pub const LAST_SEEN_EVENT: usize = 15;
    pub const REGISTERED_AT: usize = 16;
    pub const UPDATED_AT: usize = 17;
    pub const UNREACHABLE_SINCE: usize = 18;
    pub const UNREACHABLE_REASON: usize = 19;
    pub const DIGEST: usize = 20;
    pub const FINGERPRINT: usize = 21;
    pub const HOME: usize = 27;
    pub const CLOCK: usize = 30;
}

/// One registry row.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The columns as they are stored, so that a row that is no agent can still be shown.
    pub columns: Columns,
    /// The agent that the columns are, or a sentence that says why they are none.
    pub agent: Result<Agent, String>,
    /// The status column: `active`, `inactive` or `unreachable`.
    pub status: String,
    /// When the agent was last seen to come or to come back: ISO 8601 in UTC.
    pub last_seen_at: Option<String>,
    /// What it was seen to do then.
    pub last_seen_event: Option<String>,
    /// When it was registered: ISO 8601 in UTC, as its manifest first said.
    pub registered_at: String,
    /// When the row last changed: ISO 8601 in UTC.
    pub updated_at: String,
    /// Set while the agent is unreachable.
    pub unreachable: Option<Unreachable>,
    /// Which directory the project was when its manifest was last seen there.
    pub home: Option<DirIdentity>,
    /// The manifest's fingerprint when it was read into this row; `None` if the row no longer holds what was read.
    pub observation: Option<Observation>,
}

/// How an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Seen within the last hour.
    Active,
    /// Seen within the last day.
    Inactive,
    /// Not seen for longer, or never.
    Stale,
    /// Its manifest is demonstrably gone, or its scan root is offline. This one wins over the others.
    Unreachable,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Inactive, Self::Stale, Self::Unreachable];

    /// The status as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Stale => "stale",
            Self::Unreachable => "unreachable",
        }
    }

    /// The status that is written like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// The status of a reachable agent that was last seen then.
    pub(super) fn of_seen(last_seen_at: Option<&str>, now: &Moment) -> Self {
        const ACTIVE_MS: i64 = 60 * 60 * 1000;
        const INACTIVE_MS: i64 = 24 * ACTIVE_MS;
        match last_seen_at.and_then(wall_ms).map(|seen_ms| now.wall_ms.saturating_sub(seen_ms)) {
            Some(age_ms) if age_ms < ACTIVE_MS => Self::Active,
            Some(age_ms) if age_ms < INACTIVE_MS => Self::Inactive,
            Some(_) | None => Self::Stale,
        }
    }
}

impl Record {
    /// How the agent is.
    #[must_use]
    pub fn health(&self, now: &Moment) -> Status {
        match self.unreachable {
            Some(_) => Status::Unreachable,
            None => Status::of_seen(self.last_seen_at.as_deref(), now),
        }
    }

    /// Where the agent is recorded.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        path_of(&self.columns.project_path)
    }

    /// The record in one row of [`SELECT`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut columns = Columns::default();
        let digest = read_columns(row, &mut columns)?;
        let seen = Seen::read(row)?;
        Ok(Self {
            agent: columns.to_agent(),
            columns,
            status: text(row, at::STATUS)?,
            last_seen_at: optional_text(row, at::LAST_SEEN_AT)?,
            last_seen_event: optional_text(row, at::LAST_SEEN_EVENT)?,
            registered_at: text(row, at::REGISTERED_AT)?,
            updated_at: text(row, at::UPDATED_AT)?,
            unreachable: unreachable(row)?,
            home: seen.home,
            observation: seen.still_of(digest),
        })
    }
}

/// The row reduced to what a decision looks at; `None` if its id is none, since then nothing can be decided about it.
///
/// `columns` is only a place to read into, so that ten thousand rows do not cost ten thousand times its memory.
pub(super) fn read_recorded(
    row: &Row<'_>,
    columns: &mut Columns,
    roots: &mut RootNames,
) -> rusqlite::Result<Option<Recorded>> {
    let digest = read_columns(row, columns)?;
    let Ok(id) = columns.id.parse::<AgentId>() else { return Ok(None) };
    let seen = Seen::read(row)?;
    Ok(Some(Recorded {
        id,
        project: path_of(&columns.project_path),
        scan_root: roots.named(&columns.scan_root),
        digest,
        home: seen.home,
        observation: seen.still_of(digest),
        unreachable: unreachable(row)?,
    }))
}

/// What counting needs of a row.
pub(super) struct Counted {
    pub status: Status,
    pub runtime: String,
    pub project: PathBuf,
}

impl Counted {
    pub(super) fn read(row: &Row<'_>, now: &Moment) -> rusqlite::Result<Self> {
        let status = if is_unreachable(row)? {
            Status::Unreachable
        } else {
            Status::of_seen(optional_text(row, at::LAST_SEEN_AT)?.as_deref(), now)
        };
        let project = path(row, at::PROJECT_PATH)?.unwrap_or_default();
        Ok(Self { status, runtime: text(row, at::RUNTIME)?, project })
    }
}

/// Reads the agent's columns, and gives their digest: one that no manifest has if a value is stored in another way than
/// it would be written (a number, a BLOB that is text, text that is not UTF-8).
fn read_columns(row: &Row<'_>, into: &mut Columns) -> rusqlite::Result<Digest> {
    let mut odd = false;
    let mut texts = [
        (at::ID, &mut into.id),
        (at::NAME, &mut into.name),
        (at::RUNTIME, &mut into.runtime),
        (at::NAMESPACE, &mut into.namespace),
        (at::CAPABILITIES, &mut into.capabilities_json),
        (at::BEHAVIOR, &mut into.behavior_json),
        (at::BUDGET, &mut into.budget_json),
        (at::REST, &mut into.rest_json),
    ];
    for (index, field) in &mut texts {
        field.clear();
        let value = row.get_ref(*index)?;
        if let ValueRef::Text(bytes) = value
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            field.push_str(text);
        } else {
            odd = true;
            field.push_str(&as_text(value).unwrap_or_default());
        }
    }
    for (index, field) in [
        (at::DISPLAY_NAME, &mut into.display_name),
        (at::DESCRIPTION, &mut into.description),
        (at::APPROVER, &mut into.approver),
    ] {
        let value = row.get_ref(index)?;
        odd |= !matches!(value, ValueRef::Null | ValueRef::Text(_));
        let text = as_text(value);
        odd |= matches!((&text, value), (Some(Cow::Owned(_)), ValueRef::Text(_)));
        *field = text.map(Cow::into_owned);
    }
    for (index, field) in [(at::PROJECT_PATH, &mut into.project_path), (at::SCAN_ROOT, &mut into.scan_root)] {
        field.clear();
        match row.get_ref(index)? {
            ValueRef::Text(bytes) => {
                odd |= std::str::from_utf8(bytes).is_err();
                field.extend_from_slice(bytes);
            }
            ValueRef::Blob(bytes) => {
                odd |= std::str::from_utf8(bytes).is_ok();
                field.extend_from_slice(bytes);
            }
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => odd = true,
        }
    }
    Ok(into.digest() ^ Digest::from(odd))
}

/// What is kept of the last look at an agent's manifest and project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The digest of the columns that were written then.
    pub digest: Option<Digest>,
    /// The manifest's fingerprint.
    pub observation: Option<Observation>,
    /// The project directory.
    pub home: Option<DirIdentity>,
}

impl Seen {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let digest = match row.get_ref(at::DIGEST)? {
            ValueRef::Blob(bytes) => bytes.try_into().ok().map(Digest::from_be_bytes),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => None,
        };
        let number = |offset: usize| integer(row, at::FINGERPRINT + offset);
        let observation = match (number(0)?, number(1)?, number(2)?, number(3)?, number(4)?, number(5)?) {
            (Some(device), Some(inode), Some(size), Some(modified_ns), Some(changed_ns), Some(looked_ns)) => {
                let fingerprint = Fingerprint {
                    device: device.cast_unsigned(),
                    inode: inode.cast_unsigned(),
                    size: size.cast_unsigned(),
                    modified_ns,
                    changed_ns,
                };
                Some(Observation { fingerprint, looked_ns })
            }
            _ => None,
        };
        Ok(Self { digest, observation, home: identity(row, at::HOME)? })
    }

    /// The fingerprint, if the row still holds what was read then.
    fn still_of(&self, digest: Digest) -> Option<Observation> {
        self.observation.filter(|_| self.digest == Some(digest))
    }
}

/// A row as far as writing over it needs to know it.
pub(super) struct Before {
    /// Where the agent was recorded.
    pub project_path: Vec<u8>,
    /// The digest of the columns as they are.
    pub digest: Digest,
    /// What is kept of the last look.
    pub seen: Seen,
}

impl Before {
    /// What is there, in one row of [`SELECT`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut columns = Columns::default();
        let digest = read_columns(row, &mut columns)?;
        Ok(Self { project_path: columns.project_path, digest, seen: Seen::read(row)? })
    }
}

/// A row edited by hand may have only one of the two marks: either makes it unreachable, so that a pass puts it right.
pub(super) const IS_UNREACHABLE: &str = "(a.status = 'unreachable' OR a.unreachable_since IS NOT NULL)";

fn is_unreachable(row: &Row<'_>) -> rusqlite::Result<bool> {
    let marked = row.get_ref(at::STATUS)? == ValueRef::Text(b"unreachable");
    Ok(marked || row.get_ref(at::UNREACHABLE_SINCE)? != ValueRef::Null)
}

fn unreachable(row: &Row<'_>) -> rusqlite::Result<Option<Unreachable>> {
    if !is_unreachable(row)? {
        return Ok(None);
    }
    let time = |index| Ok::<_, rusqlite::Error>(optional_text(row, index)?.as_deref().and_then(wall_ms));
    let since_ms = match time(at::UNREACHABLE_SINCE)? {
        Some(since_ms) => since_ms,
        None => time(at::UPDATED_AT)?.unwrap_or_default(),
    };
    let reason = optional_text(row, at::UNREACHABLE_REASON)?;
    let reason = reason.as_deref().and_then(Reason::from_name).unwrap_or(Reason::ManifestGone);
    Ok(Some(Unreachable { since_ms, reason, clock: clock(row)? }))
}

/// A clock that is missing has run up nothing: a row that lost it is kept for longer, never for less.
fn clock(row: &Row<'_>) -> rusqlite::Result<GraceClock> {
    let spent_ms = integer(row, at::CLOCK)?.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
    let (wall, boot) = (integer(row, at::CLOCK + 1)?, integer(row, at::CLOCK + 2)?);
    let running_since = match (wall, boot, optional_text(row, at::CLOCK + 3)?) {
        (Some(wall_ms), Some(boot_ms), Some(id)) => Some(Moment { wall_ms, boot_ms, boot: Arc::from(id) }),
        _ => None,
    };
    Ok(GraceClock { spent: Duration::from_millis(spent_ms), running_since })
}

/// The directory in the three columns from `first`.
pub(super) fn identity(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<DirIdentity>> {
    let parts = (integer(row, first)?, integer(row, first + 1)?, integer(row, first + 2)?);
    let (Some(device), Some(inode), Some(born_ns)) = parts else { return Ok(None) };
    Ok(Some(DirIdentity { device: device.cast_unsigned(), inode: inode.cast_unsigned(), born_ns }))
}

/// A directory's three columns.
pub(super) fn identity_values(identity: Option<DirIdentity>) -> (Option<i64>, Option<i64>, Option<i64>) {
    (
        identity.map(|is| is.device.cast_signed()),
        identity.map(|is| is.inode.cast_signed()),
        identity.map(|is| is.born_ns),
    )
}

/// A path, stored as TEXT where it is UTF-8, so that people can read it, and as BLOB where it is not.
pub(super) struct PathValue<'a>(pub &'a [u8]);

impl<'a> PathValue<'a> {
    /// The value of a path.
    pub(super) fn of(path: &'a Path) -> Self {
        Self(path.as_os_str().as_bytes())
    }
}

impl ToSql for PathValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match std::str::from_utf8(self.0) {
            Ok(_) => ValueRef::Text(self.0),
            Err(_) => ValueRef::Blob(self.0),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// The path in a column; `None` where it is NULL or a number.
pub(super) fn path(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<PathBuf>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(path_of(bytes)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    })
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// The number in a column; `None` where it is none.
pub(super) fn integer(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => None,
    })
}

/// The text in a column, whatever is in it.
pub(super) fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(optional_text(row, index)?.unwrap_or_default())
}

/// The text in a column; `None` where it is NULL.
pub(super) fn optional_text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    Ok(as_text(row.get_ref(index)?).map(Cow::into_owned))
}

fn as_text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(number.to_string().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
    }
}

/// The scan roots of many rows, each allocated once.
#[derive(Default)]
pub(super) struct RootNames(std::collections::HashMap<Vec<u8>, Arc<Path>>);

impl RootNames {
    /// The scan root that a column holds: `None` where it is empty.
    pub(super) fn named(&mut self, column: &[u8]) -> Option<Arc<Path>> {
        if let Some(known) = self.0.get(column) {
            return Some(Arc::clone(known));
        }
        let root = scan_root(column)?;
        self.0.insert(column.to_vec(), Arc::clone(&root));
        Some(root)
    }
}
