//! The one secret of an installation, and the keys derived from it for each purpose (HKDF-SHA-256, RFC 5869).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::VaultError;

/// 32 random bytes; wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A new secret from the operating system.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    pub fn generate() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| VaultError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads the form that [`Self::to_base64`] writes; white space around it is ignored.
    ///
    /// # Errors
    /// [`VaultError::InvalidMasterKey`] for anything but 32 bytes in standard base64.
    pub fn from_base64(text: &str) -> Result<Self, VaultError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| VaultError::InvalidMasterKey)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| VaultError::InvalidMasterKey)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// For the secret file of the installation only.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// The key for one purpose; keys of different purposes tell nothing about each other.
    pub(crate) fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        const { assert!(N <= 255 * 32, "the bound of HKDF-SHA-256") };
        let mut key = [0; N];
        let derived = Hkdf::<Sha256>::new(Some(b"oblivious"), self.0.as_slice()).expand(purpose.as_bytes(), &mut key);
        debug_assert!(derived.is_ok(), "the length was checked at compile time");
        key
    }

    /// HMAC-SHA-256 over `parts`, each preceded by its length so that no two lists of parts collide.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        // A full block of SHA-256: HMAC takes it as it is (RFC 2104, 2).
        let key = self.derive::<64>(purpose);
        let mut mac = <Hmac<Sha256> as Mac>::new((&key).into());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form_and_other_texts_are_refused() {
        let key = MasterKey::generate().unwrap();
        let again = MasterKey::from_base64(&format!(" {}\n", key.to_base64().as_str())).unwrap();
        assert_eq!(key.derive::<32>("x"), again.derive::<32>("x"));
        for bad in ["", "short", "!!!!", &STANDARD.encode([1; 31])] {
            assert!(MasterKey::from_base64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn purposes_and_part_boundaries_give_different_keys() {
        let key = MasterKey::generate().unwrap();
        assert_ne!(key.derive::<32>("a"), key.derive::<32>("b"));
        assert_ne!(key.mac("p", &[b"ab", b"c"]), key.mac("p", &[b"a", b"bc"]));
        assert!(!format!("{key:?}").contains(key.to_base64().as_str()));
    }
}
