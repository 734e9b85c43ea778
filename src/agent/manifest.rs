//! The manifest: what `.dork/agent.json` says, parsed and held against its limits.
//!
//! Either the whole manifest is valid or it is unreadable, with a sentence that says why. Only `model`, `effort` and
//! `account` degrade to absent. Keys that meshd does not know are kept.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;

use super::AgentId;

/// The most bytes a manifest may have. A real one has about 600; the limit bounds what one look may read.
pub const MAX_BYTES: usize = 256 * 1024;

/// What a manifest says, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Who the agent is, wherever its project lies.
    pub id: AgentId,
    /// What people call it; never empty.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// At most 100 UTF-16 units.
    #[serde(default, deserialize_with = "at_most::<100, _>", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// What the agent runs on.
    pub runtime: Runtime,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// When it answers.
    #[serde(default)]
    pub behavior: Behavior,
    /// How much it may do.
    #[serde(default)]
    pub budget: Budget,
    /// The namespace it asks for, as written; at most 64 UTF-16 units.
    #[serde(default, deserialize_with = "at_most::<64, _>", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When it was registered: ISO 8601 in UTC, as written.
    #[serde(deserialize_with = "utc_time")]
    pub registered_at: String,
    /// Who registered it; never empty.
    #[serde(deserialize_with = "not_empty")]
    pub registered_by: String,
    /// At most 4000 UTF-16 units.
    #[serde(default, deserialize_with = "at_most::<4000, _>", skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// Whether the persona is used; true where absent.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub persona_enabled: Option<bool>,
    /// How it is drawn.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// How it is drawn.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// What the file claims; from a scanned file it grants nothing.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub is_system: Option<bool>,
    /// A bad value counts as absent.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A bad value counts as absent.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// A bad value counts as absent.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Every other key, known to somebody else: kept as it is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// When an agent answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// To which messages.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// From when on it asks a person.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub escalation_threshold: Option<Number>,
    /// Every other key: kept as it is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// To which messages an agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseMode {
    /// To all.
    #[default]
    Always,
    /// To those of a conversation it is in.
    Engaged,
    /// To those sent to it alone.
    DirectOnly,
    /// To those that name it.
    MentionOnly,
    /// To none.
    Silent,
}

/// How much an agent may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Messages that one message may cause in a row; at least 1.
    #[serde(default = "default_hops", deserialize_with = "at_least_one")]
    pub max_hops_per_message: u64,
    /// Calls an hour; at least 1.
    #[serde(default = "default_calls", deserialize_with = "at_least_one")]
    pub max_calls_per_hour: u64,
    /// Every other key: kept as it is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { max_hops_per_message: default_hops(), max_calls_per_hour: default_calls(), rest: Map::new() }
    }
}

fn default_hops() -> u64 {
    5
}

fn default_calls() -> u64 {
    100
}

/// What an agent runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant is a product's name")]
pub enum Runtime {
    ClaudeCode,
    Cursor,
    Codex,
    Opencode,
    Windsurf,
    Gemini,
    Cline,
    RooCode,
    Copilot,
    AmazonQ,
    Continue,
    Augment,
    JetbrainsAi,
    KiloCode,
    Trae,
    Other,
}

impl Runtime {
    /// Every runtime.
    pub const ALL: [Self; 16] = [
        Self::ClaudeCode,
        Self::Cursor,
        Self::Codex,
        Self::Opencode,
        Self::Windsurf,
        Self::Gemini,
        Self::Cline,
        Self::RooCode,
        Self::Copilot,
        Self::AmazonQ,
        Self::Continue,
        Self::Augment,
        Self::JetbrainsAi,
        Self::KiloCode,
        Self::Trae,
        Self::Other,
    ];

    /// The runtime that is written like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(Value::String(name.to_owned())).ok()
    }

    /// The runtime as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
            Self::Windsurf => "windsurf",
            Self::Gemini => "gemini",
            Self::Cline => "cline",
            Self::RooCode => "roo-code",
            Self::Copilot => "copilot",
            Self::AmazonQ => "amazon-q",
            Self::Continue => "continue",
            Self::Augment => "augment",
            Self::JetbrainsAi => "jetbrains-ai",
            Self::KiloCode => "kilo-code",
            Self::Trae => "trae",
            Self::Other => "other",
        }
    }
}

impl Manifest {
    /// The manifest that `bytes` are, or a sentence that says why they are none.
    ///
    /// # Errors
    /// Not UTF-8, not JSON, a key twice, a value outside of its limits, a required key missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("larger than {} KiB", MAX_BYTES / 1024));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err("starts with a byte-order mark: save it as UTF-8 without one".to_owned());
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err("is UTF-16: save it as UTF-8".to_owned());
        }
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let value = Strict
            .deserialize(&mut json)
            .and_then(|value| json.end().map(|()| value))
            .map_err(|error| format!("not valid JSON: {}", brief(&error.to_string())))?;
        Self::from_value(value)
    }

    /// The manifest that a JSON value is, or a sentence that says why it is none.
    ///
    /// # Errors
    /// Not an object, a value outside of its limits, a required key missing.
    pub fn from_value(value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("not a JSON object".to_owned());
        }
        serde_path_to_error::deserialize(value).map_err(|error| {
            let (path, what) = (error.path().to_string(), error.inner().to_string());
            brief(&if path == "." { what } else { format!("`{path}`: {what}") })
        })
    }
}

/// An error's text, cut: it may quote a value of the file, which may be long.
fn brief(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn not_empty<'de, D: Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    let text = String::deserialize(json)?;
    if text.is_empty() { Err(serde::de::Error::custom("must not be empty")) } else { Ok(text) }
}

fn at_most<'de, const UNITS: usize, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(json)?;
    if text.encode_utf16().count() > UNITS {
        return Err(serde::de::Error::custom(format!("longer than {UNITS} characters")));
    }
    Ok(Some(text))
}

/// A value that may be left out, but is not `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(json: D) -> Result<Option<T>, D::Error> {
    T::deserialize(json).map(Some)
}

fn lenient<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(json)?;
    Ok(value.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
}

fn at_least_one<'de, D: Deserializer<'de>>(json: D) -> Result<u64, D::Error> {
    match u64::deserialize(json)? {
        0 => Err(serde::de::Error::custom("must be at least 1")),
        number => Ok(number),
    }
}

fn utc_time<'de, D: Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    let text = String::deserialize(json)?;
    if is_utc_time(&text) {
        Ok(text)
    } else {
        Err(serde::de::Error::custom("not a time in UTC like 2026-01-31T12:00:00Z"))
    }
}

/// Whether `text` is `YYYY-MM-DDTHH:MM[:SS[.fff]]Z` and such a day exists. jiff alone would take more spellings.
fn is_utc_time(text: &str) -> bool {
    let Some(time) = text.strip_suffix('Z') else { return false };
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let (whole, fraction) = shape.split_once('.').unwrap_or((&shape, "0"));
    let shaped = whole == "0000-00-00T00:00:00" || (whole == "0000-00-00T00:00" && !shape.contains('.'));
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    // Nine digits are all that jiff takes; what follows them changes nothing about the day.
    let cut = time.get(..whole.len().saturating_add(10)).unwrap_or(time);
    let leap_second = time.get(17..19) == Some("60");
    shaped && digits && !leap_second && cut.parse::<jiff::civil::DateTime>().is_ok()
}

/// A JSON value as `serde_json` makes it, but a key that comes twice and a NUL in a string are refused.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(E::custom("NUL in a string"));
        }
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Strict)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if key.contains('\0') {
                return Err(serde::de::Error::custom("NUL in a key"));
            }
            if map.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("key `{key}` comes twice")));
            }
            let value = object.next_value_seed(Strict)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Result<Manifest, String> {
        let mut fields = vec![
            ("id", r#""a1""#),
            ("name", r#""n""#),
            ("runtime", r#""codex""#),
            ("registeredAt", r#""2026-01-01T00:00:00.000Z""#),
            ("registeredBy", r#""me""#),
        ];
        fields.retain(|(name, _)| *name != key);
        fields.push((key, value));
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        Manifest::parse(format!("{{{}}}", body.join(",")).as_bytes())
    }

    #[track_caller]
    fn refused(key: &str, value: &str, why: &str) {
        let error = with(key, value).expect_err("must be unreadable");
        assert!(error.contains(why), "{key}: {value} says {error:?}, not {why:?}");
    }

    #[test]
    fn the_required_keys_suffice_and_the_rest_has_defaults() {
        let manifest = with("name", "\"naïve ✓\"").unwrap();
        assert_eq!(manifest.name, "naïve ✓");
        assert_eq!(manifest.behavior, Behavior::default());
        assert_eq!(manifest.budget, Budget::default());
        assert_eq!(manifest.description, "");
        assert!(manifest.rest.is_empty());
    }

    #[test]
    fn every_runtime_is_written_as_it_is_read() {
        for name in [
            "claude-code",
            "cursor",
            "codex",
            "opencode",
            "windsurf",
            "gemini",
            "cline",
            "roo-code",
            "copilot",
            "amazon-q",
            "continue",
            "augment",
            "jetbrains-ai",
            "kilo-code",
            "trae",
            "other",
        ] {
            assert_eq!(Runtime::from_name(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn an_id_is_one_token() {
        for bad in ["\"a.b\"", "\"a/b\"", "\"a b\"", "\"\"", "\"é\"", "1", "null"] {
            assert!(with("id", bad).is_err(), "{bad}");
        }
        refused("id", &format!("\"{}\"", "a".repeat(65)), "one token");
        assert!(with("id", &format!("\"{}\"", "a".repeat(64))).is_ok());
    }

    #[test]
    fn a_value_outside_of_its_limits_is_refused_and_its_key_named() {
        refused("name", "\"\"", "`name`: must not be empty");
        refused("runtime", "\"emacs\"", "`runtime`");
        refused("capabilities", "[1]", "`capabilities[0]`");
        refused("capabilities", "null", "`capabilities`");
        refused("description", "null", "`description`");
        refused("persona", "null", "`persona`");
        refused("behavior", r#"{"responseMode":"never"}"#, "`behavior.responseMode`");
        refused("behavior", r#"{"escalationThreshold":"1"}"#, "escalationThreshold");
        refused("budget", r#"{"maxHopsPerMessage":0}"#, "at least 1");
        refused("budget", r#"{"maxCallsPerHour":1.5}"#, "maxCallsPerHour");
        refused("personaEnabled", "\"yes\"", "personaEnabled");
        refused("registeredBy", "\"\"", "registeredBy");
    }

    #[test]
    fn lengths_count_utf16_units() {
        let units = |count: usize| format!("\"{}\"", "😀".repeat(count / 2));
        assert!(with("displayName", &units(100)).is_ok());
        refused("displayName", &units(102), "longer than 100");
        refused("namespace", &units(66), "longer than 64");
        refused("persona", &units(4002), "longer than 4000");
    }

    #[test]
    fn a_time_is_utc_and_exists() {
        for good in ["2026-01-01T00:00Z", "2026-01-01T00:00:59Z", "2024-02-29T23:59:59.123456789012Z"] {
            assert!(is_utc_time(good), "{good}");
        }
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00.5Z",
            "2026-01-01T00:00:00.Z",
            "Z",
            "",
        ] {
            assert!(!is_utc_time(bad), "{bad}");
        }
    }

    #[test]
    fn a_bad_model_effort_or_account_counts_as_absent() {
        for bad in ["null", "1", "{}", "\"\""] {
            assert_eq!(with("model", bad).unwrap().model, None);
        }
        assert_eq!(with("model", "\"opus\"").unwrap().model.as_deref(), Some("opus"));
    }

    #[test]
    fn unknown_keys_are_kept_as_they_are() {
        let manifest = with("traits", r#"{"humor":3,"x":[1.5,null]}"#).unwrap();
        assert_eq!(serde_json::to_string(&manifest.rest).unwrap(), r#"{"traits":{"humor":3,"x":[1.5,null]}}"#);
    }

    #[test]
    fn what_is_not_strict_json_is_refused() {
        refused("x", r#"{"a":1,"a":2}"#, "comes twice");
        refused("x", "1e999", "out of range");
        refused("x", "NaN", "not valid JSON");
        refused("x", r#""\u0000""#, "NUL");
        refused("x", r#""\ud800""#, "hex escape");
        refused("x", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), "recursion limit");
        for bad in [&b""[..], b"{", b"[]", b"null", b"{} x", b"\xff\xfe{\0}\0"] {
            assert!(Manifest::parse(bad).is_err());
        }
        assert!(Manifest::parse(b"\xef\xbb\xbf{}").unwrap_err().contains("byte-order mark"));
        assert!(Manifest::parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err().contains("256 KiB"));
    }

    #[test]
    fn a_long_value_is_not_quoted_whole() {
        let error = with("runtime", &format!("\"{}\"", "x".repeat(100_000))).unwrap_err();
        assert!(error.len() < 1_000, "{}", error.len());
    }
}
