//! Anthropic, and everybody who speaks its Messages API.
//!
//! Source: "API overview", "Versions" and "Errors" at platform.claude.com/docs (read November 2026).

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Request, Url};
use serde_json::Value;

use super::{Kind, ReadModels, Vendor, header, ids, under};
use crate::dialects::messages::Messages;
use crate::{Dialect, RelayError, Spoken};

pub(super) const ID: &str = "anthropic";
pub(super) const KIND: Kind =
    Kind { id: ID, name_en: "Anthropic", name_zh: "Anthropic", base_url: Some(OWN), is_keyless: false };
const OWN: &str = "https://api.anthropic.com/v1";
/// The version whose form the dialect has, unless the client names one.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
/// "Request size limits": 32 MB.
const MAX_BODY_BYTES: usize = 32 * 1_000_000;
/// A page of the list of models, at most.
const PAGE: (&str, &str) = ("limit", "1000");

/// The provider.
pub(super) struct Anthropic;

impl Vendor for Anthropic {
    fn name(&self) -> &'static str {
        ID
    }

    fn base_url(&self, typed: Option<&str>) -> Option<String> {
        // Its own SDKs take the address without the version.
        let Some(typed) = typed.map(|typed| typed.trim().trim_end_matches('/')) else { return Some(OWN.to_owned()) };
        let has_version = typed.rsplit('/').next().is_some_and(|last| last == "v1");
        Some(if has_version { typed.to_owned() } else { format!("{typed}/v1") })
    }

    fn dialect(&self, _served: Option<Dialect>, _model: &str) -> Dialect {
        Dialect::Messages
    }

    fn spoken(&self, _dialect: Dialect) -> &dyn Spoken {
        &Messages
    }

    fn address(&self, base: &Url, _dialect: Dialect, _model: &str, _stream: bool) -> Url {
        under(base, "/messages")
    }

    fn authorize(&self, request: &mut Request, key: Option<&str>) -> Result<(), RelayError> {
        let (name, version) = VERSION;
        request.headers_mut().entry(name).or_insert(version);
        if let Some(key) = key {
            request.headers_mut().insert("x-api-key", header(key)?);
        }
        Ok(())
    }

    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    fn models(&self, base: &Url) -> Option<(Url, ReadModels)> {
        let mut url = under(base, "/models");
        url.query_pairs_mut().append_pair(PAGE.0, PAGE.1);
        Some((url, |list: &Value| ids(list, "data", "id")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_with_and_without_its_version() {
        for typed in ["https://h.example", "https://h.example/", "https://h.example/v1", " https://h.example/v1/ "] {
            assert_eq!(Anthropic.base_url(Some(typed)).as_deref(), Some("https://h.example/v1"), "{typed}");
        }
        let deeper = Anthropic.base_url(Some("https://api.deepseek.com/anthropic"));
        assert_eq!(deeper.as_deref(), Some("https://api.deepseek.com/anthropic/v1"));
    }

    #[test]
    fn the_key_has_its_own_header_and_the_client_may_choose_the_version() {
        let url = Anthropic.address(&Url::parse(OWN).unwrap(), Dialect::Messages, "m", true);
        assert_eq!(url.as_str(), "https://api.anthropic.com/v1/messages");
        let mut request = Request::new(reqwest::Method::POST, url);
        Anthropic.authorize(&mut request, Some("sk-ant")).unwrap();
        assert_eq!(
            (&request.headers()["x-api-key"], &request.headers()["anthropic-version"]),
            (&HeaderValue::from_static("sk-ant"), &HeaderValue::from_static("2023-06-01"))
        );
        request.headers_mut().insert("anthropic-version", HeaderValue::from_static("2027-01-01"));
        Anthropic.authorize(&mut request, None).unwrap();
        assert_eq!(request.headers()["anthropic-version"], "2027-01-01");
    }
}
