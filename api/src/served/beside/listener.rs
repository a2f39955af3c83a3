//! The client's end of an answer that is made by a task of its own.
//!
//! Promise: whoever stopped reading counts as gone, and whoever is gone is waited for no longer than the drain time.

use std::time::Duration;

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::super::call::{MAX_WAITING, STALLED};

/// Whom an answer is told.
pub(super) struct Listener<T> {
    told: mpsc::Sender<T>,
    /// It has missed something: nothing more is said to it.
    deaf: CancellationToken,
}

impl<T> Listener<T> {
    pub(super) fn new() -> (Self, mpsc::Receiver<T>) {
        let (told, heard) = mpsc::channel(MAX_WAITING);
        (Self { told, deaf: CancellationToken::new() }, heard)
    }

    /// Says it, and waits while the listener is slow.
    pub(super) async fn tell(&self, what: T) {
        if self.deaf.is_cancelled() {
            return;
        }
        let Err(TrySendError::Full(what)) = self.told.try_send(what) else { return };
        if timeout(STALLED, self.told.send(what)).await.is_err() {
            self.deaf.cancel();
        }
    }

    /// Nobody listens any more.
    pub(super) fn is_alone(&self) -> bool {
        self.told.is_closed() || self.deaf.is_cancelled()
    }

    /// Nobody has listened for so long.
    pub(super) async fn left(&self, drain: Duration) {
        tokio::select! {
            () = self.told.closed() => {}
            () = self.deaf.cancelled() => {}
        }
        sleep(drain).await;
    }
}
