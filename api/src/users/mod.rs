//! Accounts over HTTP: register, sign in, refresh, sign out, me.

mod account;
mod device;
mod passwords;
mod refresh_token;
mod throttle;

pub(crate) use device::Cookies;
pub(crate) use passwords::Passwords;
pub use passwords::{PasswordCost, hash_password};
pub use throttle::Quota;
pub(crate) use throttle::Throttle;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(account::register))
        .routes(routes!(account::me))
        .routes(routes!(device::login))
        .routes(routes!(device::refresh))
        .routes(routes!(device::logout))
}
