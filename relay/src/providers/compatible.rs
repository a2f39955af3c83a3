//! The providers that speak OpenAI's chat completions: a row each, instead of an adapter each.
//!
//! A row says where the provider is, how it wants the key, and what it does in its own way ([`Quirks`]), and names the
//! documentation that it was written from. What a row does not say is as OpenAI has it. Where a single installation or
//! model differs, the channel's parameter overrides come after the row.

mod rows;

use crate::dialects::chat_completions::Quirks;

pub use rows::COMPATIBLE;

/// A provider that speaks OpenAI's chat completions.
#[derive(Debug, Clone, PartialEq)]
pub struct Compatible {
    /// The word by which channels name it; never changes.
    pub id: &'static str,
    /// What people call it in English.
    pub name_en: &'static str,
    /// What people call it in Chinese.
    pub name_zh: &'static str,
    /// Where it is, version included; absent where every installation has an address of its own.
    pub base_url: Option<&'static str>,
    /// The path that a base URL without one gets.
    pub base_path: &'static str,
    /// What stands between the base URL and the operation; `{model}` is the model's name.
    pub prefix: &'static str,
    /// Parameters of the query of every request.
    pub query: &'static [(&'static str, &'static str)],
    /// How the key is sent.
    pub key: KeyHeader,
    /// Whether it answers without a key.
    pub is_keyless: bool,
    /// What it does in its own way.
    pub quirks: Quirks,
    /// The documents that the row was written from.
    pub sources: &'static [&'static str],
}

/// How a key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `api-key: …`, as Azure has it.
    ApiKey,
}

impl Compatible {
    /// The row of a provider's word.
    #[must_use]
    pub fn of(id: &str) -> Option<&'static Self> {
        COMPATIBLE.iter().find(|row| row.id == id)
    }

    /// What an operator typed as the base URL, with the provider's path if it has none.
    #[must_use]
    pub fn base_url(&self, typed: &str) -> String {
        let typed = typed.trim().trim_end_matches('/');
        let host = typed.split_once("://").map_or(typed, |(_, rest)| rest);
        if host.contains('/') { typed.to_owned() } else { format!("{typed}{}", self.base_path) }
    }

    /// The path of an operation such as `/chat/completions`, to be put behind the base URL's own. The name of the model
    /// is percent-encoded where it is a part of it.
    #[must_use]
    pub fn path(&self, operation: &str, model: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let encoded: String = model
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        format!("{}{operation}", self.prefix.replace("{model}", &encoded))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_provider_has_a_word_of_its_own_and_names_its_sources() {
        let mut words = BTreeSet::new();
        for row in &COMPATIBLE {
            assert!(words.insert(row.id), "{} is there twice", row.id);
            assert!(row.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{}", row.id);
            assert!(!row.name_en.is_empty() && !row.name_zh.is_empty() && !row.sources.is_empty(), "{}", row.id);
            assert_eq!(Compatible::of(row.id), Some(row));
        }
        assert_eq!(Compatible::of("nobody"), None);
    }

    #[test]
    fn addresses_of_the_rows_are_base_urls_that_the_relay_takes() {
        for row in &COMPATIBLE {
            if let Some(url) = row.base_url {
                let checked = crate::check_base_url(url, crate::AddressPolicy::default()).unwrap();
                assert_eq!(checked.as_str(), url, "{}", row.id);
                assert_eq!(row.base_url(url), url, "{}", row.id);
            }
        }
    }

    #[test]
    fn a_bare_host_gets_the_providers_own_path() {
        let azure = Compatible::of("azure_openai").unwrap();
        assert_eq!(azure.base_url("https://mine.openai.azure.com/"), "https://mine.openai.azure.com/openai/v1");
        assert_eq!(azure.base_url("https://mine.example/other"), "https://mine.example/other");
        let ollama = Compatible::of("ollama").unwrap();
        assert_eq!(ollama.base_url("http://localhost:11434"), "http://localhost:11434/v1");
    }

    #[test]
    fn a_deployment_of_azure_is_a_part_of_the_path_and_cannot_leave_its_place() {
        let azure = Compatible::of("azure_openai_deployments").unwrap();
        assert_eq!(azure.path("/chat/completions", "gpt-4.1"), "/deployments/gpt-4.1/chat/completions");
        assert_eq!(azure.path("/embeddings", "../a b"), "/deployments/..%2Fa%20b/embeddings");
        assert_eq!(Compatible::of("openai").unwrap().path("/chat/completions", "x"), "/chat/completions");
    }
}
