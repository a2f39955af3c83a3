//! The `usage` object of compatible servers, read with suspicion.

use serde_json::Value;

use crate::count::Generated;
use crate::{Basis, Usage};

/// A report of more tokens than this is a mistake: no context window is near.
const MAX_TOKENS: u64 = 100_000_000;

/// The numbers of a report, if it holds any. Parts are where OpenAI puts them, else where DeepSeek or Moonshot do.
pub(crate) fn read(report: &Value) -> Option<Usage> {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64);
    let (input, output) = (number("/prompt_tokens"), number("/completion_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, mut output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cached = ["/prompt_tokens_details/cached_tokens", "/prompt_cache_hit_tokens", "/cached_tokens"];
    let cached = cached.into_iter().find_map(number).unwrap_or(0);
    let reasoning = number("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    // xAI counts reasoning beside the completion instead of in it; its total tells.
    let beside = output.checked_add(reasoning).filter(|_| reasoning > 0);
    let total = number("/total_tokens");
    if let Some(whole) = beside.filter(|whole| total.is_some() && input.checked_add(*whole) == total) {
        output = whole;
    }
    Some(Usage::new(input, output, Basis::Reported).with_parts(cached, reasoning))
}

/// Whether those numbers can be those of an answer with that text.
pub(crate) fn is_believable(usage: &Usage, generated: &Generated) -> bool {
    let is_possible = usage.input_tokens <= MAX_TOKENS && usage.output_tokens <= MAX_TOKENS;
    is_possible && usage.input_tokens > 0 && (usage.output_tokens > 0 || generated.is_empty())
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

    #[test]
    fn a_report_without_input_or_of_nothing_for_a_text_or_beyond_reason_is_not_believed() {
        let text = Generated { said: "x".to_owned(), thought: String::new() };
        let believed =
            |input, output, text: &Generated| is_believable(&Usage::new(input, output, Basis::Reported), text);
        assert!(believed(1, 1, &text) && believed(1, 0, &Generated::default()));
        assert!(!believed(0, 1, &text) && !believed(1, 0, &text));
        assert!(!believed(MAX_TOKENS + 1, 1, &text) && !believed(1, u64::MAX, &text));
    }
}
