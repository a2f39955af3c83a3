//! Google's `Schema` and JSON Schema, one into the other.
//!
//! `Schema` is a part of OpenAPI 3.0: types in capitals, `nullable`, no references, `enum` of strings only. Models from
//! 2.5 on take JSON Schema itself, so the reduction is for earlier ones. Source: `Schema` of
//! google.ai.generativelanguage.v1beta (ai.google.dev/api/caching#Schema).

use serde_json::{Map, Value, json};

/// Subschemas of one schema at most, references resolved; beyond it any object is allowed.
const MAX_NODES: u32 = 2_000;
/// Levels at most; a schema that refers to itself ends there.
const MAX_DEPTH: u32 = 24;
/// What means the same in both and is copied.
const COPIED: [&str; 12] = [
    "title",
    "description",
    "default",
    "pattern",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
];
/// Counts, which the JSON mapping of protocol buffers may write as strings.
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];
const FORMATS: [&str; 5] = ["float", "double", "int32", "int64", "date-time"];

/// What `Schema` can say of a JSON Schema.
pub(super) fn reduced(schema: &Value) -> Value {
    Reducer { root: schema, left: MAX_NODES }.node(schema, 0)
}

struct Reducer<'a> {
    root: &'a Value,
    left: u32,
}

impl Reducer<'_> {
    fn node(&mut self, schema: &Value, depth: u32) -> Value {
        let Some(map) = schema.as_object().filter(|_| self.left > 0 && depth < MAX_DEPTH) else {
            return json!({ "type": "OBJECT" });
        };
        self.left -= 1;
        if let Some(target) = map.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return self.node(&found.unwrap_or(Value::Null), depth + 1);
        }
        let mut out = Map::new();
        for key in COPIED {
            out.extend(map.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        if let Some(format) = map.get("format").filter(|format| FORMATS.iter().any(|known| *format == known)) {
            out.insert("format".to_owned(), format.clone());
        }
        self.children(map, &mut out, depth);
        self.variants(map, &mut out, depth);
        enumeration(map, &mut out);
        types(map, &mut out);
        Value::Object(out)
    }

    fn children(&mut self, map: &Map<String, Value>, out: &mut Map<String, Value>, depth: u32) {
        if let Some(items) = map.get("items").filter(|items| items.is_object()) {
            out.insert("items".to_owned(), self.node(items, depth + 1));
        }
        let Some(properties) = map.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
            return;
        };
        let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: Vec<Value> =
            required.filter(|name| name.as_str().is_some_and(|name| properties.contains_key(name))).cloned().collect();
        let reduced = properties.iter().map(|(name, schema)| (name.clone(), self.node(schema, depth + 1)));
        let reduced: Map<String, Value> = reduced.collect();
        out.insert("properties".to_owned(), reduced.into());
        if !required.is_empty() {
            out.insert("required".to_owned(), required.into());
        }
    }

    /// `anyOf` and `oneOf` are alternatives; what `allOf` lists is put together.
    fn variants(&mut self, map: &Map<String, Value>, out: &mut Map<String, Value>, depth: u32) {
        let list = |key: &str| map.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        for part in list("allOf") {
            let Value::Object(part) = self.node(&part, depth + 1) else { continue };
            for (key, value) in part {
                match (out.get_mut(&key), value) {
                    (Some(Value::Object(all)), Value::Object(more)) => all.extend(more),
                    (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                    (Some(_), _) => {}
                    (None, value) => drop(out.insert(key, value)),
                }
            }
        }
        let mut alternatives: Vec<Value> = [list("anyOf"), list("oneOf")].concat();
        if alternatives.is_empty() {
            return;
        }
        let all = alternatives.len();
        alternatives.retain(|variant| variant.get("type").is_none_or(|kind| kind != "null"));
        if alternatives.len() < all {
            out.insert("nullable".to_owned(), true.into());
        }
        let mut reduced: Vec<Value> = alternatives.iter().map(|variant| self.node(variant, depth + 1)).collect();
        match reduced.len() {
            0 => {}
            1 => {
                let only = reduced.pop().as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
                for (key, value) in only {
                    out.entry(key).or_insert(value);
                }
            }
            _ => drop(out.insert("anyOf".to_owned(), reduced.into())),
        }
    }
}

fn enumeration(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    let values = match (map.get("const"), map.get("enum")) {
        (Some(only), _) => vec![only.clone()],
        (None, Some(Value::Array(values))) => values.clone(),
        _ => return,
    };
    if values.iter().any(Value::is_null) {
        out.insert("nullable".to_owned(), true.into());
    }
    let texts: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
    if !texts.is_empty() && texts.iter().all(Value::is_string) {
        out.insert("enum".to_owned(), texts.into());
        out.insert("type".to_owned(), "STRING".into());
    }
}

fn types(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    let names: Vec<&str> = match map.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if out.contains_key("properties") => vec!["object"],
        _ if out.contains_key("items") => vec!["array"],
        _ => vec![],
    };
    if names.len() > 1 && names.contains(&"null") {
        out.insert("nullable".to_owned(), true.into());
    }
    let mut types: Vec<String> = names
        .iter()
        .filter(|name| names.len() == 1 || **name != "null")
        .map(|name| name.to_ascii_uppercase())
        .collect();
    match types.len() {
        0 => {}
        1 => {
            out.entry("type").or_insert_with(|| types.swap_remove(0).into());
        }
        _ => {
            let each: Vec<Value> = types.into_iter().map(|name| json!({ "type": name })).collect();
            out.entry("anyOf").or_insert_with(|| each.into());
        }
    }
}

/// The JSON Schema that says the same as a `Schema`.
pub(super) fn json_schema(schema: Value) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut out = Map::new();
    let mut nullable = false;
    for (key, value) in map {
        match (key.as_str(), value) {
            ("nullable", value) => nullable = value == true,
            ("example", _) => {}
            ("type", Value::String(name)) if name == "TYPE_UNSPECIFIED" => {}
            ("format", Value::String(name)) if name == "enum" => {}
            ("type", Value::String(name)) => drop(out.insert(key, name.to_ascii_lowercase().into())),
            ("properties" | "defs", Value::Object(named)) => {
                let named: Map<String, Value> =
                    named.into_iter().map(|(name, schema)| (name, json_schema(schema))).collect();
                out.insert(dollar(key), named.into());
            }
            ("items" | "additionalProperties", value) => drop(out.insert(key, json_schema(value))),
            ("anyOf", Value::Array(list)) => {
                out.insert(key, list.into_iter().map(json_schema).collect());
            }
            (_, Value::String(text)) if COUNTS.contains(&key.as_str()) => {
                out.extend(text.parse::<u64>().ok().map(|count| (key, count.into())));
            }
            (_, value) => drop(out.insert(dollar(key), value)),
        }
    }
    if nullable {
        admit_null(&mut out);
    }
    Value::Object(out)
}

fn dollar(key: String) -> String {
    if key == "ref" || key == "defs" { format!("${key}") } else { key }
}

fn admit_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(Value::Array(variants)) = schema.get_mut("anyOf") {
        variants.push(json!({ "type": "null" }));
    } else if let Some(Value::String(name)) = schema.get("type") {
        schema.insert("type".to_owned(), json!([name, "null"]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_google_does_not_know_is_left_out_and_references_are_put_in_place() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
            "$defs": { "Place": { "type": "object", "properties": { "name": { "type": "string", "format": "uri" } } } },
            "properties": {
                "where": { "$ref": "#/$defs/Place" },
                "when": { "type": ["string", "null"], "format": "date-time" },
                "unit": { "const": "C" },
                "size": { "oneOf": [{ "type": "integer" }, { "type": "null" }], "description": "how big" },
                "mixed": { "type": ["string", "number"] },
            },
            "required": ["where", "absent"],
        });
        let expected = json!({
            "properties": {
                "where": { "properties": { "name": { "type": "STRING" } }, "type": "OBJECT" },
                "when": { "format": "date-time", "nullable": true, "type": "STRING" },
                "unit": { "enum": ["C"], "type": "STRING" },
                "size": { "description": "how big", "nullable": true, "type": "INTEGER" },
                "mixed": { "anyOf": [{ "type": "STRING" }, { "type": "NUMBER" }] },
            },
            "required": ["where"],
            "type": "OBJECT",
        });
        assert_eq!(reduced(&schema), expected);
    }

    #[test]
    fn what_all_of_lists_is_put_together() {
        let schema = json!({ "allOf": [
            { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
            { "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b"] }] });
        let expected = json!({ "properties": { "a": { "type": "STRING" }, "b": { "type": "INTEGER" } },
            "required": ["a", "b"], "type": "OBJECT" });
        assert_eq!(reduced(&schema), expected);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends_within_the_limits() {
        let tree = json!({ "type": "object", "properties": {
            "left": { "$ref": "#" }, "right": { "$ref": "#" }, "lost": { "$ref": "#/nowhere" } } });
        let size = reduced(&tree).to_string().len();
        assert!(size < 200_000, "{size} bytes");
    }

    #[test]
    fn a_schema_of_google_is_json_schema_for_everybody_else() {
        let schema = json!({ "type": "OBJECT", "properties": {
                "tags": { "type": "ARRAY", "items": { "type": "STRING", "nullable": true }, "maxItems": "3" },
                "kind": { "type": "STRING", "format": "enum", "enum": ["A"], "nullable": true } },
            "propertyOrdering": ["tags", "kind"] });
        let expected = json!({ "type": "object", "properties": {
                "tags": { "type": "array", "items": { "type": ["string", "null"] }, "maxItems": 3 },
                "kind": { "type": ["string", "null"], "enum": ["A", null] } },
            "propertyOrdering": ["tags", "kind"] });
        assert_eq!(json_schema(schema), expected);
    }
}
