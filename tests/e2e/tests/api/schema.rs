//! Answers against the document at `/api/v1/openapi.json`: status, kind of body, and its schema. Stricter than
//! JSON Schema is: what a schema does not name is not answered, and a keyword that is not known here fails.

use crate::routes::Route;
use portcullis_testkit::web::Answer;
use serde_json::{Map, Value};

/// The document of a gateway.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let place = reference.strip_prefix('#').unwrap();
                self.0.pointer(place).unwrap_or_else(|| panic!("{reference} leads nowhere"))
            }
            None => value,
        }
    }

    /// Fails unless the document says that this route may answer so.
    pub(crate) fn check(&self, route: &Route, answer: &Answer) {
        let (method, status) = (route.method.to_lowercase(), answer.status.to_string());
        let what = format!("{method} {} {status}: {}", route.path, answer.body);
        let operation = &self.0["paths"][route.path][&method];
        let described = self.resolved(&operation["responses"][&status]);
        assert!(described.is_object(), "the document does not have {what}");
        let kind = answer.headers("content-type").next().unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let Some(content) = described["content"].as_object() else {
            assert!(answer.body.is_empty(), "no body is described: {what}");
            return;
        };
        let schema = content.get(kind).unwrap_or_else(|| panic!("{kind} is not described: {what}"));
        if kind.ends_with("json") {
            let body = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {what}"));
            let wrong = self.wrong(&schema["schema"], &body, "", false);
            assert!(wrong.is_none(), "{}: {what}", wrong.unwrap());
        }
    }

    /// What is wrong with a value, and where. What is `open` has properties that are named elsewhere.
    fn wrong(&self, schema: &Value, value: &Value, at: &str, open: bool) -> Option<String> {
        let Some(rules) = schema.as_object() else {
            return (schema != true).then(|| format!("{at} may not be there"));
        };
        // Properties of what is flattened are named beside it.
        let parts =
            ["oneOf", "anyOf", "allOf", "$ref"].iter().any(|part| rules.contains_key(*part));
        let named = rules.contains_key("properties");
        for (rule, how) in rules {
            let wrong = match rule.as_str() {
                "$ref" => self.wrong(self.resolved(schema), value, at, open),
                "type" => {
                    let kinds = how.as_array().cloned().unwrap_or_else(|| vec![how.clone()]);
                    let fits = kinds.iter().any(|kind| is(kind.as_str().unwrap(), value));
                    (!fits).then(|| format!("{at} is no {how}"))
                }
                "enum" => {
                    (!how.as_array().unwrap().contains(value)).then(|| format!("{at}: {value}"))
                }
                "const" => (how != value).then(|| format!("{at}: {value} is not {how}")),
                "properties" => self.wrong_properties(rules, value, at, open || parts),
                "required" => {
                    let mut names =
                        how.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    let missing = names.find(|name| value.is_object() && value.get(name).is_none());
                    missing.map(|name| format!("{at} has no {name}"))
                }
                "items" => value.as_array().and_then(|all| {
                    let from =
                        rules.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                    let mut all = all.iter().enumerate().skip(from);
                    all.find_map(|(n, one)| self.wrong(how, one, &format!("{at}/{n}"), false))
                }),
                "prefixItems" => value.as_array().and_then(|all| {
                    let mut pairs = how.as_array().unwrap().iter().zip(all);
                    pairs.find_map(|(schema, one)| self.wrong(schema, one, at, false))
                }),
                "anyOf" | "oneOf" => {
                    let all: Vec<_> = how
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|s| self.wrong(s, value, at, open || named))
                        .collect();
                    let fit = all.iter().filter(|wrong| wrong.is_none()).count();
                    (fit == 0 || rule == "oneOf" && fit > 1)
                        .then(|| format!("{at} fits {fit} of {rule}: {all:?}"))
                }
                "allOf" => how
                    .as_array()
                    .unwrap()
                    .iter()
                    .find_map(|s| self.wrong(s, value, at, open || named)),
                "minimum" => {
                    (value.as_f64() < how.as_f64()).then(|| format!("{at} is less than {how}"))
                }
                "maximum" => {
                    (value.as_f64() > how.as_f64()).then(|| format!("{at} is more than {how}"))
                }
                "minItems" => (value.as_array().map(Vec::len) < how.as_u64().map(|n| n as usize))
                    .then(|| format!("{at} is short")),
                "maxItems" => (value.as_array().map(Vec::len) > how.as_u64().map(|n| n as usize))
                    .then(|| format!("{at} is long")),
                "additionalProperties"
                | "uniqueItems"
                | "description"
                | "title"
                | "default"
                | "format"
                | "pattern" => None,
                other => panic!("{at}: the keyword {other} is not known here"),
            };
            if wrong.is_some() {
                return wrong;
            }
        }
        None
    }

    fn wrong_properties(
        &self,
        rules: &Map<String, Value>,
        value: &Value,
        at: &str,
        open: bool,
    ) -> Option<String> {
        let known = rules["properties"].as_object().unwrap();
        value.as_object()?.iter().find_map(|(name, value)| match known.get(name) {
            Some(schema) => self.wrong(schema, value, &format!("{at}/{name}"), false),
            None if open => None,
            None if rules.get("additionalProperties").is_some_and(|more| *more == true) => None,
            None => Some(format!("{at}/{name} is not described")),
        })
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn what_does_not_fit_is_told() {
    use serde_json::json;
    let document = Document(json!({ "components": { "A": { "type": "string" } } }));
    let schema = json!({
        "type": "object", "required": ["a"],
        "properties": { "a": { "$ref": "#/components/A" }, "b": { "type": ["integer", "null"] } },
    });
    let check = |value: Value, good: bool| {
        let wrong = document.wrong(&schema, &value, "", false);
        assert_eq!(wrong.is_none(), good, "{value}: {wrong:?}");
    };
    check(json!({ "a": "x" }), true);
    check(json!({ "a": "x", "b": null }), true);
    check(json!({ "a": "x", "b": 1 }), true);
    check(json!({ "a": 1 }), false);
    check(json!({ "a": "x", "b": 1.5 }), false);
    check(json!({ "b": 1 }), false);
    check(json!({ "a": "x", "c": 1 }), false);
    check(json!([]), false);
}
