//! A command that is decided together with one on a wallet: both happen, or neither does.
//!
//! So an answer and its charge are one fact: no crash can leave one without the other.

use serde::{Deserialize, Serialize};

use super::WalletCommand;
use crate::UserId;

/// The body of a command on another aggregate, with what it means for the payer's wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paid<C> {
    pub command: C,
    pub payer: UserId,
    pub wallet: WalletCommand,
}
