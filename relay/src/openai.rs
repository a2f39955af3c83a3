//! Any server that speaks OpenAI's chat completions: OpenAI itself, gateways, and local servers.
//!
//! One HTTP client per account, with explicit limits for connecting, the first byte, silence and the whole answer;
//! redirects are not followed, because they would carry the key to an address that nobody configured. Nothing is
//! retried here: the caller owns attempts.

mod list;
mod stream;
mod wire;

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

use self::stream::Answer;
use crate::{ChatRequest, ModelInfo, Provider, RelayError, ReplyStream};

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
    /// The models that users may choose, the preferred one first.
    pub models: Vec<String>,
    /// How patient we are and how much we take.
    pub limits: Limits,
}

/// How long to wait for an upstream and how much to take from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the TCP and TLS handshakes.
    pub connect: Duration,
    /// From sending the request to the status line; a busy server answers late.
    pub first_byte: Duration,
    /// Between two lines of the stream, comments included.
    pub idle: Duration,
    /// For the whole answer.
    pub total: Duration,
    /// One line, and the data of one event.
    pub event_bytes: usize,
    /// The text of one answer.
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
    /// [`RelayError::Misconfigured`] if the base URL is not an `http` or `https` address.
    pub fn new(config: OpenAiConfig) -> Result<Self, RelayError> {
        let endpoint = endpoint(&config.base_url)?;
        let client = Client::builder()
            .connect_timeout(config.limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(60))
            .tls_backend_preconfigured(tls()?)
            .user_agent(concat!("oblivious/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| RelayError::Misconfigured("the HTTP client cannot be set up".to_owned()))?;
        let is_openai = endpoint.host_str() == Some("api.openai.com");
        Ok(Self { client, endpoint, is_openai, config })
    }

    async fn send(&self, request: &ChatRequest) -> Result<Response, RelayError> {
        let mut call = self.client.post(self.endpoint.clone()).json(&wire::Body::new(request, self.is_openai));
        if let Some(key) = &self.config.api_key {
            call = call.bearer_auth(key.expose_secret());
        }
        let limits = self.config.limits;
        match tokio::time::timeout(limits.first_byte, call.send()).await {
            Err(_) => Err(limits.too_slow("the first byte", limits.first_byte)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_timeout() => Err(limits.too_slow("a connection", limits.connect)),
            Ok(Err(error)) if error.is_connect() => {
                Err(RelayError::UpstreamUnavailable("it does not accept connections".to_owned()))
            }
            Ok(Err(_)) => Err(RelayError::UpstreamUnavailable("the connection broke before an answer".to_owned())),
        }
    }

    /// The error that a refused request means.
    async fn refusal(&self, response: Response) -> RelayError {
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let body = match tokio::time::timeout(ERROR_BODY_TIMEOUT, read_body(response)).await {
            Ok(Ok(body)) => body,
            _ => String::new(),
        };
        wire::read_error(status.as_u16(), &body, retry_after, self.secret())
    }

    /// The answer of a server that ignores `stream: true` and sends one JSON document.
    async fn whole_answer(&self, response: Response, request: ChatRequest) -> Result<ReplyStream, RelayError> {
        let limits = self.config.limits;
        let body = tokio::time::timeout(limits.total, read_body(response))
            .await
            .map_err(|_| limits.too_slow("the whole answer", limits.total))??;
        // The same reader judges it: one event, then the end.
        wire::read_chunk(&body, self.secret())?;
        let document: String = body.split(['\r', '\n']).collect();
        let source = Box::new(std::io::Cursor::new(format!("data: {document}\n\n")));
        let limits = Limits { event_bytes: MAX_BODY_BYTES + 16, ..limits };
        let asked = (request.model, request.turns);
        let answer = Answer::new(source, limits, self.config.api_key.clone(), asked, CancellationToken::new());
        Ok(answer.into_stream())
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

    fn models(&self) -> Vec<ModelInfo> {
        let info = |id: &String| ModelInfo {
            id: id.clone(),
            provider: self.name().to_owned(),
            demonstration: false,
            context_tokens: None,
        };
        self.config.models.iter().map(info).collect()
    }

    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        let start = async {
            let response = self.send(&request).await?;
            if response.status() != StatusCode::OK {
                return Err(self.refusal(response).await);
            }
            Ok(response)
        };
        let response = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RelayError::Cancelled),
            response = start => response?,
        };
        if is_json(response.headers()) {
            return tokio::select! {
                biased;
                () = cancel.cancelled() => Err(RelayError::Cancelled),
                answer = self.whole_answer(response, request) => answer,
            };
        }
        let bytes = response.bytes_stream().map_err(std::io::Error::other);
        let source = Box::new(StreamReader::new(bytes.boxed()));
        let asked = (request.model, request.turns);
        Ok(Answer::new(source, self.config.limits, self.config.api_key.clone(), asked, cancel).into_stream())
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

/// `<base>/chat/completions`, forgiving about a trailing slash and a bare host.
fn endpoint(base_url: &str) -> Result<Url, RelayError> {
    let wrong = || RelayError::Misconfigured("the base URL must look like https://host/v1".to_owned());
    let mut url = Url::parse(base_url.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.host_str().is_none() {
        return Err(wrong());
    }
    let path = url.path().trim_end_matches('/');
    let path = if path.is_empty() { "/v1" } else { path };
    url.set_path(&format!("{path}/chat/completions"));
    Ok(url)
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
    fn base_urls_of_all_common_forms_lead_to_the_same_endpoint() {
        for base in
            ["https://host.example/v1", "https://host.example/v1/", "https://host.example", " https://host.example/ "]
        {
            assert_eq!(endpoint(base).unwrap().as_str(), "https://host.example/v1/chat/completions");
        }
        assert_eq!(endpoint("http://h:1/openai/v2").unwrap().path(), "/openai/v2/chat/completions");
    }

    #[test]
    fn a_base_url_that_is_no_http_address_is_refused_without_repeating_it() {
        for base in ["", "host/v1", "ftp://secret@host/v1", "https://host/v1?key=secret"] {
            let error = endpoint(base).unwrap_err();
            assert_eq!(error.code(), "misconfigured");
            assert!(!error.to_string().contains("secret"));
        }
    }

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
            models: vec![],
            limits: Limits::default(),
        };
        assert!(!format!("{config:?}").contains("very-secret"));
    }
}
