//! Whom a request may be sent to, and what it wishes.

use std::sync::Arc;

use domain::{
    ChannelId,
    relay::{Limits, Strategy},
};
use relay::KeyRef;

use crate::Label;

/// One model of one channel, as a call may reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub channel: ChannelId,
    /// What operators call the channel.
    pub name: Label,
    /// What users are told of the channel.
    pub told: Arc<str>,
    /// As the provider names it.
    pub model: Arc<str>,
    /// The highest that can serve is asked first.
    pub priority: i32,
    /// Its share within the tier; 0 is asked last.
    pub weight: u32,
    /// What a call costs us, on whatever scale all candidates share.
    pub price: u64,
    /// The channel's keys; empty where it needs none. A changed key has another name.
    pub keys: Vec<KeyRef>,
    /// What the channel takes, over all nodes.
    pub limits: Limits,
    /// Input and output together, at most; not known where absent.
    pub context_tokens: Option<u64>,
}

/// What a request wants of whoever answers it.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Among candidates of one priority; weighted where absent.
    pub strategy: Option<Strategy>,
    /// The conversation, or `prompt_cache_key`: whatever an upstream's cache would know it by. Used where the strategy
    /// is affinity, and never kept.
    pub affinity: Option<String>,
    /// Of the input, as counted for the hold.
    pub input_tokens: u64,
    /// They were estimated: nobody is left out for reading less.
    pub estimated: bool,
}

/// A candidate that this request was sent to in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its place in the list of candidates.
    pub candidate: usize,
    pub key: Option<KeyRef>,
    /// Only the key is to blame: the same channel with another key has not been tried.
    pub key_only: bool,
}
