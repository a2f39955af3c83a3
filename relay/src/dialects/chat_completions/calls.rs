//! Tool calls in fragments, with the numbers that clients rely on.
//!
//! OpenAI numbers the calls of a choice from 0, and gives id and name once. Others number from 1, count a block of
//! reasoning, number every parallel call 0, leave the number out, or repeat id and name in each fragment, which the
//! official SDKs then join into one long id. Here every call gets the number of its appearance.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::RelayError;

/// More calls than this in one choice are a mistake; OpenAI allows 128 tools.
const MAX_CALLS: usize = 1_024;

/// The calls of one choice so far, by the number that clients see.
#[derive(Default)]
pub(crate) struct Calls {
    open: Vec<Call>,
    /// From the provider's numbers to ours. One that is used again leads to the newer call.
    numbers: BTreeMap<i64, usize>,
}

#[derive(Default)]
struct Call {
    id: Option<String>,
    name: Option<String>,
}

impl Calls {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether a fragment with this number and neither id nor name goes on with the call that clients see under the same
    /// number: it needs no regulating.
    pub(crate) fn goes_on(&self, number: i64) -> bool {
        let ours = self.numbers.get(&number).filter(|at| **at < self.open.len());
        ours.is_some_and(|at| i64::try_from(*at) == Ok(number))
    }

    /// Gives a fragment its number and takes from it what was said before.
    ///
    /// # Errors
    /// [`RelayError::UpstreamGarbage`] if it is no object or there are too many calls.
    pub(crate) fn regulate(&mut self, fragment: &mut Value) -> Result<(), RelayError> {
        let garbage = |what: &str| RelayError::UpstreamGarbage(what.to_owned());
        let fragment = fragment.as_object_mut().ok_or_else(|| garbage("a tool call is no object"))?;
        let number = fragment.get("index").and_then(Value::as_i64);
        let id = word(fragment.get("id"));
        let name = word(fragment.get(kind(fragment)).and_then(|function| function.get("name")));
        let at = match self.known(number, id.as_deref(), name.is_some()) {
            Some(at) => at,
            None if self.open.len() >= MAX_CALLS => return Err(garbage("there are too many tool calls")),
            None => {
                self.open.push(Call::default());
                self.open.len() - 1
            }
        };
        if let Some(number) = number {
            self.numbers.insert(number, at);
        }
        fragment.insert("index".to_owned(), at.into());
        if let Some(call) = self.open.get_mut(at) {
            call.say_once(fragment, id, name);
        }
        Ok(())
    }

    /// Which of the calls a fragment continues; `None` if it begins one.
    fn known(&self, number: Option<i64>, id: Option<&str>, is_named: bool) -> Option<usize> {
        let by_id = id.and_then(|id| self.open.iter().position(|call| call.id.as_deref() == Some(id)));
        let last = self.open.len().checked_sub(1);
        let at = by_id.or_else(|| match number {
            Some(number) => self.numbers.get(&number).copied(),
            None if id.is_some() => None,
            None => last,
        })?;
        let call = self.open.get(at)?;
        let has_other_id = id.is_some() && call.id.is_some() && call.id.as_deref() != id;
        let begins_anew = is_named && call.name.is_some() && (has_other_id || (number.is_none() && id.is_none()));
        (!begins_anew).then_some(at)
    }
}

impl Call {
    fn say_once(&mut self, fragment: &mut Map<String, Value>, id: Option<String>, name: Option<String>) {
        match id {
            Some(id) if self.id.is_none() => self.id = Some(id),
            // Said before, or empty.
            _ => fragment.retain(|key, _| key != "id"),
        }
        let repeats = name.is_none() || name == self.name;
        let key = kind(fragment);
        if let Some(function) = fragment.get_mut(key).and_then(Value::as_object_mut).filter(|_| repeats) {
            function.retain(|key, _| key != "name");
        }
        self.name = self.name.take().or(name);
    }
}

/// Where a call has its name: `custom` tools take text instead of arguments.
fn kind(fragment: &Map<String, Value>) -> &'static str {
    if fragment.contains_key("custom") { "custom" } else { "function" }
}

fn word(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn regulated(fragments: Value) -> Value {
        let mut calls = Calls::default();
        let Value::Array(mut fragments) = fragments else { panic!("fragments are a list") };
        fragments.iter_mut().for_each(|fragment| calls.regulate(fragment).unwrap());
        fragments.into()
    }

    /// What each fragment belongs to, and what it says.
    fn summary(fragments: Value) -> Vec<(u64, Option<String>, Option<String>, String)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let line = |call: &Value| {
            let function = &call["function"];
            let arguments = text(&function["arguments"]).unwrap_or_default();
            (call["index"].as_u64().unwrap(), text(&call["id"]), text(&function["name"]), arguments)
        };
        regulated(fragments).as_array().unwrap().iter().map(line).collect()
    }

    fn line(
        index: u64,
        id: Option<&str>,
        name: Option<&str>,
        arguments: &str,
    ) -> (u64, Option<String>, Option<String>, String) {
        (index, id.map(str::to_owned), name.map(str::to_owned), arguments.to_owned())
    }

    #[test]
    fn what_openai_sends_stays_as_it_is() {
        let fragments = json!([
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 0, "function": {"arguments": "{\"x\""}},
            {"index": 0, "function": {"arguments": ":1}"}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "function": {"arguments": "{}"}},
        ]);
        assert_eq!(regulated(fragments.clone()), fragments);
    }

    #[test]
    fn numbers_that_begin_at_one_or_skip_are_put_in_order() {
        let fragments = json!([
            {"index": 1, "id": "a", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "function": {"arguments": "{}"}},
            {"index": 3, "id": "b", "function": {"name": "g", "arguments": ""}},
            {"index": 1, "function": {"arguments": " "}},
        ]);
        let expected = [
            line(0, Some("a"), Some("f"), ""),
            line(0, None, None, "{}"),
            line(1, Some("b"), Some("g"), ""),
            line(0, None, None, " "),
        ];
        assert_eq!(summary(fragments), expected);
    }

    #[test]
    fn parallel_calls_that_all_have_the_number_zero_are_told_apart_by_their_ids() {
        let fragments = json!([
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}},
        ]);
        assert_eq!(summary(fragments), [line(0, Some("a"), Some("f"), "{}"), line(1, Some("b"), Some("f"), "{}")]);
    }

    #[test]
    fn fragments_without_a_number_belong_to_the_last_call_until_another_begins() {
        let fragments = json!([
            {"id": "a", "function": {"name": "f", "arguments": "{"}},
            {"function": {"arguments": "}"}},
            {"id": "b", "function": {"name": "f", "arguments": "{}"}},
            {"index": null, "function": {"name": "g", "arguments": "{}"}},
        ]);
        let expected = [
            line(0, Some("a"), Some("f"), "{"),
            line(0, None, None, "}"),
            line(1, Some("b"), Some("f"), "{}"),
            line(2, None, Some("g"), "{}"),
        ];
        assert_eq!(summary(fragments), expected);
    }

    #[test]
    fn an_id_and_a_name_that_are_repeated_or_empty_are_said_once() {
        let fragments = json!([
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}},
            {"index": 0, "id": "", "function": {"name": "", "arguments": " "}},
        ]);
        let expected = [line(0, Some("a"), Some("f"), "{"), line(0, None, None, "}"), line(0, None, None, " ")];
        assert_eq!(summary(fragments), expected);
    }

    #[test]
    fn a_custom_tool_is_a_tool() {
        let fragments = json!([{"index": 2, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "SEL"}}]);
        let expected = json!([{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "SEL"}}]);
        assert_eq!(regulated(fragments), expected);
    }

    #[test]
    fn what_is_no_call_and_more_calls_than_any_model_makes_are_garbage() {
        let mut calls = Calls::default();
        assert!(calls.regulate(&mut json!("call")).is_err());
        for number in 0..MAX_CALLS {
            calls.regulate(&mut json!({"index": number})).unwrap();
        }
        assert!(calls.regulate(&mut json!({"index": MAX_CALLS})).is_err());
        calls.regulate(&mut json!({"index": 3})).unwrap();
    }
}
