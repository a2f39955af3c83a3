//! The stored form of events: frozen examples, sealed as they lie on the stream, and what old versions look like.

use anyhow::Context as _;
use domain::sealed::SEALED_KEY;
use serde_json::{Value, json};

use super::events::SCHEMAS;

/// A file of `domain/tests/wire/`.
pub(super) struct Wire {
    /// `<type>.v<version>`.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// The frozen example of that name.
macro_rules! wire {
    ($name:literal) => {
        Wire { name: $name, text: include_str!(concat!("../../domain/tests/wire/", $name, ".json")) }
    };
}
pub(super) use wire;

/// A version that is written no more. Its schema is told as a difference to the newest, as its reading is in
/// `domain/src/upcast.rs`.
#[derive(Clone, Copy)]
pub(super) struct Old {
    name: &'static str,
    version: u32,
    /// Makes the newest schema the old one.
    pub(super) schema: fn(&mut Value) -> anyhow::Result<()>,
    /// What makes an old event a new one.
    pub(super) raised: &'static str,
}

const OLD: [Old; 1] = [Old {
    name: "session.reply_failed",
    version: 1,
    schema: |schema| {
        let message = schema.pointer_mut("/properties/reply_failed/properties/message").context("a field `message`")?;
        *message = json!({ "type": "string", "description": "The reason, for people, not sealed." });
        Ok(())
    },
    raised: "`message` is an open text. Version 2 seals it for the person of `content`, because it may quote the \
             conversation.",
}];

/// # Errors
/// The version is not described here.
pub(super) fn old(name: &str, version: u32) -> anyhow::Result<Old> {
    let found = OLD.into_iter().find(|old| old.name == name && old.version == version);
    found.with_context(|| format!("version {version} of `{name}` is not described in src/contracts/stored.rs"))
}

/// An open example as it lies on the stream. The ciphertext is the same everywhere: it stands for one.
pub(super) fn as_on_the_stream(mut payload: Value) -> Value {
    seal(&mut payload);
    payload
}

fn seal(value: &mut Value) {
    match value {
        Value::Object(fields) => match fields.get_mut(SEALED_KEY) {
            Some(content) => {
                *content = json!({
                    "subject": content["subject"],
                    "key": 1,
                    "nonce": "q83vEjRWeJCrze8S",
                    "data": "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+7w==",
                });
            }
            None => fields.values_mut().for_each(seal),
        },
        Value::Array(items) => items.iter_mut().for_each(seal),
        _ => {}
    }
}

/// A reference to a shared type, as its name.
pub(super) fn referenced(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}
