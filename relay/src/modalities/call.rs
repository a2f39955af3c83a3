//! Calls of the served APIs besides conversations, and who answers them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Modality;
use crate::{KeyRef, RelayError, Usage};

/// One call of a served API besides conversations.
pub struct ModalityCall {
    /// What is asked for.
    pub modality: Modality,
    /// The upstream's id of the model; replaces the one in the body.
    pub model: String,
    /// The model as the client named it, for the answer.
    pub public_model: String,
    /// What the client sent.
    pub body: ModalityBody,
    /// Seconds since 1970, for answers that say when they were made.
    pub created: i64,
    /// Which of the provider's keys is used; `None` leaves it to the provider.
    pub key: Option<KeyRef>,
}

/// What a client sent.
pub enum ModalityBody {
    /// An object in OpenAI's form; unknown parameters included.
    Json(Arc<Map<String, Value>>),
    /// A form with files, which are passed on as they come and so can be sent once only.
    Multipart {
        /// Its texts, in their order.
        fields: Vec<(String, String)>,
        /// Its files, in their order.
        files: Vec<File>,
        /// What follows them and has not come yet, where the form is longer than what is waited for.
        rest: Option<BoxStream<'static, std::io::Result<FormPart>>>,
    },
}

/// A part of a form as it comes. A file is read to its end before the next part is asked for.
pub enum FormPart {
    /// A text under its name.
    Field(String, String),
    /// A file.
    File(File),
}

/// A file of a form.
pub struct File {
    /// The name of the field, such as `file` or `image[]`.
    pub field: String,
    /// What the client calls it; providers tell formats by its ending.
    pub name: Option<String>,
    /// As the client says.
    pub media_type: Option<String>,
    /// The bytes as they come.
    pub bytes: BoxStream<'static, std::io::Result<Bytes>>,
}

impl fmt::Debug for ModalityCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalityCall")
            .field("modality", &self.modality)
            .field("model", &self.model)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The answer to a [`ModalityCall`].
pub enum ModalityAnswer {
    /// An object in OpenAI's form.
    Json {
        /// What the client gets.
        body: Value,
        /// What it consumed.
        consumed: Consumed,
    },
    /// Sound, a transcript that is no JSON, or events: passed on as they come, and then exactly one `Done`.
    Stream {
        /// The `content-type` of the answer.
        content_type: String,
        /// The answer.
        pieces: BoxStream<'static, Result<Piece, RelayError>>,
    },
}

/// One step of such an answer.
pub enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// The end.
    Done(Consumed),
}

/// What an answer consumed, as far as the upstream says; prices are by token, by picture, by search or by second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumed {
    /// In tokens; `None` where the upstream does not say, so that they are counted here.
    pub usage: Option<Usage>,
    /// Pictures that were made.
    pub images: u32,
    /// Searches of a ranking, as Cohere counts them: a question with up to 100 documents.
    pub searches: u32,
    /// Seconds of sound that were heard.
    pub seconds: f64,
}

/// An upstream account that is asked for more than conversations.
#[async_trait]
pub trait Modalities: Send + Sync {
    /// Whether it can be asked for this at all.
    fn offers(&self, modality: Modality) -> bool;

    /// Answers one call. An error here means that nothing was delivered; the call may be made elsewhere if its body can be
    /// sent again.
    ///
    /// # Errors
    /// As of [`crate::Provider::call`].
    async fn ask(&self, call: ModalityCall, cancel: CancellationToken) -> Result<ModalityAnswer, RelayError>;
}
