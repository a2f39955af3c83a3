//! Signatures of thoughts, in a place that every client brings back: `encrypted_content`.
//!
//! OpenAI's own content is a text that only OpenAI reads. What we give out names the dialect whose signature it is, so
//! that a conversation with any provider survives a client that only knows OpenAI's items. What we did not give out is
//! OpenAI's. A signature that belongs to a call instead of thoughts names the call.

use serde_json::{Value, json};

use crate::Dialect;
use crate::dialects::common::{carried_signature, carry_signature};
use crate::model::Opaque;

/// Where the id of a call stands in what we give out.
const CALL: &str = "of_call";

/// A signature, and whose it is.
pub(super) struct Signed {
    pub(super) signature: Opaque,
    /// The id of the call that it belongs to, if not to the thoughts.
    pub(super) call: Option<String>,
}

/// The `encrypted_content` that clients get for a signature of thoughts.
pub(super) fn of_thoughts(signature: &Opaque) -> String {
    carry_signature(signature)
}

/// The `encrypted_content` that clients get for a signature of a call, in an item before the call.
pub(super) fn of_call(signature: &Opaque, call: &str) -> String {
    let value = json!({CALL: call, "signature": carry_signature(signature)});
    carry_signature(&Opaque { dialect: Dialect::Responses, value })
}

/// What an `encrypted_content` is: ours, or that of OpenAI's item with that id.
pub(super) fn read(encrypted: &str, id: Option<String>) -> Signed {
    let Some(carried) = carried_signature(encrypted) else {
        let value = match id {
            Some(id) => json!({"id": id, "encrypted_content": encrypted}),
            None => json!({"encrypted_content": encrypted}),
        };
        return Signed { signature: Opaque { dialect: Dialect::Responses, value }, call: None };
    };
    let text = |key: &str| carried.value.get(key).and_then(Value::as_str);
    match (text(CALL), text("signature").and_then(carried_signature)) {
        (Some(call), Some(signature)) => Signed { signature, call: Some(call.to_owned()) },
        _ => Signed { signature: carried, call: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_any_dialect_survives_a_client_that_brings_it_back() {
        for dialect in [Dialect::Messages, Dialect::GenerateContent, Dialect::Responses] {
            let signature = Opaque { dialect, value: json!({"signature": "EqQBCgIYAhIM\"1gbcDa9GJwZA2b3h"}) };
            let back = read(&of_thoughts(&signature), Some("rs_ours_0".to_owned()));
            assert!(back.signature == signature && back.call.is_none());
            let back = read(&of_call(&signature, "call_1"), None);
            assert!(back.signature == signature && back.call.as_deref() == Some("call_1"));
        }
    }

    #[test]
    fn content_that_is_not_ours_is_openais_and_keeps_its_item() {
        let back = read("gAAAAABoISQ24OyVRYbk", Some("rs_1".to_owned()));
        assert_eq!(back.signature.dialect, Dialect::Responses);
        assert_eq!(back.signature.value, json!({"id": "rs_1", "encrypted_content": "gAAAAABoISQ24OyVRYbk"}));
        assert_eq!(read("carried-x", None).signature.value, json!({"encrypted_content": "carried-x"}));
    }
}
