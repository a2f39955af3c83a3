//! Any server that speaks OpenAI's chat completions: OpenAI itself, gateways, and local servers.
//!
//! One HTTP client per account, with explicit limits for connecting, the first byte, silence and the whole answer;
//! redirects are not followed, because they would carry the key to an address that nobody configured. Nothing is
//! retried here: the caller owns attempts.

mod chunk;
mod list;
mod request;
mod stream;
pub(crate) mod told;
mod whole;

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
pub use secrecy::SecretString;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use self::request::Asked;
use self::stream::Answer;
use self::whole::Document;
use crate::address::{self, Resolver};
pub(crate) use crate::dialects::chat_completions::refusal;
use crate::dialects::chat_completions::{calls, usage};
use crate::{
    AddressPolicy, ChatRequest, Dialect, Envelope, Provider, RelayError, ReplyStream, ServedAnswer, ServedCall,
    check_base_url,
};

/// An error body, or an answer without streaming, is read up to this size.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// How long an error body may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A provider that asks for more patience than this is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// One account at one server.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// With the version, as the official SDKs take it: `https://api.openai.com/v1`. A bare host gets `/v1`.
    pub base_url: String,
    /// Absent for local servers that want none. `Debug` does not show it.
    pub api_key: Option<SecretString>,
    /// How patient we are and how much we take.
    pub limits: Limits,
    /// Which addresses are allowed beyond the safe default.
    pub address_policy: AddressPolicy,
}

/// How long to wait for an upstream and how much to take from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the TCP and TLS handshakes.
    pub connect: Duration,
    /// From sending a request for a stream to the status line; a busy server answers late.
    pub first_byte: Duration,
    /// Between two lines of the stream, comments included.
    pub idle: Duration,
    /// For the whole answer; one that is no stream may take all of it before its first byte.
    pub total: Duration,
    /// One line, and the data of one event.
    pub event_bytes: usize,
    /// What is generated for one request, all choices together.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(90),
            total: Duration::from_secs(30 * 60),
            event_bytes: 1024 * 1024,
            answer_bytes: 4 * 1024 * 1024,
        }
    }
}

impl Limits {
    fn too_slow(self, what: &str, limit: Duration) -> RelayError {
        RelayError::TimedOut(format!("{what} did not come within {} ms", limit.as_millis()))
    }
}

/// The adapter. Cheap to share; one connection pool.
pub struct OpenAi {
    client: Client,
    endpoint: Url,
    is_openai: bool,
    config: OpenAiConfig,
}

impl OpenAi {
    /// An adapter for that account. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if [`check_base_url`] refuses the base URL.
    pub fn new(config: OpenAiConfig) -> Result<Self, RelayError> {
        let mut endpoint = check_base_url(&config.base_url, config.address_policy)?;
        let path = format!("{}/chat/completions", endpoint.path());
        endpoint.set_path(&path);
        let client = Client::builder()
            .connect_timeout(config.limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Resolver::new(config.address_policy))
            .pool_idle_timeout(Duration::from_secs(60))
            .tls_backend_preconfigured(tls()?)
            .user_agent(concat!("oblivious/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| RelayError::Misconfigured("the HTTP client cannot be set up".to_owned()))?;
        let is_openai = endpoint.host_str() == Some("api.openai.com");
        Ok(Self { client, endpoint, is_openai, config })
    }

    /// The response of a server that accepted the request, once its status line came within `patience`.
    async fn send(&self, asked: &Asked, patience: Duration) -> Result<Response, RelayError> {
        let mut call = self.client.post(self.endpoint.clone()).json(&asked.body);
        if let Some(key) = &self.config.api_key {
            call = call.bearer_auth(key.expose_secret());
        }
        let limits = self.config.limits;
        let response = match tokio::time::timeout(patience, call.send()).await {
            Err(_) => return Err(limits.too_slow("the first byte", patience)),
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Ok(Ok(response)) => response,
        };
        if response.status() == StatusCode::OK { Ok(response) } else { Err(self.refusal(response).await) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> RelayError {
        if let Some(refusal) = address::refusal(error) {
            return refusal;
        }
        if error.is_timeout() {
            return self.config.limits.too_slow("a connection", self.config.limits.connect);
        }
        let what =
            if error.is_connect() { "it does not accept connections" } else { "the connection broke before an answer" };
        RelayError::UpstreamUnavailable(what.to_owned())
    }

    /// The error that a refused request means.
    async fn refusal(&self, response: Response) -> RelayError {
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let body = match tokio::time::timeout(ERROR_BODY_TIMEOUT, read_body(response)).await {
            Ok(Ok(body)) => body,
            _ => String::new(),
        };
        refusal::of_response(status.as_u16(), &body, retry_after, self.secret()).with_key_judged(&body)
    }

    /// The one JSON document that a response is.
    async fn document(&self, response: Response) -> Result<Document, RelayError> {
        let limits = self.config.limits;
        let body = tokio::time::timeout(limits.total, read_body(response))
            .await
            .map_err(|_| limits.too_slow("the whole answer", limits.total))??;
        Document::read(&body, self.secret())
    }

    /// The answer to a request for a stream, about to be read.
    async fn stream(&self, asked: Asked, cancel: CancellationToken) -> Result<Answer, RelayError> {
        let limits = self.config.limits;
        let response = self.send(&asked, limits.first_byte).await?;
        let secret = self.config.api_key.clone();
        if is_json(response.headers()) {
            // A server that ignores `stream: true`. The same reader tells its document as a stream.
            let events = self.document(response).await?.into_events();
            let limits = Limits { event_bytes: 2 * MAX_BODY_BYTES, ..limits };
            return Ok(Answer::new(Box::new(Cursor::new(events)), limits, secret, asked, CancellationToken::new()));
        }
        let bytes = response.bytes_stream().map_err(std::io::Error::other);
        Ok(Answer::new(Box::new(StreamReader::new(bytes.boxed())), limits, secret, asked, cancel))
    }

    async fn whole(&self, asked: Asked, envelope: &Envelope) -> Result<ServedAnswer, RelayError> {
        let response = self.send(&asked, self.config.limits.total).await?;
        let Document { body, usage, generated } = self.document(response).await?;
        let usage = stream::final_usage(usage, asked, generated).await;
        Ok(ServedAnswer::Whole { body: told::whole(body, envelope, &usage), usage })
    }

    fn secret(&self) -> Option<&str> {
        self.config.api_key.as_ref().map(ExposeSecret::expose_secret)
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &str {
        "openai"
    }

    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        let asked = Asked::chat(&request, self.is_openai);
        let answer = unless_cancelled(&cancel, self.stream(asked, cancel.clone())).await?;
        Ok(answer.into_reply())
    }

    async fn call(&self, call: ServedCall, cancel: CancellationToken) -> Result<ServedAnswer, RelayError> {
        let ServedCall { dialect, model, body, max_output_tokens, stream, envelope, .. } = call;
        if dialect != Dialect::ChatCompletions {
            return Err(RelayError::refused(400, "this model is not served in that API"));
        }
        let asked = Asked::completion(model, Arc::unwrap_or_clone(body), max_output_tokens, stream, self.is_openai);
        if !stream {
            return unless_cancelled(&cancel, self.whole(asked, &envelope)).await;
        }
        let answer = unless_cancelled(&cancel, self.stream(asked, cancel.clone())).await?;
        Ok(ServedAnswer::Stream(answer.into_chunks(envelope)))
    }

    async fn list_models(&self) -> Result<Vec<String>, RelayError> {
        self.list().await
    }
}

/// What `work` gives, or [`RelayError::Cancelled`] as soon as the caller wants it no more.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, RelayError>>,
) -> Result<T, RelayError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(RelayError::Cancelled),
        outcome = work => outcome,
    }
}

/// TLS on ring with the operating system's roots, independent of what the process installed as its default.
fn tls() -> Result<rustls::ClientConfig, RelayError> {
    let unusable = |_| RelayError::Misconfigured("no usable TLS roots on this machine".to_owned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(unusable)?;
    Ok(config.with_no_client_auth())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/json")
}

/// The whole body as text, up to a limit.
async fn read_body(response: Response) -> Result<String, RelayError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| RelayError::UpstreamCut)?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(RelayError::UpstreamGarbage("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| RelayError::UpstreamGarbage("the text is not UTF-8".to_owned()))
}

/// What the provider asks us to wait: OpenAI's milliseconds, else seconds or a date as RFC 9110 has it.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()).map(|ms| ms / 1000.0);
    let standard = text(RETRY_AFTER.as_str());
    let seconds = milliseconds.or_else(|| standard.and_then(|value| value.parse::<f64>().ok()));
    let wait = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        None => httpdate::parse_http_date(standard?).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_from_milliseconds_seconds_and_dates_and_is_bounded() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_717))
        };
        assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("retry-after", "20"), Some(Duration::from_secs(20)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("retry-after", "999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
    }

    #[test]
    fn the_debug_output_of_a_configuration_does_not_show_the_key() {
        let config = OpenAiConfig {
            base_url: "https://host.example/v1".to_owned(),
            api_key: Some("sk-very-secret".into()),
            limits: Limits::default(),
            address_policy: AddressPolicy::default(),
        };
        assert!(!format!("{config:?}").contains("very-secret"));
    }
}
