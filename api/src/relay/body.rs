//! What operators write about a channel, and how it becomes part of a command.
//!
//! Promise: a provider's key is encrypted for its channel before anything else sees it; it is in no command, no event
//! and no log.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    ChannelId,
    billing::Rates,
    relay::{KeyInput, ModelSpec, ModelTraits, SealedKey},
};
use projections::{
    billing::RatesSchema,
    relay::{Provider, TraitsSchema},
};
use relay::{AddressPolicy, check_account_url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use vault::Vault;

use super::settings::Settings;
use crate::problem::Problem;

/// Bytes of one key, at most.
const MAX_KEY_BYTES: usize = 4096;

/// A new channel.
// No `Debug`: it holds keys.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct NewChannel {
    #[schema(min_length = 1, max_length = 80)]
    pub(super) name: String,
    pub(super) provider: Provider,
    /// Of the provider's API, with its version: `https://api.openai.com/v1`. The provider's own where absent; required
    /// where every installation has another one.
    #[serde(default)]
    pub(super) base_url: Option<String>,
    /// The provider's keys; nobody reads them again.
    #[serde(default)]
    pub(super) keys: Vec<String>,
    pub(super) models: Vec<ModelInput>,
    /// What users pay, by the model's name; per million tokens.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, RatesSchema>, required = true)]
    pub(super) prices: BTreeMap<String, Value>,
    /// What the provider charges us, by the model's name; nothing where absent.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, RatesSchema>)]
    pub(super) costs: BTreeMap<String, Value>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) enabled: bool,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

const fn yes() -> bool {
    true
}

/// What is to be changed of a channel.
// No `Debug`: it may hold keys.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ChannelPatch {
    #[schema(min_length = 1, max_length = 80)]
    pub(super) name: Option<String>,
    pub(super) base_url: Option<String>,
    /// Replace all keys; those that shall stay are named.
    pub(super) keys: Option<Vec<KeyPatch>>,
    /// Replace the list; models that stay keep their prices.
    pub(super) models: Option<Vec<ModelInput>>,
    /// Change those named.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, RatesSchema>)]
    pub(super) prices: BTreeMap<String, Value>,
    /// Change those named.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, RatesSchema>)]
    pub(super) costs: BTreeMap<String, Value>,
    pub(super) enabled: Option<bool>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// A key of the provider, or one that the channel has.
// No `Debug`: it may hold a key.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ChannelKeyInput)]
pub(crate) enum KeyPatch {
    /// Nobody reads it again.
    New(String),
    Kept(KeptKey),
}

/// A key that stays.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = KeptChannelKey)]
pub(crate) struct KeptKey {
    /// By the `name` that the channel tells of it.
    keep: Uuid,
}

/// A model, by its name alone or described.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ModelInput {
    Name(String),
    Described(DescribedModel),
}

/// A model of a channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = NewModel)]
pub(crate) struct DescribedModel {
    /// As users name it.
    name: String,
    /// As the provider names it; the same name where absent.
    #[serde(default)]
    upstream: Option<String>,
    #[serde(default)]
    context_tokens: Option<u32>,
    /// The longest answer that it gives.
    #[serde(default)]
    max_output_tokens: Option<u32>,
    #[serde(flatten)]
    #[schema(value_type = TraitsSchema)]
    traits: ModelTraits,
}

impl From<ModelInput> for ModelSpec {
    fn from(model: ModelInput) -> Self {
        let described = match model {
            ModelInput::Name(name) => {
                let (upstream, context_tokens, max_output_tokens) = (None, None, None);
                DescribedModel { name, upstream, context_tokens, max_output_tokens, traits: ModelTraits::default() }
            }
            ModelInput::Described(described) => described,
        };
        let DescribedModel { name, upstream, context_tokens, max_output_tokens, traits } = described;
        let name = name.trim().to_owned();
        let upstream = upstream.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let upstream = upstream.unwrap_or_else(|| name.clone());
        Self { upstream, name, context_tokens, max_output_tokens, traits }
    }
}

/// Price lists by model; `field` is where they stand in the request.
pub(super) fn rates(field: &str, lists: BTreeMap<String, Value>) -> Result<BTreeMap<String, Rates>, Problem> {
    let read = |(model, list): (String, Value)| match Rates::deserialize(list) {
        Ok(rates) => Ok((model, rates)),
        Err(error) => Err(Problem::field(&format!("{field}/{model}"), "invalid_price", error.to_string())),
    };
    lists.into_iter().map(read).collect()
}

/// The address in the final form that it has for this provider: each has its own path behind a bare host.
pub(super) fn base_url(provider: &str, text: &str, policy: AddressPolicy) -> Result<String, Problem> {
    let refused = |code: &'static str, error: relay::RelayError| Problem::field("base_url", code, error.to_string());
    // Nothing is the provider's own address, which nobody has to write.
    let typed = if text.trim().is_empty() { "-" } else { text };
    match check_account_url(provider, Some(typed), policy) {
        Ok(url) => Ok(url.to_string()),
        // Well-formed, but not where this installation may go.
        Err(error) if check_account_url(provider, Some(typed), AddressPolicy { allow_link_local: true }).is_ok() => {
            Err(refused("address_not_allowed", error))
        }
        Err(error) => Err(refused("invalid_base_url", error)),
    }
}

/// Encrypts keys for their channel.
pub(super) fn seal(vault: &Vault, channel: ChannelId, keys: &[String]) -> Result<Vec<SealedKey>, Problem> {
    keys.iter().enumerate().map(|(place, key)| seal_one(vault, channel, place, key)).collect()
}

/// Encrypts what is new among the keys of a channel.
pub(super) fn seal_new(vault: &Vault, channel: ChannelId, keys: &[KeyPatch]) -> Result<Vec<KeyInput>, Problem> {
    let seal = |(place, key): (usize, &KeyPatch)| match key {
        KeyPatch::New(key) => seal_one(vault, channel, place, key).map(KeyInput::To),
        KeyPatch::Kept(KeptKey { keep }) => Ok(KeyInput::Keep { channel, name: *keep }),
    };
    keys.iter().enumerate().map(seal).collect()
}

/// `place` is where the key stands in the request.
fn seal_one(vault: &Vault, channel: ChannelId, place: usize, key: &str) -> Result<SealedKey, Problem> {
    let key = key.trim();
    let is_sendable = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !is_sendable {
        let detail = format!("a key has 1 to {MAX_KEY_BYTES} visible ASCII characters");
        return Err(Problem::field(&format!("keys/{place}"), "invalid_key", detail));
    }
    let sealed =
        vault.seal_bytes(&SealedKey::context(channel), key.as_bytes()).map_err(|error| Problem::bug(&error))?;
    Ok(SealedKey { hint: SealedKey::hint_of(key), sealed: STANDARD.encode(sealed) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_named_or_described() {
        let models: Vec<ModelInput> =
            serde_json::from_value(json!(["a", { "name": "b", "upstream": "b-2026", "max_output_tokens": 7 }]))
                .unwrap();
        let specs: Vec<ModelSpec> = models.into_iter().map(ModelSpec::from).collect();
        assert_eq!((specs[0].name.as_str(), specs[0].upstream.as_str()), ("a", "a"));
        assert_eq!((specs[1].upstream.as_str(), specs[1].max_output_tokens), ("b-2026", Some(7)));
    }

    #[test]
    fn a_price_that_is_none_is_told_by_its_model() {
        let lists = BTreeMap::from([("gpt".to_owned(), json!({ "input": "-1", "output": 2 }))]);
        let problem = rates("prices", lists).unwrap_err();
        assert_eq!((problem.code(), problem.first_field()), ("invalid_price", Some("prices/gpt")));
        let lists = BTreeMap::from([("gpt".to_owned(), json!({ "input": 2.5, "output": "10" }))]);
        assert_eq!(rates("prices", lists).unwrap()["gpt"].input.to_string(), "2.5");
    }

    #[test]
    fn an_address_out_of_bounds_is_told_from_one_that_is_none() {
        let strict = AddressPolicy { allow_link_local: false };
        let base_url = |text| base_url("openai", text, strict);
        assert_eq!(base_url("https://api.example.org/v1/").unwrap(), "https://api.example.org/v1");
        assert_eq!(base_url("http://169.254.169.254/v1").unwrap_err().code(), "address_not_allowed");
        for text in ["", "api.example.org", "file:///etc/passwd", "https://u:p@example.org/v1"] {
            assert_eq!(base_url(text).unwrap_err().code(), "invalid_base_url", "{text}");
        }
    }

    #[test]
    fn a_bare_host_gets_the_path_that_its_provider_has() {
        let at = |provider| base_url(provider, "https://api.example.org", AddressPolicy { allow_link_local: false });
        assert_eq!(at("openai").unwrap(), "https://api.example.org/v1");
        assert_eq!(at("gemini").unwrap(), "https://api.example.org/v1beta");
        assert_eq!(at("azure_openai").unwrap(), "https://api.example.org/openai/v1");
    }
}
