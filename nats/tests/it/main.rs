//! The bus against real servers: what dies, stalls, is wiped, restored or delivered twice.

mod commands;
mod support;
