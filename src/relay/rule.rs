//! Access rules: who may send to whom. The first rule in order of precedence that matches decides, and what no rule
//! matches is denied.

use std::cmp::Ordering;
use std::fmt;

use super::subject::{Pattern, Subject, SubjectError};
use crate::agent::Namespace;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleAction {
    /// The message may not be sent.
    Deny,
    /// It may.
    Allow,
}

/// Who may, or may not, send to whom.
///
/// Rules are ordered by precedence: the higher priority first, deny before allow where priorities are equal, and then by
/// their bytes, so that no two rules ever stand at the same place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The senders.
    pub from: Pattern,
    /// The receivers.
    pub to: Pattern,
    /// Whether they may.
    pub action: RuleAction,
    /// The rule with the highest one that matches decides.
    pub priority: i64,
}

/// What a person said about two namespaces, in one direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The senders' namespace.
    pub from_namespace: Namespace,
    /// The receivers'.
    pub to_namespace: Namespace,
    /// Whether they may.
    pub action: RuleAction,
}

/// Whether a message may be sent, and which rule says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may, by this rule.
    Allowed(Rule),
    /// It may not: by this rule, or because there is none that matches.
    Denied(Option<Rule>),
}

/// Within a namespace everybody may send to everybody. Above pairs, so that a pair never cuts a namespace in two.
const WITHIN: i64 = 100;

/// What a person says of two namespaces. Above what holds for a namespace and all others.
const BETWEEN: i64 = 50;

/// Out of a namespace nobody may send, where nothing else is said.
const OUT_OF: i64 = 10;

impl Rule {
    /// The rules of a namespace: within it everything is allowed, out of it everything is denied.
    ///
    /// # Errors
    /// A namespace that is no token has no rules.
    pub fn of_namespace(namespace: &Namespace) -> Result<[Self; 2], SubjectError> {
        let members = Pattern::of_namespace(namespace)?;
        let within = Self { from: members.clone(), to: members.clone(), action: RuleAction::Allow, priority: WITHIN };
        let out = Self { from: members, to: Pattern::of_agents(), action: RuleAction::Deny, priority: OUT_OF };
        Ok([within, out])
    }

    /// The namespace of which it is [a rule](Self::of_namespace).
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let within = self.priority == WITHIN && self.action == RuleAction::Allow && self.to == self.from;
        let out = self.priority == OUT_OF && self.action == RuleAction::Deny && self.to == Pattern::of_agents();
        self.from.namespace().filter(|_| within || out)
    }

    fn matches(&self, from: &Subject, to: &Subject) -> bool {
        self.from.matches(from) && self.to.matches(to)
    }
}

impl Pair {
    /// The rule that says so.
    ///
    /// # Errors
    /// A namespace that is no token has no endpoints, so there is nothing to allow or to deny.
    pub fn rule(&self) -> Result<Rule, SubjectError> {
        let from = Pattern::of_namespace(&self.from_namespace)?;
        let to = Pattern::of_namespace(&self.to_namespace)?;
        Ok(Rule { from, to, action: self.action, priority: BETWEEN })
    }
}

/// Whether `from` may send to `to` by these rules, in whatever order they come.
pub fn decide_access<'r>(rules: impl IntoIterator<Item = &'r Rule>, from: &Subject, to: &Subject) -> Verdict {
    match rules.into_iter().filter(|rule| rule.matches(from, to)).min() {
        Some(rule) if rule.action == RuleAction::Allow => Verdict::Allowed(rule.clone()),
        first => Verdict::Denied(first.cloned()),
    }
}

impl RuleAction {
    /// The word for it, as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }

    /// The action with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Deny, Self::Allow].into_iter().find(|action| action.as_str() == name)
    }
}

impl Ord for Rule {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |rule: &Self| (std::cmp::Reverse(rule.priority), rule.action);
        place(self).cmp(&place(other)).then_with(|| (&self.from, &self.to).cmp(&(&other.from, &other.to)))
    }
}

impl PartialOrd for Rule {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {} (priority {})", self.action.as_str(), self.from, self.to, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(from: &str, to: &str, action: RuleAction, priority: i64) -> Rule {
        Rule { from: from.parse().unwrap(), to: to.parse().unwrap(), action, priority }
    }

    fn namespace(name: &str) -> Namespace {
        Namespace::as_recorded(name.to_owned())
    }

    fn subject(namespace_name: &str, id: &str) -> Subject {
        Subject::of_agent(&namespace(namespace_name), &id.parse().unwrap()).unwrap()
    }

    fn pair(from: &str, to: &str, action: RuleAction) -> Rule {
        Pair { from_namespace: namespace(from), to_namespace: namespace(to), action }.rule().unwrap()
    }

    #[test]
    fn what_no_rule_matches_is_denied() {
        let elsewhere = rule("x.>", "x.>", RuleAction::Allow, 1_000);
        assert_eq!(decide_access([], &subject("a", "1"), &subject("a", "2")), Verdict::Denied(None));
        assert_eq!(decide_access([&elsewhere], &subject("a", "1"), &subject("a", "2")), Verdict::Denied(None));
    }

    #[test]
    fn a_namespace_is_open_within_and_closed_to_the_outside() {
        let rules = [Rule::of_namespace(&namespace("a")).unwrap(), Rule::of_namespace(&namespace("b")).unwrap()];
        let rules: Vec<Rule> = rules.into_iter().flatten().collect();
        let inside = decide_access(&rules, &subject("a", "1"), &subject("a", "2"));
        assert_eq!(inside, Verdict::Allowed(rules[0].clone()));
        let outside = decide_access(&rules, &subject("a", "1"), &subject("b", "2"));
        assert_eq!(outside, Verdict::Denied(Some(rules[1].clone())));
    }

    #[test]
    fn a_pair_opens_one_direction_only() {
        let mut rules: Vec<Rule> = Rule::of_namespace(&namespace("a")).unwrap().into();
        rules.extend(Rule::of_namespace(&namespace("b")).unwrap());
        rules.push(pair("a", "b", RuleAction::Allow));
        let decide = |from, to| decide_access(&rules, &subject(from, "1"), &subject(to, "2"));
        assert_eq!(decide("a", "b"), Verdict::Allowed(pair("a", "b", RuleAction::Allow)));
        assert!(matches!(decide("b", "a"), Verdict::Denied(Some(rule)) if rule.priority == 10));
    }

    #[test]
    fn a_pair_of_a_namespace_with_itself_cuts_nothing() {
        let mut rules: Vec<Rule> = Rule::of_namespace(&namespace("a")).unwrap().into();
        rules.push(pair("a", "a", RuleAction::Deny));
        assert!(matches!(decide_access(&rules, &subject("a", "1"), &subject("a", "2")), Verdict::Allowed(_)));
    }

    #[test]
    fn priority_comes_first_then_deny_then_bytes() {
        let mut rules = [
            rule("b.>", ">", RuleAction::Allow, 5),
            rule("a.>", ">", RuleAction::Allow, 5),
            rule("z.>", ">", RuleAction::Deny, 5),
            rule("a.>", "*", RuleAction::Allow, 5),
            rule("z.>", ">", RuleAction::Allow, 6),
            rule("z.>", ">", RuleAction::Deny, -6),
        ];
        rules.sort();
        let order: Vec<String> = rules.iter().map(ToString::to_string).collect();
        let wanted = [
            "allow z.> → > (priority 6)",
            "deny z.> → > (priority 5)",
            "allow a.> → * (priority 5)",
            "allow a.> → > (priority 5)",
            "allow b.> → > (priority 5)",
            "deny z.> → > (priority -6)",
        ];
        assert_eq!(order, wanted);
    }

    #[test]
    fn the_order_in_which_rules_come_does_not_matter() {
        let allow = rule("relay.>", "relay.>", RuleAction::Allow, 7);
        let deny = rule("relay.agent.*.1", "relay.>", RuleAction::Deny, 7);
        for rules in [[&allow, &deny], [&deny, &allow]] {
            let verdict = decide_access(rules, &subject("a", "1"), &subject("b", "2"));
            assert_eq!(verdict, Verdict::Denied(Some(deny.clone())));
        }
    }

    #[test]
    fn a_namespaces_rules_are_told_from_all_others() {
        for rule in Rule::of_namespace(&namespace("a")).unwrap() {
            assert_eq!(rule.namespace(), Some("a"));
            assert_eq!(Rule { priority: 11, ..rule }.namespace(), None);
        }
        assert_eq!(pair("a", "b", RuleAction::Allow).namespace(), None);
    }
}
