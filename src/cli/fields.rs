//! The keys of a manifest as flags: for `register` and `update`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Number, Value};

use crate::agent::Runtime;

/// What a manifest says.
#[derive(Debug, Args)]
pub struct Fields {
    /// What people call it where its name is too short
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it does
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What it can do; may be given often
    #[arg(long = "capability", value_name = "TEXT")]
    capabilities: Vec<String>,
    /// To which messages it answers
    #[arg(long, value_name = "MODE", value_parser = ["always", "engaged", "direct-only", "mention-only", "silent"])]
    response_mode: Option<String>,
    /// From when on it asks a person
    #[arg(long, value_name = "N")]
    escalation_threshold: Option<Number>,
    /// Messages that one message may cause in a row
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_hops: Option<u64>,
    /// Calls an hour
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_calls: Option<u64>,
    /// The group that it belongs to, instead of the first directory below its scan root
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How it speaks
    #[arg(long, value_name = "TEXT")]
    persona: Option<String>,
    /// Whether the persona is used
    #[arg(long, value_name = "BOOL")]
    persona_enabled: Option<bool>,
    /// How it is drawn
    #[arg(long, value_name = "COLOR")]
    color: Option<String>,
    /// How it is drawn
    #[arg(long, value_name = "ICON")]
    icon: Option<String>,
    /// Which model it runs on
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How hard it thinks
    #[arg(long, value_name = "EFFORT")]
    effort: Option<String>,
    /// Which account it uses
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

impl Fields {
    /// The keys that were given.
    pub fn given(&self) -> Map<String, Value> {
        let texts = [
            ("displayName", &self.display_name),
            ("description", &self.description),
            ("namespace", &self.namespace),
            ("persona", &self.persona),
            ("color", &self.color),
            ("icon", &self.icon),
            ("model", &self.model),
            ("effort", &self.effort),
            ("account", &self.account),
        ];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key, Value::from(text.clone()?))));
        let behavior = object([
            ("responseMode", self.response_mode.clone().map(Value::from)),
            ("escalationThreshold", self.escalation_threshold.clone().map(Value::from)),
        ]);
        let budget = object([
            ("maxHopsPerMessage", self.max_hops.map(Value::from)),
            ("maxCallsPerHour", self.max_calls.map(Value::from)),
        ]);
        let capabilities = (!self.capabilities.is_empty()).then(|| Value::from(self.capabilities.clone()));
        let others = [
            ("capabilities", capabilities),
            ("behavior", behavior),
            ("budget", budget),
            ("personaEnabled", self.persona_enabled.map(Value::from)),
        ];
        let others = others.into_iter().filter_map(|(key, value)| Some((key, value?)));
        texts.chain(others).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// The runtimes, as they are written.
pub fn runtime() -> PossibleValuesParser {
    PossibleValuesParser::new(Runtime::ALL.map(Runtime::as_str))
}

fn object<const N: usize>(keys: [(&str, Option<Value>); N]) -> Option<Value> {
    let given: Map<String, Value> =
        keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    (!given.is_empty()).then_some(Value::Object(given))
}
