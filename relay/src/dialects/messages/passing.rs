//! A client's body on its way to an upstream of the same dialect.

use serde_json::{Map, Value};

use super::carried;
use crate::body::Marks;
use crate::dialects::claude::fitted_budget;

/// What of a conversation [`ask`] may change.
pub(crate) const REACH: Marks = Marks::CARRIED;

/// Makes a client's body fit for an upstream: without what only we can read, and with a budget of thinking that fits into
/// `max_tokens`, which may have become fewer than the client asked for.
pub(crate) fn ask(body: &mut Map<String, Value>) {
    carried::take_out(body);
    let max_tokens = body.get("max_tokens").and_then(Value::as_u64).and_then(|most| u32::try_from(most).ok());
    let budget = body.get("thinking").and_then(|thinking| thinking.get("budget_tokens")).and_then(Value::as_u64);
    let (Some(max_tokens), Some(budget)) = (max_tokens, budget) else { return };
    if budget < u64::from(max_tokens) {
        return;
    }
    match (fitted_budget(u32::try_from(budget).unwrap_or(u32::MAX), max_tokens), body.get_mut("thinking")) {
        (Some(fitted), Some(Value::Object(thinking))) => {
            thinking.insert("budget_tokens".to_owned(), Value::from(fitted));
        }
        _ => drop(body.shift_remove("thinking")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passed(body: Value) -> Value {
        let Value::Object(mut body) = body else { panic!("no object") };
        ask(&mut body);
        Value::Object(body)
    }

    #[test]
    fn a_body_of_this_dialect_alone_passes_unchanged() {
        let body = json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2048}, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                {"type": "thinking", "thinking": "of a server that signs nothing", "signature": ""},
                {"type": "redacted_thinking", "data": "EmwK"},
            ]},
        ]});
        assert_eq!(passed(body.clone()), body);
    }

    #[test]
    fn what_only_we_can_read_does_not_pass() {
        let unsigned = carried::of_thoughts(None);
        let foreign = crate::model::Opaque { dialect: crate::Dialect::GenerateContent, value: json!("Ck==") };
        let passed = passed(json!({"messages": [
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": unsigned}]},
            {"role": "assistant", "content": [
                carried::before_call("t", Some(&foreign)),
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ]},
        ]}));
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
        assert_eq!(passed["messages"], json!([{"role": "assistant", "content": [call]}]));
    }

    #[test]
    fn a_budget_of_thinking_follows_a_bound_that_became_smaller() {
        let thinking = json!({"type": "enabled", "budget_tokens": 8000});
        let bound = |most: u32| passed(json!({"max_tokens": most, "thinking": thinking}));
        assert_eq!(bound(4096)["thinking"]["budget_tokens"], 3072);
        assert!(bound(1000).get("thinking").is_none());
        assert_eq!(bound(8001)["thinking"], thinking);
    }
}
