//! AWS Bedrock, by its Converse API.
//!
//! The key is a Bedrock API key or an access key (`ID:SECRET`, `ID:SECRET:REGION`), by which each request is signed; the
//! address names the region. Source: "Amazon Bedrock endpoints and quotas" and "Bedrock API keys" (read November 2026).

use std::time::SystemTime;

use reqwest::header::HeaderName;
use reqwest::{Request, Url};

use super::{Kind, ReadModels, Vendor, Way, header, under};
use crate::dialects::converse::signing::AwsKey;
use crate::dialects::converse::{self, Converse};
use crate::modalities::{self, Mapping as _, Modality};
use crate::{Dialect, RelayError, Spoken};

pub(super) const ID: &str = "bedrock";
pub(super) const KIND: Kind =
    Kind { id: ID, name_en: "AWS Bedrock", name_zh: "AWS Bedrock", base_url: Some(OWN), is_keyless: false };
const OWN: &str = "https://bedrock-runtime.us-east-1.amazonaws.com/";
/// What the runtime takes as one payload.
const MAX_BODY_BYTES: usize = 25_000_000;

/// The provider.
pub(super) struct Bedrock;

impl Vendor for Bedrock {
    fn name(&self) -> &'static str {
        ID
    }

    fn base_url(&self, typed: Option<&str>) -> Option<String> {
        let Some(typed) = typed.map(|typed| typed.trim().trim_end_matches('/')) else { return Some(OWN.to_owned()) };
        // It has no version; where an address was completed with one, it is not the operator's.
        Some(format!("{}/", typed.strip_suffix("/v1").unwrap_or(typed)))
    }

    fn dialect(&self, _served: Option<Dialect>, _model: &str) -> Dialect {
        Dialect::Converse
    }

    fn spoken(&self, _dialect: Dialect) -> &dyn Spoken {
        &Converse
    }

    fn address(&self, base: &Url, _dialect: Dialect, model: &str, stream: bool) -> Url {
        under(base, &converse::path(model, stream))
    }

    fn way(&self, _base: &Url, modality: Modality) -> Option<Way> {
        modalities::Bedrock.offers(modality).then_some(Way::Mapped(&modalities::Bedrock))
    }

    fn authorize(&self, request: &mut Request, key: Option<&str>) -> Result<(), RelayError> {
        let Some(key) = key else { return Ok(()) };
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let headers = AwsKey::parse(key).headers(request.url().as_str(), body, SystemTime::now())?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| RelayError::Misconfigured("a request to this address cannot be signed".to_owned()))?;
            request.headers_mut().insert(name, header(&value)?);
        }
        Ok(())
    }

    fn signs(&self) -> bool {
        true
    }

    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    /// The list is at another host, with permissions of its own.
    fn models(&self, _base: &Url) -> Option<(Url, ReadModels)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_no_version_and_names_the_model_and_whether_it_streams() {
        for typed in ["https://h.example", "https://h.example/", "https://h.example/v1"] {
            assert_eq!(Bedrock.base_url(Some(typed)).as_deref(), Some("https://h.example/"), "{typed}");
        }
        let base = Url::parse(OWN).unwrap();
        let url = Bedrock.address(&base, Dialect::Converse, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", true);
        let path = "model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream";
        assert_eq!(url.as_str(), format!("{OWN}{path}"));
    }

    #[test]
    fn an_access_key_signs_and_an_api_key_is_sent() {
        let url = Bedrock.address(&Url::parse(OWN).unwrap(), Dialect::Converse, "m", false);
        let authorized = |key| {
            let mut request = Request::new(reqwest::Method::POST, url.clone());
            *request.body_mut() = Some("{}".into());
            Bedrock
                .authorize(&mut request, Some(key))
                .map(|()| request.headers()["authorization"].to_str().map(str::to_owned).unwrap_or_default())
        };
        assert_eq!(authorized("bedrock-api-key-x").as_deref(), Ok("Bearer bedrock-api-key-x"));
        let signed = authorized("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"), "{signed}");
        assert!(signed.contains("/us-east-1/bedrock/aws4_request"), "{signed}");
    }
}
