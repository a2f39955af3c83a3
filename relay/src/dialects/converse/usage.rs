//! The `usage` object.

use serde_json::Value;

use crate::{Basis, Usage};

/// What a report says, if there is one. What was cached is told beside the input, unless the total says that it is in it.
pub(super) fn read(report: Option<&Value>) -> Option<Usage> {
    let count = |key: &str| report?.get(key).and_then(Value::as_u64);
    let (input, output) = (count("inputTokens"), count("outputTokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let read = count("cacheReadInputTokens").unwrap_or(0);
    let written = count("cacheWriteInputTokens").unwrap_or(0);
    let cached = read.saturating_add(written);
    let is_within = cached <= input && count("totalTokens") == input.checked_add(output);
    let input = if is_within { input } else { input.saturating_add(cached) };
    let usage = Usage {
        cached_input_tokens: read,
        cache_write_input_tokens: written,
        ..Usage::new(input, output, Basis::Reported)
    };
    Some(usage.fitted())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_cached_is_counted_once_whichever_way_it_is_told() {
        let beside = json!({"inputTokens": 12, "outputTokens": 20, "totalTokens": 1_532,
            "cacheReadInputTokens": 1_000, "cacheWriteInputTokens": 500});
        let usage = read(Some(&beside)).unwrap();
        assert_eq!(
            (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_input_tokens),
            (1_512, 1_000, 500)
        );
        let within = json!({"inputTokens": 1_512, "outputTokens": 20, "totalTokens": 1_532,
            "cacheReadInputTokens": 1_000, "cacheWriteInputTokens": 500});
        assert_eq!(read(Some(&within)), Some(usage));
    }

    #[test]
    fn no_report_is_no_usage() {
        assert_eq!((read(None), read(Some(&json!({})))), (None, None));
        let plain = json!({"inputTokens": 125, "outputTokens": 60, "totalTokens": 185});
        assert_eq!(read(Some(&plain)), Some(Usage::new(125, 60, Basis::Reported)));
    }
}
