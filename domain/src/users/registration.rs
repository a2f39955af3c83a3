//! Opening an account with its names and its gift: the one command that decides on four aggregates.
//!
//! Promise: the account, both claims and the first credit are decided and committed together, or none of them is. See
//! docs/decisions/0003-names-in-one-transaction.md.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EmailAddress, Role, UserCommand, UserName};
use crate::{
    Sealed, UserId,
    billing::{Currency, Nanos, Source, WalletCommand},
};

/// The body of `register_user`: the account's own command and the ids of the two [`Reservation`](super::Reservation)s,
/// which are keyed hashes of the canonical names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisterUser {
    pub email_key: String,
    pub username_key: String,
    pub command: UserCommand,
    /// The gift to the new account, if there is one.
    #[serde(default)]
    pub grant: Option<WalletCommand>,
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
    /// The gift to every new account; none if zero.
    pub sign_up_grant: Nanos,
    pub currency: Currency,
    pub at: DateTime<Utc>,
}

impl From<Applicant> for RegisterUser {
    fn from(applicant: Applicant) -> Self {
        let sealed = |text: String| Sealed::new(applicant.user, text);
        let grant = WalletCommand::Grant {
            // An account is opened once, so its id names the gift as well.
            reference: applicant.user.uuid(),
            amount_nanos: applicant.sign_up_grant,
            currency: applicant.currency,
            source: Source::SignUp,
            note: None,
            at: applicant.at,
        };
        Self {
            grant: (applicant.sign_up_grant > Nanos::ZERO).then_some(grant),
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
