//! Passwords at the door: hashed and checked with argon2id (RFC 9106), a bounded number at a time.
//!
//! Promise: no password is stored, logged or sent on; an unknown account costs the same work as a known one; a flood of
//! sign-ins is answered 503 instead of taking all memory and threads.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// A password as it came in; never printed, wiped when dropped.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Password(Zeroizing<String>);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Password {
    /// For the rules that it must obey.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// How hard a hash is to compute. New hashes get this; old ones carry their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// The second recommended option of RFC 9106, section 4.
impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes and checks on threads of their own.
#[derive(Clone)]
pub(crate) struct Passwords {
    cost: PasswordCost,
    workers: Arc<Semaphore>,
    /// Those at work and those waiting.
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost, workers: usize, queue: usize) -> Self {
        let workers = workers.max(1);
        Self {
            cost,
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers.saturating_add(queue))),
        }
    }

    /// The hash of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Problem> {
        let cost = self.cost;
        let hashed = self.work(move || {
            let hash: PasswordHash = hasher(cost)?.hash_password(password.0.as_bytes())?;
            Ok::<_, argon2::password_hash::Error>(hash.to_string())
        });
        hashed.await?.map_err(|error| Problem::bug(&error))
    }

    /// Whether `password` is the one behind `hash`. Without a hash the same work is done, and the answer is no.
    pub(crate) async fn check(&self, password: Password, hash: Option<String>) -> Result<bool, Problem> {
        let cost = self.cost;
        let is_known = hash.as_ref().is_some_and(|hash| !hash.is_empty());
        let checked = self.work(move || {
            let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or_else(|| decoy(cost));
            let hash = PasswordHash::new(&hash)?;
            // Cost and salt are those in the hash.
            Ok::<_, argon2::password_hash::phc::Error>(
                Argon2::default().verify_password(password.0.as_bytes(), &hash).is_ok(),
            )
        });
        let matches = checked.await?.map_err(|error| Problem::bug(&error))?;
        Ok(is_known && matches)
    }

    async fn work<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || Problem::unavailable("sign_in_busy", "too many people are signing in; try again in a moment");
        let _place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = task();
            // Kept until here: who left early must not make room for one more.
            drop(worker);
            result
        });
        done.await.map_err(|error| Problem::bug(&error))
    }
}

/// The hash of a new password at the default cost, for tools that open accounts without HTTP. Takes a moment: call it
/// outside the async threads.
///
/// # Errors
/// The system gives no randomness.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = hasher(PasswordCost::default())?.hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

fn hasher(cost: PasswordCost) -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES))
        .map_err(|_| argon2::password_hash::Error::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash that no password has, as dear to check as a real one.
fn decoy(cost: PasswordCost) -> String {
    let PasswordCost { memory_kib, passes, lanes } = cost;
    let (salt, hash) = (STANDARD_NO_PAD.encode([0x5a; SALT_BYTES]), STANDARD_NO_PAD.encode([0; HASH_BYTES]));
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 64, passes: 1, lanes: 1 };

    fn password(text: &str) -> Password {
        text.to_owned().into()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(CHEAP, 1, 8);
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(passwords.check(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.check(password("battery staple"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_or_erased_account_does_the_work_and_never_matches() {
        let passwords = Passwords::new(CHEAP, 1, 8);
        for hash in [None, Some(String::new())] {
            assert!(!passwords.check(password("anything"), hash).await.unwrap());
        }
        let parsed = PasswordHash::new(&decoy(CHEAP)).unwrap().to_string();
        assert_eq!(parsed, decoy(CHEAP));
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_instead_of_queued_without_end() {
        let passwords = Passwords::new(CHEAP, 1, 1);
        let _busy = Arc::clone(&passwords.places).acquire_many_owned(2).await.unwrap();
        assert_eq!(passwords.hash(password("x")).await.unwrap_err().code(), "sign_in_busy");
    }

    #[test]
    fn debug_output_never_shows_a_password() {
        assert_eq!(format!("{:?}", password("secret")), "Password(***)");
    }
}
