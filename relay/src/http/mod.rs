//! The way to an upstream: one HTTP client for each channel account, with limits for everything.
//!
//! Connecting, the first byte, silence and the whole answer have limits of their own; redirects are not followed, because
//! they would carry the key to an address that nobody configured. Nothing is retried here: the caller owns attempts.

mod body;
mod keys;
mod overrides;
mod proxy;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Response, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_util::sync::CancellationToken;

pub(crate) use self::body::{read_body, read_bytes, read_error_body};
pub(crate) use self::keys::Keys;
pub use self::keys::{KeyOrder, ProviderKey};
pub use self::overrides::ParameterOverride;
pub(crate) use self::overrides::{apply, check_headers, check_parameters, concern};
use self::proxy::check_proxy;
use crate::address::{self, Resolver};
use crate::{AddressPolicy, RelayError};

/// A provider that asks for more patience than this is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// A connection that nobody used for so long is closed; providers' load balancers close theirs at about the same time.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// Idle connections that are kept, at most: as many as there are calls at the same time on a busy node.
const MAX_IDLE_CONNECTIONS: usize = 256;
/// A dead peer is noticed although nobody speaks.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

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
    /// What is generated for one request, all candidates together.
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
    pub(crate) fn too_slow(self, what: &str, limit: Duration) -> RelayError {
        RelayError::TimedOut(format!("{what} did not come within {} ms", limit.as_millis()))
    }
}

/// The client of one account. Cheap to share; one connection pool.
pub(crate) struct Http {
    client: Client,
    limits: Limits,
}

impl Http {
    /// A client that reaches what `policy` allows, through the proxy at that URL if there is one. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if the proxy's address is refused or the machine has no TLS roots.
    pub(crate) fn new(limits: Limits, policy: AddressPolicy, proxy: Option<&str>) -> Result<Self, RelayError> {
        let mut builder = Client::builder()
            .connect_timeout(limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Resolver::new(policy))
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tls_backend_preconfigured(tls()?)
            .user_agent(concat!("oblivious/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            builder = builder.proxy(check_proxy(proxy, policy)?);
        }
        let client =
            builder.build().map_err(|_| RelayError::Misconfigured("the HTTP client cannot be set up".to_owned()))?;
        Ok(Self { client, limits })
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A request for a document.
    pub(crate) fn get(&self, url: Url) -> Request {
        Request::new(reqwest::Method::GET, url)
    }

    /// A request with a JSON document.
    pub(crate) fn post(&self, url: Url, body: Vec<u8>) -> Request {
        let mut request = Request::new(reqwest::Method::POST, url);
        request.headers_mut().insert(CONTENT_TYPE, reqwest::header::HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        request
    }

    /// The response, whatever its status, once its status line came within `patience`.
    ///
    /// # Errors
    /// It did not come, or nobody is there.
    pub(crate) async fn send(&self, request: Request, patience: Duration) -> Result<Response, RelayError> {
        match tokio::time::timeout(patience, self.client.execute(request)).await {
            Err(_) => Err(self.limits.too_slow("the first byte", patience)),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> RelayError {
        if let Some(refusal) = address::refusal(error) {
            return refusal;
        }
        if error.is_timeout() {
            return self.limits.too_slow("a connection", self.limits.connect);
        }
        let what =
            if error.is_connect() { "it does not accept connections" } else { "the connection broke before an answer" };
        RelayError::unavailable(what)
    }
}

/// What `work` gives, or [`RelayError::Cancelled`] as soon as the caller wants it no more.
pub(crate) async fn unless_cancelled<T>(
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

/// Whether the response is a JSON document and no stream.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/json")
}

/// What the provider asks us to wait: OpenAI's milliseconds, else seconds or a date as RFC 9110 has it.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
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
}
