//! The model's thoughts, and what providers want to see again of them, in chat completions.
//!
//! OpenAI's dialect has no place for either. Their text is `reasoning_content` of a message, as DeepSeek has it and most
//! clients read it. Where a provider signed them they stand in `reasoning_details` as well: OpenRouter's list, which its
//! clients and the coding agents give back unchanged. A signature of another dialect is the item's `signature`, or its
//! `data` where the thoughts are hidden, in the form of `carry_signature`; an item that a provider made stays as it is.
//! What belongs to a call is in the call's `extra_content.google.thought_signature`, where Google's own OpenAI-compatible
//! endpoint has it and expects it.
//!
//! Sources: OpenRouter, "Reasoning Tokens: preserving reasoning blocks"; Google, "Thought signatures" (OpenAI
//! compatibility).

use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::dialects::common::{carried_signature, carry_signature};
use crate::model::{Opaque, Part};

const OWN: Dialect = Dialect::ChatCompletions;
const TEXT: &str = "reasoning.text";
const HIDDEN: &str = "reasoning.encrypted";
/// The id of an item that belongs behind the text of its message: Gemini signs texts, too.
const BEHIND: &str = "behind-the-text";

/// Where an item stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// In the list.
    pub(super) index: usize,
    /// Something was said before it.
    pub(super) is_behind: bool,
}

/// The thoughts of an assistant's message, signed ones where the list has any: those before its text, and those behind.
pub(super) fn read(details: Option<Vec<Value>>, texts: [Option<String>; 2]) -> (Vec<Part>, Vec<Part>) {
    let (behind, before): (Vec<Value>, Vec<Value>) =
        details.into_iter().flatten().partition(|item| item.get("id").is_some_and(|id| id == BEHIND));
    let parts = |items: Vec<Value>| items.into_iter().filter_map(part_of_detail).collect::<Vec<Part>>();
    let (mut before, behind) = (parts(before), parts(behind));
    if before.is_empty() && behind.is_empty() {
        let text = texts.into_iter().flatten().find(|text| !text.is_empty());
        before.extend(text.map(|text| Part::Reasoning { text, signature: None }));
    }
    (before, behind)
}

/// What an item of the list says.
pub(super) fn part_of_detail(item: Value) -> Option<Part> {
    let word = |key: &str| item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = word("text").or_else(|| word("summary")).unwrap_or_default().to_owned();
    let mark = word("signature").or_else(|| word("data"));
    if let Some(signature) = mark.and_then(carried_signature) {
        return Some(Part::Reasoning { text, signature: Some(signature) });
    }
    if mark.is_none() && word("type").is_none_or(|kind| kind == TEXT) {
        return (!text.is_empty()).then_some(Part::Reasoning { text, signature: None });
    }
    Some(Part::Reasoning { text, signature: Some(Opaque { dialect: OWN, value: item }) })
}

/// An item of the list. `carries` says whether signatures of other dialects go along: to clients, never to providers.
pub(super) fn detail(text: &str, signature: Option<&Opaque>, place: Place, carries: bool) -> Option<Value> {
    let Place { index, is_behind } = place;
    let Some(signature) = signature.filter(|signature| carries || signature.dialect == OWN) else {
        return (!text.is_empty()).then(|| json!({"type": TEXT, "text": text, "index": index}));
    };
    if let Some(item) = signature.in_dialect(OWN) {
        return Some(item.clone());
    }
    let format = match signature.dialect {
        Dialect::Messages => "anthropic-claude-v1",
        Dialect::GenerateContent => "google-gemini-v1",
        Dialect::Responses => "openai-responses-v1",
        Dialect::ChatCompletions | Dialect::Converse => "unknown",
    };
    let mark = carry_signature(signature);
    let mut item = match text {
        "" => json!({"type": HIDDEN, "data": mark, "format": format, "index": index}),
        text => json!({"type": TEXT, "text": text, "signature": mark, "format": format, "index": index}),
    };
    if is_behind {
        item["id"] = BEHIND.into();
    }
    Some(item)
}

/// The list of a message's thoughts, in their order.
pub(super) fn details(parts: &[Part], carries: bool) -> Vec<Value> {
    let mut place = Place::default();
    let mut items = Vec::new();
    for part in parts {
        match part {
            Part::Reasoning { text, signature } => {
                items.extend(detail(text, signature.as_ref(), place, carries));
                place.index = items.len();
            }
            Part::Text { .. } => place.is_behind = true,
            _ => {}
        }
    }
    items
}

/// The text of all thoughts of a message.
pub(super) fn text(parts: &[Part]) -> String {
    thoughts(parts).map(|(text, _)| text).collect()
}

/// Whether a thought has a signature that the list can say.
pub(super) fn is_signed(parts: &[Part], carries: bool) -> bool {
    thoughts(parts).any(|(_, signature)| signature.is_some_and(|signature| carries || signature.dialect == OWN))
}

fn thoughts(parts: &[Part]) -> impl Iterator<Item = (&str, Option<&Opaque>)> {
    parts.iter().filter_map(|part| match part {
        Part::Reasoning { text, signature } => Some((text.as_str(), signature.as_ref())),
        _ => None,
    })
}

/// The `extra_content` of a call with that signature.
pub(super) fn of_call(signature: &Opaque, carries: bool) -> Option<Value> {
    let mark = match (signature.dialect, &signature.value) {
        (OWN, extra) => return Some(extra.clone()),
        (Dialect::GenerateContent, Value::String(mark)) => mark.clone(),
        _ if carries => carry_signature(signature),
        _ => return None,
    };
    Some(json!({"google": {"thought_signature": mark}}))
}

/// The signature in the `extra_content` of a call.
pub(super) fn call_signature(call: &mut Map<String, Value>) -> Option<Opaque> {
    let extra = call.shift_remove("extra_content").filter(Value::is_object)?;
    let Some(mark) = extra.pointer("/google/thought_signature").and_then(Value::as_str) else {
        return Some(Opaque { dialect: OWN, value: extra });
    };
    let own = || Opaque { dialect: Dialect::GenerateContent, value: mark.into() };
    Some(carried_signature(mark).unwrap_or_else(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(dialect: Dialect, value: Value) -> Part {
        Part::Reasoning { text: "Hm.".to_owned(), signature: Some(Opaque { dialect, value }) }
    }

    #[test]
    fn signatures_of_every_dialect_survive_the_way_over_a_client() {
        let hidden = Opaque { dialect: Dialect::Responses, value: json!({"id": "rs_1", "encrypted_content": "gAAAA"}) };
        let parts = vec![
            signed(Dialect::Messages, json!("EqQBCgIYAhIM")),
            Part::Reasoning { text: String::new(), signature: Some(hidden) },
            Part::Reasoning { text: "And then".to_owned(), signature: None },
            signed(OWN, json!({"type": TEXT, "text": "Hm.", "signature": "sig", "format": "anthropic-claude-v1"})),
        ];
        let list = details(&parts, true);
        assert_eq!(list[0]["format"], "anthropic-claude-v1");
        assert_eq!((&list[1]["type"], &list[1]["index"]), (&json!(HIDDEN), &json!(1)));
        assert_eq!(list[3]["signature"], "sig");
        assert!(read(Some(list), [None, Some("ignored".to_owned())]) == (parts, vec![]));
    }

    #[test]
    fn a_signature_behind_the_text_stays_behind_it() {
        let behind = Opaque { dialect: Dialect::GenerateContent, value: json!({"previous": "c2ln"}) };
        let hidden = Part::Reasoning { text: String::new(), signature: Some(behind) };
        let before = signed(Dialect::Messages, json!("EqQB"));
        let list = details(&[before.clone(), Part::text("Yes."), hidden.clone()], true);
        assert_eq!((&list[0]["index"], &list[1]["index"]), (&json!(0), &json!(1)));
        assert!(read(Some(list), [None, None]) == (vec![before], vec![hidden]));
    }

    #[test]
    fn a_provider_gets_its_own_signatures_back_and_never_those_of_others() {
        let own = json!({"type": "reasoning.encrypted", "data": "xyz", "id": "rs_1", "format": "openai-responses-v1"});
        let parts = [signed(Dialect::Messages, json!("EqQBCgIYAhIM")), signed(OWN, own.clone())];
        assert_eq!(details(&parts, false), [json!({"type": TEXT, "text": "Hm.", "index": 0}), own]);
        assert!(!is_signed(&parts[..1], false) && is_signed(&parts, false));
    }

    #[test]
    fn thoughts_without_a_signature_are_their_text_whatever_the_field_is_called() {
        let plain = |text: &str| (vec![Part::Reasoning { text: text.to_owned(), signature: None }], vec![]);
        assert!(read(None, [Some("a".to_owned()), Some("b".to_owned())]) == plain("a"));
        assert!(read(Some(vec![]), [Some(String::new()), Some("b".to_owned())]) == plain("b"));
        assert!(read(None, [None, None]) == (vec![], vec![]));
    }

    #[test]
    fn a_call_keeps_googles_signature_in_googles_form_and_others_within_it() {
        let google = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQBjz1r") };
        let extra = of_call(&google, false).unwrap();
        assert_eq!(extra, json!({"google": {"thought_signature": "CkQBjz1r"}}));
        let other = Opaque { dialect: Dialect::Converse, value: json!({"a": 1}) };
        assert_eq!(of_call(&other, false), None);
        for signature in [google, other, Opaque { dialect: OWN, value: json!({"vendor": {"x": 1}}) }] {
            let mut call = Map::from_iter([("extra_content".to_owned(), of_call(&signature, true).unwrap())]);
            assert!(call_signature(&mut call) == Some(signature));
            assert!(call.is_empty());
        }
        assert!(call_signature(&mut Map::new()).is_none());
    }
}
