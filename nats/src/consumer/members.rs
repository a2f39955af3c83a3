//! Who else handles commands, and which partitions are therefore ours.
//!
//! Every process says on core NATS that it is here; all who hear the same members compute the same shares. Where they
//! hear differently for a moment, the server's pinned groups still let only one of them read a partition.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use async_nats::{Client, Subscriber};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use uuid::Uuid;

use super::ConsumerOptions;

/// How long a newcomer listens before it takes partitions, so that it does not take what it has to give back.
const LISTEN_FIRST: Duration = Duration::from_millis(250);

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Sign {
    /// I am new: who is here?
    Hello,
    Here,
    Leaving,
}

#[derive(Serialize, Deserialize)]
struct Presence {
    id: Uuid,
    sign: Sign,
}

pub(super) struct Members {
    client: Client,
    me: Uuid,
    subject: String,
    signs: Subscriber,
    heartbeat: Interval,
    expiry: Duration,
    partitions: u16,
    seen: HashMap<Uuid, Instant>,
}

impl Members {
    /// Says hello and listens for a moment.
    pub(super) async fn join(client: Client, me: Uuid, options: &ConsumerOptions) -> anyhow::Result<Self> {
        let subject = format!("presence.{}", options.group);
        let signs = client.subscribe(subject.clone()).await?;
        let mut heartbeat = interval(options.presence_interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let expiry = options.presence_interval.mul_f64(3.5);
        let partitions = options.partitions;
        let mut members = Self {
            client,
            me,
            subject,
            signs,
            heartbeat,
            expiry,
            partitions,
            seen: HashMap::from([(me, Instant::now())]),
        };
        members.say(Sign::Hello).await?;
        let until = Instant::now() + LISTEN_FIRST;
        while let Ok(Some(sign)) = timeout_at(until, members.signs.next()).await {
            members.hear(&sign.payload).await?;
        }
        Ok(members)
    }

    /// Our share, as of what was heard so far.
    pub(super) fn owned(&self) -> BTreeSet<u16> {
        let ids: BTreeSet<Uuid> = self.seen.keys().copied().collect();
        let owners = shares(&ids, self.partitions);
        (0..self.partitions).filter(|partition| owners[usize::from(*partition)] == self.me).collect()
    }

    /// Returns after each sign and each own heartbeat; shares may have changed.
    pub(super) async fn changed(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            sign = self.signs.next() => match sign {
                Some(sign) => self.hear(&sign.payload).await,
                None => anyhow::bail!("the connection is closed"),
            },
            _ = self.heartbeat.tick() => {
                let now = Instant::now();
                self.seen.insert(self.me, now);
                self.seen.retain(|_, at| now.duration_since(*at) < self.expiry);
                self.say(Sign::Here).await
            }
        }
    }

    /// Says goodbye; whether somebody is there to take over.
    pub(super) async fn leave(&self) -> bool {
        if let Err(error) = self.say(Sign::Leaving).await {
            tracing::debug!(%error, "left without saying so");
        }
        self.seen.len() > 1
    }

    async fn hear(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        let Ok(Presence { id, sign }) = serde_json::from_slice(payload) else { return Ok(()) };
        if id == self.me {
            return Ok(());
        }
        match sign {
            Sign::Leaving => {
                self.seen.remove(&id);
            }
            Sign::Hello | Sign::Here => {
                if self.seen.insert(id, Instant::now()).is_none() {
                    tracing::info!(member = %id, "another process shares the commands");
                }
            }
        }
        if sign == Sign::Hello { self.say(Sign::Here).await } else { Ok(()) }
    }

    // Lost while disconnected, which is right: an old sign of life must not arrive later.
    async fn say(&self, sign: Sign) -> anyhow::Result<()> {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Ok(());
        }
        let presence = serde_json::to_vec(&Presence { id: self.me, sign })?;
        Ok(self.client.publish(self.subject.clone(), presence.into()).await?)
    }
}

/// The owner of each partition: the member with the highest hash among those that still have room (rendezvous hashing
/// with a bound). Shares differ by at most one, and a newcomer moves little more than its own share.
fn shares(members: &BTreeSet<Uuid>, partitions: u16) -> Vec<Uuid> {
    let room = usize::from(partitions).div_ceil(members.len().max(1));
    let mut load: HashMap<Uuid, usize> = HashMap::new();
    let owner = |partition: u16, load: &mut HashMap<Uuid, usize>| {
        let open = members.iter().filter(|id| load.get(*id).copied().unwrap_or(0) < room);
        let best = open.max_by_key(|id| weight(id, partition)).copied().unwrap_or_default();
        *load.entry(best).or_default() += 1;
        best
    };
    (0..partitions).map(|partition| owner(partition, &mut load)).collect()
}

fn weight(member: &Uuid, partition: u16) -> [u8; 32] {
    Sha256::new().chain_update(member.as_bytes()).chain_update(partition.to_be_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_gets_its_share_and_a_newcomer_moves_little() {
        let mut members: BTreeSet<Uuid> = (1..=3_u128).map(Uuid::from_u128).collect();
        let before = shares(&members, 32);
        for member in &members {
            let share = before.iter().filter(|owner| *owner == member).count();
            assert!((10..=11).contains(&share), "{share}");
        }
        members.insert(Uuid::from_u128(4));
        let after = shares(&members, 32);
        assert!(after.iter().filter(|owner| **owner == Uuid::from_u128(4)).count() >= 5);
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new).count();
        assert!(moved <= 16, "{moved} of 32 moved");
    }

    #[test]
    fn a_lone_member_owns_everything() {
        let me = Uuid::from_u128(7);
        assert_eq!(shares(&BTreeSet::from([me]), 32), vec![me; 32]);
    }
}
