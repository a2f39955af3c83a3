//! The keys of one account, taken in turn or at random.

use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::{ExposeSecret, SecretString};

use crate::KeyRef;

/// A key and its name.
#[derive(Debug, Clone)]
pub struct ProviderKey {
    /// By which its health is kept and told. A changed key has another name.
    pub name: KeyRef,
    /// The key; `Debug` does not show it.
    pub secret: SecretString,
}

/// In which order keys are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// One call after the other.
    #[default]
    InTurn,
    /// By chance.
    Random,
}

/// The keys of one account.
pub(crate) struct Keys {
    names: Vec<KeyRef>,
    secrets: Vec<SecretString>,
    order: KeyOrder,
    next: AtomicUsize,
}

impl Keys {
    pub(crate) fn new(keys: Vec<ProviderKey>, order: KeyOrder) -> Self {
        let (names, secrets) = keys.into_iter().map(|key| (key.name, key.secret)).unzip();
        Self { names, secrets, order, next: AtomicUsize::new(0) }
    }

    pub(crate) fn names(&self) -> &[KeyRef] {
        &self.names
    }

    /// All of them, for whoever has to keep them out of what is told.
    pub(crate) fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }

    /// The next key that is not in `avoid`.
    pub(crate) fn choose(&self, avoid: &[KeyRef]) -> Option<KeyRef> {
        let start = match self.order {
            _ if self.names.len() < 2 => 0,
            KeyOrder::InTurn => self.next.fetch_add(1, Ordering::Relaxed),
            KeyOrder::Random => fastrand::usize(..),
        };
        let start = start % self.names.len().max(1);
        let (before, after) = self.names.split_at_checked(start)?;
        after.iter().chain(before).find(|name| !avoid.contains(name)).cloned()
    }

    /// The place of the key of that name, or of the next one where the name is absent or no longer known.
    pub(crate) fn place(&self, name: Option<&KeyRef>) -> Option<usize> {
        let place = |name: &KeyRef| self.names.iter().position(|known| known == name);
        name.and_then(place).or_else(|| place(&self.choose(&[])?))
    }

    /// The key at that place.
    pub(crate) fn secret(&self, place: Option<usize>) -> Option<&str> {
        self.secrets.get(place?).map(ExposeSecret::expose_secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str], order: KeyOrder) -> Keys {
        let key = |name: &&str| ProviderKey { name: KeyRef::new(name), secret: format!("secret-{name}").into() };
        Keys::new(names.iter().map(key).collect(), order)
    }

    #[test]
    fn keys_are_used_in_turn_and_those_to_avoid_are_left_out() {
        let keys = keys(&["a", "b", "c"], KeyOrder::InTurn);
        let taken = |avoid: &[KeyRef]| keys.choose(avoid).map(|key| key.to_string()).unwrap_or_default();
        assert_eq!([taken(&[]), taken(&[]), taken(&[]), taken(&[])], ["a", "b", "c", "a"]);
        let bad = [KeyRef::new("b")];
        assert_eq!([taken(&bad), taken(&bad), taken(&bad)], ["c", "c", "a"]);
        assert_eq!(taken(&["a", "b", "c"].map(KeyRef::new)), "");
    }

    #[test]
    fn by_chance_every_key_is_used() {
        let keys = keys(&["a", "b"], KeyOrder::Random);
        let taken: std::collections::BTreeSet<_> = (0..200).filter_map(|_| keys.choose(&[])).collect();
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn a_key_is_found_by_its_name_and_one_that_is_gone_is_replaced() {
        let keys = keys(&["a", "b"], KeyOrder::InTurn);
        let secret = |name: Option<&str>| keys.secret(keys.place(name.map(KeyRef::new).as_ref())).map(str::to_owned);
        assert_eq!(secret(Some("b")).as_deref(), Some("secret-b"));
        assert_eq!(secret(Some("gone")).as_deref(), Some("secret-a"));
        assert_eq!(secret(None).as_deref(), Some("secret-b"));
        assert!(Keys::new(vec![], KeyOrder::InTurn).place(None).is_none());
    }

    #[test]
    fn the_debug_output_of_a_key_does_not_show_it() {
        let key = ProviderKey { name: KeyRef::new("a"), secret: "sk-very-secret".into() };
        assert!(!format!("{key:?}").contains("very-secret"));
    }
}
