//! Custom tools, which take text instead of JSON, at upstreams that know only functions.
//!
//! There such a tool is told as a function with one argument. Its calls come back as JSON, and become the text again that
//! the client who told the tool understands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::{Answer, Delta, Part, Prompt, Tool};
use crate::{DeltaWriter, ServedEvent, Usage};

/// The one argument; what is no JSON object becomes it in `common::arguments_object` too.
const ARGUMENT: &str = "input";

/// The parameters of the function.
pub(crate) fn parameters() -> Value {
    json!({"type": "object", "properties": {ARGUMENT: {"type": "string"}}, "required": [ARGUMENT]})
}

/// The names of a prompt's custom tools.
pub(crate) fn names(prompt: &Prompt) -> BTreeSet<String> {
    let name = |tool: &Tool| if let Tool::Custom { name, .. } = tool { Some(name.clone()) } else { None };
    prompt.tools.iter().filter_map(name).collect()
}

/// The text within the arguments of a call. A model that did not keep to the schema meant all of them.
fn text(arguments: String) -> String {
    let argument = serde_json::from_str::<Value>(&arguments).ok();
    let text = argument.as_ref().and_then(|object| object.get(ARGUMENT)).and_then(Value::as_str).map(str::to_owned);
    text.unwrap_or(arguments)
}

/// Makes the calls of custom tools in a whole answer what they are.
pub(crate) fn restore(answer: &mut Answer, names: &BTreeSet<String>) {
    for part in answer.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts) {
        if let Part::ToolCall { name, arguments, custom: custom @ false, .. } = part
            && names.contains(name)
        {
            *custom = true;
            *arguments = text(std::mem::take(arguments));
        }
    }
}

/// The same for a streamed answer on its way to `writer`. The text of a call is told once it is whole.
pub(crate) fn restoring(writer: Box<dyn DeltaWriter>, names: BTreeSet<String>) -> Box<dyn DeltaWriter> {
    if names.is_empty() { writer } else { Box::new(Restoring { writer, names, held: BTreeMap::new() }) }
}

struct Restoring {
    writer: Box<dyn DeltaWriter>,
    names: BTreeSet<String>,
    /// Arguments so far, by candidate and call.
    held: BTreeMap<(u32, u32), String>,
}

impl DeltaWriter for Restoring {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        match delta {
            Delta::ToolCall { candidate, call, id, name, custom: false, signature } if self.names.contains(&name) => {
                self.held.insert((candidate, call), String::new());
                self.writer.write(Delta::ToolCall { candidate, call, id, name, custom: true, signature })
            }
            Delta::ToolArguments { candidate, call, fragment } => match self.held.get_mut(&(candidate, call)) {
                Some(held) => {
                    held.push_str(&fragment);
                    vec![]
                }
                None => self.writer.write(Delta::ToolArguments { candidate, call, fragment }),
            },
            Delta::Finish { candidate, .. } => {
                let mut events = self.tell(candidate);
                events.extend(self.writer.write(delta));
                events
            }
            other => self.writer.write(other),
        }
    }

    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        self.writer.end(usage)
    }
}

impl Restoring {
    /// Tells the texts of a candidate's calls.
    fn tell(&mut self, candidate: u32) -> Vec<ServedEvent> {
        let (told, held) = std::mem::take(&mut self.held).into_iter().partition(|((of, _), _)| *of == candidate);
        self.held = held;
        let told: BTreeMap<(u32, u32), String> = told;
        let texts = told.into_iter().map(|((_, call), arguments)| (call, text(arguments)));
        let texts = texts.filter(|(_, text)| !text.is_empty());
        texts
            .flat_map(|(call, fragment)| self.writer.write(Delta::ToolArguments { candidate, call, fragment }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::model::{Candidate, FinishReason};
    use crate::{Basis, Usage};

    /// Remembers what it was told.
    struct Remembers(Arc<Mutex<Vec<Delta>>>);

    impl DeltaWriter for Remembers {
        fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
            self.0.lock().unwrap().push(delta);
            vec![]
        }

        fn end(&mut self, _usage: &Usage) -> Vec<ServedEvent> {
            vec![]
        }
    }

    fn patch_only() -> BTreeSet<String> {
        let custom = Tool::Custom { name: "patch".to_owned(), description: None, format: None };
        let function =
            Tool::Function { name: "look".to_owned(), description: None, parameters: None, strict: None, cache: None };
        names(&Prompt { tools: vec![custom, function], ..Prompt::default() })
    }

    fn begun(call: u32, name: &str, custom: bool) -> Delta {
        let (id, name) = (format!("call_{call}"), name.to_owned());
        Delta::ToolCall { candidate: 0, call, id, name, custom, signature: None }
    }

    fn arguments(call: u32, fragment: &str) -> Delta {
        Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() }
    }

    #[test]
    fn a_streamed_call_of_a_custom_tool_becomes_text_and_one_of_a_function_passes() {
        let told = Arc::new(Mutex::new(vec![]));
        let mut writer = restoring(Box::new(Remembers(Arc::clone(&told))), patch_only());
        let finish = Delta::Finish { candidate: 0, finish: FinishReason::ToolCalls, stop_sequence: None };
        let deltas = [
            begun(0, "patch", false),
            arguments(0, "{\"input\":\"*** Begin\\n"),
            begun(1, "look", false),
            arguments(1, "{}"),
            arguments(0, "\\\"x\\\"\"}"),
            finish.clone(),
        ];
        for delta in deltas {
            writer.write(delta);
        }
        writer.end(&Usage::new(1, 1, Basis::Reported));
        let expected = [
            begun(0, "patch", true),
            begun(1, "look", false),
            arguments(1, "{}"),
            arguments(0, "*** Begin\n\"x\""),
            finish,
        ];
        assert!(*told.lock().unwrap() == expected);
    }

    #[test]
    fn calls_of_a_whole_answer_become_text_and_a_model_that_ignored_the_schema_meant_it_all() {
        let call = |name: &str, arguments: &str, custom| Part::ToolCall {
            id: "c".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            custom,
            signature: None,
        };
        let parts = vec![
            call("patch", "{\"input\":\"a\"}", false),
            call("patch", "{\"diff\":\"b\"}", false),
            call("patch", "native", true),
            call("look", "{\"input\":\"a\"}", false),
        ];
        let candidate = Candidate { parts, finish: FinishReason::ToolCalls, stop_sequence: None, logprobs: None };
        let mut answer = Answer {
            id: String::new(),
            model: String::new(),
            created: 0,
            candidates: vec![candidate],
            usage: None,
            extra: None,
        };
        restore(&mut answer, &patch_only());
        let expected = [
            call("patch", "a", true),
            call("patch", "{\"diff\":\"b\"}", true),
            call("patch", "native", true),
            call("look", "{\"input\":\"a\"}", false),
        ];
        assert!(answer.candidates[0].parts == expected);
    }
}
