//! Header names on the bus, and safe ways to write and read them.
//!
//! The client library panics on a line break in a header value that is given as text; everything here goes through the
//! checked conversion instead.

use std::str::FromStr;

use async_nats::{HeaderMap, HeaderValue};
use uuid::Uuid;

pub(crate) const COMMAND_ID: &str = "Command-Id";
pub(crate) const AGGREGATE_ID: &str = "Aggregate-Id";
pub(crate) const ACTOR: &str = "Actor";
pub(crate) const TENANT: &str = "Tenant";
pub(crate) const CORRELATION_ID: &str = "Correlation-Id";
pub(crate) const CAUSATION_ID: &str = "Causation-Id";
pub(crate) const DEADLINE: &str = "Deadline";
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
pub(crate) const REPLY_TO: &str = "Reply-To";
pub(crate) const EPOCH: &str = "Epoch";
pub(crate) const POSITION: &str = "Position";
pub(crate) const PREV: &str = "Prev";
pub(crate) const TYPE: &str = "Type";
pub(crate) const VERSION: &str = "Version";
pub(crate) const AGGREGATE: &str = "Aggregate";
pub(crate) const SEQUENCE: &str = "Sequence";
pub(crate) const RECORDED_AT: &str = "Recorded-At";
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const FINGERPRINT: &str = "Fingerprint";

/// A header is absent or its value cannot be carried or read; holds the header's name, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {0} is missing or malformed")]
pub struct InvalidHeader(pub &'static str);

pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), InvalidHeader> {
    headers.insert(name, HeaderValue::from_str(value).map_err(|_| InvalidHeader(name))?);
    Ok(())
}

pub(crate) fn put_id(headers: &mut HeaderMap, name: &'static str, id: Uuid) -> Result<(), InvalidHeader> {
    put(headers, name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

pub(crate) fn put_opt(headers: &mut HeaderMap, name: &'static str, value: Option<&str>) -> Result<(), InvalidHeader> {
    value.map_or(Ok(()), |value| put(headers, name, value))
}

pub(crate) fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    headers.get(name).map(|value| value.as_str().to_owned())
}

/// The header's value as `T`; an absent or unreadable one is an error.
pub(crate) fn parse<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, InvalidHeader> {
    headers.get(name).and_then(|value| value.as_str().parse().ok()).ok_or(InvalidHeader(name))
}

/// The header's value as `T` when it is there; an unreadable one is an error.
pub(crate) fn parse_opt<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, InvalidHeader> {
    headers.get(name).map(|value| value.as_str().parse().map_err(|_| InvalidHeader(name))).transpose()
}
