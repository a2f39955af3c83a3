//! Opening an account with its names: the one command that decides on three aggregates.
//!
//! Promise: the account and both claims are decided and committed together, or none of them is. See
//! docs/decisions/0003-names-in-one-transaction.md.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EmailAddress, Role, UserCommand, UserName};
use crate::{Sealed, UserId};

/// The body of `register_user`: the account's own command and the ids of the two [`Reservation`](super::Reservation)s,
/// which are keyed hashes of the canonical names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisterUser {
    pub email_key: String,
    pub username_key: String,
    pub command: UserCommand,
}

/// Who registers, with everything that was made outside: keyed hashes of the names, the hash of the password, the time.
#[derive(Debug, Clone)]
pub struct Applicant {
    pub user: UserId,
    pub email: EmailAddress,
    pub username: UserName,
    pub email_key: String,
    pub username_key: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    pub role: Role,
    pub at: DateTime<Utc>,
}

impl From<Applicant> for RegisterUser {
    fn from(applicant: Applicant) -> Self {
        let sealed = |text: String| Sealed::new(applicant.user, text);
        Self {
            email_key: applicant.email_key,
            username_key: applicant.username_key,
            command: UserCommand::RegisterUser {
                email: sealed(applicant.email.as_str().to_owned()),
                username: sealed(applicant.username.as_str().to_owned()),
                password_hash: sealed(applicant.password_hash),
                role: applicant.role,
                at: applicant.at,
            },
        }
    }
}
