//! A relay ends up as it is wanted, whatever it does and whatever is done to it, and mail is neither lost nor doubled.

mod commands;
mod desk;
mod fake;
mod files;
mod mail;
mod outages;
mod processes;
mod speed;
mod tally;
mod wanted;

use meshd::agent::{AgentId, Namespace};
use meshd::relay::{Change, Endpoint, Pair, Present, Rule, RuleAction, Subject};

fn id(text: &str) -> AgentId {
    text.parse().unwrap()
}

fn namespace(text: &str) -> Namespace {
    Namespace::as_recorded(text.to_owned())
}

/// The subject of an agent in a namespace.
fn subject(namespace_name: &str, agent: &str) -> Subject {
    Subject::of_agent(&namespace(namespace_name), &id(agent)).unwrap()
}

fn endpoint(namespace_name: &str, agent: &str) -> Endpoint {
    Endpoint { subject: subject(namespace_name, agent), agent: id(agent) }
}

fn rules(namespace_name: &str) -> [Rule; 2] {
    Rule::of_namespace(&namespace(namespace_name)).unwrap()
}

fn pair(from: &str, to: &str, action: RuleAction) -> Pair {
    Pair { from_namespace: namespace(from), to_namespace: namespace(to), action }
}

/// What is wanted for these agents, each with its namespace.
fn agents(agents: &[(&str, &str)]) -> Vec<(AgentId, Namespace)> {
    agents.iter().map(|(agent, name)| (id(agent), namespace(name))).collect()
}

fn ensure(namespace_name: &str, agent: &str) -> Change {
    Change::EnsureEndpoint(endpoint(namespace_name, agent))
}

fn retire(namespace_name: &str, agent: &str, successor: Option<&str>) -> Change {
    let successor = successor.map(|namespace_name| subject(namespace_name, agent));
    Change::RetireEndpoint { subject: subject(namespace_name, agent), successor }
}

/// What there is after a change, worked out in the simplest way there is.
fn make(present: &mut Present, change: &Change) {
    match change {
        Change::PutRule(rule) if !present.rules.contains(rule) => present.rules.push(rule.clone()),
        Change::PutRule(_) => {}
        Change::RemoveRule(rule) => present.rules.retain(|other| other != rule),
        Change::EnsureEndpoint(endpoint) => {
            present.endpoints.retain(|other| other.subject != endpoint.subject);
            present.leftovers.retain(|other| *other != endpoint.subject);
            present.endpoints.push(endpoint.clone());
        }
        Change::RetireEndpoint { subject, .. } => {
            present.endpoints.retain(|other| other.subject != *subject);
            present.leftovers.retain(|other| other != subject);
        }
    }
}

/// The same, whatever the order.
fn sorted(mut present: Present) -> Present {
    present.endpoints.sort_by(|one, other| one.subject.cmp(&other.subject));
    present.rules.sort();
    present.leftovers.sort();
    present
}

/// What is there when everything that is wanted is, and nothing else.
fn complete(endpoints: &[(AgentId, Namespace)], pairs: &[Pair]) -> Present {
    let mut present = Present::default();
    for (agent, namespace) in endpoints {
        let subject = Subject::of_agent(namespace, agent).unwrap();
        make(&mut present, &Change::EnsureEndpoint(Endpoint { subject, agent: agent.clone() }));
        for rule in Rule::of_namespace(namespace).unwrap() {
            make(&mut present, &Change::PutRule(rule));
        }
    }
    for pair in pairs {
        make(&mut present, &Change::PutRule(pair.rule().unwrap()));
    }
    sorted(present)
}
