//! Money as its owners and operators read it: schema `billing_v1`.
//!
//! Promise: every movement is booked as a double entry whose lines sum to zero, in the projector and again in the
//! database; a balance is the sum of its owner's entries. Amounts leave as strings of integer nano-units.

mod entries;
mod projector;
mod queries;
pub mod reconcile;
mod records;
mod rows;
mod schema;
mod statement;
mod step;
mod write;

pub use entries::{Account, EntryKind, Unbookable};
pub use projector::BillingProjector;
pub use queries::{Lines, charges, ledger_entries, newest_event, wallet};
pub(crate) use rows::WALLET_COLUMNS;
pub use rows::{Charge, ChargedTokens, LedgerEntry, Wallet};
pub use schema::{LongRatesSchema, PiecesSchema, RatesSchema, TiersSchema};
pub use statement::{Statement, StatementApiKey, StatementDay, StatementModel, statement};
