//! Events of a stream that need no correcting.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::super::chunks::KIND;
use super::{Text, member, place, spliced, written};
use crate::count::Generated;
use crate::dialects::chat_completions::calls::Calls;

/// A chunk of chat completions with one choice that says one thing.
#[derive(Deserialize)]
pub(in crate::account) struct Chunk<'a> {
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

impl<'a> Chunk<'a> {
    /// The chunk, if it is one that needs no correcting.
    pub(in crate::account) fn read(data: &'a str) -> Option<Self> {
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
    pub(in crate::account) const fn index(&self) -> u64 {
        let [choice] = &self.choices;
        choice.index
    }

    /// Adds what it says to `generated`; false, and nothing added, where it says nothing, or goes on with a call that is
    /// not known by that number.
    pub(in crate::account) fn add_to(&self, generated: &mut Generated, calls: &Calls) -> bool {
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
    pub(in crate::account) fn common(&self) -> [Option<&'a str>; 4] {
        [self.id, self.created, self.system_fingerprint, self.service_tier].map(|value| value.map(RawValue::get))
    }

    /// The same chunk of the model that is written so, without a usage. `None` where it cannot be told how.
    pub(in crate::account) fn told(&self, data: &'a str, model: &str) -> Option<String> {
        Some(spliced(data, self.changes(data, model)?))
    }

    /// What is different in the chunk that is told, in order.
    fn changes<'m>(&self, data: &'a str, model: &'m str) -> Option<[(Range<usize>, &'m str); 2]> {
        let name = (place(data, self.model)?, model);
        let Some(usage) = self.usage else { return Some([(0..0, ""), name]) };
        let usage = (member(data, "\"usage\"", place(data, usage)?)?, "");
        Some(if usage.0.start < name.0.start { [usage, name] } else { [name, usage] })
    }

    /// The one text that it says, where it has not to be unescaped, and whether that is thought.
    pub(in crate::account) fn text(&self) -> Option<(&'a str, bool)> {
        let [Choice { delta: Said { content, refusal, reasoning_content, tool_calls, .. }, .. }] = &self.choices;
        let arguments = tool_calls.as_ref().map(|[call]| &call.function.arguments);
        let said = [content.as_ref(), refusal.as_ref(), arguments].map(|text| (text, false));
        let texts = said.into_iter().chain([(reasoning_content.as_ref(), true)]);
        let mut texts =
            texts.filter_map(|(text, is_thought)| Some((text.filter(|Text(text)| !text.is_empty())?, is_thought)));
        match (texts.next()?, texts.next()) {
            ((Text(Cow::Borrowed(text)), is_thought), None) => Some((text, is_thought)),
            _ => None,
        }
    }

    /// Where in the chunk that is told that text begins, which is at `at` in this one.
    pub(in crate::account) fn moved(&self, data: &'a str, model: &str, at: usize) -> Option<usize> {
        let mut before = self.changes(data, model)?.into_iter().filter(|(range, _)| range.end <= at);
        before.try_fold(at, |at, (range, new)| (at + new.len()).checked_sub(range.len()))
    }
}

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
pub(in crate::account) const BLOCK_DELTA: &str = "content_block_delta";

/// The text of an event of Anthropic's stream that is a piece of text or of thoughts, and which: such an event passes as
/// it is.
pub(in crate::account) fn block(data: &str) -> Option<(Cow<'_, str>, bool)> {
    if memchr::memchr2(b'\n', b'\r', data.as_bytes()).is_some() {
        return None;
    }
    let BlockDelta { kind, delta } = serde_json::from_str(data).ok()?;
    match (&*kind.0, &*delta.kind.0, delta.text, delta.thinking) {
        (BLOCK_DELTA, "text_delta", Some(Text(text)), _) if !text.is_empty() => Some((text, false)),
        (BLOCK_DELTA, "thinking_delta", _, Some(Text(text))) if !text.is_empty() => Some((text, true)),
        _ => None,
    }
}
