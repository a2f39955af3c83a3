//! Token counts for answers whose provider reports none.
//!
//! Models that the tokenizer library knows are counted exactly; others are estimated with the newest public
//! vocabulary. The conversation format adds a few tokens a turn, as OpenAI's guide on counting describes.

use tiktoken_rs::{bpe_for_model, o200k_base_singleton};

use crate::{Basis, Turn, Usage};

/// Tokens that the conversation format adds to each turn.
const TOKENS_PER_TURN: u64 = 3;
/// Tokens that open the answer.
const TOKENS_OF_PRIMING: u64 = 3;
/// Text longer than this is estimated by its length: counting 1 MiB takes about a tenth of a second.
const MAX_COUNTED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes a token in running text, about the same for English and for Chinese in UTF-8.
const BYTES_PER_TOKEN: u64 = 4;

/// What `turns` and `answer` would be in tokens of `model`.
///
/// Takes milliseconds for a long conversation, and some hundred at the first call, when the vocabulary is built: call
/// it off the async threads.
pub(crate) fn count(model: &str, turns: &[Turn], answer: &str) -> Usage {
    let framing = turns.len() as u64 * TOKENS_PER_TURN + TOKENS_OF_PRIMING;
    let bytes = turns.iter().map(|turn| turn.content.len()).sum::<usize>() + answer.len();
    if bytes > MAX_COUNTED_BYTES {
        let estimate = |text: &str| (text.len() as u64).div_ceil(BYTES_PER_TOKEN);
        let input = turns.iter().map(|turn| estimate(&turn.content)).sum::<u64>();
        return Usage { input_tokens: input + framing, output_tokens: estimate(answer), basis: Basis::Estimated };
    }
    let (vocabulary, basis) = match bpe_for_model(model) {
        Ok(vocabulary) => (vocabulary, Basis::Counted),
        Err(_) => (o200k_base_singleton(), Basis::Estimated),
    };
    let input = turns.iter().map(|turn| vocabulary.count_ordinary(&turn.content) as u64).sum::<u64>();
    Usage { input_tokens: input + framing, output_tokens: vocabulary.count_ordinary(answer) as u64, basis }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn turns(content: &str) -> Vec<Turn> {
        vec![Turn { role: Role::User, content: content.to_owned() }]
    }

    #[test]
    fn a_known_model_is_counted_with_its_own_vocabulary() {
        let usage = count("gpt-4o-mini", &turns("Hello world"), "Hello world, hello");
        assert_eq!(usage, Usage { input_tokens: 2 + 6, output_tokens: 4, basis: Basis::Counted });
    }

    #[test]
    fn an_unknown_model_is_an_estimate() {
        let usage = count("someone/elses-model", &turns("Hello world"), "你好");
        assert_eq!(usage.basis, Basis::Estimated);
        assert_eq!(usage.input_tokens, 8);
        assert!((1..=4).contains(&usage.output_tokens));
    }

    #[test]
    fn a_text_that_looks_like_a_control_token_is_counted_as_text() {
        let usage = count("gpt-4o", &turns("<|endoftext|>"), "");
        assert!(usage.input_tokens > 1 + 6);
    }

    #[test]
    fn a_huge_text_is_estimated_by_its_length() {
        let usage = count("gpt-4o", &turns(&"a".repeat(MAX_COUNTED_BYTES)), "four");
        assert_eq!(usage.basis, Basis::Estimated);
        assert_eq!(usage.output_tokens, 1);
    }
}
