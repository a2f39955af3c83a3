//! The `usage` object of compatible servers, read with suspicion.

use serde_json::{Map, Value};

use crate::scan::Scan;
use crate::{Basis, Usage};

/// A report, as far as it says what is charged: each part where OpenAI has it, and where somebody else does.
#[derive(Default)]
pub(crate) struct Report {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<OfPrompt>,
    completion_tokens_details: Option<OfCompletion>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot.
    cached_tokens: Option<u64>,
    /// LiteLLM.
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Default)]
struct OfPrompt {
    cached_tokens: Option<u64>,
    /// OpenRouter.
    cache_write_tokens: Option<u64>,
    /// DashScope.
    cache_creation_input_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Default)]
struct OfCompletion {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

impl Report {
    /// The report that stands there; `None` where something in it is of another type.
    pub(crate) fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut report = Self::default();
        scan.object(|scan, name| {
            let number = match name {
                "prompt_tokens" => &mut report.prompt_tokens,
                "completion_tokens" => &mut report.completion_tokens,
                "total_tokens" => &mut report.total_tokens,
                "prompt_cache_hit_tokens" => &mut report.prompt_cache_hit_tokens,
                "cached_tokens" => &mut report.cached_tokens,
                "cache_creation_input_tokens" => &mut report.cache_creation_input_tokens,
                "prompt_tokens_details" => {
                    report.prompt_tokens_details = scan.or_null(OfPrompt::scan)?;
                    return Some(());
                }
                "completion_tokens_details" => {
                    report.completion_tokens_details = scan.or_null(OfCompletion::scan)?;
                    return Some(());
                }
                _ => return scan.skip().map(drop),
            };
            *number = scan.or_null(Scan::number)?;
            Some(())
        })?;
        Some(report)
    }

    /// The same of one in which anything may be of another type; what is, is not said.
    fn of(report: &Value) -> Self {
        let number = |within: &Value, name: &str| within.get(name).and_then(Value::as_u64);
        let own = |name: &str| number(report, name);
        let prompt = report.get("prompt_tokens_details").map(|prompt| OfPrompt {
            cached_tokens: number(prompt, "cached_tokens"),
            cache_write_tokens: number(prompt, "cache_write_tokens"),
            cache_creation_input_tokens: number(prompt, "cache_creation_input_tokens"),
            audio_tokens: number(prompt, "audio_tokens"),
            image_tokens: number(prompt, "image_tokens"),
        });
        let completion = report.get("completion_tokens_details").map(|completion| OfCompletion {
            reasoning_tokens: number(completion, "reasoning_tokens"),
            audio_tokens: number(completion, "audio_tokens"),
            image_tokens: number(completion, "image_tokens"),
        });
        Self {
            prompt_tokens: own("prompt_tokens"),
            completion_tokens: own("completion_tokens"),
            total_tokens: own("total_tokens"),
            prompt_tokens_details: prompt,
            completion_tokens_details: completion,
            prompt_cache_hit_tokens: own("prompt_cache_hit_tokens"),
            cached_tokens: own("cached_tokens"),
            cache_creation_input_tokens: own("cache_creation_input_tokens"),
        }
    }

    /// The numbers, if it holds any.
    pub(crate) fn usage(self) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        let (input, mut output) = (self.prompt_tokens.unwrap_or(0), self.completion_tokens.unwrap_or(0));
        let prompt = self.prompt_tokens_details.unwrap_or_default();
        let completion = self.completion_tokens_details.unwrap_or_default();
        let reasoning = completion.reasoning_tokens.unwrap_or(0);
        // xAI counts reasoning beside the completion instead of in it; its total tells.
        let beside = output.checked_add(reasoning).filter(|_| reasoning > 0);
        if let Some(whole) = beside
            && self.total_tokens.is_some()
            && input.checked_add(whole) == self.total_tokens
        {
            output = whole;
        }
        let cached = prompt.cached_tokens.or(self.prompt_cache_hit_tokens).or(self.cached_tokens);
        let written = prompt.cache_write_tokens.or(prompt.cache_creation_input_tokens);
        let usage = Usage {
            cached_input_tokens: cached.unwrap_or(0),
            cache_write_input_tokens: written.or(self.cache_creation_input_tokens).unwrap_or(0),
            audio_input_tokens: prompt.audio_tokens.unwrap_or(0),
            image_input_tokens: prompt.image_tokens.unwrap_or(0),
            reasoning_tokens: reasoning,
            audio_output_tokens: completion.audio_tokens.unwrap_or(0),
            image_output_tokens: completion.image_tokens.unwrap_or(0),
            ..Usage::new(input, output, Basis::Reported)
        };
        Some(usage.fitted())
    }
}

impl OfPrompt {
    fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut prompt = Self::default();
        scan.object(|scan, name| {
            let number = match name {
                "cached_tokens" => &mut prompt.cached_tokens,
                "cache_write_tokens" => &mut prompt.cache_write_tokens,
                "cache_creation_input_tokens" => &mut prompt.cache_creation_input_tokens,
                "audio_tokens" => &mut prompt.audio_tokens,
                "image_tokens" => &mut prompt.image_tokens,
                _ => return scan.skip().map(drop),
            };
            *number = scan.or_null(Scan::number)?;
            Some(())
        })?;
        Some(prompt)
    }
}

impl OfCompletion {
    fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut completion = Self::default();
        scan.object(|scan, name| {
            let number = match name {
                "reasoning_tokens" => &mut completion.reasoning_tokens,
                "audio_tokens" => &mut completion.audio_tokens,
                "image_tokens" => &mut completion.image_tokens,
                _ => return scan.skip().map(drop),
            };
            *number = scan.or_null(Scan::number)?;
            Some(())
        })?;
        Some(completion)
    }
}

/// The numbers of a report, if it holds any.
pub(crate) fn read(report: &Value) -> Option<Usage> {
    Report::of(report).usage()
}

/// The usage that a chunk or a whole answer reports: its own, or where Groq puts it.
pub(crate) fn of(answer: &Map<String, Value>) -> Option<Usage> {
    let own = answer.get("usage").and_then(read);
    own.or_else(|| answer.get("x_groq")?.get("usage").and_then(read))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reported(input: u64, output: u64, cached: u64, reasoning: u64) -> Option<Usage> {
        Some(Usage::new(input, output, Basis::Reported).with_parts(cached, reasoning))
    }

    #[test]
    fn parts_are_found_where_each_provider_puts_them() {
        let openai = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 30}});
        assert_eq!(read(&openai), reported(100, 50, 64, 30));
        let deepseek = json!({"prompt_tokens": 100, "completion_tokens": 50, "prompt_cache_hit_tokens": 80,
            "prompt_cache_miss_tokens": 20});
        assert_eq!(read(&deepseek), reported(100, 50, 80, 0));
        assert_eq!(
            read(&json!({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 8})),
            reported(9, 1, 8, 0)
        );
    }

    /// Sources: OpenAI, "Audio generation: usage"; OpenRouter, "Usage accounting"; DashScope, "Context cache".
    #[test]
    fn sound_pictures_and_writes_to_the_cache_are_parts_of_their_side() {
        let report = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 20, "audio_tokens": 30, "image_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 40, "image_tokens": 9}});
        let expected = Usage {
            cached_input_tokens: 10,
            cache_write_input_tokens: 20,
            audio_input_tokens: 30,
            image_input_tokens: 5,
            reasoning_tokens: 1,
            audio_output_tokens: 40,
            image_output_tokens: 9,
            ..Usage::new(100, 50, Basis::Reported)
        };
        assert_eq!(read(&report), Some(expected));
        let dashscope = json!({"prompt_tokens": 100, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 90}});
        assert_eq!(read(&dashscope).map(|usage| usage.cache_write_input_tokens), Some(90));
    }

    #[test]
    fn reasoning_that_a_provider_counts_beside_the_completion_is_added_to_it() {
        let xai = json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94}});
        assert_eq!(read(&xai), reported(32, 103, 0, 94));
    }

    #[test]
    fn parts_greater_than_their_whole_and_numbers_that_are_none_are_put_right() {
        let greedy = json!({"prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 11}, "completion_tokens_details": {"reasoning_tokens": 99}});
        assert_eq!(read(&greedy), reported(10, 5, 10, 5));
        let odd = json!({"prompt_tokens": 10, "completion_tokens": -5, "prompt_tokens_details": null,
            "completion_tokens_details": {"reasoning_tokens": "many"}});
        assert_eq!(read(&odd), reported(10, 0, 0, 0));
        let huge = json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX, "total_tokens": 1,
            "completion_tokens_details": {"reasoning_tokens": 1}});
        assert_eq!(read(&huge), reported(u64::MAX, u64::MAX, 0, 1));
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!("none")), None);
    }
}
