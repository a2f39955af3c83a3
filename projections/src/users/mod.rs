//! Accounts, devices and keys of the API as logins, requests and operators read them: schema `users_v1`.
//!
//! Promise: an account is found by the keyed hash of its name, never by the name; the password hash leaves only in
//! [`Credentials`], which cannot be serialised or printed.

mod accounts;
mod api_keys;
mod projector;
mod rows;

pub use accounts::{Account, account, users};
pub use api_keys::{ApiKey, ApiKeyAccess, api_key, api_key_access, api_keys, count_api_keys};
pub use projector::UsersProjector;
pub use rows::{Credentials, Role, User, by_email_hash, device_ended, user, user_of_device};
