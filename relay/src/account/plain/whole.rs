//! Whole answers that need no correcting.

use std::ops::Range;

use super::super::usage::is_believable;
use super::spliced;
use crate::Usage;
use crate::dialects::chat_completions::usage::Report;
use crate::scan::Scan;

/// A whole answer in chat completions.
#[derive(Default)]
struct Whole {
    is_answer: bool,
    /// Where its model is named.
    model: Option<Range<usize>>,
    /// The bytes of everything that its choices say.
    choices: Option<usize>,
    report: Option<Report>,
}

/// A whole answer in chat completions under the name of `model`, and what it consumed; `None` where anything about it has
/// to be corrected, or where its report cannot be believed of an answer that was bounded to `most` tokens.
pub(in crate::account) fn whole(data: &str, model: &str, most: Option<u64>) -> Option<(String, Usage)> {
    let mut whole = Whole::default();
    let mut scan = Scan::new(data);
    scan.object(|scan, name| whole.member(scan, name))?;
    scan.end()?;
    let Whole { is_answer: true, model: Some(named), choices: Some(bytes), report: Some(report) } = whole else {
        return None;
    };
    let usage = report.usage().filter(|usage| is_believable(usage, bytes, most))?;
    let model = serde_json::to_string(model).ok()?;
    Some((spliced(data, [(named, model.as_str())]), usage))
}

impl Whole {
    fn member(&mut self, scan: &mut Scan<'_>, name: &str) -> Option<()> {
        match name {
            "object" => {
                self.is_answer = scan.text()?.written == "chat.completion";
                Some(())
            }
            "model" => once(&mut self.model, scan.skip()?),
            "choices" => once(&mut self.choices, choices(scan)?),
            "usage" => once(&mut self.report, Report::scan(scan)?),
            "error" | "base_resp" => nothing(scan),
            _ => scan.skip().map(drop),
        }
    }
}

/// How many bytes all choices say, of which there is one at least.
fn choices(scan: &mut Scan<'_>) -> Option<usize> {
    let (mut many, mut bytes) = (0_usize, 0);
    scan.array(|scan| {
        many += 1;
        bytes += finished(scan)?;
        Some(())
    })?;
    (many > 0).then_some(bytes)
}

fn finished(scan: &mut Scan<'_>) -> Option<usize> {
    let (mut said, mut reason) = (None, None);
    scan.object(|scan, name| match name {
        "message" => once(&mut said, message(scan)?),
        // A word, or the answer is not finished.
        "finish_reason" => once(&mut reason, scan.text()?),
        "usage" => nothing(scan),
        _ => scan.skip().map(drop),
    })?;
    reason.and(said)
}

fn message(scan: &mut Scan<'_>) -> Option<usize> {
    let (mut content, mut refusal, mut thoughts, mut calls) = (None, None, None, None);
    let text = |scan: &mut Scan<'_>| Some(scan.or_null(Scan::text)?.map_or(0, |text| text.bytes));
    scan.object(|scan, name| match name {
        "content" => once(&mut content, text(scan)?),
        "refusal" => once(&mut refusal, text(scan)?),
        "reasoning_content" => once(&mut thoughts, text(scan)?),
        "tool_calls" => once(&mut calls, scan.or_null(called)?.unwrap_or(0)),
        "reasoning" | "reasoning_details" | "audio" | "function_call" => nothing(scan),
        _ => scan.skip().map(drop),
    })?;
    Some([content, refusal, thoughts, calls].into_iter().flatten().sum())
}

fn called(scan: &mut Scan<'_>) -> Option<usize> {
    let mut bytes = 0;
    scan.array(|scan| {
        let (mut id, mut function) = (None, None);
        scan.object(|scan, name| match name {
            "id" => once(&mut id, scan.text()?),
            "function" => once(&mut function, function_called(scan)?),
            _ => scan.skip().map(drop),
        })?;
        bytes += id.and(function)?;
        Some(())
    })?;
    Some(bytes)
}

fn function_called(scan: &mut Scan<'_>) -> Option<usize> {
    let (mut called, mut arguments) = (None, None);
    scan.object(|scan, name| match name {
        "name" => once(&mut called, scan.text()?.bytes),
        "arguments" => once(&mut arguments, scan.text()?.bytes),
        _ => scan.skip().map(drop),
    })?;
    Some(called? + arguments?)
}

/// Puts what is there once to its place.
fn once<T>(place: &mut Option<T>, found: T) -> Option<()> {
    place.replace(found).is_none().then_some(())
}

/// What would have to be corrected if it were there.
fn nothing(scan: &mut Scan<'_>) -> Option<()> {
    scan.or_null(|_| None::<()>).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::Basis;
    use crate::dialects::chat_completions::usage;

    fn answer() -> Value {
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "theirs", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": "Hello \"you\"\n", "refusal": null}, "logprobs": null,
            "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": null}, "error": null})
    }

    /// The same with something else at a pointer.
    fn with(pointer: &str, value: Value) -> String {
        let mut answer = answer();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        answer.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        answer.to_string()
    }

    #[test]
    fn a_usual_answer_passes_under_the_name_that_was_asked_for() {
        let spaced = serde_json::to_string_pretty(&answer()).unwrap();
        for text in [answer().to_string(), spaced] {
            let (body, usage) = whole(&text, "our\"s", Some(100)).unwrap();
            assert_eq!(body, text.replace("\"theirs\"", "\"our\\\"s\""));
            assert_eq!(usage, Usage::new(9, 3, Basis::Reported).with_parts(4, 0));
        }
        let call = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
        for (pointer, value) in [
            ("/choices/0/message/tool_calls", call),
            ("/choices/0/message/content", Value::Null),
            ("/choices/0/message/reasoning_content", json!("hm")),
            ("/something", json!([{"new": [1.5, "x"]}])),
        ] {
            assert!(whole(&with(pointer, value), "m", None).is_some(), "{pointer}");
        }
    }

    #[test]
    fn whatever_would_be_corrected_is_left() {
        for (pointer, value) in [
            ("/object", json!("chat.completion.chunk")),
            ("/error", json!({"message": "no"})),
            ("/base_resp", json!({"status_code": 1})),
            ("/choices", json!([])),
            ("/choices/0/finish_reason", Value::Null),
            ("/choices/0/usage", json!({})),
            ("/choices/0/message", json!("text")),
            ("/choices/0/message/content", json!([{"type": "text", "text": "a"}])),
            ("/choices/0/message/reasoning", json!("hm")),
            ("/choices/0/message/audio", json!({})),
            ("/choices/0/message/function_call", json!({"name": "f"})),
            ("/choices/0/message/tool_calls", json!([{"function": {"name": "f", "arguments": "{}"}}])),
            ("/choices/0/message/tool_calls", json!([{"id": "1", "function": {"name": "f", "arguments": {}}}])),
            ("/usage", Value::Null),
            ("/usage/prompt_tokens", json!(0)),
            ("/usage/completion_tokens", json!(-1)),
            ("/usage/completion_tokens", json!(401)),
            ("/usage/prompt_tokens_details", json!("many")),
        ] {
            assert_eq!(whole(&with(pointer, value), "m", Some(100)), None, "{pointer}");
        }
        let text = answer().to_string();
        for text in [
            text.replacen("\"model\"", "\"model\":1,\"model\"", 1),
            text.replacen("\"content\"", "\"content\":\"x\",\"content\"", 1),
            text.replacen("\"model\"", "\"mod\\u0065l\"", 1),
            format!("{text}{text}"),
            text.replace("stop", "st\u{1}op"),
            text[..text.len() - 1].to_owned(),
        ] {
            assert_eq!(whole(&text, "m", None), None, "{text}");
        }
    }

    #[test]
    fn what_passes_says_what_its_tree_says() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut passed = 0;
        let values = [json!(7), json!(null), json!("ü\\\n😀"), json!({"a": [{}]}), json!([]), json!(1.5), json!(true)];
        let names = [
            "/created",
            "/usage/total_tokens",
            "/usage/prompt_tokens",
            "/usage/cached_tokens",
            "/usage/x",
            "/model",
            "/usage/completion_tokens",
            "/choices/0/message/content",
            "/choices/0/x",
            "/system_fingerprint",
        ];
        for _ in 0..3_000 {
            let text = with(names[random.usize(..names.len())], values[random.usize(..values.len())].clone());
            let Some((body, consumed)) = whole(&text, "ours", None) else { continue };
            let mut tree: Map<String, Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(usage::of(&tree), Some(consumed), "{text}");
            tree.insert("model".to_owned(), json!("ours"));
            assert_eq!(serde_json::from_str::<Map<String, Value>>(&body).unwrap(), tree);
            passed += 1;
        }
        assert!(passed > 1_000, "{passed}");
    }
}
