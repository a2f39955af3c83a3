//! Calls that cost nobody anything, and how many of them one account makes at the same time.
//!
//! Promise: a call for nothing has its place among as many as a wallet would pay for, and gives it up when it is over.
//! Places are counted in this process: there is no money to keep in one place.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    Refusal as _, UserId,
    billing::{MAX_HOLDS, WalletRefusal},
};

use crate::MeterError;

/// Calls for nothing that are under way, by account. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<UserId, usize>>>);

/// The place of one call; it is given up when dropped.
pub(crate) struct Place {
    places: Places,
    user: UserId,
}

impl Places {
    /// A place for a call of `user`.
    ///
    /// # Errors
    /// The wallet's own, of too many calls at the same time.
    pub(crate) fn take(&self, user: UserId) -> Result<Place, MeterError> {
        let mut taken = self.lock();
        let count = taken.entry(user).or_default();
        if *count >= MAX_HOLDS {
            let refusal = WalletRefusal::TooManyHolds;
            let (code, message) = (refusal.code().to_owned(), refusal.to_string());
            return Err(MeterError::Refused { code, message, details: refusal.details() });
        }
        *count += 1;
        Ok(Place { places: self.clone(), user })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_account_has_as_many_calls_for_nothing_as_a_wallet_would_pay_for_and_each_place_is_given_up() {
        let (places, one, other) =
            (Places::default(), UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let mut taken: Vec<Place> = (0..MAX_HOLDS).map(|_| places.take(one).unwrap()).collect();
        let Err(MeterError::Refused { code, .. }) = places.take(one) else { panic!("one too many") };
        assert_eq!(code, "too_many_holds");
        assert!(places.take(other).is_ok(), "another account has places of its own");
        taken.pop();
        taken.push(places.take(one).unwrap());
        drop(taken);
        assert!(places.lock().is_empty());
    }
}
