//! Calls of models as operators read them: one by one, and what they add up to by channel, model, account, key and hour:
//! schema `statistics_v1`.
//!
//! Promise: a call counts once, a settlement counts once, and what is counted of money is what the ledger has. Requests,
//! errors and durations come from the calls that processes tell of; a process that is killed can take the last second of
//! them with it. Tokens and money come from the wallets' own events, so they are complete whatever becomes of calls.

mod calls;
mod histogram;
mod projector;
mod queries;
mod rows;
mod slot;
mod write;

pub use calls::{CallFilter, RecordedCall, RecordedLeftOut, RecordedTry, call, calls};
pub use projector::{DEFAULT_CALL_DAYS, StatisticsProjector};
pub use queries::{GroupBy, MAX_STATISTICS_ROWS, StatisticsFilter, Viewer, statistics};
pub use rows::{ErrorCount, Figures, Percentiles, Statistics, StatisticsRow, StatisticsTokens};
