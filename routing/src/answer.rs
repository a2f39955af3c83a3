//! What the router sees of an answer: whether it has begun, and how it ended. Never what it says.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use relay::modalities::{ModalityAnswer, Piece};
use relay::{Finish, RelayError, ReplyDelta, ServedAnswer, ServedEvent, ServedFrame, Usage};
use serde_json::Value;

use crate::watch::Watch;

/// Steps that come before the first output and are held back with it, at most.
const MOST_PREAMBLE: usize = 16;

/// What a step of an answer is to the router.
#[derive(Debug, PartialEq)]
pub enum Seen<'s> {
    /// It only says that an answer is coming. It is held back, so that another candidate may still be asked.
    Preamble,
    /// Something was generated.
    Output,
    /// The end.
    Done {
        /// Of input and output together, where they are known.
        tokens: Option<u64>,
    },
    /// The end of an answer that the caller stopped.
    Stopped,
    /// It failed, and nothing of it has to be paid for.
    Failed(&'s RelayError),
    /// It failed after something was generated.
    Broken(&'s RelayError),
}

/// One step of a streamed answer.
pub trait Step: Send + 'static {
    /// What it is.
    fn seen(&self) -> Seen<'_>;
}

/// What a candidate gives when it is asked.
pub trait Answer: Sized + Send {
    /// Waits for its first output, and reports to `watch` from then on. The answer that comes back is whole: what was
    /// read is still inside.
    ///
    /// # Errors
    /// It failed before anything was generated.
    fn begun(self, watch: Watch) -> impl Future<Output = Result<Self, RelayError>> + Send;
}

/// Of any lifetime: within a task the compiler does not know that it is `'static`.
impl Answer for BoxStream<'_, Result<ReplyDelta, RelayError>> {
    async fn begun(self, watch: Watch) -> Result<Self, RelayError> {
        first_output(self, watch).await
    }
}

impl Answer for ServedAnswer {
    async fn begun(self, mut watch: Watch) -> Result<Self, RelayError> {
        match self {
            Self::Whole { body, usage } => {
                watch.whole(total(&usage));
                Ok(Self::Whole { body, usage })
            }
            Self::Passed { body, usage } => {
                watch.whole(total(&usage));
                Ok(Self::Passed { body, usage })
            }
            Self::Stream(stream) => Ok(Self::Stream(first_output(stream, watch).await?)),
        }
    }
}

impl Answer for ModalityAnswer {
    async fn begun(self, mut watch: Watch) -> Result<Self, RelayError> {
        match self {
            Self::Json { body, consumed } => {
                watch.whole(consumed.usage.as_ref().and_then(total));
                Ok(Self::Json { body, consumed })
            }
            Self::Stream { content_type, pieces } => {
                Ok(Self::Stream { content_type, pieces: first_output(pieces, watch).await? })
            }
        }
    }
}

impl Step for Result<Piece, RelayError> {
    fn seen(&self) -> Seen<'_> {
        match self {
            Ok(Piece::Bytes(_)) => Seen::Output,
            Ok(Piece::Done(consumed)) => Seen::Done { tokens: consumed.usage.as_ref().and_then(total) },
            Err(error) => Seen::Failed(error),
        }
    }
}

impl Step for Result<ReplyDelta, RelayError> {
    fn seen(&self) -> Seen<'_> {
        match self {
            Ok(ReplyDelta::Text(_)) => Seen::Output,
            Ok(ReplyDelta::Done { finish: Finish::Cancelled, .. }) => Seen::Stopped,
            Ok(ReplyDelta::Done { usage, .. }) => Seen::Done { tokens: usage.as_ref().and_then(total) },
            Err(error) => Seen::Failed(error),
        }
    }
}

impl Step for ServedFrame {
    fn seen(&self) -> Seen<'_> {
        match self {
            Self::Event(event) if is_preamble(event) => Seen::Preamble,
            Self::Event(_) | Self::Passed(_) => Seen::Output,
            Self::Done { usage, .. } => Seen::Done { tokens: total(usage) },
            Self::Failed { error, usage: None } => Seen::Failed(error),
            Self::Failed { error, usage: Some(_) } => Seen::Broken(error),
        }
    }
}

fn total(usage: &Usage) -> Option<u64> {
    usage.input_tokens.checked_add(usage.output_tokens)
}

/// Whether an event of a served stream only says that an answer is coming: Anthropic's and OpenAI's first events by their
/// names, and a chunk of chat completions that names nothing but the role.
fn is_preamble(event: &ServedEvent) -> bool {
    match event.name.as_deref() {
        Some(name) => {
            ["message_start", "ping", "response.created", "response.queued", "response.in_progress"].contains(&name)
        }
        None => event.data["choices"].as_array().is_some_and(|choices| choices.iter().all(says_nothing)),
    }
}

fn says_nothing(choice: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let delta = choice["delta"].as_object();
    let silent = delta.is_some_and(|delta| delta.iter().all(|(name, value)| name == "role" || empty(value)));
    silent && choice["finish_reason"].is_null()
}

/// Reads up to the first output and gives back the stream with all that was read.
async fn first_output<S: Step>(mut stream: BoxStream<'_, S>, mut watch: Watch) -> Result<BoxStream<'_, S>, RelayError> {
    let mut read = Vec::with_capacity(1);
    while read.len() <= MOST_PREAMBLE {
        let Some(step) = stream.next().await else {
            watch.failed(&RelayError::UpstreamCut);
            return Err(RelayError::UpstreamCut);
        };
        let goes_on = match step.seen() {
            Seen::Preamble => true,
            Seen::Failed(error) => {
                watch.failed(error);
                return Err(error.clone());
            }
            Seen::Output | Seen::Done { .. } | Seen::Stopped | Seen::Broken(_) => false,
        };
        read.push(step);
        if !goes_on {
            break;
        }
    }
    watch.first_output();
    Ok(Box::pin(Watched { read: read.into_iter(), stream, watch }))
}

/// An answer with what was read of it. Ended by its caller or by itself: either way the watch is dropped with it.
struct Watched<'s, S> {
    read: vec::IntoIter<S>,
    stream: BoxStream<'s, S>,
    watch: Watch,
}

/// Steps are moved and never pinned.
impl<S> Unpin for Watched<'_, S> {}

impl<S: Step> Stream for Watched<'_, S> {
    type Item = S;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S>> {
        let step = match self.read.next() {
            Some(step) => Some(step),
            None => ready!(self.stream.as_mut().poll_next(context)),
        };
        if let Some(step) = &step {
            self.watch.see(&step.seen());
        }
        Poll::Ready(step)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: Option<&'static str>, data: Value) -> ServedFrame {
        ServedFrame::Event(ServedEvent { name: name.map(Into::into), data })
    }

    #[test]
    fn what_only_announces_an_answer_is_no_output_in_any_dialect() {
        for frame in [
            event(
                None,
                json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}),
            ),
            event(None, json!({"choices": []})),
            event(Some("message_start"), json!({})),
            event(Some("response.created"), json!({})),
        ] {
            assert_eq!(frame.seen(), Seen::Preamble, "{frame:?}");
        }
    }

    #[test]
    fn text_tools_reasoning_and_ends_are_output() {
        for delta in [json!({"content": "a"}), json!({"tool_calls": [{}]}), json!({"reasoning_content": "a"})] {
            let frame = event(None, json!({"choices": [{"delta": delta, "finish_reason": null}]}));
            assert_eq!(frame.seen(), Seen::Output);
        }
        for frame in [
            event(None, json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
            event(None, json!({"candidates": [{}]})),
            event(Some("content_block_start"), json!({})),
        ] {
            assert_eq!(frame.seen(), Seen::Output);
        }
    }

    #[test]
    fn a_failure_that_has_to_be_paid_for_is_no_reason_to_ask_somebody_else() {
        let usage = Usage::new(1, 1, relay::Basis::Estimated);
        let broken = ServedFrame::Failed { error: RelayError::UpstreamCut, usage: Some(usage) };
        assert_eq!(broken.seen(), Seen::Broken(&RelayError::UpstreamCut));
        let nothing = ServedFrame::Failed { error: RelayError::UpstreamCut, usage: None };
        assert_eq!(nothing.seen(), Seen::Failed(&RelayError::UpstreamCut));
    }
}
