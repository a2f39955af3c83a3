//! The router against real HTTP servers that fail on demand, and two routers on a real NATS.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

mod failover;
mod house;
mod instead;
mod resting;
mod sharing;
