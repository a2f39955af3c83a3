//! Calls besides conversations: embeddings, rankings, pictures, sound, moderation.
//!
//! To an upstream that speaks OpenAI's form a request goes as it is, but for the model's name; for others a mapping says
//! what to ask. Overrides of parameters are for conversations and are not applied. What is no answer of its kind is garbage,
//! so that somebody else can be asked.

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::{self, BoxStream};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Request as HttpRequest, StatusCode, Url};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Account, form};
use crate::http::{Http, Limits, Response, is_json, read_bytes, unless_cancelled};
use crate::modalities::{
    Answered, Ask, Embeddings, Encoding, Heard, Images, Mapping, Modalities, Modality, ModalityAnswer, ModalityBody,
    ModalityCall, Path, Piece, Request, Rerank, Speech, Told, consumed, embedded,
};
use crate::providers::Way;
use crate::{InvalidRequest, RelayError};

/// An answer of pictures in base64, at most.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Uploaded pictures that are put into a document, at most.
const MAX_PICTURE_BYTES: usize = 20 * 1024 * 1024;
/// Requests that are made at once for one call.
const AT_ONCE: usize = 4;

#[async_trait]
impl Modalities for Account {
    fn offers(&self, modality: Modality) -> bool {
        self.vendor.way(&self.base, modality).is_some()
    }

    async fn ask(&self, call: ModalityCall, cancel: CancellationToken) -> Result<ModalityAnswer, RelayError> {
        unless_cancelled(&cancel, async {
            match self.vendor.way(&self.base, call.modality) {
                Some(Way::Passing) => self.pass(call).await,
                Some(Way::Mapped(mapping)) => self.map(call, mapping).await,
                None => Err(not_offered()),
            }
        })
        .await
    }
}

impl Account {
    async fn pass(&self, call: ModalityCall) -> Result<ModalityAnswer, RelayError> {
        let ModalityCall { modality, model, public_model, body, key, .. } = call;
        let url = self.vendor.beside(&self.base, modality.path(), &model);
        let mut encoding = None;
        let request = match body {
            ModalityBody::Json(body) => {
                let mut body = (*body).clone();
                if modality == Modality::Embeddings {
                    encoding = Some(Encoding::of(&body).map_err(invalid)?);
                }
                body.insert("model".to_owned(), model.as_str().into());
                document_to(url, &body.into())?
            }
            ModalityBody::Multipart { mut fields, files, rest } => {
                fields.retain(|(name, _)| name != "model");
                fields.push(("model".to_owned(), model.clone()));
                let (content_type, form) = form::encode(&fields, files, rest);
                let mut request = HttpRequest::new(reqwest::Method::POST, url);
                request.headers_mut().insert(CONTENT_TYPE, header(&content_type)?);
                *request.body_mut() = Some(reqwest::Body::wrap_stream(form));
                request
            }
        };
        let response = self.accepted(request, self.keys.secret(self.keys.place(key.as_ref())), &model).await?;
        if !is_json(response.headers()) {
            let content_type = content_type(response.headers());
            if !may_be(modality, &content_type) {
                return Err(garbage("the answer has another form than what was asked for"));
            }
            let heard = is_events(&content_type).then(|| Heard::new(modality, MAX_ANSWER_BYTES));
            let pieces = pieces(response, self.http.limits(), heard);
            return Ok(ModalityAnswer::Stream { content_type, pieces });
        }
        let mut body = self.read_document(response).await?;
        if !is_answer(modality, &body) {
            return Err(garbage("what was asked for is not in the answer"));
        }
        if let Some(encoding) = encoding {
            embedded(&mut body, encoding)?;
        }
        let consumed = consumed(modality, &body);
        Ok(ModalityAnswer::Json { body: renamed(body, &public_model), consumed })
    }

    async fn map(&self, call: ModalityCall, mapping: &dyn Mapping) -> Result<ModalityAnswer, RelayError> {
        let ModalityCall { modality, model, public_model, body, created, key } = call;
        let request = understood(modality, &model, body).await?;
        let asks = mapping.ask(&request).map_err(invalid)?;
        let secret = self.keys.secret(self.keys.place(key.as_ref()));
        let mut answers = Vec::with_capacity(asks.len());
        for some in asks.chunks(AT_ONCE) {
            answers.extend(try_join_all(some.iter().map(|ask| self.one(ask, secret, &model))).await?);
        }
        let Answered { told, consumed } = mapping.read(&request, answers, created)?;
        Ok(match told {
            Told::Json(body) => ModalityAnswer::Json { body: renamed(body, &public_model), consumed },
            Told::Bytes { content_type, bytes } => ModalityAnswer::Stream {
                content_type: content_type.to_owned(),
                pieces: stream::iter([Ok(Piece::Bytes(bytes.into())), Ok(Piece::Done(consumed))]).boxed(),
            },
        })
    }

    async fn one(&self, ask: &Ask, secret: Option<&str>, model: &str) -> Result<Value, RelayError> {
        let url = match &ask.path {
            Path::Behind(path) => self.vendor.beside(&self.base, path, model),
            Path::OfHost(path) => {
                let mut url = self.base.clone();
                url.set_path(path);
                url
            }
        };
        let request = document_to(url, &ask.body)?;
        let response = self.accepted(request, secret, model).await?;
        self.read_document(response).await
    }

    async fn accepted(
        &self,
        mut request: HttpRequest,
        secret: Option<&str>,
        model: &str,
    ) -> Result<Response, RelayError> {
        request.headers_mut().extend(self.headers.clone());
        self.vendor.authorize(&mut request, secret)?;
        let response = self.http.send(request, self.http.limits().total).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            _ => Err(self.refusal(response, self.vendor.dialect(None, model), secret).await),
        }
    }

    async fn read_document(&self, response: Response) -> Result<Value, RelayError> {
        let limits = self.http.limits();
        let body = tokio::time::timeout(limits.total, read_bytes(response, MAX_ANSWER_BYTES))
            .await
            .map_err(|_| limits.too_slow("the whole answer", limits.total))??;
        serde_json::from_slice(&body).map_err(|_| RelayError::UpstreamGarbage("the answer is no JSON".to_owned()))
    }
}

fn document_to(url: Url, body: &Value) -> Result<HttpRequest, RelayError> {
    let bytes = serde_json::to_vec(body)
        .map_err(|_| RelayError::Misconfigured("the request cannot be written as JSON".to_owned()))?;
    let mut request = Http::post(url);
    *request.body_mut() = Some(bytes.into());
    Ok(request)
}

/// What is asked of an upstream that wants it in its own form.
async fn understood(modality: Modality, model: &str, body: ModalityBody) -> Result<Request, RelayError> {
    let (mut body, pictures): (Map<String, Value>, _) = match body {
        ModalityBody::Json(body) => ((*body).clone(), vec![]),
        ModalityBody::Multipart { mut fields, files, rest } => {
            let mut pictures = form::pictures(files, MAX_PICTURE_BYTES).await?;
            if let Some(rest) = rest {
                pictures.extend(form::more_pictures(rest, MAX_PICTURE_BYTES, &mut fields).await?);
            }
            (fields.into_iter().map(|(name, value)| (name, value.into())).collect(), pictures)
        }
    };
    body.insert("model".to_owned(), model.into());
    let request = match modality {
        Modality::Embeddings => Embeddings::read(body).map(Request::Embeddings),
        Modality::Rerank => Rerank::read(body).map(Request::Rerank),
        Modality::ImageGeneration | Modality::ImageEdit => Images::read(body, pictures).map(Request::Images),
        Modality::Speech => Speech::read(body).map(Request::Speech),
        Modality::Transcription | Modality::Translation | Modality::Moderation => return Err(not_offered()),
    };
    request.map_err(invalid)
}

fn invalid(error: InvalidRequest) -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: error.message,
        code: Some("invalid_request".to_owned()),
        param: error.param,
    }
}

fn not_offered() -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: "the provider of this model does not offer this".to_owned(),
        code: Some("unsupported_operation".to_owned()),
        param: Some("model".to_owned()),
    }
}

/// The answer under the name that was asked for.
fn renamed(mut body: Value, public_model: &str) -> Value {
    if let Some(model) = body.get_mut("model") {
        *model = public_model.into();
    }
    body
}

fn header(value: &str) -> Result<HeaderValue, RelayError> {
    value.parse().map_err(|_| RelayError::Misconfigured("a header cannot be written".to_owned()))
}

fn content_type(headers: &HeaderMap) -> String {
    let told = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    told.unwrap_or("application/octet-stream").to_owned()
}

fn is_events(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

/// Whether an answer that is no JSON document can be one to this.
fn may_be(modality: Modality, content_type: &str) -> bool {
    match modality {
        Modality::Speech => !content_type.to_ascii_lowercase().contains("html"),
        // A transcript may be a plain text, or one with times.
        Modality::Transcription | Modality::Translation => !content_type.to_ascii_lowercase().contains("html"),
        Modality::ImageGeneration | Modality::ImageEdit => is_events(content_type),
        Modality::Embeddings | Modality::Rerank | Modality::Moderation => false,
    }
}

/// Whether a document has what was asked for.
fn is_answer(modality: Modality, body: &Value) -> bool {
    let is_list = |name: &str| body.get(name).is_some_and(Value::is_array);
    match modality {
        Modality::Embeddings | Modality::ImageGeneration | Modality::ImageEdit => is_list("data"),
        Modality::Transcription | Modality::Translation => {
            body.is_string() || body.get("text").is_some_and(Value::is_string) || is_list("segments")
        }
        Modality::Moderation => is_list("results"),
        Modality::Rerank => true,
        // Sound is no JSON.
        Modality::Speech => false,
    }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

/// What is read on.
struct Source {
    response: Response,
    heard: Option<Heard>,
}

/// The bytes as they come; what they cost is told in events only.
fn pieces(response: Response, limits: Limits, heard: Option<Heard>) -> BoxStream<'static, Result<Piece, RelayError>> {
    let next = move |source: Option<Source>| async move {
        let mut source = source?;
        Some(match tokio::time::timeout(limits.idle, source.response.chunk()).await {
            Err(_) => (Err(limits.too_slow("the next piece", limits.idle)), None),
            Ok(Ok(Some(bytes))) => {
                if let Some(heard) = &mut source.heard {
                    heard.hear(&bytes);
                }
                (Ok(Piece::Bytes(bytes)), Some(source))
            }
            Ok(Err(_)) => (Err(RelayError::UpstreamCut), None),
            Ok(Ok(None)) => {
                let consumed = source.heard.as_mut().map(Heard::end).unwrap_or_default();
                (Ok(Piece::Done(consumed)), None)
            }
        })
    };
    stream::unfold(Some(Source { response, heard }), next).boxed()
}
