//! Opening an account with its names: the one command that decides on three aggregates.
//!
//! Promise: the account and both claims are decided and committed together, or none of them is. See
//! docs/decisions/0003-names-in-one-transaction.md.

use serde::{Deserialize, Serialize};

use super::UserCommand;

/// The body of `register_user`: the account's own command and the ids of the two [`Reservation`](super::Reservation)s,
/// which are keyed hashes of the canonical names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisterUser {
    pub email_key: String,
    pub username_key: String,
    pub command: UserCommand,
}
