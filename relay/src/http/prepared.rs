//! A request but for its body, made once for everything that is asked in the same way.

use std::sync::Arc;

use hyper::http::request::Parts;
use reqwest::header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Body, Request, Url};

use super::OUR_NAME;
use super::connection::{self, Origin};
use crate::RelayError;

/// Where a request goes, and its head as it is written.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(super) origin: Arc<Origin>,
    head: Parts,
    /// The whole address, for whoever goes by way of a proxy.
    url: Arc<Url>,
}

impl Prepared {
    /// The same request without its body.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if it cannot be written.
    pub(crate) fn of(request: &Request) -> Result<Self, RelayError> {
        let unwritable = || RelayError::Misconfigured("a request to this address cannot be written".to_owned());
        let url = request.url();
        let mut written = hyper::Request::new(());
        *written.method_mut() = request.method().clone();
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        *written.uri_mut() = path.parse().map_err(|_| unwritable())?;
        *written.headers_mut() = request.headers().clone();
        let headers = written.headers_mut();
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        headers.insert(HOST, host.parse().map_err(|_| unwritable())?);
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OUR_NAME));
        let origin = Arc::new(Origin::of(url).ok_or_else(unwritable)?);
        Ok(Self { origin, head: written.into_parts().0, url: Arc::new(url.clone()) })
    }

    /// The same with these headers, but for what says who we are and for those that `stand`.
    pub(crate) fn with(mut self, headers: &[(String, String)], stand: &HeaderMap) -> Self {
        for (name, value) in headers {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            let is_ours =
                stand.contains_key(&name) || self.head.headers.get(&name).is_some_and(HeaderValue::is_sensitive);
            if let Ok(value) = value.parse()
                && !is_ours
                && name != HOST
            {
                self.head.headers.insert(name, value);
            }
        }
        self
    }

    /// As it is written to its origin.
    pub(super) fn direct(self, body: Body) -> connection::Request {
        hyper::Request::from_parts(self.head, body)
    }

    /// As it is given to whoever goes by way of a proxy.
    pub(super) fn proxied(self, body: Body) -> Request {
        let mut request = Request::new(self.head.method, Arc::unwrap_or_clone(self.url));
        *request.headers_mut() = self.head.headers;
        // Whoever goes there names it, in the way of the protocol that is spoken.
        request.headers_mut().remove(HOST);
        *request.body_mut() = Some(body);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(url: &str, headers: &[(&'static str, &'static str)]) -> Prepared {
        let mut request = Request::new(reqwest::Method::POST, Url::parse(url).unwrap());
        for (name, value) in headers {
            let mut told = HeaderValue::from_static(value);
            told.set_sensitive(*name == "x-api-key");
            request.headers_mut().insert(*name, told);
        }
        Prepared::of(&request).unwrap()
    }

    #[test]
    fn the_head_is_complete_and_names_the_host_with_its_port_and_the_path_with_its_query() {
        let request = prepared("https://h.example:8443/v1/chat?a=b", &[("accept", "text/plain")]).direct("{}".into());
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "/v1/chat?a=b"));
        let headers = request.headers();
        assert_eq!(
            (&headers["host"], &headers["accept"]),
            (&"h.example:8443".parse().unwrap(), &"text/plain".parse().unwrap())
        );
        assert!(headers["user-agent"].to_str().unwrap().starts_with("oblivious/"));
    }

    #[test]
    fn a_clients_headers_stand_behind_keys_hosts_and_what_the_operator_set() {
        let passed =
            [("anthropic-version", "2"), ("x-api-key", "theirs"), ("anthropic-beta", "theirs"), ("host", "theirs")];
        let passed = passed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ours = [("anthropic-version", "1"), ("x-api-key", "ours"), ("anthropic-beta", "ours")];
        let stand =
            HeaderMap::from_iter([(HeaderName::from_static("anthropic-beta"), HeaderValue::from_static("ours"))]);
        let request = prepared("http://h.example/", &ours).with(&passed, &stand).direct("{}".into());
        let told = ["anthropic-version", "x-api-key", "anthropic-beta", "host"].map(|name| &request.headers()[name]);
        assert_eq!(told, ["2", "ours", "ours", "h.example"]);
    }

    #[test]
    fn a_proxy_gets_the_whole_address_and_no_host() {
        let request = prepared("https://h.example/v1?a=b", &[("x-api-key", "k")]).proxied("{}".into());
        assert_eq!(request.url().as_str(), "https://h.example/v1?a=b");
        assert!(request.headers().get("host").is_none() && request.headers()["x-api-key"] == "k");
    }
}
