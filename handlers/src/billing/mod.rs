//! Commands on wallets, commands that are paid from one, and the end of holds that nobody settles.

mod counted;
mod expiry;
mod paid;

use domain::billing::Wallet;

pub use expiry::{EXPIRE_HOLD_JOB, ExpiryReactor, ExpiryWorker};
pub(crate) use paid::Together;

use crate::dispatch::Plans;

pub(crate) fn plans() -> Plans {
    Plans::default().aggregate::<Wallet>()
}
