//! The way to an upstream: connections of each channel account's own, with limits for everything.
//!
//! We speak HTTP/1.1 over connections that are driven by whoever waits for the answer (`connection`, `pool`), so that what
//! comes wakes one task. Where a proxy is between, the channel's or the environment's, a library goes that way.
//! Connecting, the first byte, silence and the whole answer have limits of their own; redirects are not followed, because
//! they would carry the key to an address that nobody configured. Nothing is retried here: the caller owns attempts.

mod body;
mod connection;
mod keys;
mod overrides;
mod pool;
mod prepared;
mod proxy;
mod response;
#[cfg(test)]
mod secure;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Body, Client, Request, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_util::sync::CancellationToken;

pub(crate) use self::body::{read_body, read_bytes, read_error_body};
use self::connection::Connector;
pub(crate) use self::keys::Keys;
pub use self::keys::{KeyOrder, ProviderKey};
pub use self::overrides::ParameterOverride;
pub(crate) use self::overrides::{apply, check_headers, check_parameters, concern};
use self::pool::{Failed, IDLE, MAX_IDLE, Pool};
pub(crate) use self::prepared::Prepared;
use self::proxy::check_proxy;
use self::response::Direct;
pub(crate) use self::response::Response;
use crate::address::{self, Resolver};
use crate::{AddressPolicy, RelayError};

/// A provider that asks for more patience than this is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Who we say we are.
const OUR_NAME: &str = concat!("oblivious/", env!("CARGO_PKG_VERSION"));
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

/// The way of one account.
pub(crate) struct Http {
    way: Way,
    limits: Limits,
}

enum Way {
    Direct(Arc<Pool>),
    Proxied(Client),
}

impl Http {
    /// The way to `base` and whatever else is at that host, as far as `policy` allows, through the proxy at that URL if
    /// there is one. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if the proxy's address is refused or the machine has no TLS roots.
    pub(crate) fn new(
        limits: Limits,
        policy: AddressPolicy,
        proxy: Option<&str>,
        base: &Url,
    ) -> Result<Self, RelayError> {
        if proxy.is_none() && !goes_by_the_environment(base) {
            return Ok(Self::direct(limits, policy, tls()?));
        }
        let mut builder = Client::builder()
            .connect_timeout(limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Resolver::new(policy))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tls_backend_preconfigured(tls()?)
            .user_agent(OUR_NAME);
        if let Some(proxy) = proxy {
            builder = builder.proxy(check_proxy(proxy, policy)?);
        }
        let client =
            builder.build().map_err(|_| RelayError::Misconfigured("the HTTP client cannot be set up".to_owned()))?;
        Ok(Self { way: Way::Proxied(client), limits })
    }

    /// The way without anybody between.
    fn direct(limits: Limits, policy: AddressPolicy, mut tls: rustls::ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { resolver: Resolver::new(policy), tls: Arc::new(tls).into() };
        Self { way: Way::Direct(Pool::new(connector)), limits }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A request for a document.
    pub(crate) fn get(url: Url) -> Request {
        Request::new(reqwest::Method::GET, url)
    }

    /// A request with a JSON document, which is still to be put into it.
    pub(crate) fn post(url: Url) -> Request {
        let mut request = Request::new(reqwest::Method::POST, url);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// The response, whatever its status, once its status line came within `patience`.
    ///
    /// # Errors
    /// It did not come, or nobody is there.
    pub(crate) async fn send(&self, mut request: Request, patience: Duration) -> Result<Response, RelayError> {
        let body = request.body_mut().take().unwrap_or_default();
        self.send_prepared(Prepared::of(&request)?, body, patience).await
    }

    /// The same of a request whose head was prepared.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) async fn send_prepared(
        &self,
        request: Prepared,
        body: Body,
        patience: Duration,
    ) -> Result<Response, RelayError> {
        let answering = async {
            match &self.way {
                Way::Direct(pool) => self.send_directly(pool, request, body).await,
                Way::Proxied(client) => {
                    let answered = Box::pin(client.execute(request.proxied(body))).await;
                    answered.map(Response::Proxied).map_err(|error| self.unreachable(&error))
                }
            }
        };
        let answered = tokio::time::timeout(patience, pin!(answering)).await;
        answered.unwrap_or_else(|_| Err(self.limits.too_slow("the first byte", patience)))
    }

    async fn send_directly(&self, pool: &Arc<Pool>, request: Prepared, body: Body) -> Result<Response, RelayError> {
        let origin = Arc::clone(&request.origin);
        let what = match pool.ask(&origin, request.direct(body), self.limits.connect).await {
            Ok(answered) => return Ok(Response::Direct(Direct::new(answered, Arc::clone(pool)))),
            Err(Failed::Refused(refusal)) => return Err(refusal),
            Err(Failed::NotInTime) => return Err(self.limits.too_slow("a connection", self.limits.connect)),
            Err(Failed::Nobody) => "it does not accept connections",
            Err(Failed::Insecure) => {
                "no secure connection: its certificate is not trusted here, or it does not speak TLS"
            }
            Err(Failed::Broken) => "the connection broke before an answer",
        };
        Err(RelayError::unavailable(what))
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

/// Whether the environment of this process says that a proxy is between.
fn goes_by_the_environment(base: &Url) -> bool {
    base.as_str().parse::<Uri>().is_ok_and(|base| Matcher::from_system().intercept(&base).is_some())
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
