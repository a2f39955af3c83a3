//! Who can be asked: one small file where a provider needs code, a row of the table where it needs none.
//!
//! [`provider`] makes of a channel's configuration something that answers calls.

mod anthropic;
mod bedrock;
pub mod compatible;
mod gemini;
mod openai;

use std::fmt;
use std::sync::Arc;

use reqwest::{Request, Url};
pub use secrecy::SecretString;
use serde_json::{Map, Value};

use self::compatible::Compatible;
use crate::account::Account;
use crate::address::check_address;
use crate::body::Marks;
use crate::dialects::chat_completions::Ours;
pub use crate::http::{KeyOrder, Limits, ParameterOverride, ProviderKey};
use crate::modalities::{Mapping, Modality};
use crate::{AddressPolicy, Dialect, Provider, RelayError, RequestBody, Spoken};

/// One account at one provider, as an operator describes it.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The provider's word: one of [`kinds`].
    pub kind: String,
    /// Where it is, where that is not the provider's own address.
    pub base_url: Option<String>,
    /// Its keys; empty for servers that want none.
    pub keys: Vec<ProviderKey>,
    /// In which order they are used.
    pub key_order: KeyOrder,
    /// Headers of every request, added to ours or in their place.
    pub headers: Vec<(String, String)>,
    /// Changes of every request's body.
    pub parameters: Vec<ParameterOverride>,
    /// The URL of a proxy; may contain its password, therefore absent from `Debug`.
    pub proxy: Option<SecretString>,
    /// How patient we are and how much we take.
    pub limits: Limits,
    /// Which addresses are allowed beyond the safe default.
    pub address_policy: AddressPolicy,
}

impl ProviderConfig {
    /// An account without keys at the provider's own address, with everything else as usual.
    #[must_use]
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            base_url: None,
            keys: vec![],
            key_order: KeyOrder::default(),
            headers: vec![],
            parameters: vec![],
            proxy: None,
            limits: Limits::default(),
            address_policy: AddressPolicy::default(),
        }
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .field("keys", &self.keys)
            .field("parameters", &self.parameters.len())
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

/// A provider as operators choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The word by which channels name it; never changes.
    pub id: &'static str,
    /// What people call it in English.
    pub name_en: &'static str,
    /// What people call it in Chinese.
    pub name_zh: &'static str,
    /// Where it is; absent where every installation has an address of its own.
    pub base_url: Option<&'static str>,
    /// Whether it answers without a key.
    pub is_keyless: bool,
}

/// Every provider that can be asked, in the order in which operators see them.
pub fn kinds() -> impl Iterator<Item = Kind> {
    let rows = compatible::COMPATIBLE.iter().map(|row| Kind {
        id: row.id,
        name_en: row.name_en,
        name_zh: row.name_zh,
        base_url: row.base_url,
        is_keyless: row.is_keyless,
    });
    [anthropic::KIND, gemini::KIND, bedrock::KIND].into_iter().chain(rows)
}

/// What answers for that account. Nothing is sent yet.
///
/// # Errors
/// [`RelayError::Misconfigured`] if it cannot work: an unknown kind, an address that is refused, overrides of what is
/// billed. The text names the reason and none of the values.
pub fn provider(config: ProviderConfig) -> Result<Arc<dyn Provider>, RelayError> {
    let vendor = vendor(&config.kind, config.base_url.as_deref())?;
    Ok(Arc::new(Account::new(config, vendor)?))
}

/// The base URL of an account as it will be used, from what an operator typed, or the provider's own.
///
/// # Errors
/// [`RelayError::Misconfigured`] if there is none, or it is refused. The text does not repeat it.
pub fn check_account_url(kind: &str, typed: Option<&str>, policy: AddressPolicy) -> Result<Url, RelayError> {
    base_url(vendor(kind, typed)?.as_ref(), typed, policy)
}

pub(crate) fn base_url(vendor: &dyn Vendor, typed: Option<&str>, policy: AddressPolicy) -> Result<Url, RelayError> {
    let typed = typed.filter(|typed| !typed.trim().is_empty());
    let missing = || RelayError::Misconfigured("the base URL is missing".to_owned());
    check_address(&vendor.base_url(typed).ok_or_else(missing)?, policy)
}

pub(crate) fn vendor(kind: &str, typed: Option<&str>) -> Result<Box<dyn Vendor>, RelayError> {
    Ok(match kind {
        anthropic::ID => Box::new(anthropic::Anthropic),
        bedrock::ID => Box::new(bedrock::Bedrock),
        gemini::ID => Box::new(gemini::Gemini),
        word => {
            let unknown = || RelayError::Misconfigured(format!("there is no provider `{}`", word.escape_default()));
            let row = Compatible::of(word).ok_or_else(unknown)?;
            Box::new(openai::OpenAi::new(openai::OpenAi::at(row, typed)))
        }
    })
}

/// What is particular about one provider: where it is asked, in which dialect, and how it knows us.
pub(crate) trait Vendor: Send + Sync {
    /// The word of its kind.
    fn name(&self) -> &'static str;

    /// The base URL as it will be used, from what an operator typed, or its own.
    fn base_url(&self, typed: Option<&str>) -> Option<String>;

    /// The dialect in which `model` is asked for a client that speaks `served`: the same where it can be.
    fn dialect(&self, served: Option<Dialect>, model: &str) -> Dialect;

    /// How that dialect is spoken there.
    fn spoken(&self, dialect: Dialect) -> &dyn Spoken;

    /// Puts a finished body into the provider's terms.
    fn adapt(&self, _dialect: Dialect, _body: &mut Map<String, Value>) {}

    /// What [`Self::adapt`] would make of a client's body in that dialect with what is ours in its place, written as it was
    /// sent. `None` where that cannot be told so, or not without being read.
    fn in_place(
        &self,
        _dialect: Dialect,
        _body: &RequestBody,
        _ours: &Ours<'_>,
    ) -> Option<serde_json::Result<Vec<u8>>> {
        None
    }

    /// What of a conversation [`Self::adapt`] may change; a body without all of it is adapted by its parameters alone.
    fn reach(&self, _dialect: Dialect) -> Marks {
        Marks::NONE
    }

    /// Whether `model` is only asked for streams.
    fn streams_only(&self, _model: &str) -> bool {
        false
    }

    /// Where a request goes.
    fn address(&self, base: &Url, dialect: Dialect, model: &str, stream: bool) -> Url;

    /// Adds to a request, complete but for this, what says who we are.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if the key has not the form that it must have.
    fn authorize(&self, request: &mut Request, key: Option<&str>) -> Result<(), RelayError>;

    /// Whether that is different for each request: it depends on the body, or on the time.
    fn signs(&self) -> bool {
        false
    }

    /// How it is asked for more than conversations, if it can be.
    fn way(&self, _base: &Url, _modality: Modality) -> Option<Way> {
        None
    }

    /// Where such a request goes that is behind the base URL.
    fn beside(&self, base: &Url, path: &str, _model: &str) -> Url {
        under(base, path)
    }

    /// The largest body that it takes.
    fn max_body_bytes(&self) -> usize {
        usize::MAX
    }

    /// Where it lists its models, if it does; and how the list is read.
    fn models(&self, base: &Url) -> Option<(Url, ReadModels)>;
}

/// How a provider is asked for more than conversations.
pub(crate) enum Way {
    /// In OpenAI's form.
    Passing,
    /// In its own.
    Mapped(&'static dyn Mapping),
}

/// Reads the ids in a list of models; `None` if it is no such list.
pub(crate) type ReadModels = fn(&Value) -> Option<Vec<String>>;

/// The list whose items have this field, in the form that most providers give it.
pub(crate) fn ids(list: &Value, items: &str, field: &str) -> Option<Vec<String>> {
    let items = list.get(items).unwrap_or(list).as_array()?;
    items.iter().map(|item| Some(item.get(field)?.as_str()?.to_owned())).collect()
}

/// A base URL with more path, and nothing lost of its own.
pub(crate) fn under(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/'));
    url.set_path(&whole);
    url
}

/// The name of a model as one segment of a path, or several where the name has slashes of its own.
pub(crate) fn segment(name: &str, keep_slashes: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slashes && byte == b'/');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

/// A key as the value of a header, never shown.
///
/// # Errors
/// [`RelayError::Misconfigured`] if it cannot be one.
pub(crate) fn header(value: &str) -> Result<reqwest::header::HeaderValue, RelayError> {
    let mut value = reqwest::header::HeaderValue::from_str(value)
        .map_err(|_| RelayError::Misconfigured("a key contains characters that no key has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_can_be_made() {
        let mut words = BTreeSet::new();
        for kind in kinds() {
            assert!(words.insert(kind.id), "{} is there twice", kind.id);
            let base_url = kind.base_url.is_none().then(|| "https://host.example".to_owned());
            let made = provider(ProviderConfig { base_url, ..ProviderConfig::new(kind.id) }).map_err(|e| e.to_string());
            assert_eq!(made.map(|made| made.name().to_owned()), Ok(kind.id.to_owned()));
        }
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_values() {
        let secret = || Some(SecretString::from("http://user:secret@host/path"));
        for config in [
            ProviderConfig::new("nobody"),
            ProviderConfig::new("openai_compatible"),
            ProviderConfig { base_url: Some("ftp://secret".to_owned()), ..ProviderConfig::new("openai") },
            ProviderConfig {
                base_url: Some("http://169.254.169.254/secret".to_owned()),
                ..ProviderConfig::new("gemini")
            },
            ProviderConfig { proxy: secret(), ..ProviderConfig::new("openai") },
            ProviderConfig { headers: vec![("host".to_owned(), "secret".to_owned())], ..ProviderConfig::new("openai") },
        ] {
            let error = provider(config.clone()).err().map(|error| (error.code(), error.to_string()));
            let (code, sentence) = error.expect("a refusal");
            assert!(code == "misconfigured" && !sentence.contains("secret"), "{sentence}");
            assert!(!format!("{config:?}").contains("user:secret"));
        }
    }

    #[test]
    fn names_of_models_cannot_leave_their_place_in_a_path() {
        assert_eq!(segment("../a b?x#y", false), "..%2Fa%20b%3Fx%23y");
        assert_eq!(segment("tuned/a:b", true), "tuned/a%3Ab");
        let base = Url::parse("https://h.example/v1").unwrap();
        assert_eq!(under(&base, "/models").as_str(), "https://h.example/v1/models");
    }
}
