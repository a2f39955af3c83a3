//! Money: what things cost, who has what, and what happened to it.

pub mod decimal;
pub mod money;
pub mod paid;
pub mod pieces;
pub mod rates;
pub mod tokens;
pub mod wallet;

pub use decimal::{Factor, Fee, InvalidFactor, InvalidFee, InvalidRate, Rate};
pub use money::{Currency, InvalidAmount, Nanos};
pub use paid::Paid;
pub use pieces::Pieces;
pub use rates::{LongRates, Rates, Tiers};
pub use tokens::{Basis, Tokens};
pub use wallet::{
    Answerer, Effect, ExpiryPolicy, MAX_HOLDS, Purpose, Quote, ReleaseReason, Source, Terms, Wallet, WalletCommand,
    WalletEvent, WalletRefusal,
};
