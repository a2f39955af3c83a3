//! A seeded storm on wallets: commands doubled, delayed, reordered and broken off in their middle, decided by nodes with
//! stale caches and by nodes that have just started. Afterwards the books are exact.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

#[path = "support/money.rs"]
mod money;
mod support;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::TimeDelta;
use domain::{
    Decider as _, HoldId, UserId,
    billing::{ExpiryPolicy, Nanos, ReleaseReason, Tokens, Wallet, WalletCommand, WalletEvent},
};
use fastrand::Rng;
use handlers::Dispatcher;
use money::{
    CALL, FULL, appended, count, events, grant, hold, insist, is_charged, is_held, settlement, wallet, wallet_command,
};
use nats::{CommandHandler as _, CommandMessage, Outcome};
use support::{CommandSide, deliver, new_user, now};
use uuid::Uuid;

const NODES: usize = 3;
const CALLS: usize = 40;

/// Nodes that come and go, and what each command came to.
struct Storm {
    side: CommandSide,
    nodes: Mutex<Vec<Arc<Dispatcher>>>,
    outcomes: Mutex<HashMap<Uuid, Outcome>>,
}

impl Storm {
    async fn begin() -> Self {
        let side = CommandSide::start().await;
        let nodes = (0..NODES).map(|_| Arc::new(side.node())).collect();
        Self { side, nodes: Mutex::new(nodes), outcomes: Mutex::default() }
    }

    /// Any node, now and then a new one in the place of one that is gone.
    fn node(&self, rng: &mut Rng) -> Arc<Dispatcher> {
        let mut nodes = self.nodes.lock().unwrap();
        let place = rng.usize(..NODES);
        if rng.u8(..) < 20 {
            nodes[place] = Arc::new(self.side.node());
        }
        Arc::clone(&nodes[place])
    }

    /// Delivers until there is an outcome: before it as often as it likes to some node that dies or hangs somewhere in
    /// between, and after it once more, with the same answer.
    async fn deliver(&self, rng: &mut Rng, message: &CommandMessage) -> Outcome {
        for _ in 0..rng.usize(..3) {
            let node = self.node(rng);
            let dies_after = Duration::from_micros(rng.u64(..12_000));
            let message = std::sync::Arc::new(message.clone());
            drop(tokio::time::timeout(dies_after, node.handle(&message, 1)).await);
        }
        let (node, other) = (self.node(rng), self.node(rng));
        let outcome = insist(&node, message).await;
        assert_eq!(insist(&other, message).await, outcome, "one command, one answer");
        let before = self.outcomes.lock().unwrap().insert(message.command_id, outcome.clone());
        assert!(before.is_none_or(|before| before == outcome), "one command, one answer, whoever tells it");
        outcome
    }

    /// One call as clients, workers and clocks make it: a hold, and whatever endings race for it.
    async fn call(&self, mut rng: Rng, owner: UserId) {
        let hold_id = HoldId::new(Uuid::now_v7());
        let holding = hold(owner, hold_id);
        if let Outcome::Refused { code, .. } = self.deliver(&mut rng, &holding).await {
            assert_eq!(code, "insufficient_credit");
            return;
        }
        let endings = (0..rng.usize(1..4)).map(|_| (rng.fork(), ending(&mut rng, owner, hold_id)));
        let racing = endings.collect::<Vec<_>>().into_iter().map(|(mut rng, ending)| async move {
            self.deliver(&mut rng, &ending).await;
            // The same fact once more under another name, as a process tells it that forgot that it did.
            let again = CommandMessage { command_id: Uuid::now_v7(), ..ending };
            assert!(appended(&self.deliver(&mut rng, &again).await).is_empty());
        });
        futures::future::join_all(racing).await;
        let again = CommandMessage { command_id: Uuid::now_v7(), ..holding };
        assert!(matches!(self.deliver(&mut rng, &again).await, Outcome::Refused { code, .. } if code == "hold_exists"));
    }
}

/// A settlement three times in five, else a release or an expiry.
fn ending(rng: &mut Rng, owner: UserId, hold_id: HoldId) -> CommandMessage {
    let (verb, body) = match rng.u8(..5) {
        0 => {
            let reason = ReleaseReason::Failed;
            ("release", WalletCommand::Release { hold_id, reason, lost_attempts: 0, at: now() })
        }
        1 => {
            let at = now() + TimeDelta::hours(1);
            ("expire", WalletCommand::Expire { hold_id, policy: ExpiryPolicy::Release, at })
        }
        _ => ("charge_tokens", settlement(hold_id, Tokens { output: rng.u64(..=FULL.output), ..FULL })),
    };
    wallet_command(owner, verb, &body)
}

/// What the log says, added up without the wallet.
fn worth(event: &WalletEvent) -> i64 {
    match event {
        WalletEvent::Granted { amount_nanos, .. } => amount_nanos.get(),
        WalletEvent::Charged { charged_nanos, .. } => -charged_nanos.get(),
        _ => 0,
    }
}

async fn assert_exact(storm: &Storm, owner: UserId, granted: i64) {
    let (events, state) = (events(&storm.side, owner).await, wallet(&storm.side, owner).await);
    assert_eq!(state.balance().get(), events.iter().map(worth).sum::<i64>());
    assert_eq!(state.held(), Nanos::ZERO, "every hold has ended");
    let mut charged = HashMap::new();
    let mut spent = 0;
    for event in &events {
        if let WalletEvent::Charged { hold_id, charged_nanos, .. } = event {
            assert!(charged.insert(*hold_id, ()).is_none(), "charged twice");
            spent += charged_nanos.get();
        }
    }
    assert_eq!(state.balance().get(), granted - spent);
    assert!(count(&events, is_held) >= count(&events, is_charged));
    // At no time was more set apart than there was.
    let mut replayed = Wallet::default();
    for event in events {
        let holding = is_held(&event);
        replayed.apply(event);
        assert!(!holding || replayed.available() >= Nanos::ZERO, "credit was set apart twice");
    }
    assert_eq!(replayed, state);
}

/// Every event is told by exactly one outcome, in order, and no outcome tells of an event that is not there.
async fn assert_outcomes_are_the_log(storm: &Storm) {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT command_id, event_type FROM events ORDER BY aggregate_type, aggregate_id, sequence")
            .fetch_all(&storm.side.database.pool)
            .await
            .unwrap();
    let mut logged: HashMap<Uuid, Vec<String>> = HashMap::new();
    for (command_id, event_type) in rows {
        logged.entry(command_id.parse().unwrap()).or_default().push(event_type);
    }
    for (command_id, outcome) in storm.outcomes.lock().unwrap().iter() {
        let told = if matches!(outcome, Outcome::Refused { .. }) { &[][..] } else { appended(outcome) };
        assert_eq!(logged.remove(command_id).unwrap_or_default(), told, "{outcome:?}");
    }
    assert_eq!(logged, HashMap::new(), "events that nobody was told of");
}

async fn weather(seed: u64) {
    let storm = Storm::begin().await;
    let mut rng = Rng::with_seed(seed);
    let owners = [new_user(), new_user()];
    let first = CALLS as i64 / 4 * CALL;
    for owner in owners {
        storm.deliver(&mut rng, &grant(owner, first)).await;
    }
    let calls = (0..CALLS).map(|n| (rng.fork(), owners[n % owners.len()])).collect::<Vec<_>>();
    let calls = calls.into_iter().map(|(rng, owner)| storm.call(rng, owner));
    let gifts = owners.map(|owner| (rng.fork(), grant(owner, CALL / 2))).into_iter().map(|(mut rng, gift)| {
        let storm = &storm;
        async move { drop(storm.deliver(&mut rng, &gift).await) }
    });
    tokio::join!(futures::future::join_all(calls), futures::future::join_all(gifts));
    for owner in owners {
        assert_exact(&storm, owner, first + CALL / 2).await;
    }
    assert_outcomes_are_the_log(&storm).await;
    // And it is a wallet like any other afterwards.
    let fresh = storm.side.node();
    deliver(&fresh, &grant(owners[0], 4 * CALL)).await;
    assert_eq!(appended(&deliver(&fresh, &hold(owners[0], HoldId::new(Uuid::now_v7()))).await), ["wallet.held"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_doubled_delayed_or_broken_off_the_books_are_exact() {
    for seed in [3, 20_261_122] {
        weather(seed).await;
    }
}
