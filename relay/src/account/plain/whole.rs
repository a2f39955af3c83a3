//! Whole answers that need no correcting.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::super::usage::is_believable;
use super::{Text, place, spliced};
use crate::Usage;
use crate::dialects::chat_completions::usage::Report;

/// A whole answer in chat completions.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow)]
    choices: Vec<Finished<'a>>,
    usage: Report,
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
pub(in crate::account) fn whole(data: &str, model: &str, most: Option<u64>) -> Option<(String, Usage)> {
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
    let usage = whole.usage.usage().filter(|usage| is_believable(usage, bytes, most))?;
    let model = serde_json::to_string(model).ok()?;
    Some((spliced(data, [(place(data, whole.model)?, model.as_str())]), usage))
}
