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
    let for_an_hour = for_an_hour(report).min(written);
    let usage = Usage {
        cached_input_tokens: read,
        cache_write_input_tokens: written - for_an_hour,
        cache_write_hour_input_tokens: for_an_hour,
        ..Usage::new(input, output, Basis::Reported)
    };
    Some(usage.fitted())
}

/// What was written to the cache for an hour, of what was written at all.
fn for_an_hour(report: Option<&Value>) -> u64 {
    let details = report.and_then(|report| report.get("cacheDetails")).and_then(Value::as_array);
    let hours = details.into_iter().flatten().filter(|detail| detail.get("ttl").is_some_and(|ttl| ttl == "1h"));
    hours.filter_map(|detail| detail.get("inputTokens")?.as_u64()).fold(0, u64::saturating_add)
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
        let details = json!([{"ttl": "5m", "inputTokens": 200}, {"ttl": "1h", "inputTokens": 300}]);
        let apart = json!({"inputTokens": 12, "outputTokens": 20, "totalTokens": 1_532, "cacheReadInputTokens": 1_000,
            "cacheWriteInputTokens": 500, "cacheDetails": details});
        let told = read(Some(&apart)).unwrap();
        assert_eq!((told.cache_write_input_tokens, told.cache_write_hour_input_tokens), (200, 300));
        assert_eq!(told.input_tokens, usage.input_tokens);
    }

    #[test]
    fn no_report_is_no_usage() {
        assert_eq!((read(None), read(Some(&json!({})))), (None, None));
        let plain = json!({"inputTokens": 125, "outputTokens": 60, "totalTokens": 185});
        assert_eq!(read(Some(&plain)), Some(Usage::new(125, 60, Basis::Reported)));
    }
}
