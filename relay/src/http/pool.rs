//! Connections that rest between two requests, and what is asked over them.
//!
//! Promise: a request is sent once. Only where a connection that rested was closed before anything of the request was
//! written is it sent over another one. At most [`MAX_IDLE`] connections rest, for at most about [`IDLE`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::{Answer, Connection, Connector, Origin, Request, Unanswered, Unreachable};
use crate::RelayError;

/// A connection that nobody used for so long is closed; providers' load balancers close theirs at about the same time.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// Idle connections that are kept, at most: as many as there are calls at the same time on a busy node.
pub(super) const MAX_IDLE: usize = 256;

/// The connections of one account.
pub(super) struct Pool {
    connector: Connector,
    resting: Mutex<Resting>,
}

#[derive(Default)]
struct Resting {
    /// The one that was used last is the last, and used first.
    connections: Vec<(Connection, Instant)>,
    is_watched: bool,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// The policy, or the configuration.
    Refused(RelayError),
    /// No connection was made in time.
    NotInTime,
    /// Nobody takes a connection.
    Nobody,
    /// Whoever takes it cannot prove who they are, or does not speak TLS.
    Insecure,
    /// The connection broke before an answer.
    Broken,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        Arc::new(Self { connector, resting: Mutex::default() })
    }

    /// The head of the answer, and the connection that it comes over. A connection is made within `patience`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        mut request: Request,
        patience: Duration,
    ) -> Result<(Answer, Connection), Failed> {
        while let Some(mut rested) = self.take(origin) {
            match rested.ask(request).await {
                Ok(answer) => return Ok((answer, rested)),
                Err(Unanswered::Unsent(unsent)) => request = *unsent,
                Err(Unanswered::Broken) => return Err(Failed::Broken),
            }
        }
        let connecting = tokio::time::timeout(patience, Box::pin(self.connector.connect(Arc::clone(origin)))).await;
        let mut connection = match connecting.map_err(|_| Failed::NotInTime)? {
            Ok(connection) => connection,
            Err(Unreachable::Refused(refusal)) => return Err(Failed::Refused(refusal)),
            Err(Unreachable::Nobody) => return Err(Failed::Nobody),
            Err(Unreachable::Insecure) => return Err(Failed::Insecure),
        };
        match connection.ask(request).await {
            Ok(answer) => Ok((answer, connection)),
            Err(_) => Err(Failed::Broken),
        }
    }

    /// A connection to there, if one rests that is well.
    fn take(&self, origin: &Arc<Origin>) -> Option<Connection> {
        loop {
            let (mut connection, since) = {
                let connections = &mut self.resting().connections;
                let at = connections.iter().rposition(|(connection, _)| connection.origin == *origin)?;
                connections.remove(at)
            };
            if since.elapsed() < IDLE && connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// Lets a connection rest whose answer came to its end; it is closed where it cannot be used again.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Connection) {
        if !connection.is_usable() {
            return;
        }
        let mut resting = self.resting();
        if resting.connections.len() >= MAX_IDLE {
            return;
        }
        resting.connections.push((connection, Instant::now()));
        if !std::mem::replace(&mut resting.is_watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what nobody used, as long as anything rests.
async fn close_unused(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut resting = pool.resting();
        resting.connections.retain(|(_, since)| since.elapsed() < IDLE);
        if resting.connections.is_empty() {
            resting.is_watched = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests;
