//! Money: what things cost, who has what, and what happened to it.

pub mod money;
pub mod paid;
pub mod rates;
pub mod wallet;

pub use money::{Currency, InvalidAmount, Nanos};
pub use paid::Paid;
pub use rates::{Basis, InvalidRate, Rate, Rates, Tokens};
pub use wallet::{
    Effect, ExpiryPolicy, Purpose, Quote, ReleaseReason, Source, Wallet, WalletCommand, WalletEvent, WalletRefusal,
};
