//! Events that need no correcting, which is nearly all of them: looked at without being taken apart, and passed on as
//! they came but for the model's name.
//!
//! Promise: only what certainly comes out the same is taken. Whatever is unusual, or says anything besides a piece of
//! text, of thoughts or of a call's arguments, is left to whoever corrects; what is left differs in nothing that it says
//! from what that one would have made of it.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::chunks::KIND;
use super::usage::is_believable;
use crate::Usage;
use crate::count::Generated;
use crate::dialects::chat_completions::{calls::Calls, usage};

/// A chunk of chat completions with one choice that says one thing.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
    #[serde(borrow, default, deserialize_with = "written")]
    usage: Option<&'a RawValue>,
    error: Option<IgnoredAny>,
    base_resp: Option<IgnoredAny>,
    x_groq: Option<IgnoredAny>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    system_fingerprint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Said<'a>,
    #[serde(borrow)]
    finish_reason: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "written")]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "written")]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<[Fragment<'a>; 1]>,
    reasoning: Option<IgnoredAny>,
    reasoning_details: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Fragment<'a> {
    index: i64,
    #[serde(borrow)]
    function: Arguments<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "written")]
    custom: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    name: Option<&'a RawValue>,
}

/// A text, borrowed where nothing in it is escaped; serde borrows none within an `Option` by itself.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A member that is there, `null` included.
fn written<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl<'a> Chunk<'a> {
    /// The chunk, if it is one that needs no correcting.
    pub(super) fn read(data: &'a str) -> Option<Self> {
        // In one line, as it is told again.
        if memchr::memchr2(b'\n', b'\r', data.as_bytes()).is_some() {
            return None;
        }
        let chunk: Self = serde_json::from_str(data).ok()?;
        let [choice] = &chunk.choices;
        let said = &choice.delta;
        let is_strange = chunk.error.is_some() || chunk.base_resp.is_some() || chunk.x_groq.is_some();
        let is_mended = choice.usage.is_some() || choice.message.is_some() || said.reasoning.is_some();
        let is_other = said.reasoning_details.is_some() || said.audio.is_some() || said.function_call.is_some();
        let reports = chunk.usage.is_some_and(|usage| usage.get() != "null") || choice.finish_reason.get() != "null";
        let is_plain = !is_strange && !is_mended && !is_other && !reports && chunk.object.0 == KIND;
        is_plain.then_some(chunk)
    }

    /// Which choice speaks.
    pub(super) const fn index(&self) -> u64 {
        let [choice] = &self.choices;
        choice.index
    }

    /// Adds what it says to `generated`; false, and nothing added, where it says nothing, or goes on with a call that is
    /// not known by that number.
    pub(super) fn add_to(&self, generated: &mut Generated, calls: &Calls) -> bool {
        let [Choice { delta: Said { content, refusal, reasoning_content, tool_calls, .. }, .. }] = &self.choices;
        let arguments = match tool_calls {
            None => "",
            Some([Fragment { index, function, id: None, custom: None }])
                if function.name.is_none() && calls.goes_on(*index) =>
            {
                &*function.arguments.0
            }
            Some(_) => return false,
        };
        let text = |text: &'_ Option<Text<'_>>| text.as_ref().map_or(0, |Text(text)| text.len());
        if text(content) + text(refusal) + text(reasoning_content) + arguments.len() == 0 {
            return false;
        }
        for Text(text) in [content, refusal].into_iter().flatten() {
            generated.said.push_str(text);
        }
        generated.said.push_str(arguments);
        if let Some(Text(text)) = reasoning_content {
            generated.thought.push_str(text);
        }
        true
    }

    /// What it says about the whole answer, as it is written, under the names of [`super::chunks::COMMON`].
    pub(super) fn common(&self) -> [Option<&'a str>; 4] {
        [self.id, self.created, self.system_fingerprint, self.service_tier].map(|value| value.map(RawValue::get))
    }

    /// The same chunk of the model that is written so, without a usage. `None` where it cannot be told how.
    pub(super) fn told(&self, data: &'a str, model: &str) -> Option<String> {
        let name = (place(data, self.model)?, model);
        let Some(usage) = self.usage else { return Some(spliced(data, [name])) };
        let usage = (member(data, "\"usage\"", place(data, usage)?)?, "");
        Some(if usage.0.start < name.0.start { spliced(data, [usage, name]) } else { spliced(data, [name, usage]) })
    }
}

/// Where in `data` a value is that was read from it.
fn place(data: &str, value: &RawValue) -> Option<Range<usize>> {
    let start = (value.get().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let end = start.checked_add(value.get().len())?;
    (end <= data.len()).then_some(start..end)
}

/// Where the member of an object is whose value is at `value`, with one of the commas beside it; `None` where its name is
/// not written as `key`.
fn member(data: &str, key: &str, value: Range<usize>) -> Option<Range<usize>> {
    let before = data.get(..value.start)?.trim_end().strip_suffix(':')?.trim_end().strip_suffix(key)?.trim_end();
    if let Some(before) = before.strip_suffix(',') {
        return Some(before.len()..value.end);
    }
    let after = data.get(value.end..)?;
    let next = after.trim_start().strip_prefix(',')?;
    Some(before.len()..data.len() - next.len())
}

/// `data` with these pieces replaced, which are in order and do not overlap.
fn spliced<const N: usize>(data: &str, changes: [(Range<usize>, &str); N]) -> String {
    let mut told = String::with_capacity(data.len() + changes.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut from = 0;
    for (Range { start, end }, new) in changes {
        told.push_str(data.get(from..start).unwrap_or_default());
        told.push_str(new);
        from = end;
    }
    told.push_str(data.get(from..).unwrap_or_default());
    told
}

/// A whole answer in chat completions.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow)]
    choices: Vec<Finished<'a>>,
    usage: Value,
    error: Option<IgnoredAny>,
    base_resp: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Finished<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    /// A word, or the answer is not finished.
    #[serde(borrow, rename = "finish_reason")]
    _finish_reason: Text<'a>,
    usage: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Called<'a>>>,
    reasoning: Option<IgnoredAny>,
    reasoning_details: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow, rename = "id")]
    _id: Text<'a>,
    #[serde(borrow)]
    function: CalledFunction<'a>,
}

#[derive(Deserialize)]
struct CalledFunction<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
}

/// A whole answer in chat completions under the name of `model`, and what it consumed; `None` where anything about it has
/// to be corrected, or where its report cannot be believed of an answer that was bounded to `most` tokens.
pub(super) fn whole(data: &str, model: &str, most: Option<u64>) -> Option<(String, Usage)> {
    let whole: Whole<'_> = serde_json::from_str(data).ok()?;
    let is_strange = whole.error.is_some() || whole.base_resp.is_some() || whole.object.0 != "chat.completion";
    if is_strange || whole.choices.is_empty() {
        return None;
    }
    let mut bytes = 0;
    for Finished { message, usage, .. } in &whole.choices {
        let is_mended = message.reasoning.is_some() || message.reasoning_details.is_some() || usage.is_some();
        if is_mended || message.audio.is_some() || message.function_call.is_some() {
            return None;
        }
        let texts = [&message.content, &message.refusal, &message.reasoning_content].into_iter().flatten();
        let calls = message.tool_calls.iter().flatten().map(|call| &call.function);
        let texts = texts.chain(calls.flat_map(|function| [&function.name, &function.arguments]));
        bytes += texts.map(|Text(text)| text.len()).sum::<usize>();
    }
    let usage = usage::read(&whole.usage).filter(|usage| is_believable(usage, bytes, most))?;
    let model = Value::from(model).to_string();
    Some((spliced(data, [(place(data, whole.model)?, model.as_str())]), usage))
}

/// An event of Anthropic's stream that says a piece of text or of thoughts.
#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    delta: Piece<'a>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
}

/// The name of Anthropic's event for a piece of a block.
pub(super) const BLOCK_DELTA: &str = "content_block_delta";

/// Adds to `generated` what an event of Anthropic's stream says, if it is a piece of text or of thoughts: such an event
/// passes as it is.
pub(super) fn hear_block(data: &str, generated: &mut Generated) -> bool {
    if memchr::memchr2(b'\n', b'\r', data.as_bytes()).is_some() {
        return false;
    }
    let Ok(BlockDelta { kind, delta }) = serde_json::from_str(data) else { return false };
    match (&*kind.0, &*delta.kind.0, &delta.text, &delta.thinking) {
        (BLOCK_DELTA, "text_delta", Some(Text(text)), _) if !text.is_empty() => generated.said.push_str(text),
        (BLOCK_DELTA, "thinking_delta", _, Some(Text(text))) if !text.is_empty() => generated.thought.push_str(text),
        _ => return false,
    }
    true
}
