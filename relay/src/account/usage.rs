//! What an answer consumed: the provider's word where it can be believed, else our count.

use super::asked::Question;
use crate::count::Generated;
use crate::{Basis, Usage};

/// A report of more tokens than this is a mistake: no context window is near.
const MAX_TOKENS: u64 = 100_000_000;
/// Some servers do not count thoughts against the bound, or pass over it a little; one that reports so many times as much
/// as it was allowed counts wrongly.
const MAX_TIMES_THE_BOUND: u64 = 4;

/// The provider's numbers, or our own where it gave none or none that can be believed. Of an answer that was broken off
/// (`is_whole` is false) a report says too little, so no less than what was generated is charged.
pub(super) async fn final_usage(
    reported: Option<Usage>,
    is_whole: bool,
    question: Question,
    generated: Generated,
) -> Usage {
    let reported = reported.filter(|usage| is_believable(usage, generated.bytes(), question.most()));
    if let Some(usage) = reported.filter(|_| is_whole) {
        return usage;
    }
    let counted = count(question, generated).await;
    match reported {
        None => counted,
        Some(reported) if reported.output_tokens >= counted.output_tokens => reported,
        Some(reported) => Usage {
            output_tokens: counted.output_tokens,
            reasoning_tokens: counted.reasoning_tokens,
            basis: counted.basis,
            ..reported
        }
        .fitted(),
    }
}

/// What was consumed by an answer that failed; `None` where nothing was generated.
pub(super) async fn vain_usage(reported: Option<Usage>, question: Question, generated: Generated) -> Option<Usage> {
    if generated.is_empty() {
        return None;
    }
    let usage = final_usage(reported, false, question, generated).await;
    Some(Usage { basis: Basis::Estimated, ..usage })
}

/// Counting is arithmetic of milliseconds up to a second; it must not hold up other answers.
async fn count(question: Question, generated: Generated) -> Usage {
    let bytes = generated.bytes() as u64;
    let counted = tokio::task::spawn_blocking(move || question.count(&generated)).await;
    // It does not panic; if it did, the answer alone would be estimated, by its length.
    counted.unwrap_or_else(|_| Usage::new(0, bytes.div_ceil(4), Basis::Estimated))
}

/// Whether those numbers can be those of an answer with so many bytes of text that was bounded to `most` tokens.
pub(super) fn is_believable(usage: &Usage, bytes: usize, most: Option<u64>) -> bool {
    // A server that ignores the bound has at least as many bytes to show.
    let most = most.map(|most| most.saturating_mul(MAX_TIMES_THE_BOUND).max(bytes as u64));
    let is_possible = usage.input_tokens <= MAX_TOKENS && usage.output_tokens <= most.unwrap_or(MAX_TOKENS);
    is_possible && usage.input_tokens > 0 && (usage.output_tokens > 0 || bytes == 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Author, Message, Prompt};

    fn said(text: &str) -> Generated {
        Generated { said: text.to_owned(), thought: String::new() }
    }

    fn question() -> Question {
        let messages = vec![Message::text(Author::User, "Hello world")];
        let prompt = Prompt { model: "gpt-4o".to_owned(), messages, ..Prompt::default() };
        Question::Prompt { prompt: Arc::new(prompt) }
    }

    #[test]
    fn a_report_without_input_or_of_nothing_for_a_text_or_beyond_reason_is_not_believed() {
        let text = said("x");
        let believed = |input, output, text: &Generated| {
            is_believable(&Usage::new(input, output, Basis::Reported), text.bytes(), None)
        };
        assert!(believed(1, 1, &text) && believed(1, 0, &Generated::default()));
        assert!(!believed(0, 1, &text) && !believed(1, 0, &text));
        assert!(!believed(MAX_TOKENS + 1, 1, &text) && !believed(1, u64::MAX, &text));
    }

    #[test]
    fn a_report_of_many_times_what_was_allowed_is_not_believed_unless_the_text_is_that_long() {
        let believed =
            |output, text: &str| is_believable(&Usage::new(5, output, Basis::Reported), text.len(), Some(100));
        assert!(believed(100, "x") && believed(400, "x") && !believed(401, "x"));
        assert!(believed(401, &"x".repeat(500)), "a server that knows no bound");
    }

    #[tokio::test]
    async fn a_report_at_the_begin_of_an_answer_that_breaks_off_does_not_hide_what_came_after_it() {
        let begin = Usage { cached_input_tokens: 5, ..Usage::new(25, 1, Basis::Reported) };
        let usage = final_usage(Some(begin), false, question(), said("Hello world, hello")).await;
        assert_eq!(usage, Usage { cached_input_tokens: 5, ..Usage::new(25, 4, Basis::Counted) });
        let late = Usage::new(25, 9, Basis::Reported);
        assert_eq!(final_usage(Some(late), false, question(), said("Hello world, hello")).await, late);
        assert_eq!(final_usage(Some(begin), true, question(), said("Hello world, hello")).await, begin);
    }

    #[tokio::test]
    async fn what_failed_before_any_output_consumed_nothing_that_is_charged() {
        assert_eq!(vain_usage(None, question(), Generated::default()).await, None);
        let usage = vain_usage(None, question(), said("Hello world")).await.unwrap();
        assert_eq!(usage, Usage::new(9, 2, Basis::Estimated));
    }
}
