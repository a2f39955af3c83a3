//! What a model wants to see again with a call of a tool, remembered for clients that do not bring it back.
//!
//! Models that think sign their thoughts and want the signatures back, unread and unchanged, with the results of the
//! tools that they called: Gemini refuses a call without its own, Claude a turn without its thoughts, OpenAI's models
//! think again. Many clients keep ids, names and arguments of calls and drop everything else. Every client keeps the id.
//!
//! Only translated calls are looked at: a client that speaks the provider's own dialect knows what to keep.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Dialect;
use crate::model::{Answer, Delta, Message, Opaque, Part, Prompt};

/// What belongs to one call. Not for people's eyes: thoughts are as private as the answer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Thoughts {
    /// Of the tool, because not every provider's ids are unique.
    name: String,
    /// The call's own signature.
    signature: Option<Signed>,
    /// The signed thoughts that led to the calls of its step, kept with the first of them.
    before: Vec<(String, Signed)>,
}

/// A signature, and whose it is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Signed {
    dialect: Dialect,
    value: Value,
}

/// Takes what is to be remembered. It must not wait.
pub trait Remember: Send + Sync {
    /// Remembers what belongs to the call with this id.
    fn remember(&self, call: &str, thoughts: Thoughts);
}

/// What is remembered for one call of a served API, and who takes what its answer adds.
#[derive(Clone, Default)]
pub struct Memory {
    known: Arc<HashMap<String, Thoughts>>,
    keeper: Option<Arc<dyn Remember>>,
}

impl Memory {
    /// `known` by the ids of calls; `keeper` gets what the answer brings.
    #[must_use]
    pub fn new(known: HashMap<String, Thoughts>, keeper: Arc<dyn Remember>) -> Self {
        Self { known: Arc::new(known), keeper: Some(keeper) }
    }

    /// Gives a prompt back what its client dropped.
    pub(crate) fn complete(&self, prompt: &mut Prompt) {
        if !self.known.is_empty() {
            prompt.messages.iter_mut().for_each(|message| self.complete_message(message));
        }
    }

    fn complete_message(&self, message: &mut Message) {
        let mut before = Vec::new();
        for part in &mut message.parts {
            let Part::ToolCall { id, name, signature, .. } = part else { continue };
            let Some(known) = self.known.get(id).filter(|known| known.name == *name) else { continue };
            if signature.is_none() {
                *signature = known.signature.clone().map(Signed::into_opaque);
            }
            before.extend(known.before.iter().cloned());
        }
        let is_foreign = |part: &Part| match part {
            Part::Reasoning { signature: Some(signature), .. } => !before.iter().any(|(_, known)| known.is(signature)),
            _ => false,
        };
        if before.is_empty() || message.parts.iter().any(is_foreign) {
            return;
        }
        // What came back without its signature, or the signature without its words, are the same thoughts.
        message.parts.retain(|part| !matches!(part, Part::Reasoning { .. }));
        let before =
            before.into_iter().map(|(text, signed)| Part::Reasoning { text, signature: Some(signed.into_opaque()) });
        message.parts.splice(0..0, before);
    }

    /// Listens to one answer.
    pub(crate) fn listener(&self) -> Listening {
        Listening { keeper: self.keeper.clone(), text: String::new(), before: Vec::new() }
    }

    /// The same for an answer that is whole.
    pub(crate) fn hear(&self, answer: &Answer) {
        let mut listening = self.listener();
        for part in answer.candidates.iter().take(1).flat_map(|candidate| &candidate.parts) {
            match part {
                Part::Reasoning { text, signature } => {
                    listening.text.push_str(text);
                    signature.iter().for_each(|signature| listening.signed(signature));
                }
                Part::ToolCall { id, name, signature, .. } => listening.called(id, name, signature.as_ref()),
                _ => {}
            }
        }
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

/// Hears an answer and remembers what belongs to its calls. Of several candidates, the first.
pub(crate) struct Listening {
    keeper: Option<Arc<dyn Remember>>,
    text: String,
    before: Vec<(String, Signed)>,
}

impl Listening {
    pub(crate) fn hear(&mut self, delta: &Delta) {
        if self.keeper.is_none() {
            return;
        }
        match delta {
            Delta::Reasoning { candidate: 0, text } => self.text.push_str(text),
            Delta::ReasoningSignature { candidate: 0, signature } => self.signed(signature),
            Delta::ToolCall { candidate: 0, id, name, signature, .. } => self.called(id, name, signature.as_ref()),
            _ => {}
        }
    }

    fn signed(&mut self, signature: &Opaque) {
        self.before.push((std::mem::take(&mut self.text), Signed::of(signature)));
    }

    fn called(&mut self, id: &str, name: &str, signature: Option<&Opaque>) {
        let (signature, before) = (signature.map(Signed::of), std::mem::take(&mut self.before));
        if let Some(keeper) = &self.keeper
            && (signature.is_some() || !before.is_empty())
        {
            keeper.remember(id, Thoughts { name: name.to_owned(), signature, before });
        }
    }
}

impl Signed {
    fn of(signature: &Opaque) -> Self {
        Self { dialect: signature.dialect, value: signature.value.clone() }
    }

    fn is(&self, signature: &Opaque) -> bool {
        self.dialect == signature.dialect && self.value == signature.value
    }

    fn into_opaque(self) -> Opaque {
        Opaque { dialect: self.dialect, value: self.value }
    }
}

impl fmt::Debug for Thoughts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thoughts(signed: {}, {} before)", self.signature.is_some(), self.before.len())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} calls)", self.known.len())
    }
}

#[cfg(test)]
mod spec {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::model::Author;

    #[derive(Default)]
    struct Kept(Mutex<HashMap<String, Thoughts>>);

    impl Remember for Kept {
        fn remember(&self, call: &str, thoughts: Thoughts) {
            self.0.lock().unwrap().insert(call.to_owned(), thoughts);
        }
    }

    fn signature(dialect: Dialect, text: &str) -> Opaque {
        Opaque { dialect, value: json!(text) }
    }

    fn call(id: &str, signature: Option<Opaque>) -> Part {
        let (name, arguments) = ("f".to_owned(), "{}".to_owned());
        Part::ToolCall { id: id.to_owned(), name, arguments, custom: false, signature }
    }

    fn asked(parts: Vec<Part>) -> Prompt {
        Prompt { messages: vec![Message { author: Author::Assistant, name: None, parts }], ..Prompt::default() }
    }

    /// What is kept of an answer with these steps, after it was written down and read again.
    fn remembered(deltas: &[Delta]) -> Memory {
        let kept = Arc::new(Kept::default());
        let keeper: Arc<dyn Remember> = Arc::clone(&kept) as _;
        let mut listening = Memory::new(HashMap::new(), Arc::clone(&keeper)).listener();
        deltas.iter().for_each(|delta| listening.hear(delta));
        let known = serde_json::to_string(&*kept.0.lock().unwrap()).unwrap();
        Memory::new(serde_json::from_str(&known).unwrap(), keeper)
    }

    fn called(id: &str, signature: Option<Opaque>) -> Delta {
        let (id, name) = (id.to_owned(), "f".to_owned());
        Delta::ToolCall { candidate: 0, call: 0, id, name, custom: false, signature }
    }

    fn thoughts() -> [Delta; 4] {
        [
            Delta::Reasoning { candidate: 0, text: "It ".to_owned() },
            Delta::Reasoning { candidate: 0, text: "rains.".to_owned() },
            Delta::ReasoningSignature { candidate: 0, signature: signature(Dialect::Messages, "s1") },
            called("a", None),
        ]
    }

    #[test]
    fn a_call_gets_the_signature_back_that_it_had() {
        let ours = signature(Dialect::GenerateContent, "sig");
        let memory = remembered(&[called("a", Some(ours.clone())), called("b", None)]);
        let mut prompt = asked(vec![call("a", None), call("b", None)]);
        memory.complete(&mut prompt);
        assert!(prompt == asked(vec![call("a", Some(ours)), call("b", None)]));
    }

    #[test]
    fn thoughts_stand_before_their_call_again_in_place_of_what_lost_its_signature() {
        let memory = remembered(&thoughts());
        let whole =
            Part::Reasoning { text: "It rains.".to_owned(), signature: Some(signature(Dialect::Messages, "s1")) };
        let unsigned = Part::Reasoning { text: "It rains.".to_owned(), signature: None };
        let without_words =
            Part::Reasoning { text: String::new(), signature: Some(signature(Dialect::Messages, "s1")) };
        for dropped in [None, Some(unsigned), Some(without_words), Some(whole.clone())] {
            let mut prompt = asked(dropped.into_iter().chain([Part::text("So"), call("a", None)]).collect());
            memory.complete(&mut prompt);
            assert!(prompt == asked(vec![whole.clone(), Part::text("So"), call("a", None)]), "{prompt:?}");
        }
    }

    #[test]
    fn what_a_client_brings_back_itself_stays_as_it_is() {
        let memory = remembered(&thoughts());
        let own = Part::Reasoning { text: "Mine.".to_owned(), signature: Some(signature(Dialect::Messages, "s2")) };
        let signed = call("a", Some(signature(Dialect::GenerateContent, "mine")));
        let mut prompt = asked(vec![own, signed]);
        let before = prompt.clone();
        memory.complete(&mut prompt);
        assert!(prompt == before);
    }

    #[test]
    fn a_call_of_another_tool_under_the_same_id_is_another_call() {
        let memory = remembered(&[called("a", Some(signature(Dialect::GenerateContent, "sig")))]);
        let other = Part::ToolCall {
            id: "a".to_owned(),
            name: "g".to_owned(),
            arguments: "{}".to_owned(),
            custom: false,
            signature: None,
        };
        let mut prompt = asked(vec![other.clone()]);
        memory.complete(&mut prompt);
        assert!(prompt == asked(vec![other]));
    }

    #[test]
    fn nothing_is_remembered_of_calls_without_signatures_and_nothing_is_shown() {
        let memory = remembered(&[called("a", None)]);
        assert!(memory.known.is_empty());
        assert!(!format!("{:?} {:?}", remembered(&thoughts()), thoughts()[2]).contains("s1"));
        assert!(!format!("{:?}", remembered(&thoughts()).known).contains("rains"));
    }
}
