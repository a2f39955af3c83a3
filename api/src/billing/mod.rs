//! Money over HTTP: the wallet, its ledger, charges and statements; for operators grants, top-ups and adjustments.

mod ledger;
mod movements;
mod wallet;

use domain::billing::Currency;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use wallet::{is_behind as wallet_is_behind, read as wallet_of};

use crate::state::App;

/// The currency of this installation's ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerCurrency(pub(crate) Currency);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(wallet::get))
        .routes(routes!(wallet::statement))
        .routes(routes!(ledger::entries))
        .routes(routes!(ledger::charges))
        .routes(routes!(ledger::entries_of_user))
        .routes(routes!(movements::grant))
        .routes(routes!(movements::top_up))
        .routes(routes!(movements::adjust))
}
