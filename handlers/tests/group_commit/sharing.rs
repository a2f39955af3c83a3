//! How commands share transactions: what is decided on what, and who waits for whom.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    UserId,
    billing::{Nanos, Wallet, WalletCommand},
};
use handlers::{Bus, BusError, GroupOptions, Plan, Stop, Unit};
use nats::{CommandMessage, Outcome};
use uuid::Uuid;

use crate::{
    groups::{
        COMMITTING, LOADING, ONE_AT_A_TIME, PATIENCE, Plug, bus, bus_with, done, execute, hot_wallets, new_hold,
        outcomes, submit, submit_plans, transactions, until_waiting,
    },
    money::{CALL, appended, grant, wallet},
    support::{Chat, CommandSide, new_user, refusal, registration},
};

fn command_of(message: &CommandMessage) -> WalletCommand {
    message.body.read().unwrap()
}

#[tokio::test]
async fn what_waits_while_all_slots_are_taken_is_one_transaction() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owners = hot_wallets(&bus, 50).await;
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let messages: Vec<_> = owners.iter().map(|owner| new_hold(*owner)).collect();
    let answers = submit(&bus, &messages).await;
    plug.pull().await.unwrap();
    for outcome in outcomes(answers).await {
        assert_eq!(appended(&outcome), ["wallet.held"]);
    }
    let mut used = BTreeSet::new();
    for owner in owners {
        used.insert(transactions(&side.database.pool, owner).await[1].clone());
    }
    assert_eq!(used.len(), 1);
}

#[tokio::test]
async fn a_group_has_no_more_commands_and_no_more_bytes_than_it_may() {
    let side = CommandSide::start().await;
    let options = GroupOptions { groups_in_flight: 1, max_commands: 4, max_bytes: 100_000, ..GroupOptions::default() };
    let bus = bus_with(&side, options);
    let owner = new_user();
    done(&bus, &grant(owner, 10 * CALL)).await;
    let chats: Vec<Chat> = (0..4).map(|_| Chat::of(owner)).collect();
    for chat in &chats {
        done(&bus, &chat.start()).await;
    }
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let holds: Vec<_> = (0..10).map(|_| new_hold(owner)).collect();
    // With JSON around it each is larger than a third of what a group may have.
    let texts: Vec<_> = chats.iter().map(|chat| chat.say(&"x".repeat(30_000), "m").0).collect();
    let answers = submit(&bus, &[holds, texts].concat()).await;
    plug.pull().await.unwrap();
    outcomes(answers).await;
    let sizes = |groups: Vec<String>| {
        let all: BTreeSet<_> = groups.iter().collect();
        all.into_iter().map(|one| groups.iter().filter(|group| *group == one).count()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(transactions(&side.database.pool, owner).await[1..].to_vec()), [4, 4, 2]);
    let mut said = vec![];
    for chat in chats {
        said.push(transactions(&side.database.pool, chat.id).await[1].clone());
    }
    assert!(sizes(said).into_iter().all(|size| size <= 3));
}

#[tokio::test]
async fn in_a_group_later_commands_decide_on_what_earlier_ones_decided() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owner = new_user();
    done(&bus, &grant(owner, CALL)).await;
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let messages = [new_hold(owner), new_hold(owner), grant(owner, CALL), new_hold(owner), new_hold(owner)];
    let answers = submit(&bus, &messages).await;
    plug.pull().await.unwrap();
    let outcomes = outcomes(answers).await;
    assert_eq!(appended(&outcomes[0]), ["wallet.held"]);
    assert_eq!(refusal(&outcomes[1]), "insufficient_credit");
    assert_eq!(appended(&outcomes[2]), ["wallet.granted"]);
    assert_eq!(appended(&outcomes[3]), ["wallet.held"]);
    assert_eq!(refusal(&outcomes[4]), "insufficient_credit");
    let groups = transactions(&side.database.pool, owner).await;
    assert_eq!((groups.len(), groups[1..].iter().collect::<BTreeSet<_>>().len()), (4, 1), "all in one transaction");
    // And the refusals are stored with it.
    assert_eq!(done(&bus, &messages[1]).await, outcomes[1]);
}

#[tokio::test]
async fn an_aggregate_is_in_one_group_under_way_and_whoever_waits_for_it_comes_in_the_next() {
    let side = CommandSide::start().await;
    let bus = bus(&side, 2);
    let owners = hot_wallets(&bus, 2).await;
    let (busy, free) = (owners[0], owners[1]);
    let first = grant(busy, 5 * CALL);
    let plug = Plug::put(&side, &bus, &first).await;
    let messages: Vec<_> = (0..8).map(|_| new_hold(busy)).collect();
    let answers = submit(&bus, &messages).await;
    // The other slot is free for everybody else all the time.
    for _ in 0..10 {
        assert_eq!(appended(&done(&bus, &grant(free, CALL)).await), ["wallet.granted"]);
    }
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    let Outcome::Done { event: Some(event), .. } = plug.pull().await.unwrap() else { panic!("it was decided first") };
    assert_eq!(event.sequence, 2);
    let outcomes = outcomes(answers).await;
    let held = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
    assert_eq!(held, 6, "decided on the grant before them");
    assert!(outcomes[..6].iter().all(|outcome| matches!(outcome, Outcome::Done { .. })), "in the order they came");
    let groups = transactions(&side.database.pool, busy).await;
    assert_eq!(groups[2..].iter().collect::<BTreeSet<_>>().len(), 1, "all that waited is one group: {groups:?}");
}

#[tokio::test]
async fn aggregates_are_read_while_all_slots_are_taken() {
    let side = CommandSide::start().await;
    let elsewhere = bus(&side, ONE_AT_A_TIME);
    let options = GroupOptions { groups_in_flight: 1, loads_at_once: 4, ..GroupOptions::default() };
    let bus = bus_with(&side, options);
    let owners = hot_wallets(&elsewhere, 20).await;
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let mut locked = side.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let messages: Vec<_> = owners.iter().map(|owner| new_hold(*owner)).collect();
    let answers = submit(&bus, &messages).await;
    until_waiting(&side.database.pool, LOADING, 4).await;
    locked.rollback().await.unwrap();
    plug.pull().await.unwrap();
    outcomes(answers).await;
}

/// Lets several wallets decide together.
struct Wallets(Vec<(UserId, WalletCommand)>);

impl Plan for Wallets {
    fn decide(&self, unit: &mut Unit<'_>, _message: &CommandMessage) -> Result<(), Stop> {
        self.0.iter().try_for_each(|(owner, command)| unit.decide::<Wallet>(&owner.to_string(), command.clone()))
    }
}

/// A command that is decided by `messages`, one after the other.
fn together(messages: &[(UserId, CommandMessage)]) -> (Arc<dyn Plan>, CommandMessage) {
    let commands = messages.iter().map(|(owner, message)| (*owner, command_of(message))).collect();
    (Arc::new(Wallets(commands)), CommandMessage { command_id: Uuid::now_v7(), ..messages[0].1.clone() })
}

#[tokio::test]
async fn a_unit_that_is_refused_at_its_second_aggregate_leaves_no_trace_on_its_first() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let (rich, poor) = (new_user(), new_user());
    for owner in [rich, poor] {
        assert_eq!(refusal(&done(&bus, &new_hold(owner)).await), "insufficient_credit");
    }
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let refused = together(&[(rich, grant(rich, CALL)), (poor, new_hold(poor))]);
    let plan_of_hold = || (handlers::plans().of(&new_hold(rich)).unwrap(), new_hold(rich));
    let answers = submit_plans(&bus, [refused, plan_of_hold()]).await;
    plug.pull().await.unwrap();
    for outcome in outcomes(answers).await {
        assert_eq!(refusal(&outcome), "insufficient_credit", "nothing was given");
    }
    assert_eq!(transactions(&side.database.pool, rich).await.len(), 0);
    // Nor in memory.
    assert_eq!(refusal(&done(&bus, &new_hold(rich)).await), "insufficient_credit");
    assert_eq!(appended(&done(&bus, &grant(rich, CALL)).await), ["wallet.granted"]);
}

#[tokio::test]
async fn a_unit_that_decides_twice_on_an_aggregate_sees_its_own_events() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owner = new_user();
    let (plan, message) = together(&[(owner, grant(owner, CALL)), (owner, new_hold(owner)), (owner, grant(owner, 7))]);
    let outcome = bus.execute(plan, message.clone()).await.unwrap();
    assert_eq!(appended(&outcome), ["wallet.granted", "wallet.held", "wallet.granted"]);
    let (plan, message) = together(&[(owner, new_hold(owner)), (owner, grant(owner, CALL))]);
    assert_eq!(refusal(&bus.execute(plan, message.clone()).await.unwrap()), "insufficient_credit");
    assert_eq!(transactions(&side.database.pool, owner).await.len(), 3);
    assert_eq!(wallet(&side, owner).await.available(), Nanos::new(7));
}

#[tokio::test]
async fn of_two_registrations_of_one_name_in_one_group_one_takes_all_and_the_other_nothing() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let (ann, bob) = (new_user(), new_user());
    let both = [
        registration(&side.vault, ann, "ann@example.org", "ann"),
        registration(&side.vault, bob, "bob@example.org", "ann"),
    ];
    let answers = submit(&bus, &both).await;
    plug.pull().await.unwrap();
    let outcomes = outcomes(answers).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count(), 1);
    assert_eq!(side.count("events").await, 1 + 3, "one account, its two names, and nothing of the other");
    let free = registration(&side.vault, bob, "bob@example.org", "bob");
    let ann_was_first = matches!(outcomes[0], Outcome::Done { .. });
    assert_eq!(matches!(done(&bus, &free).await, Outcome::Done { .. }), ann_was_first);
}

#[tokio::test]
async fn a_command_that_needs_two_busy_aggregates_is_not_passed_over_for_ever() {
    let side = CommandSide::start().await;
    let bus = bus_with(&side, GroupOptions { patience: 2, ..GroupOptions::default() });
    let owners = hot_wallets(&bus, 2).await;
    let [one, other] = [owners[0], owners[1]];
    let plug = Plug::put(&side, &bus, &grant(one, 1)).await;
    let other_plug = Plug::put(&side, &bus, &grant(other, 1)).await;
    until_waiting(&side.database.pool, COMMITTING, 2).await;
    let both = together(&[(one, grant(one, 1)), (other, grant(other, 1))]);
    let later = grant(one, 1);
    let answers = submit_plans(&bus, [both, (handlers::plans().of(&later).unwrap(), later)]).await;
    // One of the two aggregates is free, but not the other: whoever came later could go first, again and again.
    plug.pull().await.unwrap();
    other_plug.pull().await.unwrap();
    outcomes(answers).await;
    let groups = transactions(&side.database.pool, one).await;
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[2], groups[3], "the next group had both");
}

#[tokio::test]
async fn more_commands_than_there_is_room_for_are_sent_back_at_once() {
    let side = CommandSide::start().await;
    let bus = bus_with(&side, GroupOptions { groups_in_flight: 1, max_waiting: 3, ..GroupOptions::default() });
    let owner = hot_wallets(&bus, 1).await[0];
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let answers = submit(&bus, &[grant(owner, 1), grant(owner, 1)]).await;
    assert!(matches!(execute(&bus, &grant(owner, 1)).await, Err(BusError::Busy)));
    plug.pull().await.unwrap();
    outcomes(answers).await;
    assert_eq!(appended(&done(&bus, &grant(owner, 1)).await), ["wallet.granted"]);
}

#[tokio::test]
async fn with_almost_no_memory_every_command_is_still_decided() {
    let side = CommandSide::start().await;
    let cache = handlers::cache::AggregateCache::new(1);
    let bus = Bus::new(side.store.clone(), cache, side.nats.client.clone());
    let owners: Vec<UserId> = (0..30).map(|_| new_user()).collect();
    for round in 0..3 {
        let pairs = owners.windows(2).map(|pair| {
            together(&[(pair[0], grant(pair[0], 1)), (pair[1], grant(pair[1], 1)), (pair[0], grant(pair[0], 1))])
        });
        let answers = submit_plans(&bus, pairs).await;
        let outcomes = tokio::time::timeout(PATIENCE, outcomes(answers)).await.expect("they do not chase each other");
        assert!(outcomes.iter().all(|outcome| appended(outcome).len() == 3), "round {round}: {outcomes:?}");
    }
    let given: i64 = 3 * (owners.len() as i64 - 1) * 3;
    assert_eq!(side.count("events").await, given);
}

#[tokio::test]
async fn a_plan_that_panics_harms_nobody_else() {
    struct Broken;
    impl Plan for Broken {
        fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
            unit.decide::<Wallet>(&message.aggregate_id, command_of(message))?;
            panic!("this plan is broken")
        }
    }
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owner = hot_wallets(&bus, 1).await[0];
    assert!(matches!(bus.execute(Arc::new(Broken), grant(owner, CALL)).await, Err(BusError::Bug(_))));
    assert_eq!(appended(&done(&bus, &new_hold(owner)).await), ["wallet.held"]);
    assert_eq!(refusal(&done(&bus, &new_hold(owner)).await), "insufficient_credit");
}
