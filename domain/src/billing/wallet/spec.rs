//! Wallets as their rules say.
