//! Editing: what was not given keeps its text.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const REQUIRED: &str =
    r#""id":"a1","name":"n","runtime":"codex","registeredAt":"2026-01-01T00:00Z","registeredBy":"me""#;

fn with(more: &str) -> String {
    format!("{{{REQUIRED}{more}}}")
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

/// The text without the white space between its tokens.
fn tokens(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let kept = text.chars().filter(|c| {
        let keep = inside || !c.is_ascii_whitespace();
        if *c == '"' && !escaped {
            inside = !inside;
        }
        escaped = *c == '\\' && !escaped;
        keep
    });
    kept.collect()
}

fn merged(text: &str, patch: Value) -> String {
    merge(text, &map(patch)).unwrap()
}

#[track_caller]
fn refused(patch: &Value, why: &str) {
    let error = merge(&with(""), &map(patch.clone())).unwrap_err();
    assert!(error.to_string().contains(why), "{patch} says {error}, not {why}");
}

#[test]
fn only_what_is_given_changes_and_keys_stay_where_they_are() {
    let text = with(r#","description":"d","budget":{"maxHopsPerMessage":2,"later":[1,{}]},"color":"red","zzz":[]"#);
    let after =
        merged(&text, json!({"description": "e", "budget": {"maxCallsPerHour": 9}, "icon": "i", "color": null}));
    let expected = r#"{
  "id": "a1",
  "name": "n",
  "runtime": "codex",
  "registeredAt": "2026-01-01T00:00Z",
  "registeredBy": "me",
  "description": "e",
  "budget": {
    "maxHopsPerMessage": 2,
    "later": [
      1,
      {}
    ],
    "maxCallsPerHour": 9
  },
  "zzz": [],
  "icon": "i"
}
"#;
    assert_eq!(after, expected);
}

#[test]
fn numbers_strings_and_keys_keep_the_text_that_they_were_written_as() {
    let odd =
        r#","a\u0062":[123456789012345678901234567890,1.10,-0,1E+2,0.1e-7,"\u00e9\/\t\"{[ ,:","é"],"c":{"d":-0.0}"#;
    let after = merged(&with(odd), json!({"name": "m", "c": {"e": 1}}));
    for kept in [
        r#""a\u0062": ["#,
        "123456789012345678901234567890",
        "1.10",
        "-0,",
        "1E+2",
        "0.1e-7",
        r#""\u00e9\/\t\"{[ ,:""#,
        r#""d": -0.0,"#,
    ] {
        assert!(after.contains(kept), "{kept} is not in {after}");
    }
    // A key is known under whatever escapes it was written with.
    assert!(!merged(&with(odd), json!({"ab": null})).contains("1.10"));
}

#[test]
fn null_removes_and_an_object_given_for_something_else_replaces_it() {
    let text = with(r#","x":[1],"behavior":{"responseMode":"silent","escalationThreshold":3}"#);
    let after = merged(&text, json!({"x": {"y": null, "z": [null]}, "behavior": {"escalationThreshold": null}}));
    let value: Value = serde_json::from_str(&after).unwrap();
    assert_eq!(value["x"], json!({"z": [null]}));
    assert_eq!(value["behavior"], json!({"responseMode": "silent"}));
    assert_eq!(merged(&after, json!({"none": null})), after);
}

#[test]
fn what_identifies_an_agent_is_not_changed() {
    for key in FIXED {
        let patch = map(json!({ key: null }));
        assert_eq!(merge(&with(""), &patch), Err(EditError::Fixed(key)));
    }
    let fields = map(json!({"id": "a", "isSystem": true}));
    assert_eq!(create(&fields), Err(EditError::Fixed("isSystem")));
}

#[test]
fn what_would_be_no_manifest_is_refused_and_its_key_named() {
    refused(&json!({"name": null}), "missing field `name`");
    refused(&json!({"runtime": "emacs"}), "`runtime`");
    refused(&json!({"budget": {"maxHopsPerMessage": 0}}), "at least 1");
    refused(&json!({"displayName": "x".repeat(101)}), "longer than 100");
    refused(&json!({"x": "\u{0}"}), "NUL");
    refused(&json!({"x": "y".repeat(256 * 1024)}), "larger than 256 KiB");
    assert!(matches!(merge("{", &Map::new()), Err(EditError::Unreadable(_))));
    assert!(matches!(merge("[]", &Map::new()), Err(EditError::Unreadable(_))));
}

#[test]
fn a_person_is_held_to_more_than_a_file() {
    refused(&json!({"name": " \t "}), "blank");
    refused(&json!({"name": "a\u{1b}[2J"}), "control characters");
    refused(&json!({"name": "a\u{202e}b"}), "control characters");
    refused(&json!({"namespace": "項目"}), "letter");
    for key in LENIENT {
        for bad in [json!(1), json!(""), json!({}), json!(false)] {
            refused(&json!({ key: bad }), "must be text");
        }
        assert!(merged(&with(""), json!({ key: "x" })).contains("\"x\""));
        merged(&with(""), json!({ key: null }));
    }
    // But only for what is given: what stands in the file is for its writer to put right.
    let odd = with(r#","namespace":"項目","model":1"#).replace("\"n\"", r#"" ""#);
    assert!(merged(&odd, json!({"color": "red"})).contains("\"model\": 1"));
}

#[test]
fn a_new_manifest_has_the_given_fields_in_their_order() {
    let fields = map(json!({
        "id": "a1", "name": "naïve \"x\"", "description": null, "runtime": "codex", "budget": {"maxCallsPerHour": 7},
        "capabilities": ["a", "b"], "registeredAt": "2026-01-01T00:00Z", "registeredBy": "me",
    }));
    let text = create(&fields).unwrap();
    let mut expected = fields.clone();
    expected.shift_remove("description");
    assert_eq!(text, serde_json::to_string_pretty(&expected).unwrap() + "\n");
    let mut without = fields;
    without.shift_remove("registeredAt");
    assert!(create(&without).unwrap_err().to_string().contains("registeredAt"));
}

#[test]
fn line_ends_and_tabs_of_another_editor_become_ours() {
    let text = with(",\r\n\t\"x\" :\t[ 1 ,\r\n2 ] ");
    let after = merged(&text, json!({}));
    assert!(!after.contains(['\r', '\t']));
    assert_eq!(tokens(&after), tokens(&text));
}

/// A manifest's text with keys that nobody knows, however they may be written.
fn texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| Value::from(text.replace('\0', "")).to_string()),
        r#""(\\u00[1-9a-f][0-9a-f]|\\[nrtbf/"]|\\\\|\[|\{|,|:| |é|😀){0,8}""#,
    ];
    let space = "[ \t\r\n]{0,2}";
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..5), space)
                .prop_map(|(list, space)| format!("[{space}{}]", list.join(&format!("{space},{space}")))),
            (vec(inner, 0..5), space).prop_map(|(values, space)| {
                let entries = values.iter().enumerate();
                let entries: Vec<String> =
                    entries.map(|(n, value)| format!("{space}\"k\\u006{n}\"{space}:{value}{space}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
    .prop_filter("JSON", |text| serde_json::from_str::<Value>(text).is_ok())
    .prop_map(|value| with(&format!(" ,\n\"rest\":{value}\t")))
    .prop_filter("a manifest", |text| Manifest::parse(text.as_bytes()).is_ok())
}

fn patches() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\\\\\"é]{0,5}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("k[`abcd]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    proptest::collection::btree_map("rest|k[abc]", value, 0..3).prop_map(|map| map.into_iter().collect())
}

/// RFC 7396, as it stands there.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = if let Value::Object(map) = target { map } else { Map::new() };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else {
            let before = target.get(key).cloned().unwrap_or(Value::Null);
            target.insert(key.clone(), merge_patch(before, value));
        }
    }
    Value::Object(target)
}

proptest! {
    #[test]
    fn merging_nothing_only_reformats(text in texts()) {
        let after = merge(&text, &Map::new()).unwrap();
        prop_assert_eq!(tokens(&after), tokens(&text));
        prop_assert_eq!(after.lines().last(), Some("}"));
        prop_assert_eq!(merge(&after, &Map::new()).unwrap(), after);
    }

    #[test]
    fn merging_does_what_the_rfc_says_and_once_is_enough(text in texts(), patch in patches()) {
        let after = merge(&text, &patch).unwrap();
        let expected = merge_patch(serde_json::from_str(&text).unwrap(), &Value::Object(patch.clone()));
        prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), expected);
        prop_assert_eq!(merge(&after, &patch).unwrap(), after);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), patch in patches()) {
        let _ = merge(&text, &patch);
        let _ = Node::scan(&text);
    }
}
