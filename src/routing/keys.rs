//! Keys that providers call void: told to the log by the node that saw it, taken over from there by every node.
//!
//! Promise: a key that died anywhere is used nowhere, also after everything was started again, until it works again or an
//! operator resumes or replaces it. Each node asks after such keys with a call of one token, at longer and longer
//! intervals; a void key refuses it, so it costs nothing until the one time that it works.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{SubsecRound as _, Utc};
use domain::relay::{Channel, ChannelCommand};
use domain::{ChannelId, Decider as _};
use metering::Catalogue;
use nats::{Body, CommandClient, CommandMessage, Outcome, Sent};
use projections::relay as rows;
use relay::{KeyRef, RelayError, VOID_KEY};
use routing::{Change, Part, State};
use sqlx::PgPool;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::probes::by_chat;

/// How often this node looks for changes of channels, and for keys that are to be asked after.
const LOOK: Duration = Duration::from_secs(1);
/// The longest time between two questions after the same key.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How long a command may take, and how long a bus that is away is left alone.
const WAIT: Duration = Duration::from_secs(5);

/// A key of a channel, by its name.
type Key = (ChannelId, Uuid);

/// When a key is asked after, and how long it is left alone if it is still void then.
struct Due {
    at: Instant,
    pause: Duration,
}

/// The keys of this node's channels.
pub(super) struct Keys {
    pub(super) pool: PgPool,
    pub(super) commands: CommandClient,
    pub(super) catalogue: Catalogue,
    /// Before a void key is asked after for the first time; never where absent.
    pub(super) probe_after: Option<Duration>,
}

impl Keys {
    /// Does all of it until `cancel`.
    pub(super) async fn keep(self, cancel: CancellationToken) {
        let both = async { tokio::join!(self.report(), self.follow()) };
        cancel.run_until_cancelled(both).await;
    }

    /// Tells the channel of every key that dies here. What other nodes saw, they tell.
    async fn report(&self) {
        let router = self.catalogue.router();
        let mut changes = router.changes();
        loop {
            match changes.recv().await {
                Ok(change) if !change.was_told() => self.suspend(&change).await,
                Ok(_) => {}
                // Too much happened: whoever is suspended already stays as it is.
                Err(RecvError::Lagged(_)) => {
                    for change in router.ill() {
                        self.suspend(&change).await;
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn suspend(&self, Change { channel, part, to, .. }: &Change) {
        let (Part::Key { name }, State::Dead) = (part, to) else { return };
        // A provider that was set up without the house's names has no key to suspend.
        let Ok(key) = name.parse() else { return };
        let (channel, code, at) = (*channel, VOID_KEY.to_owned(), Utc::now().trunc_subsecs(6));
        self.send(channel, &ChannelCommand::SuspendKey { channel, key, code, at }).await;
    }

    /// Takes over what the log says, and asks after what is void.
    async fn follow(&self) {
        let (mut seen, mut suspended) = (None, HashMap::new());
        loop {
            match rows::version(&self.pool).await {
                Ok(version) if seen != Some(version) => match self.take_over(&mut suspended).await {
                    Ok(()) => seen = Some(version),
                    Err(error) => tracing::warn!("the keys of channels cannot be read now: {error}"),
                },
                // Said by whoever loads the channels.
                Ok(_) | Err(_) => {}
            }
            self.ask_after(&mut suspended).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn take_over(&self, known: &mut HashMap<Key, Due>) -> sqlx::Result<()> {
        let channels = rows::channels(&self.pool, Utc::now()).await?;
        let of = |channel: &rows::Channel| {
            let id = ChannelId::new(channel.id);
            let void = channel.keys.iter().filter(|key| key.suspended.is_some());
            void.map(|key| (id, key.name)).collect::<Vec<_>>()
        };
        let suspended: HashSet<Key> = channels.iter().flat_map(of).collect();
        let router = self.catalogue.router();
        for (channel, key) in &suspended {
            router.suspend(*channel, &key.to_string());
        }
        for (channel, key) in known.keys().filter(|key| !suspended.contains(key)) {
            router.resume(*channel, &key.to_string());
        }
        known.retain(|key, _| suspended.contains(key));
        let first = self.probe_after.unwrap_or(LONGEST);
        for key in suspended {
            known.entry(key).or_insert_with(|| Due { at: Instant::now() + first, pause: first });
        }
        Ok(())
    }

    async fn ask_after(&self, suspended: &mut HashMap<Key, Due>) {
        if self.probe_after.is_none() {
            return;
        }
        let now = Instant::now();
        for ((channel, key), due) in suspended.iter_mut().filter(|(_, due)| due.at <= now) {
            due.pause = due.pause.saturating_mul(2).min(LONGEST);
            due.at = now + due.pause;
            if self.works(*channel, *key).await {
                let command = ChannelCommand::ResumeKey { key: *key, at: Utc::now().trunc_subsecs(6) };
                self.send(*channel, &command).await;
            }
        }
    }

    /// Whether the provider takes the key again. A provider that is away says nothing about it, nor does a channel that
    /// is switched off.
    async fn works(&self, channel: ChannelId, key: Uuid) -> bool {
        let all = self.catalogue.all();
        let Some(offer) = all.iter().find(|offer| offer.channel_id == channel) else { return false };
        let answer = by_chat(offer, Some(KeyRef::new(&key.to_string()))).await;
        let outcome = answer.as_ref().map_or_else(RelayError::code, |()| "ok");
        metrics::counter!("routing_probes_total", "outcome" => outcome).increment(1);
        answer.is_ok()
    }

    /// Until it is taken: what is known of a key must not be lost to a bus that is away.
    async fn send(&self, channel: ChannelId, command: &ChannelCommand) {
        let Ok(body) = Body::of(command) else { return };
        let verb = body.verb().unwrap_or_default().to_owned();
        let message = CommandMessage::new((Channel::CAPABILITY, Channel::TYPE, &verb), channel, "router", body);
        loop {
            match self.commands.send(&message, WAIT).await {
                Ok(Sent::Outcome(Outcome::Done { .. }) | Sent::Pending) => return,
                // The channel was removed meanwhile.
                Ok(Sent::Outcome(outcome)) => {
                    tracing::info!(%channel, verb, ?outcome, "what is known of a key changed nothing");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%channel, verb, %error, "what is known of a key waits for the bus");
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    }
}
