//! Accounts over HTTP: register, sign in, refresh, sign out, me, keys of the API; for operators all accounts.

mod account;
mod accounts;
mod api_keys;
mod device;
mod key;
mod key_grants;
mod passwords;
mod refresh_token;
mod throttle;

pub(crate) use device::Cookies;
pub(crate) use key::Key;
pub(crate) use key_grants::{Grant, KeyGrants};
pub(crate) use passwords::Passwords;
pub use passwords::{PasswordCost, hash_password};
pub use throttle::Quota;
pub(crate) use throttle::{Bucket, MAX_BUCKETS, Taken, Throttle};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(account::register))
        .routes(routes!(account::me))
        .routes(routes!(device::login))
        .routes(routes!(device::refresh))
        .routes(routes!(device::logout))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::get))
}
