//! How long a request is in tokens, found out only as exactly as it matters.
//!
//! Promise: what is charged never depends on it, because the provider says what it read. Before a call a bound is enough
//! that costs nothing to find: a token is at least a byte, and a request has more bytes of form than its form is counted
//! for. It is counted with the model's own vocabulary, which takes a millisecond for every ten kilobytes, where anything
//! depends on the number: a context window that may be too small, a channel's limit of tokens, an answer that begins with
//! it, a hold that is charged when nobody settles it, or credit that does not cover the bound.

use std::sync::Arc;

use metering::{Choices, Offer};
use relay::{Basis, Counted, Dialect, RequestBody};

use super::ask::Ask;
use crate::problem::Problem;

/// The running text of most languages has about so many bytes a token.
const BYTES_PER_TOKEN: u64 = 4;
/// What opens the answer.
const PRIMING: u64 = 3;

/// A bound that is certain, and a guess that is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rough {
    pub(super) at_most: u64,
    pub(super) about: u64,
}

/// The bound, where it will do.
pub(super) fn roughly(ask: &Ask, choices: &Choices) -> Option<Rough> {
    if ask.dialect == Dialect::Messages && ask.stream {
        // Its first event tells the number, and agents reckon with it.
        return None;
    }
    if ask.body.has_flat_parts() {
        return None;
    }
    let length = ask.body.length();
    let rough = Rough { at_most: length.at_most + PRIMING, about: length.about.div_ceil(BYTES_PER_TOKEN) };
    let will_do = |offer: &Arc<Offer>| offer.takes_any_up_to(rough.at_most, ask.max_output_tokens);
    choices.all().all(will_do).then_some(rough)
}

/// The input's tokens. Counting is arithmetic for milliseconds, so it is done off the async threads.
pub(super) async fn count(offer: &Offer, dialect: Dialect, body: RequestBody) -> Result<Counted, Problem> {
    let (provider, model) = (Arc::clone(&offer.provider), offer.upstream.clone());
    let count = move || provider.count_call(dialect, &model, body.tree());
    tokio::task::spawn_blocking(count).await.map_err(|error| Problem::bug(&error))
}

impl Rough {
    /// As if it had been counted, for whoever is content with a guess.
    pub(super) const fn guess(self) -> Counted {
        Counted { tokens: self.about, basis: Basis::Estimated }
    }
}

#[cfg(test)]
mod tests {
    use relay::count_call;
    use serde_json::{Value, json};

    use super::*;

    fn body(body: &Value) -> RequestBody {
        RequestBody::read(body.to_string().into()).unwrap()
    }

    #[test]
    fn no_request_has_more_tokens_than_its_bound() {
        let tool = json!({"type": "function", "function": {"name": "f", "description": "\n\"a\"\t\u{1}\\",
            "parameters": {"type": "object", "properties": {"x": {"type": "number", "minimum": 1e300}}}}});
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let texts = ["", "a", "你好，世界", "🦀🦀", "\u{1}\u{2}\u{3}\n\n\r\t", "0123456789", "x y z", "ÿþ Ǆ ﷽"];
        for text in texts {
            let message = json!({"role": "user", "content": text});
            let chat = json!({"model": "m", "messages": [message, {"role": "assistant", "tool_calls": [call, call]},
                {"role": "user", "content": [{"type": "text", "text": text}]}], "tools": [tool, tool]});
            let claude = json!({"max_tokens": 1, "system": text, "messages": [message],
                "tools": [{"name": "f", "description": text, "input_schema": {"type": "object"}}]});
            let gemini = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
            let responses = json!({"instructions": text, "input": [{"role": "user", "content": text}]});
            for (dialect, body) in [
                (Dialect::ChatCompletions, body(&chat)),
                (Dialect::Messages, body(&claude)),
                (Dialect::GenerateContent, body(&gemini)),
                (Dialect::Responses, body(&responses)),
            ] {
                let counted = count_call(dialect, "gpt-4o", body.tree()).tokens;
                assert!(counted <= body.length().at_most + PRIMING, "{counted} tokens: {}", json!(body.tree()));
            }
        }
    }
}
