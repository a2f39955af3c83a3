//! How values that write themselves look to a subscriber, as JSON Schema.
//!
//! Promise: events and what they consist of derive their schema, so the contract with subscribers (`docs/EVENTS.md`,
//! `docs/asyncapi.json`) is made from the types themselves; here are only the few types whose JSON is not derived, each
//! as it lies on the stream. A sealed field is therefore described in its encrypted form: nobody outside sees another.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    Sealed,
    billing::{Currency, Factor, Fee, Nanos, Rate},
    id::Id,
};

/// A UUID; `UserId` and its like by the kind's own name and sentence.
impl<Kind: JsonSchema> JsonSchema for Id<Kind> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Id", Kind::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = Kind::json_schema(generator);
        let of = kind.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        json_schema!({ "type": "string", "format": "uuid", "description": format!("The id of {}", lowered(of)) })
    }
}

/// As it is at rest: which person's key opens it, and the ciphertext.
impl<T: JsonSchema> JsonSchema for Sealed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Sealed{}", capitalised(&T::schema_name())).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Personal data, encrypted with the data key of the person `subject` (AES-256-GCM). Once that \
                            key was destroyed nobody can open it any more; the fact around it stays as it is.",
            "properties": {
                "$sealed": {
                    "type": "object",
                    "properties": {
                        "subject": { "type": "string", "format": "uuid", "description": "Whose data it is." },
                        "key": { "type": "integer", "minimum": 1, "description": "Which of that person's keys." },
                        "nonce": { "type": "string", "contentEncoding": "base64", "description": "12 bytes." },
                        "data": {
                            "type": "string",
                            "contentEncoding": "base64",
                            "description": "The value as JSON, encrypted, with its 16-byte tag at the end. It is bound to \
                                            aggregate type, id, sequence and the field's path.",
                        },
                    },
                    "required": ["subject", "key", "nonce", "data"],
                    "additionalProperties": false,
                },
            },
            "required": ["$sealed"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for Nanos {
    fn schema_name() -> Cow<'static, str> {
        "Nanos".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]{1,19}$",
            "description": "An amount: an integer number of nano-units (1e-9) of the ledger currency, as a string because \
                            it may pass 2^53.",
            "examples": ["1000000000"],
        })
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,9})?$",
            "description": "Currency units per million tokens, as an exact decimal.",
            "examples": ["2.5"],
        })
    }
}

impl JsonSchema for Fee {
    fn schema_name() -> Cow<'static, str> {
        "Fee".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,9})?$",
            "description": "Currency units for each call, as an exact decimal.",
            "examples": ["0.04"],
        })
    }
}

impl JsonSchema for Factor {
    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]{1,4}(\.[0-9]{1,9})?$",
            "description": "What a price is multiplied by, as an exact decimal.",
            "examples": ["0.8"],
        })
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "The currency of the ledger: three capital letters (ISO 4217).",
            "examples": ["USD"],
        })
    }
}

fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod spec {
    use schemars::{SchemaGenerator, generate::SchemaSettings};

    use super::*;
    use crate::{UserId, chat::SessionEvent};

    fn generator() -> SchemaGenerator {
        SchemaSettings::draft07().for_serialize().into_generator()
    }

    #[test]
    fn an_id_is_called_by_its_kind() {
        assert_eq!(UserId::schema_name(), "UserId");
        assert_eq!(UserId::json_schema(&mut generator()).get("description").unwrap(), "The id of an account.");
    }

    #[test]
    fn a_sealed_field_is_described_as_nobody_without_its_key_can_read_it() {
        let mut generator = generator();
        let schema = serde_json::to_value(Sealed::<String>::json_schema(&mut generator)).unwrap();
        assert!(!schema.to_string().contains("\"open\""), "{schema}");
        let event = serde_json::to_string(&generator.into_root_schema_for::<SessionEvent>()).unwrap();
        assert!(event.contains("definitions/SealedString") && !event.contains("\"open\""), "{event}");
    }
}
