//! The bus: how commands, events and live text travel between the roles of Oblivious, over NATS JetStream.
//!
//! Promises: a command is never lost once its stream acknowledged it; every event gets one dense position and reaches
//! every feed once, in order; a stream that was wiped is refilled from Postgres and nobody notices. Bodies are JSON and
//! opaque here: this crate knows no capability, so a new one changes nothing in it.

pub mod audit;
pub mod client;
pub mod command;
pub mod consumer;
pub mod epoch;
pub mod event_ref;
pub mod feed;
pub mod live;
pub mod log;
pub mod publisher;
pub mod reader;
pub mod sequencer;
pub mod streams;

mod ack;
mod body;
mod headers;
mod published;
mod tail;

pub use audit::{AuditError, StreamAudit, StreamFault, last_streamed};
pub use body::Body;
pub use client::{CommandClient, CommandOptions, SendError, Sent, stored_outcome};
pub use command::{CommandMessage, Outcome};
pub use consumer::{CommandHandler, ConsumerOptions, Handled, run_commands};
pub use epoch::{Epoch, open_epoch};
pub use event_ref::EventRef;
pub use feed::{EventFeed, FeedError};
pub use live::{Hint, LiveError, LiveFrame, LiveKind, LiveReader, LiveUnavailable, LiveWriteError, LiveWriter};
pub use log::{LogError, LoggedEvent, Metadata, last_position, page_log, position_of};
pub use published::{EVENT_HEADERS, event_subject};
pub use publisher::{
    Capabilities, PublisherError, PublisherOptions, PublisherState, PublisherStatus, Refill, RefillError, Refilled,
    republish, run_publisher,
};
pub use reader::{Envelope, LogFault, LogFilter, LogPage, LogReader, before_last};
pub use sequencer::{SequencerOptions, run_sequencer, sequence_once, wake_sequencer};
pub use streams::StreamOptions;
