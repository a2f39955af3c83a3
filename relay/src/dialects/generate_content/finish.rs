//! Why an answer ended, in Google's words and ours.
//!
//! Source: `Candidate.FinishReason` of google.ai.generativelanguage.v1beta and of the Gen AI SDKs.

use crate::model::FinishReason;

/// What a word means; `calls` says whether the candidate called a tool, for which Google has no word of its own.
pub(super) fn read(word: &str, calls: bool) -> FinishReason {
    match word {
        "STOP" if calls => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "JAILBREAK" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// The word for a reason.
pub(super) fn write(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::Other(word) if is_word(word) => word,
        FinishReason::Other(_) => "OTHER",
    }
}

/// Whether a reason is told by the canonical word, so that nothing of the provider's own word is lost.
pub(super) fn is_canonical(word: &str, calls: bool) -> bool {
    write(&read(word, calls)) == word
}

/// Google's words are capitals; what another provider says in its own would be none of the enumeration.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_with_calls_waits_for_tools_unless_it_was_cut() {
        assert_eq!(read("STOP", true), FinishReason::ToolCalls);
        assert_eq!(read("STOP", false), FinishReason::Stop);
        assert_eq!(read("MAX_TOKENS", true), FinishReason::Length);
    }

    #[test]
    fn every_filter_is_the_content_filter_and_an_unknown_word_is_kept() {
        for word in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"] {
            assert_eq!(read(word, false), FinishReason::ContentFilter);
        }
        assert!(is_canonical("SAFETY", false) && !is_canonical("SPII", false));
        let malformed = read("MALFORMED_FUNCTION_CALL", false);
        assert_eq!(write(&malformed), "MALFORMED_FUNCTION_CALL");
        assert_eq!(write(&FinishReason::Other("eos".to_owned())), "OTHER");
    }
}
