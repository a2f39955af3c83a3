//! What answers: an upstream account, or a model in this process.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::modalities::Modalities;
use crate::{ChatRequest, Counted, Dialect, KeyRef, RelayError, ReplyStream, ServedAnswer, ServedCall, Turn};

/// A source of answers: an upstream account, or a model in this process.
#[async_trait]
pub trait Provider: Send + Sync {
    /// A short stable name such as `local` or `openai`.
    fn name(&self) -> &str;

    /// The names of its keys, in their order; empty where it needs none.
    fn keys(&self) -> &[KeyRef] {
        &[]
    }

    /// The key that is next by the account's own strategy, without those in `avoid`. `None` where it has no key, or no
    /// other.
    fn choose_key(&self, avoid: &[KeyRef]) -> Option<KeyRef> {
        self.keys().iter().find(|key| !avoid.contains(key)).cloned()
    }

    /// Tokens of the prompt that `turns` become, as well as they can be counted before a call. Takes milliseconds for a
    /// long conversation: call it off the async threads.
    fn count_turns(&self, model: &str, turns: &[Turn]) -> u64 {
        crate::count_turns(model, turns)
    }

    /// The same for the request of a client in its dialect. Never fails: what is no request of that dialect is counted
    /// as the text that it is.
    fn count_call(&self, dialect: Dialect, model: &str, body: &Map<String, Value>) -> Counted {
        crate::count_call(dialect, model, body)
    }

    /// Starts an answer. An error here means that no text was produced, so a retry costs nobody a half answer.
    ///
    /// The stream yields text and then one `Done`, or ends with one error. Once `cancel` fires it ends within moments
    /// with `Done { finish: Finish::Cancelled, .. }` whose usage covers what was generated; if it fires before the
    /// stream exists, the error is [`RelayError::Cancelled`].
    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError>;

    /// Answers one call of a served API, in the dialect in which it was asked. An error here means that nothing was
    /// delivered, so the call may be made elsewhere.
    ///
    /// A stream ends once `cancel` fires with a `Done` whose usage covers what was generated. A whole answer cannot be
    /// half: cancelling it is [`RelayError::Cancelled`], and what the provider charges for it is not known; a caller
    /// that must know lets it finish.
    async fn call(&self, call: ServedCall, cancel: CancellationToken) -> Result<ServedAnswer, RelayError>;

    /// What it can be asked for besides conversations; `None` where that is nothing.
    fn modalities(&self) -> Option<&dyn Modalities> {
        None
    }

    /// The ids of the models that it offers, in its order.
    ///
    /// # Errors
    /// It cannot be reached, refuses, or has no such list.
    async fn list_models(&self) -> Result<Vec<String>, RelayError>;
}
