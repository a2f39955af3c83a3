//! The bus against real servers: what dies, stalls, is wiped, restored or delivered twice.

mod commands;
mod epochs;
mod events;
mod live;
mod sequencer;
mod server_conf;
mod support;
