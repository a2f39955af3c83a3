//! The `usage` object of a response.

use serde_json::{Value, json};

use crate::{Basis, Usage};

/// The numbers of a report, if it holds any.
pub(super) fn read(report: &Value) -> Option<Usage> {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64);
    let (input, output) = (number("/input_tokens"), number("/output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let of = |pointer: &str| number(pointer).unwrap_or(0);
    let usage = Usage {
        cached_input_tokens: of("/input_tokens_details/cached_tokens"),
        cache_write_input_tokens: of("/input_tokens_details/cache_write_tokens"),
        reasoning_tokens: of("/output_tokens_details/reasoning_tokens"),
        ..Usage::new(input.unwrap_or(0), output.unwrap_or(0), Basis::Reported)
    };
    Some(usage.fitted())
}

/// What a client is told.
pub(crate) fn write(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.all_cache_write_input_tokens(),
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_is_read_as_it_was_written() {
        let usage = Usage { cache_write_input_tokens: 7, ..Usage::new(100, 50, Basis::Reported).with_parts(64, 30) };
        assert_eq!(read(&write(&usage)), Some(usage));
        assert_eq!(write(&usage)["total_tokens"], 150);
    }

    #[test]
    fn parts_beyond_their_whole_and_numbers_that_are_none_are_put_right() {
        let odd = json!({"input_tokens": 10, "output_tokens": "many", "input_tokens_details": {"cached_tokens": 99}});
        assert_eq!(read(&odd), Some(Usage::new(10, 0, Basis::Reported).with_parts(10, 0)));
        assert_eq!(read(&json!({"total_tokens": 3})), None);
        assert_eq!(read(&Value::Null), None);
    }
}
