//! What models do besides conversations: embeddings, ranking, pictures, speech, transcripts, moderation.
//!
//! Promise: a client asks in OpenAI's form (ranking: in the form that Jina and Cohere share) and gets its answer in that
//! form, whoever answers. An upstream that speaks it gets the request as it is; for others a [`Mapping`] says what to ask
//! and what the answers mean. Mappings are pure: no I/O, no clock, no randomness. What an upstream cannot do is refused
//! before anything is sent, by an error that names the parameter.

mod bedrock;
mod call;
mod embeddings;
mod gemini;
mod heard;
mod images;
mod openai;
mod rerank;
mod speech;

use serde_json::Value;

pub use self::bedrock::Bedrock;
pub use self::call::{Consumed, File, FormPart, Modalities, ModalityAnswer, ModalityBody, ModalityCall, Piece};
pub use self::embeddings::{Embeddings, Encoding, Input};
pub use self::gemini::Gemini;
pub(crate) use self::heard::Heard;
pub use self::images::{Images, Picture};
pub use self::openai::{consumed, embedded};
pub use self::rerank::{Rerank, RerankForm};
pub use self::speech::Speech;
use crate::{InvalidRequest, RelayError};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modality {
    /// Texts as vectors.
    Embeddings,
    /// Documents by how well they answer a question.
    Rerank,
    /// Pictures from a description.
    ImageGeneration,
    /// Pictures from pictures and a description.
    ImageEdit,
    /// Text read aloud.
    Speech,
    /// Speech written down.
    Transcription,
    /// Speech written down in English.
    Translation,
    /// Whether a text is harmful.
    Moderation,
}

impl Modality {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Embeddings,
        Self::Rerank,
        Self::ImageGeneration,
        Self::ImageEdit,
        Self::Speech,
        Self::Transcription,
        Self::Translation,
        Self::Moderation,
    ];

    /// The path behind the base URL of an upstream that speaks OpenAI's form.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Embeddings => "/embeddings",
            Self::Rerank => "/rerank",
            Self::ImageGeneration => "/images/generations",
            Self::ImageEdit => "/images/edits",
            Self::Speech => "/audio/speech",
            Self::Transcription => "/audio/transcriptions",
            Self::Translation => "/audio/translations",
            Self::Moderation => "/moderations",
        }
    }
}

/// A request that is understood, and so can be translated.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Texts as vectors.
    Embeddings(Embeddings),
    /// Documents by how well they answer a question.
    Rerank(Rerank),
    /// New pictures, with pictures to begin from or without.
    Images(Images),
    /// Text read aloud.
    Speech(Speech),
}

/// One request to an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Where.
    pub path: Path,
    /// What.
    pub body: Value,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Behind the channel's base URL, beginning with `/`.
    Behind(String),
    /// Behind the host alone: of providers whose native API lies beside the compatible one.
    OfHost(&'static str),
}

/// What the upstreams' answers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What the client gets. The model's name in it is the one of the request.
    pub told: Told,
    /// What it consumed, as far as the upstream says.
    pub consumed: Consumed,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An object in OpenAI's form.
    Json(Value),
    /// Sound.
    Bytes {
        /// Such as `audio/wav`.
        content_type: &'static str,
        /// The whole of it.
        bytes: Vec<u8>,
    },
}

/// How an upstream that does not speak OpenAI's form is asked.
pub trait Mapping: Send + Sync {
    /// Whether it can be asked for this at all.
    fn offers(&self, modality: Modality) -> bool;

    /// What to ask. Where an upstream takes one thing at a time there are several requests, which may be made at once; all
    /// must succeed.
    ///
    /// # Errors
    /// The upstream cannot do what is asked; the error names the parameter.
    fn ask(&self, request: &Request) -> Result<Vec<Ask>, InvalidRequest>;

    /// What the answers mean, in the order of the requests. `created` is in seconds since 1970.
    ///
    /// # Errors
    /// [`RelayError::UpstreamGarbage`] if one is none.
    fn read(&self, request: &Request, answers: Vec<Value>, created: i64) -> Result<Answered, RelayError>;
}

/// Bytes that an upstream sent are not what its protocol says.
fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

/// Something that this upstream does not do.
fn unsupported(param: &str, what: &str) -> InvalidRequest {
    InvalidRequest::at(param, what)
}
