//! What was stored in an older form, in today's form.
//!
//! Promise: every version that was ever written can be read; a payload is raised step by step, after it was opened and
//! before it is decoded. A version from the future is none of ours and stays as it is.

use serde_json::{Value, json};

use crate::sealed::SEALED_KEY;

/// The version and payload of an opened event as today's types read them.
#[must_use]
pub fn upcast<'v>(event_type: &str, version: &'v str, payload: Value) -> (&'v str, Value) {
    match (event_type, version) {
        ("session.reply_failed", "1") => ("2", failure_message_sealed(payload)),
        _ => (version, payload),
    }
}

/// Version 2: the sentence about a failure may quote the conversation, so it belongs to the same person as the text.
fn failure_message_sealed(mut payload: Value) -> Value {
    let failure = &mut payload["reply_failed"];
    let subject = failure["content"][SEALED_KEY]["subject"].clone();
    let message = failure["message"].take();
    failure["message"] = json!({ SEALED_KEY: { "subject": subject, "open": message } });
    payload
}
