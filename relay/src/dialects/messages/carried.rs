//! Signatures that the dialect has no place for, in the hands of its clients.
//!
//! Clients bring thinking blocks back as they got them. So a thought of another provider bears its own signature there in
//! a form that only we read, one that nobody signed bears a mark, and the signature of a call stands in a block of
//! redacted thinking before it. None of that reaches an upstream of this dialect.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::block::opaque;
use crate::dialects::claude::{redacted, signed, tool_id};
use crate::dialects::common::{carried_signature, carry_signature};
use crate::model::{Opaque, Part};

/// The call that a signature belongs to, and the signature.
const CALL: &str = "of_call";
const SIGNS: &str = "signs";

/// What stands in a thinking block for a client where the signature is not Claude's.
pub(super) fn of_thoughts(signature: Option<&Opaque>) -> String {
    signature.map_or_else(|| carry_signature(&opaque(Value::Null)), carry_signature)
}

/// The signature of a thinking block.
pub(super) fn read_thoughts(signature: &str) -> Option<Opaque> {
    match carried_signature(signature) {
        Some(carried) if carried.value.is_null() => None,
        Some(carried) => Some(carried),
        None if signature.is_empty() => None,
        None => Some(signed(signature)),
    }
}

/// The block before a call that bears its signature, if it has one.
pub(super) fn before_call(id: &str, signature: Option<&Opaque>) -> Option<Value> {
    let value = json!({CALL: tool_id(id), SIGNS: carry_signature(signature?)});
    Some(json!({"type": "redacted_thinking", "data": carry_signature(&opaque(value))}))
}

/// What a block of redacted thinking is.
pub(super) fn read_redacted(data: &str) -> Opaque {
    carried_signature(data).unwrap_or_else(|| redacted(data))
}

/// Gives the signatures before calls to their calls.
pub(super) fn sign_calls(parts: &mut Vec<Part>) {
    let mut signatures = HashMap::new();
    parts.retain(|part| match part {
        Part::Reasoning { signature: Some(Opaque { value, .. }), .. } if value.get(CALL).is_some() => {
            let text = |key: &str| value.get(key).and_then(Value::as_str);
            if let (Some(call), Some(signature)) = (text(CALL), text(SIGNS).and_then(carried_signature)) {
                signatures.insert(call.to_owned(), signature);
            }
            false
        }
        _ => true,
    });
    for part in parts {
        if let Part::ToolCall { id, signature, .. } = part {
            *signature = signatures.remove(id);
        }
    }
}

/// Whether a block of a client's is only ours to read.
fn is_ours(block: &Value) -> bool {
    let key = match block.get("type").and_then(Value::as_str) {
        Some("thinking") => "signature",
        Some("redacted_thinking") => "data",
        _ => return false,
    };
    block.get(key).and_then(Value::as_str).and_then(carried_signature).is_some()
}

/// Takes what is only ours to read out of a client's body, for an upstream that gets the body as it is.
pub(super) fn take_out(body: &mut Map<String, Value>) {
    let Some(Value::Array(messages)) = body.get_mut("messages") else { return };
    messages.retain_mut(|message| match message.get_mut("content") {
        Some(Value::Array(blocks)) if blocks.iter().any(is_ours) => {
            blocks.retain(|block| !is_ours(block));
            !blocks.is_empty()
        }
        _ => true,
    });
}
