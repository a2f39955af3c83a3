//! Money on the real bus: what no number of callers, processes, repetitions and stale caches can do to a wallet.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]

#[path = "support/money.rs"]
mod money;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    HoldId, UserId,
    billing::{Nanos, ReleaseReason, WalletCommand},
};
use handlers::Dispatcher;
use money::{
    CALL, FULL, appended, count, events, grant, hold, insist, is_charged, is_held, settlement, wallet, wallet_command,
};
use nats::{
    CommandClient, CommandHandler, CommandMessage, CommandOptions, ConsumerOptions, Handled, Outcome, Sent,
    StreamOptions,
};
use support::{CommandSide, deliver, new_user, now, refusal, registration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

fn new_hold() -> HoldId {
    HoldId::new(Uuid::now_v7())
}

fn charge(owner: UserId, hold_id: HoldId) -> CommandMessage {
    wallet_command(owner, "charge_tokens", &settlement(hold_id, FULL))
}

fn release(owner: UserId, hold_id: HoldId) -> CommandMessage {
    let body = WalletCommand::Release { hold_id, reason: ReleaseReason::Failed, lost_attempts: 0, at: now() };
    wallet_command(owner, "release", &body)
}

fn assert_changed_nothing(outcome: &Outcome) {
    assert!(appended(outcome).is_empty(), "{outcome:?}");
}

/// How a caller fared.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Call {
    Settled,
    NoCredit,
}

/// Nothing was spent twice, nothing is left over, and whoever was told that the call may begin was held and charged.
async fn assert_spent_exactly(side: &CommandSide, owner: UserId, calls: &[Call], covered: usize) {
    assert_eq!(calls.iter().filter(|call| **call == Call::Settled).count(), covered);
    assert_eq!(calls.iter().filter(|call| **call == Call::NoCredit).count(), calls.len() - covered);
    let events = events(side, owner).await;
    assert_eq!((count(&events, is_held), count(&events, is_charged)), (covered, covered));
    let wallet = wallet(side, owner).await;
    assert_eq!((wallet.balance(), wallet.held(), wallet.available()), (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO));
    assert_eq!(wallet.pots().2, Nanos::ZERO, "no debt");
}

/// A handler process that counts what it decides, on a slow machine.
struct Process {
    node: Dispatcher,
    handled: AtomicUsize,
    /// One at a time, so slowly that there is a middle in which the other can take over.
    pace: Mutex<()>,
}

#[async_trait]
impl CommandHandler for Process {
    async fn handle(&self, message: &Arc<CommandMessage>, attempt: u32) -> Handled {
        self.handled.fetch_add(1, Ordering::Relaxed);
        let turn = self.pace.lock().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(turn);
        self.node.handle(message, attempt).await
    }

    async fn bury(&self, message: &CommandMessage, error: &str, attempts: u32) -> anyhow::Result<()> {
        self.node.bury(message, error, attempts).await
    }
}

async fn send(commands: &CommandClient, message: CommandMessage) -> Outcome {
    match commands.send(message, PATIENCE).await.unwrap() {
        Sent::Outcome(outcome) => outcome,
        Sent::Pending => panic!("no outcome within {PATIENCE:?}"),
    }
}

/// A queue with two processes on it, the one that decides this wallet's commands first.
async fn two_processes(side: &CommandSide, owner: UserId) -> (CommandClient, [(Arc<Process>, CancellationToken); 2]) {
    let client = side.nats.client.clone();
    nats::streams::ensure(&client, &StreamOptions::default()).await.unwrap();
    let start = || {
        let process = Arc::new(Process { node: side.node(), handled: AtomicUsize::new(0), pace: Mutex::default() });
        let cancel = CancellationToken::new();
        // Few in hand, so that most callers are still in the queue when a process leaves it.
        let options = ConsumerOptions { partitions: 4, max_pending_per_partition: 8, ..ConsumerOptions::default() };
        tokio::spawn(nats::run_commands(client.clone(), Arc::clone(&process) as _, options, cancel.clone()));
        (process, cancel)
    };
    let mut processes = [start(), start()];
    let options = CommandOptions { partitions: 4, ..CommandOptions::default() };
    let commands = CommandClient::new(client.clone(), side.database.pool.clone(), options);
    // Both have joined when the shares are settled; whoever then gets the first command has this wallet.
    tokio::time::sleep(Duration::from_secs(4)).await;
    send(&commands, grant(owner, 50 * CALL)).await;
    if processes[1].0.handled.load(Ordering::Relaxed) > 0 {
        processes.swap(0, 1);
    }
    (commands, processes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_callers_exactly_those_begin_that_credit_covers_while_one_process_hands_over_to_another() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let (commands, processes) = two_processes(&side, owner).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let callers = (0..200).map(|_| {
        let (commands, begun) = (commands.clone(), Arc::clone(&begun));
        let leaving = processes[0].1.clone();
        tokio::spawn(async move {
            let hold_id = new_hold();
            let held = send(&commands, hold(owner, hold_id)).await;
            if let Outcome::Refused { code, .. } = &held {
                assert_eq!(code, "insufficient_credit");
                return Call::NoCredit;
            }
            assert_eq!(appended(&held), ["wallet.held"]);
            // In the middle of it all the process that decides leaves.
            if begun.fetch_add(1, Ordering::Relaxed) == 10 {
                leaving.cancel();
            }
            assert_eq!(appended(&send(&commands, charge(owner, hold_id)).await), ["wallet.charged"]);
            Call::Settled
        })
    });
    let calls: Vec<Call> =
        futures::future::join_all(callers).await.into_iter().map(|call| call.expect("a caller ends")).collect();
    assert_spent_exactly(&side, owner, &calls, 50).await;
    let handled = processes.each_ref().map(|(process, _)| process.handled.load(Ordering::Relaxed));
    assert!(handled.iter().all(|handled| *handled > 10), "both have decided: {handled:?}");
    processes[1].1.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handlers_that_decide_on_one_wallet_at_the_same_time_spend_nothing_twice() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let nodes = [side.node(), side.node()];
    deliver(&nodes[0], &grant(owner, 10 * CALL)).await;
    let callers = (0..40).map(|n| {
        let (first, second) = (&nodes[n % 2], &nodes[(n + 1) % 2]);
        async move {
            let hold_id = new_hold();
            match insist(first, &hold(owner, hold_id)).await {
                Outcome::Refused { code, .. } if code == "insufficient_credit" => Call::NoCredit,
                held => {
                    assert_eq!(appended(&held), ["wallet.held"]);
                    assert_eq!(appended(&insist(second, &charge(owner, hold_id)).await), ["wallet.charged"]);
                    Call::Settled
                }
            }
        }
    });
    let calls = futures::future::join_all(callers).await;
    assert_spent_exactly(&side, owner, &calls, 10).await;
}

#[tokio::test]
async fn a_command_delivered_twice_and_to_two_handlers_at_once_moves_money_once() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let hold_id = new_hold();
    for message in [grant(owner, 2 * CALL), hold(owner, hold_id), charge(owner, hold_id)] {
        let (a, b) = (side.node(), side.node());
        let (one, two) = tokio::join!(insist(&a, &message), insist(&b, &message));
        let again = insist(&a, &message).await;
        assert_eq!((&one, &one), (&two, &again));
        assert_eq!(appended(&one).len(), 1);
    }
    assert_eq!(side.count("events").await, 3, "granted, held, charged");
    assert_eq!(wallet(&side, owner).await.balance(), Nanos::new(CALL));
}

#[tokio::test]
async fn the_same_movement_under_another_command_id_moves_nothing_on_any_node() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let hold_id = new_hold();
    let (node, other) = (side.node(), side.node());
    let (given, held, charged) = (grant(owner, 3 * CALL), hold(owner, hold_id), charge(owner, hold_id));
    for message in [&given, &held, &charged] {
        assert_eq!(appended(&deliver(&node, message).await).len(), 1);
    }
    let before = wallet(&side, owner).await;
    for message in [&given, &held, &charged, &release(owner, hold_id)] {
        for node in [&node, &other] {
            let again = CommandMessage { command_id: Uuid::now_v7(), ..message.clone() };
            match deliver(node, &again).await {
                Outcome::Refused { code, .. } => assert_eq!(code, "hold_exists"),
                outcome => assert_changed_nothing(&outcome),
            }
        }
    }
    assert_eq!(wallet(&side, owner).await, before);
}

#[tokio::test]
async fn a_stale_cache_cannot_refuse_credit_that_was_given_elsewhere() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let (stale, fresh) = (side.node(), side.node());
    assert_eq!(refusal(&deliver(&stale, &hold(owner, new_hold())).await), "insufficient_credit");
    deliver(&fresh, &grant(owner, CALL)).await;
    assert_eq!(appended(&deliver(&stale, &hold(owner, new_hold())).await), ["wallet.held"]);
}

#[tokio::test]
async fn a_stale_cache_cannot_spend_credit_that_was_spent_elsewhere() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let (stale, fresh) = (side.node(), side.node());
    deliver(&stale, &grant(owner, CALL)).await;
    deliver(&fresh, &hold(owner, new_hold())).await;
    let Outcome::Refused { code, details, .. } = deliver(&stale, &hold(owner, new_hold())).await else {
        panic!("the same credit was held twice")
    };
    assert_eq!(code, "insufficient_credit");
    assert_eq!(details["available_nanos"], "0", "the numbers are not the stale ones");
}

#[tokio::test]
async fn a_stale_cache_cannot_take_a_hold_made_elsewhere_for_unknown() {
    let side = CommandSide::start().await;
    let owner = new_user();
    let hold_id = new_hold();
    let (stale, fresh) = (side.node(), side.node());
    deliver(&stale, &grant(owner, CALL)).await;
    deliver(&fresh, &hold(owner, hold_id)).await;
    assert_eq!(appended(&deliver(&stale, &charge(owner, hold_id)).await), ["wallet.charged"]);
}

#[tokio::test]
async fn the_hold_of_one_wallet_cannot_be_charged_released_or_used_by_another() {
    let side = CommandSide::start().await;
    let node = side.node();
    let (ann, bob, hold_id) = (new_user(), new_user(), new_hold());
    for owner in [ann, bob] {
        deliver(&node, &grant(owner, 2 * CALL)).await;
    }
    deliver(&node, &hold(ann, hold_id)).await;
    let before = (wallet(&side, ann).await, wallet(&side, bob).await);
    for foreign in [charge(bob, hold_id), release(bob, hold_id)] {
        assert_changed_nothing(&deliver(&node, &foreign).await);
    }
    assert_eq!((wallet(&side, ann).await, wallet(&side, bob).await), before);
    // The same id in another wallet is another hold.
    deliver(&node, &hold(bob, hold_id)).await;
    deliver(&node, &charge(bob, hold_id)).await;
    assert_eq!(wallet(&side, ann).await, before.0);
    assert_eq!(wallet(&side, bob).await.balance(), Nanos::new(CALL));
}

#[tokio::test]
async fn why_money_was_given_rests_sealed_and_its_amount_does_not() {
    let side = CommandSide::start().await;
    let owner = new_user();
    deliver(&side.node(), &grant(owner, CALL)).await;
    let stored: String =
        sqlx::query_scalar("SELECT payload::text FROM events").fetch_one(&side.database.pool).await.unwrap();
    assert!(!stored.contains("Kyoto") && stored.contains("\"30000\""), "{stored}");
    side.vault.destroy(owner.uuid()).await.unwrap();
    assert_eq!(wallet(&side, owner).await.balance(), Nanos::new(CALL), "an erased person's books still add up");
}

#[tokio::test]
async fn a_new_account_is_given_its_first_credit_once_and_a_refused_one_nothing() {
    let side = CommandSide::start().await;
    let node = side.node();
    let with_gift = |owner: UserId, email: &str| {
        let mut message = registration(&side.vault, owner, email, "ann");
        let mut body: serde_json::Value = message.body.read().unwrap();
        body["grant"] = grant(owner, CALL).body.read().unwrap();
        message.body = body.into();
        message
    };
    let (ann, other) = (new_user(), new_user());
    let registered = with_gift(ann, "ann@example.org");
    for _ in 0..2 {
        let opened = deliver(&node, &registered).await;
        assert_eq!(appended(&opened).last().map(String::as_str), Some("user.registered"));
    }
    // Another account that wants the same name, and the same account once more.
    for (owner, email) in [(other, "other@example.org"), (ann, "ann@example.org")] {
        let again = deliver(&side.node(), &with_gift(owner, email)).await;
        assert!(matches!(again, Outcome::Refused { .. }), "{again:?}");
    }
    assert_eq!(wallet(&side, ann).await.balance(), Nanos::new(CALL));
    assert_eq!(wallet(&side, other).await.balance(), Nanos::ZERO);
}
