//! The description of the routes, completed with what holds for all of them: who may ask, and what any of them may answer.

use serde_json::{Map, Value, json};

/// What anybody may ask for at the loopback address.
const OPEN: [&str; 2] = ["/healthz", "/api/mesh/session"];

/// What every route may answer.
const ANY: [(&str, &str); 6] = [
    ("401", "The token is missing, or is another one (at the loopback address)"),
    ("403", "Another `Host` or `Origin` than the address (at the loopback address)"),
    ("408", "The request did not come in time"),
    ("413", "The request is larger than 1 MiB"),
    ("500", "A mistake in the daemon, or something is left that a person must look at"),
    ("503", "Registry, relay or file system fail, or too much is asked at once"),
];

/// Completes what was generated from the routes.
pub(super) fn completed(mut description: Value) -> Value {
    for (path, methods) in objects(description.get_mut("paths")) {
        for (_, operation) in objects(Some(methods)) {
            if OPEN.contains(&path.as_str()) {
                put(operation, "security", json!([]));
            }
            for (status, answer) in objects(operation.get_mut("responses")) {
                complete_answer(status, answer);
            }
            let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
            if let Some(answers) = answers {
                for (status, when) in ANY {
                    answers.entry(status).or_insert_with(|| problem(when));
                }
            }
        }
    }
    let bearer = json!({ "type": "http", "scheme": "bearer", "description": "At the loopback address only." });
    if let Some(components) = description.get_mut("components") {
        put(components, "securitySchemes", json!({ "bearer": bearer }));
    }
    put(&mut description, "security", json!([{ "bearer": [] }]));
    description
}

/// The format wants every answer described; and what is no success is a problem in its own media type.
fn complete_answer(status: &str, answer: &mut Value) {
    let is_success = status.starts_with('2');
    let Some(answer) = answer.as_object_mut() else { return };
    answer.entry("description").or_insert_with(|| (if is_success { "The answer" } else { "It fails" }).into());
    if is_success {
        return;
    }
    let content = answer.get_mut("content").and_then(Value::as_object_mut);
    if let Some(content) = content
        && let Some(schema) = content.remove("application/json")
    {
        content.insert("application/problem+json".to_owned(), schema);
    }
}

fn problem(when: &str) -> Value {
    let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({ "description": when, "content": { "application/problem+json": schema } })
}

fn objects(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flat_map(Map::iter_mut)
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_says_what_any_may_answer_and_problems_have_their_type() {
        let json = json!({ "schema": {} });
        let generated = json!({ "components": {}, "paths": {
            "/healthz": { "get": { "responses": { "200": {} } } },
            "/x": { "post": { "responses": { "200": { "content": { "application/json": json } },
                "4XX": { "description": "no", "content": { "application/json": json } } } } },
        } });
        let completed = completed(generated);
        let answers = &completed["paths"]["/x"]["post"]["responses"];
        assert_eq!(answers["200"], json!({ "description": "The answer", "content": { "application/json": json } }));
        assert_eq!(answers["4XX"]["content"], json!({ "application/problem+json": json }));
        assert!(ANY.iter().all(|(status, _)| answers.get(status).is_some()));
        assert_eq!(completed["paths"]["/healthz"]["get"]["security"], json!([]));
    }
}
