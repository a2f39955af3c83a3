//! The form of an API key: `sk-obl-<its id>-<its secret>`.
//!
//! The id finds the key's row, the secret proves it. The secret follows from the id and the master secret, so that a
//! repeated request for a new key answers the same one; what is stored is the hash of the whole text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::ApiKeyId;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use uuid::Uuid;
use vault::Vault;
use zeroize::Zeroizing;

/// Tells keys from access tokens.
const PREFIX: &str = "sk-obl-";
const ID_CHARS: usize = 32;
const SECRET_CHARS: usize = 43;
/// By so many characters of its end people know a key.
const HINT_CHARS: usize = 4;

/// A key in the open. Never stored and never printed; its memory is overwritten.
pub(crate) struct Key {
    id: ApiKeyId,
    text: Zeroizing<String>,
}

impl Key {
    /// The key with this id.
    pub(crate) fn of(id: ApiKeyId, vault: &Vault) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(vault.api_key_secret(id.uuid()));
        Self { id, text: Zeroizing::new(format!("{PREFIX}{}-{secret}", id.uuid().simple())) }
    }

    /// What a client presented, if it has the form of a key.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::id_in(text).map(|id| Self { id, text: Zeroizing::new(text.to_owned()) })
    }

    /// The id of what a client presented, if it has the form of a key.
    pub(crate) fn id_in(text: &str) -> Option<ApiKeyId> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('-')?;
        if id.len() != ID_CHARS || secret.len() != SECRET_CHARS {
            return None;
        }
        Uuid::try_parse(id).ok().map(ApiKeyId::new)
    }

    /// Whether a client meant to present a key, well-formed or not.
    pub(crate) fn looks_like(text: &str) -> bool {
        text.starts_with("sk-")
    }

    pub(crate) const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// Hex of SHA-256 over the whole text.
    pub(crate) fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    /// Whether it is the key of which this hash was stored, in constant time.
    pub(crate) fn is_of(&self, stored_hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(stored_hash.as_bytes()).into()
    }

    /// Whether this is the key that was presented, in a time that only their lengths tell of.
    pub(crate) fn is(&self, presented: &str) -> bool {
        let (words, rest) = self.text.as_bytes().as_chunks::<8>();
        let (presented_words, presented_rest) = presented.as_bytes().as_chunks::<8>();
        if (words.len(), rest.len()) != (presented_words.len(), presented_rest.len()) {
            return false;
        }
        let same = words.iter().zip(presented_words).fold(Choice::from(1), |same, (word, presented)| {
            same & u64::from_ne_bytes(*word).ct_eq(&u64::from_ne_bytes(*presented))
        });
        (same & rest.ct_eq(presented_rest)).into()
    }

    /// Its end, by which people know it.
    pub(crate) fn hint(&self) -> String {
        // The secret is ASCII.
        self.text.get(self.text.len() - HINT_CHARS..).unwrap_or_default().to_owned()
    }

    /// For the one answer that shows it.
    pub(crate) fn into_text(mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwxyz";

    #[test]
    fn a_key_is_read_back_with_its_id() {
        let id = Uuid::from_u128(7);
        let key = Key::read(&format!("sk-obl-{}-{SECRET}", id.simple())).unwrap();
        assert_eq!((key.id().uuid(), key.hint().as_str()), (id, "wxyz"));
        assert!(key.is_of(&key.hash()));
        assert!(!key.is_of("") && !key.is_of(&"0".repeat(64)));
        let with = |secret: &str| format!("sk-obl-{}-{secret}", id.simple());
        assert!(key.is(&with(SECRET)) && !key.is(&with(&SECRET.replace('w', "v"))));
    }

    #[test]
    fn a_secret_may_contain_the_separator() {
        let dashes = "-".repeat(SECRET_CHARS);
        assert!(Key::read(&format!("sk-obl-{}-{dashes}", Uuid::nil().simple())).is_some());
    }

    #[test]
    fn what_is_not_of_the_form_is_no_key() {
        let id = Uuid::from_u128(7).simple().to_string();
        let texts = [
            String::new(),
            "sk-obl-".to_owned(),
            format!("sk-obl-{id}"),
            format!("sk-obl-{id}-short"),
            format!("sk-obl-{}-{SECRET}", &id[1..]),
            format!("sk-obl-{}-{SECRET}", "z".repeat(32)),
            format!("sk-other-{id}-{SECRET}"),
        ];
        for text in texts {
            assert!(Key::read(&text).is_none(), "{text}");
        }
    }
}
