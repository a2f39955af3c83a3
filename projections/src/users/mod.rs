//! Accounts and devices as the login and the token check read them: schema `users_v1`.
//!
//! Promise: an account is found by the keyed hash of its name, never by the name; the password hash leaves only in
//! [`Credentials`], which cannot be serialised or printed.

mod projector;
mod rows;

pub use projector::UsersProjector;
pub use rows::{Credentials, Role, User, by_email_hash, device_ended, user, user_of_device};
