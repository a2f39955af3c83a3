//! Signatures of thoughts: what a model wants to see again, unread and unchanged.
//!
//! Rules of Google's guide "Thought signatures" (ai.google.dev/gemini-api/docs/thought-signatures): a model from version 3
//! on refuses a prompt in which, within the current turn, the first call of a step is not signed; the current turn begins
//! with the last message of the person that is more than results of tools. Calls that no model made, or whose signature
//! is lost, bear the word that the guide gives for it. Earlier turns are not looked at.
//!
//! A signature on a text or a picture is a thought without words behind it, `{"previous": …}`; on an empty text it is the
//! bare word. Signatures of other dialects travel through clients of this one as bytes that only we read.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use crate::Dialect;
use crate::dialects::common::{carried_signature, carry_signature};
use crate::model::{Author, Message, Opaque, Part, Prompt};

/// Instead of a signature that does not exist: the guide's "context engineering" word, which skips the check.
const NONE_EXISTS: &str = "skip_thought_signature_validator";
const PREVIOUS: &str = "previous";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// The SDKs read the field as bytes and write it again in either alphabet.
const ALPHABETS: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&STANDARD, LENIENT), GeneralPurpose::new(&URL_SAFE, LENIENT)];

/// What stands in `thoughtSignature`.
pub(super) fn read(signature: String) -> Opaque {
    carried(&signature).unwrap_or_else(|| ours(signature.into()))
}

fn carried(signature: &str) -> Option<Opaque> {
    let bytes = ALPHABETS.iter().find_map(|alphabet| alphabet.decode(signature).ok())?;
    carried_signature(std::str::from_utf8(&bytes).ok()?)
}

/// Whether only we can read it.
pub(super) fn is_foreign(signature: &str) -> bool {
    carried(signature).is_some()
}

/// The same of a part that is neither thought nor call.
pub(super) fn read_behind(signature: &str) -> Part {
    Part::Reasoning { text: String::new(), signature: Some(ours(json!({ PREVIOUS: signature }))) }
}

fn ours(value: Value) -> Opaque {
    Opaque { dialect: Dialect::GenerateContent, value }
}

/// A signature for an upstream, if it is Google's own.
pub(super) fn of_google(signature: &Opaque) -> Option<&str> {
    signature.in_dialect(Dialect::GenerateContent)?.as_str()
}

/// A signature that belongs to the part before it.
pub(super) fn of_previous(signature: &Opaque) -> Option<&str> {
    signature.in_dialect(Dialect::GenerateContent)?.get(PREVIOUS)?.as_str()
}

/// Whether it says something without the words that it signs: Google's do, others sign them.
pub(super) fn stands_alone(signature: &Opaque) -> bool {
    signature.in_dialect(Dialect::GenerateContent).is_some()
}

/// A signature for a client, whosever it is.
pub(super) fn for_client(signature: &Opaque) -> String {
    match of_google(signature).or_else(|| of_previous(signature)) {
        Some(signature) => signature.to_owned(),
        None => ALPHABETS[0].encode(carry_signature(signature)),
    }
}

/// The ids of the calls in a prompt that bear no signature of Google's, oldest first. Of calls that a model made at once
/// only the first is signed, so not each of them ever had one.
#[must_use]
pub fn unsigned_calls(prompt: &Prompt) -> Vec<String> {
    let calls = prompt.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall { id, signature, .. } if !is_signed(signature.as_ref()) => Some(id.clone()),
        _ => None,
    });
    calls.collect()
}

/// Gives each call without a signature of Google's the one that `kept` knows by its id.
pub fn sign_calls(prompt: &mut Prompt, kept: impl Fn(&str) -> Option<Opaque>) {
    for part in prompt.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolCall { id, signature, .. } = part
            && !is_signed(signature.as_ref())
            && let Some(known) = kept(id)
        {
            *signature = Some(known);
        }
    }
}

fn is_signed(signature: Option<&Opaque>) -> bool {
    signature.is_some_and(|signature| of_google(signature).is_some())
}

/// Where the current turn begins, as an index of a message.
pub(super) fn current_turn(messages: &[Message]) -> usize {
    let asks = |message: &Message| {
        message.author == Author::User && message.parts.iter().any(|part| !matches!(part, Part::ToolResult(_)))
    };
    messages.iter().rposition(asks).unwrap_or(0)
}

/// Signs the first call among the parts of one step, if none is signed.
pub(super) fn sign_step(parts: &mut [Value]) {
    let first = parts.iter_mut().find(|part| part.get("functionCall").is_some()).and_then(Value::as_object_mut);
    if let Some(first) = first {
        first.entry("thoughtSignature").or_insert_with(|| NONE_EXISTS.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, signature: Option<&str>) -> Part {
        Part::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            custom: false,
            signature: signature.map(|signature| ours(signature.into())),
        }
    }

    #[test]
    fn calls_without_a_signature_are_told_and_signed_by_their_ids() {
        let parts = vec![call("a", Some("sig")), call("b", None), call("c", None)];
        let mut prompt =
            Prompt { messages: vec![Message { author: Author::Assistant, name: None, parts }], ..Prompt::default() };
        assert_eq!(unsigned_calls(&prompt), ["b", "c"]);
        sign_calls(&mut prompt, |id| (id == "c").then(|| ours("kept".into())));
        assert_eq!(unsigned_calls(&prompt), ["b"]);
    }

    #[test]
    fn a_signature_of_another_dialect_comes_back_through_a_client_and_goes_to_no_model_of_google() {
        let theirs = Opaque { dialect: Dialect::Messages, value: json!({ "signature": "EqQB" }) };
        let carried = for_client(&theirs);
        assert!(read(carried.clone()) == theirs);
        let bytes = ALPHABETS[0].decode(&carried).unwrap();
        assert!(read(ALPHABETS[1].encode(bytes)) == theirs, "as the SDK for Python gives it back");
        assert_eq!(of_google(&theirs), None);
        let googles = "CvQBAdHtim9=".to_owned();
        assert!(read(googles.clone()) == ours(googles.clone().into()));
        assert_eq!(for_client(&ours(googles.clone().into())), googles);
    }

    #[test]
    fn a_turn_begins_where_a_person_speaks_and_not_where_tools_answer() {
        let result = Part::ToolResult(crate::model::ToolOutcome {
            call_id: "a".to_owned(),
            name: None,
            content: vec![],
            is_error: false,
            cache: None,
        });
        let messages = [
            Message::text(Author::User, "one"),
            Message::text(Author::Assistant, "two"),
            Message::text(Author::User, "three"),
            Message { author: Author::Assistant, name: None, parts: vec![call("a", None)] },
            Message { author: Author::User, name: None, parts: vec![result] },
        ];
        assert_eq!(current_turn(&messages), 2);
        assert_eq!(current_turn(&[]), 0);
    }
}
