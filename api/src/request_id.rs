//! The id under which one request is found in logs, answers and events.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
};
use uuid::Uuid;

/// On every answer, and taken from the request where it is well-formed.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_CHARS: usize = 128;

/// 1 to 128 characters of `[A-Za-z0-9._-]`, as the header that says it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    header: HeaderValue,
    /// The id itself where it is a UUID, else one made from it.
    correlation_id: Uuid,
}

impl RequestId {
    /// The client's own id if it is one, else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers.get(X_REQUEST_ID).and_then(Self::given).unwrap_or_else(Self::new)
    }

    fn given(header: &HeaderValue) -> Option<Self> {
        let text = header.to_str().ok().filter(|text| is_well_formed(text))?;
        let correlation_id = text.parse().unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()));
        Some(Self { header: header.clone(), correlation_id })
    }

    fn new() -> Self {
        let id = Uuid::now_v7();
        let mut text = Uuid::encode_buffer();
        // Hexadecimal digits and hyphens: they always are a header.
        let header = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text));
        Self { header: header.unwrap_or(HeaderValue::from_static("none")), correlation_id: id }
    }

    pub(crate) fn as_str(&self) -> &str {
        // It is well-formed, so it is text.
        self.header.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

fn is_well_formed(text: &str) -> bool {
    (1..=MAX_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Where a command comes from: what its events carry to be found again.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The request's id where that is a UUID, else one made from it.
    pub(crate) correlation_id: Uuid,
    /// The caller's trace (W3C Trace Context), passed on as it came.
    pub(crate) traceparent: Option<String>,
}

impl Origin {
    /// That of a request with this id and these headers.
    pub(crate) fn of(id: &RequestId, headers: &HeaderMap) -> Self {
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        Self {
            correlation_id: id.correlation_id,
            traceparent: traceparent.filter(|text| is_traceparent(text)).map(str::to_owned),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The outermost layer has put one there.
        let id = parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::new);
        Ok(Self::of(&id, &parts.headers))
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, later versions may append.
fn is_traceparent(text: &str) -> bool {
    let mut fields = text.split('-');
    let is_hex = |field: Option<&str>, length| {
        field.is_some_and(|field| field.len() == length && field.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    text.len() <= MAX_CHARS
        && is_hex(fields.next(), 2)
        && is_hex(fields.next(), 32)
        && is_hex(fields.next(), 16)
        && is_hex(fields.next(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(text.as_bytes()).unwrap())])
    }

    #[test]
    fn a_well_formed_id_of_the_client_is_kept_and_any_other_replaced() {
        assert_eq!(RequestId::of(&sent("abc-1_2.3")).as_str(), "abc-1_2.3");
        for bad in ["", "a b", "a/b", "ü", &"x".repeat(129)] {
            assert_ne!(RequestId::of(&sent(bad)).as_str(), bad);
        }
        assert!(RequestId::of(&HeaderMap::new()).as_str().parse::<Uuid>().is_ok());
    }

    #[test]
    fn only_a_w3c_trace_is_passed_on() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in ["", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "x\r\ny"] {
            assert!(!is_traceparent(bad));
        }
    }
}
