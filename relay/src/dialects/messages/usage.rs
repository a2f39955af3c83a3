//! The `usage` object. Its `input_tokens` are without what was read from or written to the cache; ours are all.

use serde_json::{Value, json};

use crate::{Basis, Usage};

/// The counters of an answer as they come; they only grow, and each report may leave some out.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counters {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    /// Of those, the ones for an hour.
    cache_write_hour: u64,
    output: u64,
    thinking: u64,
    is_told: bool,
}

impl Counters {
    /// Takes over what a report says.
    pub(super) fn add(&mut self, report: Option<&Value>) {
        let Some(report) = report.filter(|report| report.is_object()) else { return };
        let mut grow = |counter: &mut u64, pointer: &str| {
            if let Some(count) = report.pointer(pointer).and_then(Value::as_u64) {
                *counter = count.max(*counter);
                self.is_told = true;
            }
        };
        grow(&mut self.input, "/input_tokens");
        grow(&mut self.cache_read, "/cache_read_input_tokens");
        grow(&mut self.cache_write, "/cache_creation_input_tokens");
        grow(&mut self.cache_write_hour, "/cache_creation/ephemeral_1h_input_tokens");
        grow(&mut self.output, "/output_tokens");
        grow(&mut self.thinking, "/output_tokens_details/thinking_tokens");
    }

    /// What they come to, if anything was told.
    pub(super) fn usage(self) -> Option<Usage> {
        let input = self.input.saturating_add(self.cache_read).saturating_add(self.cache_write);
        let usage = Usage {
            cached_input_tokens: self.cache_read,
            cache_write_input_tokens: self.cache_write.saturating_sub(self.cache_write_hour),
            cache_write_hour_input_tokens: self.cache_write_hour.min(self.cache_write),
            reasoning_tokens: self.thinking,
            ..Usage::new(input, self.output, Basis::Reported)
        };
        self.is_told.then(|| usage.fitted())
    }
}

/// The object for clients.
pub(crate) fn write(usage: &Usage) -> Value {
    let written = usage.all_cache_write_input_tokens();
    let cached = usage.cached_input_tokens.saturating_add(written);
    let mut report = json!({
        "input_tokens": usage.input_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
    });
    if usage.cache_write_hour_input_tokens > 0 {
        report["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": usage.cache_write_input_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_hour_input_tokens,
        });
    }
    if usage.reasoning_tokens > 0 {
        report["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning_tokens});
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cached_is_part_of_our_input_and_no_part_of_theirs() {
        let report = json!({"input_tokens": 50, "cache_read_input_tokens": 100_000, "cache_creation_input_tokens": 248,
            "output_tokens": 503, "output_tokens_details": {"thinking_tokens": 400}});
        let mut counters = Counters::default();
        counters.add(Some(&report));
        let usage = counters.usage().unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (100_298, 100_000));
        assert_eq!((usage.cache_write_input_tokens, usage.reasoning_tokens), (248, 400));
        assert_eq!(write(&usage), report);
    }

    #[test]
    fn what_is_written_for_an_hour_is_told_apart_and_back() {
        let report = json!({"input_tokens": 2_048, "cache_read_input_tokens": 1_800, "cache_creation_input_tokens": 248,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 503});
        let mut counters = Counters::default();
        counters.add(Some(&report));
        let usage = counters.usage().unwrap();
        assert_eq!((usage.cache_write_input_tokens, usage.cache_write_hour_input_tokens), (148, 100));
        assert_eq!(usage.input_tokens, 4_096);
        assert_eq!(write(&usage), report);
        counters.add(Some(&json!({"cache_creation": {"ephemeral_1h_input_tokens": 1_000}})));
        let usage = counters.usage().unwrap();
        assert_eq!(
            (usage.cache_write_input_tokens, usage.cache_write_hour_input_tokens),
            (0, 248),
            "never more than all"
        );
    }

    #[test]
    fn a_later_report_that_leaves_counters_out_or_at_zero_takes_nothing_back() {
        let mut counters = Counters::default();
        counters.add(Some(&json!({"input_tokens": 25, "output_tokens": 1})));
        counters.add(Some(&json!({"input_tokens": 0, "cache_read_input_tokens": null, "output_tokens": 15})));
        assert_eq!(counters.usage(), Some(Usage::new(25, 15, Basis::Reported)));
    }

    #[test]
    fn no_report_and_a_report_of_nothing_are_no_usage() {
        let mut counters = Counters::default();
        counters.add(None);
        counters.add(Some(&json!({})));
        counters.add(Some(&json!("none")));
        assert_eq!(counters.usage(), None);
    }
}
