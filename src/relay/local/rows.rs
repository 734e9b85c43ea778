//! The rows of `relay.db`: meshd's own as what they are, and everybody's where a message is to be sent.

use std::collections::HashSet;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::StoreError;
use crate::agent::AgentId;
use crate::relay::{Endpoint, Pattern, Present, Rule, RuleAction, Subject};

/// Who made meshd's rows.
const MESHD: &str = "meshd";

const ENDPOINTS: &str = "SELECT agent_id, subject FROM endpoints WHERE made_by = ?1 ORDER BY agent_id, subject";
const RULES: &str = "SELECT from_pattern, to_pattern, action, priority FROM rules WHERE made_by = ?1";
const ALL_RULES: &str = "SELECT from_pattern, to_pattern, action, priority FROM rules";

/// Where an agent is reached. Were there several, meshd's comes first, and of those the newest.
const ENDPOINT_OF: &str = "SELECT subject FROM endpoints WHERE agent_id = ?1 \
    ORDER BY made_by = ?2 DESC, created_at DESC, subject";

/// Another program's database with a fitting number would fail at the first statement: say so now.
pub(super) fn must_be_ours(conn: &Connection) -> Result<(), StoreError> {
    for sql in [ENDPOINTS, RULES, ENDPOINT_OF, "SELECT created_at FROM endpoints", "SELECT created_at FROM rules"] {
        let Err(error) = conn.prepare(sql) else { continue };
        let why = error.to_string();
        let error = StoreError::from(error);
        let foreign = matches!(error, StoreError::Sqlite(_));
        return Err(if foreign { StoreError::Damaged(format!("it is not meshd's: {why}")) } else { error });
    }
    Ok(())
}

/// What meshd made. Rows that cannot be read are removed: somebody edited them by hand.
pub(super) fn list(conn: &Connection) -> Result<Present, StoreError> {
    let mut present = Present::default();
    let mut unreadable: Vec<Value> = Vec::new();
    let mut select = conn.prepare_cached(ENDPOINTS)?;
    let mut found = select.query([MESHD])?;
    while let Some(row) = found.next()? {
        match endpoint(row) {
            Some(endpoint) => present.endpoints.push(endpoint),
            // One whose key is no text at all stays: nothing ever asks for it.
            None => unreadable.extend(row.get::<_, Value>(1)),
        }
    }
    for subject in unreadable {
        conn.execute("DELETE FROM endpoints WHERE subject = ?1 AND made_by = ?2", (subject, MESHD))?;
    }
    let mut unreadable: Vec<[Value; 4]> = Vec::new();
    let mut select = conn.prepare_cached(RULES)?;
    let mut found = select.query([MESHD])?;
    while let Some(row) = found.next()? {
        match rule(row) {
            Some(rule) => present.rules.push(rule),
            None => unreadable.extend(key(row)),
        }
    }
    let delete = "DELETE FROM rules WHERE from_pattern = ?1 AND to_pattern = ?2 AND action = ?3 AND priority = ?4 \
        AND made_by = 'meshd'";
    for key in unreadable {
        conn.execute(delete, key)?;
    }
    Ok(present)
}

/// Every subject at which there is an endpoint, whoever made it.
pub(super) fn subjects(conn: &Connection) -> Result<HashSet<Subject>, StoreError> {
    let mut select = conn.prepare_cached("SELECT subject FROM endpoints")?;
    let mut found = select.query([])?;
    let mut subjects = HashSet::new();
    while let Some(row) = found.next()? {
        subjects.extend(text(row.get_ref(0)?).and_then(|subject| subject.parse::<Subject>().ok()));
    }
    Ok(subjects)
}

/// Makes this endpoint, or says who has one at its subject.
pub(super) fn ensure(conn: &Connection, endpoint: &Endpoint, now: &str) -> Result<Ensured, StoreError> {
    let subject = endpoint.subject.as_str();
    let sql = "INSERT INTO endpoints (subject, agent_id, made_by, created_at) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (subject) DO UPDATE SET agent_id = excluded.agent_id \
        WHERE made_by = excluded.made_by AND agent_id <> excluded.agent_id";
    if conn.prepare_cached(sql)?.execute((subject, endpoint.agent.as_str(), MESHD, now))? > 0 {
        return Ok(Ensured::IsThere);
    }
    let mut select = conn.prepare_cached("SELECT made_by FROM endpoints WHERE subject = ?1")?;
    let made_by = select.query_row([subject], |row| Ok(text(row.get_ref(0)?).map(str::to_owned)))?;
    Ok(match made_by {
        Some(name) if name == MESHD => Ensured::IsThere,
        name => Ensured::IsOf(name.unwrap_or_default()),
    })
}

/// What came of making an endpoint.
pub(super) enum Ensured {
    /// It is there.
    IsThere,
    /// There is one that somebody else made.
    IsOf(String),
}

/// Removes meshd's endpoint at this subject.
pub(super) fn retire(conn: &Connection, subject: &Subject) -> Result<(), StoreError> {
    let sql = "DELETE FROM endpoints WHERE subject = ?1 AND made_by = ?2";
    conn.prepare_cached(sql)?.execute([subject.as_str(), MESHD])?;
    Ok(())
}

/// Puts a rule.
pub(super) fn put(conn: &Connection, rule: &Rule, now: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO rules (from_pattern, to_pattern, action, priority, made_by, created_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let (from, to, action) = (rule.from.as_str(), rule.to.as_str(), rule.action.as_str());
    conn.prepare_cached(sql)?.execute((from, to, action, rule.priority, MESHD, now))?;
    Ok(())
}

/// Removes meshd's rule.
pub(super) fn remove(conn: &Connection, rule: &Rule) -> Result<(), StoreError> {
    let sql = "DELETE FROM rules WHERE from_pattern = ?1 AND to_pattern = ?2 AND action = ?3 AND priority = ?4 \
        AND made_by = ?5";
    let (from, to, action) = (rule.from.as_str(), rule.to.as_str(), rule.action.as_str());
    conn.prepare_cached(sql)?.execute((from, to, action, rule.priority, MESHD))?;
    Ok(())
}

/// Whether there is an endpoint at this subject, whoever made it.
pub(super) fn is_endpoint(conn: &Connection, subject: &Subject) -> Result<bool, StoreError> {
    let mut select = conn.prepare_cached("SELECT 1 FROM endpoints WHERE subject = ?1")?;
    Ok(select.exists([subject.as_str()])?)
}

/// Where an agent is reached, whoever made that.
pub(super) fn endpoint_of(conn: &Connection, id: &AgentId) -> Result<Option<Subject>, StoreError> {
    let mut select = conn.prepare_cached(ENDPOINT_OF)?;
    let mut found = select.query([id.as_str(), MESHD])?;
    while let Some(row) = found.next()? {
        if let Some(subject) = text(row.get_ref(0)?).and_then(|text| text.parse().ok()) {
            return Ok(Some(subject));
        }
    }
    Ok(None)
}

/// Whether this agent is reached at this subject.
pub(super) fn is_at(conn: &Connection, id: &AgentId, subject: &Subject) -> Result<bool, StoreError> {
    let mut select = conn.prepare_cached("SELECT 1 FROM endpoints WHERE subject = ?1 AND agent_id = ?2")?;
    Ok(select.query_row([subject.as_str(), id.as_str()], |_| Ok(())).optional()?.is_some())
}

/// All rules, whoever made them. One whose patterns are none is about nobody; what cannot be read of another makes it
/// deny whatever it is about.
pub(super) fn all_rules(conn: &Connection) -> Result<Vec<Rule>, StoreError> {
    let mut rules = Vec::new();
    let mut select = conn.prepare_cached(ALL_RULES)?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        rules.extend(rule(row).or_else(|| {
            let (from, to) = patterns(row)?;
            Some(Rule { from, to, action: RuleAction::Deny, priority: i64::MAX })
        }));
    }
    Ok(rules)
}

fn endpoint(row: &Row<'_>) -> Option<Endpoint> {
    let agent = text(row.get_ref(0).ok()?)?.parse().ok()?;
    Some(Endpoint { subject: text(row.get_ref(1).ok()?)?.parse().ok()?, agent })
}

fn rule(row: &Row<'_>) -> Option<Rule> {
    let (from, to) = patterns(row)?;
    let action = RuleAction::from_name(text(row.get_ref(2).ok()?)?)?;
    Some(Rule { from, to, action, priority: row.get_ref(3).ok()?.as_i64().ok()? })
}

fn key(row: &Row<'_>) -> rusqlite::Result<[Value; 4]> {
    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
}

fn patterns(row: &Row<'_>) -> Option<(Pattern, Pattern)> {
    let pattern = |column: usize| text(row.get_ref(column).ok()?)?.parse::<Pattern>().ok();
    Some((pattern(0)?, pattern(1)?))
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok()
}
