//! Channels, their prices, groups of users, calls and what they add up to over HTTP, for operators; and the models that all
//! of them offer, for everybody.

mod body;
mod calls;
mod channels;
mod csv;
mod groups;
mod health;
mod history;
mod keys;
mod models;
mod prices;
mod settings;
mod statistics;
mod trial;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

/// Which upstream addresses operators may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upstreams(pub(crate) relay::AddressPolicy);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(models::list))
        .routes(routes!(channels::list, channels::add))
        .routes(routes!(health::list))
        .routes(routes!(channels::get, channels::change, channels::remove))
        .routes(routes!(trial::test))
        .routes(routes!(history::list))
        .routes(routes!(history::revert))
        .routes(routes!(keys::resume))
        .routes(routes!(prices::set))
        .routes(routes!(prices::public))
        .routes(routes!(prices::import))
        .routes(routes!(groups::list, groups::add))
        .routes(routes!(groups::change, groups::remove))
        .routes(routes!(groups::assign))
        .routes(routes!(statistics::get))
        .routes(routes!(statistics::export))
        .routes(routes!(statistics::own))
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
}
