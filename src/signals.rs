//! The signals that ask this process to end.

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// SIGINT (Ctrl-C) and SIGTERM, from the moment this value exists.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Stop {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one and tells which.
    pub(crate) async fn asked(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
        }
    }
}
