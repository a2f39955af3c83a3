//! A JSON Schema in words: tables of fields, and the types that they have in common.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use domain::sealed::SEALED_KEY;
use serde_json::{Map, Value};

use super::events::sentence_of;
use super::stored::referenced;

/// What a field `at` says, wherever it stands.
const AT: &str = "When it happened.";
/// Where types are explained that are texts of some form.
const VALUES: &str = "Ids and other values";

/// The shared types by name.
pub(super) struct Words<'t> {
    types: &'t Map<String, Value>,
}

impl<'t> Words<'t> {
    pub(super) fn of(types: &'t Map<String, Value>) -> Self {
        Self { types }
    }

    /// The fields of an object, a row each.
    ///
    /// # Errors
    /// A field has no sentence of its own, nor has its type; `owner` is named then.
    pub(super) fn table(&self, object: &Value, owner: &str) -> anyhow::Result<String> {
        let fields = object["properties"].as_object().with_context(|| format!("`{owner}` has no fields"))?;
        let mut table = "| field | type | meaning |\n|---|---|---|\n".to_owned();
        for (name, field) in fields {
            let meaning = self.meaning(name, field);
            ensure!(!meaning.is_empty(), "the field `{name}` of `{owner}` has no sentence: write a doc comment on it");
            let required = object["required"].as_array().is_some_and(|required| required.iter().any(|is| is == name));
            let absent = if required { "" } else { "; may be absent" };
            writeln!(table, "| `{name}` | {}{absent} | {meaning} |", self.kind(field))?;
        }
        Ok(table)
    }

    /// A chapter for all types.
    ///
    /// # Errors
    /// As [`Self::table`].
    pub(super) fn types(&self) -> anyhow::Result<String> {
        // Sealed ones are explained once, at the head of the page.
        let told = self.types.iter().filter(|(_, schema)| !is_sealed(schema));
        let (values, composed): (Vec<_>, Vec<_>) = told.partition(|(_, schema)| is_value(schema));
        let mut page =
            format!("\n# Types\n\n## {VALUES}\nAll are texts in JSON.\n\n| type | form | meaning |\n|---|---|---|\n");
        for (name, schema) in values {
            writeln!(page, "| {name} | {} | {} |", form(schema), sentence_of(schema))?;
        }
        for (name, schema) in composed {
            write!(page, "\n## {name}\n{}\n\n", sentence_of(schema))?;
            match schema["oneOf"].as_array() {
                Some(choices) => page.push_str(&self.choices(choices, name)?),
                None => page.push_str(&self.table(schema, name)?),
            }
        }
        Ok(page)
    }

    /// One of several: words, objects with one key, or objects of which one field says which they are.
    fn choices(&self, choices: &[Value], owner: &str) -> anyhow::Result<String> {
        let mut list = String::new();
        for choice in choices {
            if let Some(word) = choice["const"].as_str() {
                writeln!(list, "- `\"{word}\"`: {}", sentence_of(choice))?;
                continue;
            }
            if let Some((tag, word)) = tag_of(choice) {
                writeln!(list, "- `{{\"{tag}\": \"{word}\", …}}`: {}", sentence_of(choice))?;
                let fields = choice["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != tag);
                for (name, field) in fields {
                    writeln!(list, "  - `{name}`, {}: {}", self.kind(field), self.meaning(name, field))?;
                }
                continue;
            }
            let key = choice["properties"].as_object().and_then(|keys| keys.iter().next());
            let (key, fields) = key.with_context(|| format!("a choice of `{owner}` is a word or an object"))?;
            writeln!(list, "- `{{\"{key}\": {{…}}}}`: {}", sentence_of(choice))?;
            for (name, field) in fields["properties"].as_object().into_iter().flatten() {
                writeln!(list, "  - `{name}`, {}: {}", self.kind(field), self.meaning(name, field))?;
            }
        }
        Ok(list)
    }

    fn meaning(&self, name: &str, field: &Value) -> String {
        let own = sentence_of(field);
        if !own.is_empty() {
            return own;
        }
        let inner = inner(field);
        match referenced(inner).and_then(|name| self.types.get(name)) {
            // That it is sealed says nothing about what it is.
            Some(shared) if !is_sealed(shared) => sentence_of(shared),
            None if name == "at" => AT.to_owned(),
            _ => String::new(),
        }
    }

    /// The type of a field.
    fn kind(&self, field: &Value) -> String {
        if let Some(name) = referenced(field) {
            return match self.types.get(name) {
                Some(shared) if is_sealed(shared) => "[sealed](#sealed-fields) text".to_owned(),
                Some(shared) if is_value(shared) => format!("[{name}](#{})", anchor(VALUES)),
                _ => format!("[{name}](#{})", anchor(name)),
            };
        }
        if let Some(only) = field["allOf"].get(0) {
            return self.kind(only);
        }
        if let Some(choice) = field["anyOf"].get(0) {
            return format!("{} or null", self.kind(choice));
        }
        let nullable = field["type"].is_array();
        let name = if nullable { &field["type"][0] } else { &field["type"] };
        let kind = match (name.as_str(), field["format"].as_str()) {
            (Some("array"), _) => format!("list of {}", self.kind(&field["items"])),
            (Some("string"), Some("date-time")) => "time".to_owned(),
            (Some("string"), Some("uuid")) => "UUID".to_owned(),
            (Some("string"), _) => "text".to_owned(),
            (Some(name), _) => name.to_owned(),
            (None, _) => "any".to_owned(),
        };
        if nullable { format!("{kind} or null") } else { kind }
    }
}

/// The field that says which of several an object is, and what it says.
fn tag_of(choice: &Value) -> Option<(&str, &str)> {
    let fields = choice["properties"].as_object()?;
    fields.iter().find_map(|(name, field)| Some((name.as_str(), field["const"].as_str()?)))
}

/// What a list, an optional or an annotated field holds.
fn inner(field: &Value) -> &Value {
    let within = field.get("items").or_else(|| field["allOf"].get(0)).or_else(|| field["anyOf"].get(0));
    within.map_or(field, inner)
}

fn is_value(schema: &Value) -> bool {
    schema["type"] == "string"
}

fn is_sealed(schema: &Value) -> bool {
    schema["properties"].get(SEALED_KEY).is_some()
}

fn form(schema: &Value) -> String {
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("uuid"), _) => "UUID".to_owned(),
        (_, Some(pattern)) => format!("`{pattern}`"),
        _ => "text".to_owned(),
    }
}

/// As GitHub and others make it of a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}
