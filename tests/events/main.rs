//! What others build on: the log as lines and files, the proof of it, the stream made again, a subscriber that missed
//! nothing. With the real executable and real servers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]

// Its own tests run here: with tests of its own, cargo would no longer build the example as a program.
#[expect(dead_code, reason = "the program uses the rest of it")]
#[path = "../../examples/subscriber/books.rs"]
mod books;
#[path = "../house/mod.rs"]
mod house;

mod configured_nats;
mod export;
mod republish;
mod subscriber;
mod support;
mod tail;
mod verify;
