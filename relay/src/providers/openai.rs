//! OpenAI, Azure OpenAI, and everybody who speaks OpenAI's chat completions: what a row of the table says.
//!
//! OpenAI and Azure's current API also speak Responses: a client of that API passes through, and models that know nothing
//! else are asked so. Source: OpenAI's page "Models" (the endpoints of each), Microsoft's "Azure OpenAI in Foundry Models
//! v1 API".

use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Url};
use serde_json::{Map, Value};

use super::compatible::{Compatible, KeyHeader};
use super::{ReadModels, Vendor, Way, header, ids, under};
use crate::body::Marks;
use crate::dialects::chat_completions::{Ours, Upstream};
use crate::dialects::responses::Responses;
use crate::modalities::{Modality, RerankForm};
use crate::{Dialect, RelayError, RequestBody, Spoken};

/// Rows whose server speaks Responses too.
const SPEAK_RESPONSES: [&str; 2] = ["openai", "azure_openai"];
/// What the names of models contain that know Responses only.
const ONLY_RESPONSES: [&str; 6] = ["-pro", "-codex", "codex-", "deep-research", "computer-use", "o1-pro"];
/// The row of a server that is not what its word says: `openai` at an address of somebody else.
const ANYBODY: &str = "openai_compatible";
const OPENAI: &str = "openai";

/// A server that speaks OpenAI's dialects.
pub(super) struct OpenAi {
    row: &'static Compatible,
    chat: Upstream,
}

impl OpenAi {
    pub(super) fn new(row: &'static Compatible) -> Self {
        Self { row, chat: Upstream::new(row.quirks.clone()) }
    }

    /// The row that fits the address: channels call every compatible server `openai`, too.
    pub(super) fn at(row: &'static Compatible, base_url: Option<&str>) -> &'static Compatible {
        let host = |url: &str| Url::parse(url.trim()).ok().and_then(|url| url.host_str().map(str::to_owned));
        let Some(typed) = base_url.filter(|_| row.id == OPENAI).and_then(host) else { return row };
        if row.base_url.and_then(host).as_deref() == Some(typed.as_str()) {
            return row;
        }
        let theirs = |row: &&'static Compatible| row.base_url.and_then(host).as_deref() == Some(typed.as_str());
        // Several servers are at home on this machine; which one it is, nobody knows.
        let theirs = super::compatible::COMPATIBLE.iter().find(theirs).filter(|_| typed != "localhost");
        theirs.or_else(|| Compatible::of(ANYBODY)).unwrap_or(row)
    }
}

impl OpenAi {
    fn at_path(&self, base: &Url, operation: &str, model: &str) -> Url {
        let mut url = under(base, &self.row.path(operation, model));
        if !self.row.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.row.query);
        }
        url
    }
}

impl Vendor for OpenAi {
    fn name(&self) -> &'static str {
        self.row.id
    }

    fn base_url(&self, typed: Option<&str>) -> Option<String> {
        typed.map(|typed| self.row.base_url(typed)).or_else(|| self.row.base_url.map(str::to_owned))
    }

    fn dialect(&self, served: Option<Dialect>, model: &str) -> Dialect {
        if !SPEAK_RESPONSES.contains(&self.row.id) {
            return Dialect::ChatCompletions;
        }
        let model = model.to_ascii_lowercase();
        let knows_nothing_else = ONLY_RESPONSES.iter().any(|part| model.contains(part));
        match served {
            Some(Dialect::Responses) => Dialect::Responses,
            _ if knows_nothing_else => Dialect::Responses,
            _ => Dialect::ChatCompletions,
        }
    }

    fn spoken(&self, dialect: Dialect) -> &dyn Spoken {
        match dialect {
            Dialect::Responses => &Responses,
            _ => &self.chat,
        }
    }

    fn adapt(&self, dialect: Dialect, body: &mut Map<String, Value>) {
        match dialect {
            // The conversation is kept here and not there.
            Dialect::Responses => drop(body.insert("store".to_owned(), false.into())),
            _ => self.row.quirks.adapt(body),
        }
    }

    fn in_place(&self, dialect: Dialect, body: &RequestBody, ours: &Ours<'_>) -> Option<serde_json::Result<Vec<u8>>> {
        match dialect {
            Dialect::ChatCompletions => self.row.quirks.in_place(body, ours),
            _ => None,
        }
    }

    fn reach(&self, dialect: Dialect) -> Marks {
        match dialect {
            Dialect::Responses => Marks::NONE,
            _ => self.row.quirks.reach(),
        }
    }

    fn streams_only(&self, model: &str) -> bool {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        self.row.quirks.streams_only.iter().any(|start| name.starts_with(start))
    }

    fn address(&self, base: &Url, dialect: Dialect, model: &str, _stream: bool) -> Url {
        let operation = if dialect == Dialect::Responses { "/responses" } else { "/chat/completions" };
        self.at_path(base, operation, model)
    }

    fn way(&self, base: &Url, modality: Modality) -> Option<Way> {
        if modality != Modality::Rerank {
            return Some(Way::Passing);
        }
        Some(match base.host_str() {
            Some(host) if host.starts_with("dashscope") => Way::Mapped(&RerankForm::DashScope),
            Some(host) if host.ends_with("cohere.com") || host.ends_with("cohere.ai") => {
                Way::Mapped(&RerankForm::Cohere)
            }
            _ => Way::Mapped(&RerankForm::Common),
        })
    }

    fn beside(&self, base: &Url, path: &str, model: &str) -> Url {
        self.at_path(base, path, model)
    }

    fn authorize(&self, request: &mut Request, key: Option<&str>) -> Result<(), RelayError> {
        let Some(key) = key else { return Ok(()) };
        let (name, value) = match self.row.key {
            KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
            KeyHeader::ApiKey => (reqwest::header::HeaderName::from_static("api-key"), key.to_owned()),
        };
        request.headers_mut().insert(name, header(&value)?);
        Ok(())
    }

    fn models(&self, base: &Url) -> Option<(Url, ReadModels)> {
        let mut url = under(base, "/models");
        if !self.row.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.row.query);
        }
        Some((url, |list| ids(list, "data", "id")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> &'static Compatible {
        Compatible::of(id).unwrap()
    }

    #[test]
    fn a_channel_that_says_openai_is_treated_as_what_is_at_its_address() {
        let at = |url| OpenAi::at(row("openai"), Some(url)).id;
        assert_eq!(at("https://api.openai.com/v1"), "openai");
        assert_eq!(at("https://api.deepseek.com"), "deepseek");
        assert_eq!(at("http://localhost:11434/v1"), "openai_compatible");
        assert_eq!(at("https://somebody.example/v1"), "openai_compatible");
        assert_eq!(OpenAi::at(row("openai"), None).id, "openai");
        assert_eq!(OpenAi::at(row("groq"), Some("https://somebody.example")).id, "groq");
    }

    #[test]
    fn responses_are_spoken_with_who_speaks_them_where_a_client_or_the_model_wants_it() {
        let openai = OpenAi::new(row("openai"));
        assert_eq!(openai.dialect(Some(Dialect::Responses), "gpt-5"), Dialect::Responses);
        assert_eq!(openai.dialect(Some(Dialect::ChatCompletions), "gpt-5"), Dialect::ChatCompletions);
        assert_eq!(openai.dialect(Some(Dialect::Messages), "gpt-5.1-codex-max"), Dialect::Responses);
        assert_eq!(openai.dialect(None, "o3-pro-2025-06-10"), Dialect::Responses);
        assert_eq!(OpenAi::new(row("groq")).dialect(Some(Dialect::Responses), "x-pro"), Dialect::ChatCompletions);
    }

    #[test]
    fn requests_go_where_the_row_says_with_the_key_as_it_says() {
        let azure = OpenAi::new(row("azure_openai_deployments"));
        let base = Url::parse("https://mine.openai.azure.com/openai").unwrap();
        let url = azure.address(&base, Dialect::ChatCompletions, "gpt-4.1", true);
        let expected =
            "https://mine.openai.azure.com/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21";
        assert_eq!(url.as_str(), expected);
        let mut request = Request::new(reqwest::Method::POST, url.clone());
        azure.authorize(&mut request, Some("k")).unwrap();
        assert_eq!(request.headers()["api-key"], "k");
        let mut request = Request::new(reqwest::Method::POST, url);
        OpenAi::new(row("openai")).authorize(&mut request, Some("k")).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer k");
        assert!(!format!("{request:?}").contains("Bearer"), "a key is not shown");
    }
}
