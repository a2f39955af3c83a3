//! Google Gemini.
//!
//! Source: "Generating content", "Models" and "Using Gemini API keys" of Google's Gemini API reference (ai.google.dev,
//! read November 2026).

use reqwest::{Request, Url};
use serde_json::Value;

use super::{Kind, ReadModels, Vendor, Way, header, ids, segment, under};
use crate::dialects::generate_content::GenerateContent;
use crate::modalities::{self, Mapping as _, Modality};
use crate::{Dialect, RelayError, Spoken};

pub(super) const ID: &str = "gemini";
pub(super) const KIND: Kind =
    Kind { id: ID, name_en: "Google Gemini", name_zh: "Google Gemini", base_url: Some(OWN), is_keyless: false };
const OWN: &str = "https://generativelanguage.googleapis.com/v1beta";
/// "File input methods": 100 MB of inline data in a request.
const MAX_BODY_BYTES: usize = 100 * 1_000_000;
/// A page of the list of models, at most.
const PAGE: (&str, &str) = ("pageSize", "1000");

/// The provider.
pub(super) struct Gemini;

impl Vendor for Gemini {
    fn name(&self) -> &'static str {
        ID
    }

    fn base_url(&self, typed: Option<&str>) -> Option<String> {
        let Some(typed) = typed.map(|typed| typed.trim().trim_end_matches('/')) else { return Some(OWN.to_owned()) };
        let host = typed.split_once("://").map_or(typed, |(_, rest)| rest);
        Some(if host.contains('/') { typed.to_owned() } else { format!("{typed}/v1beta") })
    }

    fn dialect(&self, _served: Option<Dialect>, _model: &str) -> Dialect {
        Dialect::GenerateContent
    }

    fn spoken(&self, _dialect: Dialect) -> &dyn Spoken {
        &GenerateContent
    }

    fn address(&self, base: &Url, _dialect: Dialect, model: &str, stream: bool) -> Url {
        // Tuned models are named with their collection.
        let model = segment(model, true);
        let model = if model.contains('/') { model } else { format!("models/{model}") };
        let verb = if stream { "streamGenerateContent" } else { "generateContent" };
        let mut url = under(base, &format!("{model}:{verb}"));
        if stream {
            url.query_pairs_mut().append_pair("alt", "sse");
        }
        url
    }

    fn authorize(&self, request: &mut Request, key: Option<&str>) -> Result<(), RelayError> {
        if let Some(key) = key {
            request.headers_mut().insert("x-goog-api-key", header(key)?);
        }
        Ok(())
    }

    fn way(&self, _base: &Url, modality: Modality) -> Option<Way> {
        modalities::Gemini.offers(modality).then_some(Way::Mapped(&modalities::Gemini))
    }

    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    fn models(&self, base: &Url) -> Option<(Url, ReadModels)> {
        let mut url = under(base, "/models");
        url.query_pairs_mut().append_pair(PAGE.0, PAGE.1);
        Some((url, |list: &Value| {
            let names = ids(list, "models", "name")?;
            Some(names.into_iter().map(|name| name.trim_start_matches("models/").to_owned()).collect())
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_model_and_the_stream_stand_in_the_address() {
        let base = Url::parse(OWN).unwrap();
        let address = |model, stream| Gemini.address(&base, Dialect::GenerateContent, model, stream).to_string();
        assert_eq!(address("gemini-2.5-pro", false), format!("{OWN}/models/gemini-2.5-pro:generateContent"));
        assert_eq!(
            address("gemini-2.5-pro", true),
            format!("{OWN}/models/gemini-2.5-pro:streamGenerateContent?alt=sse")
        );
        assert_eq!(address("tunedModels/mine", false), format!("{OWN}/tunedModels/mine:generateContent"));
        assert!(address("a?key=x#y", false).ends_with("/models/a%3Fkey%3Dx%23y:generateContent"));
        assert_eq!(Gemini.base_url(Some("https://h.example/")).as_deref(), Some("https://h.example/v1beta"));
    }

    #[test]
    fn models_are_listed_by_the_names_that_requests_use() {
        let (url, read) = Gemini.models(&Url::parse(OWN).unwrap()).unwrap();
        assert_eq!(url.as_str(), format!("{OWN}/models?pageSize=1000"));
        let list = json!({"models": [{"name": "models/gemini-2.5-pro"}, {"name": "tunedModels/mine"}]});
        assert_eq!(read(&list), Some(vec!["gemini-2.5-pro".to_owned(), "tunedModels/mine".to_owned()]));
        assert_eq!(read(&json!({"error": {}})), None);
    }
}
