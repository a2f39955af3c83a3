//! What becomes of a group that fails: on other writers, on one of its own, on a connection that dies.

use std::{collections::BTreeSet, time::Duration};

use domain::{UserId, billing::Nanos};
use fastrand::Rng;
use handlers::{Bus, BusError};
use nats::{CommandMessage, Outcome};
use sqlx::{Connection as _, PgConnection};

use crate::{
    groups::{
        COMMITTING, Gate, ONE_AT_A_TIME, Plug, answers_of, bus, done, grant_elsewhere, hot_wallets, insist_on,
        new_hold, outcomes, submit, transactions, until_waiting,
    },
    money::{
        CALL, FULL, appended, count, events, grant, hold, is_charged, is_held, settlement, wallet, wallet_command,
    },
    support::{Chat, CommandSide, new_user, refusal},
};

async fn sequences(side: &CommandSide, owner: UserId) -> Vec<i64> {
    sqlx::query_scalar("SELECT sequence FROM events WHERE aggregate_id = $1 ORDER BY sequence")
        .bind(owner.to_string())
        .fetch_all(&side.database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn when_another_program_appends_between_decision_and_commit_the_group_is_decided_again() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owners = hot_wallets(&bus, 10).await;
    let stolen = owners[4];
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    // Two holds each: the second is refused, but where another program gives credit meanwhile.
    let messages: Vec<_> = owners.iter().flat_map(|owner| [new_hold(*owner), new_hold(*owner)]).collect();
    let answers = submit(&bus, &messages).await;
    grant_elsewhere(&mut side.database.pool.acquire().await.unwrap(), stolen, 2).await;
    plug.pull().await.unwrap();
    for (owner, outcomes) in owners.iter().zip(outcomes(answers).await.chunks(2)) {
        assert_eq!(appended(&outcomes[0]), ["wallet.held"]);
        if *owner == stolen {
            assert_eq!(appended(&outcomes[1]), ["wallet.held"], "decided on what is stored");
            assert_eq!(sequences(&side, *owner).await, [1, 2, 3, 4], "no hole, no double");
        } else {
            assert_eq!(refusal(&outcomes[1]), "insufficient_credit");
            assert_eq!(sequences(&side, *owner).await, [1, 2]);
        }
    }
    assert_eq!(wallet(&side, stolen).await.available(), Nanos::ZERO);
}

#[tokio::test]
async fn when_another_program_appends_after_the_base_was_checked_the_primary_key_decides() {
    let side = CommandSide::start().await;
    for other_commits in [true, false] {
        let bus = bus(&side, ONE_AT_A_TIME);
        let owner = hot_wallets(&bus, 1).await[0];
        let mut other = side.database.pool.begin().await.unwrap();
        grant_elsewhere(&mut other, owner, 2).await;
        let answers = submit(&bus, &[new_hold(owner), new_hold(owner)]).await;
        until_waiting(&side.database.pool, COMMITTING, 1).await;
        if other_commits {
            other.commit().await.unwrap();
        } else {
            other.rollback().await.unwrap();
        }
        let outcomes = outcomes(answers).await;
        assert_eq!(appended(&outcomes[0]), ["wallet.held"]);
        if other_commits {
            assert_eq!(appended(&outcomes[1]), ["wallet.held"]);
            assert_eq!(sequences(&side, owner).await, [1, 2, 3, 4]);
        } else {
            assert_eq!(refusal(&outcomes[1]), "insufficient_credit");
            assert_eq!(sequences(&side, owner).await, [1, 2]);
        }
    }
}

#[tokio::test]
async fn a_stale_cache_makes_no_refusal_and_no_no_op_durable_among_others_in_a_group() {
    let side = CommandSide::start().await;
    let (bus, elsewhere) = (bus(&side, ONE_AT_A_TIME), bus(&side, 1));
    let chat = Chat::of(new_user());
    let owners = hot_wallets(&bus, 5).await;
    for owner in &owners {
        done(&bus, &new_hold(*owner)).await;
    }
    done(&bus, &chat.start()).await;
    done(&bus, &chat.delete()).await;
    // What this process remembers is not true any more.
    done(&elsewhere, &grant(owners[2], CALL)).await;
    done(&elsewhere, &chat.restore()).await;
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let mut messages: Vec<_> = owners.iter().map(|owner| new_hold(*owner)).collect();
    messages.extend([chat.delete(), chat.rename("gone")]);
    let answers = submit(&bus, &messages).await;
    plug.pull().await.unwrap();
    let outcomes = outcomes(answers).await;
    for (place, outcome) in outcomes[..5].iter().enumerate() {
        match outcome {
            Outcome::Done { .. } => assert_eq!(place, 2),
            outcome => assert_eq!((place == 2, refusal(outcome)), (false, "insufficient_credit")),
        }
    }
    assert_eq!(appended(&outcomes[5]), ["session.deleted"], "it was not a no-op");
    assert_eq!(refusal(&outcomes[6]), "session_not_found");
}

#[tokio::test]
async fn of_a_group_that_failed_nothing_is_remembered() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owner = hot_wallets(&bus, 1).await[0];
    let gate = Gate::close(&side).await;
    // The first is written and waits in the middle of its commit; what depends on it waits too.
    let gift = grant(owner, CALL);
    let answers = submit(&bus, &[gift.clone(), new_hold(owner), new_hold(owner)]).await;
    let backends = until_waiting(&side.database.pool, COMMITTING, 1).await;
    assert!(answers.iter().all(|answer| !answer.is_finished()), "no answer before the commit");
    for backend in backends {
        sqlx::query("SELECT pg_terminate_backend($1)").bind(backend).execute(&side.database.pool).await.unwrap();
    }
    gate.open().await;
    let answers = answers_of(answers).await;
    assert!(matches!(answers[0], Err(BusError::Unavailable(_))), "nobody knows whether it was committed: {answers:?}");
    let held = answers[1..].iter().filter(|answer| matches!(answer, Ok(Outcome::Done { .. }))).count();
    assert!(held <= 1, "the gift was lost, and what was decided on it: {answers:?}");
    assert_eq!(wallet(&side, owner).await.balance(), Nanos::new(CALL));
    insist_on(&bus, &new_hold(owner)).await;
    assert_eq!(refusal(&done(&bus, &new_hold(owner)).await), "insufficient_credit");
    assert_eq!(appended(&insist_on(&bus, &gift).await), ["wallet.granted"]);
    assert_eq!(appended(&done(&bus, &new_hold(owner)).await), ["wallet.held"]);
    let kept: Vec<i64> = (1..=4).collect();
    assert_eq!(sequences(&side, owner).await, kept, "granted, held, granted, held");
}

#[tokio::test]
async fn a_member_that_cannot_be_stored_fails_alone() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owners = hot_wallets(&bus, 40).await;
    let erased = new_user();
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let mut messages: Vec<_> = owners.iter().map(|owner| new_hold(*owner)).collect();
    // Text that Postgres does not take, on a wallet that others want too; and a text of somebody who was erased.
    side.vault.destroy(erased.uuid()).await.unwrap();
    messages.insert(10, CommandMessage { actor: "a\0b".to_owned(), ..grant(owners[30], CALL) });
    messages.insert(30, grant(erased, CALL));
    let answers = submit(&bus, &messages).await;
    plug.pull().await.unwrap();
    let mut answers = answers_of(answers).await;
    assert!(matches!(answers.remove(30), Err(BusError::Bug(_))));
    assert!(matches!(answers.remove(10), Err(BusError::Bug(_))));
    let mut used = BTreeSet::new();
    for (owner, answer) in owners.iter().zip(answers) {
        assert_eq!(appended(&answer.unwrap()), ["wallet.held"]);
        assert_eq!(sequences(&side, *owner).await, [1, 2]);
        used.insert(transactions(&side.database.pool, owner).await[1].clone());
    }
    assert!(used.len() < 30, "by halves, not one by one: {} transactions", used.len());
    assert_eq!(refusal(&done(&bus, &new_hold(owners[30])).await), "insufficient_credit", "its gift left no trace");
}

/// A hold and its charge, as often as it takes.
async fn call(bus: &Bus, owner: UserId) {
    let hold_id = domain::HoldId::new(uuid::Uuid::now_v7());
    assert_eq!(appended(&insist_on(bus, &hold(owner, hold_id)).await), ["wallet.held"]);
    let charge = wallet_command(owner, "charge_tokens", &settlement(hold_id, FULL));
    assert_eq!(appended(&insist_on(bus, &charge).await), ["wallet.charged"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_connections_die_in_their_commits_every_command_takes_effect_once() {
    const CALLS: usize = 150;
    let side = CommandSide::start().await;
    let bus = bus(&side, 2);
    let owners: Vec<UserId> = (0..3).map(|_| new_user()).collect();
    for owner in &owners {
        done(&bus, &grant(*owner, CALLS as i64 * CALL)).await;
    }
    let url = side.database.url.clone();
    let killer = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let mut rng = Rng::with_seed(4);
        let mut killed = 0_u64;
        loop {
            let victims = sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND state = 'active' AND starts_with(query, 'SELECT commit_group')",
            );
            killed += victims.execute(&mut connection).await.unwrap().rows_affected();
            if killed > 60 {
                return killed;
            }
            tokio::time::sleep(Duration::from_micros(rng.u64(..3_000))).await;
        }
    });
    let calls = (0..CALLS * owners.len()).map(|n| call(&bus, owners[n % owners.len()]));
    futures::future::join_all(calls).await;
    // Some die after the last call has ended, else the machine was too quick for the killer: more calls then.
    let mut more = 0;
    while !killer.is_finished() {
        done_or_again(&bus, owners[0]).await;
        more += 1;
    }
    assert!(killer.await.unwrap() > 60);
    for owner in &owners {
        let events = events(&side, *owner).await;
        let wallet = wallet(&side, *owner).await;
        assert_eq!((count(&events, is_held), count(&events, is_charged)), (CALLS, CALLS));
        assert_eq!(
            (wallet.balance(), wallet.held()),
            (Nanos::new(if *owner == owners[0] { more } else { 0 }), Nanos::ZERO)
        );
        let last = i64::try_from(events.len()).unwrap();
        assert_eq!(sequences(&side, *owner).await, (1..=last).collect::<Vec<_>>());
    }
}

async fn done_or_again(bus: &Bus, owner: UserId) {
    assert_eq!(appended(&insist_on(bus, &grant(owner, 1)).await), ["wallet.granted"]);
}

/// Every row takes its time, so that groups that overlap meet in their middle.
const SLOW: &str = "
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION take_time();
    CREATE TRIGGER slow BEFORE INSERT ON command_outcomes FOR EACH ROW EXECUTE FUNCTION take_time();";

#[tokio::test]
async fn groups_of_two_processes_that_overlap_never_wait_for_each_other_in_a_circle() {
    let side = CommandSide::start().await;
    let nodes = [bus(&side, ONE_AT_A_TIME), bus(&side, ONE_AT_A_TIME)];
    let owners: Vec<UserId> = (0..20).map(|_| new_user()).collect();
    for owner in &owners {
        done(&nodes[0], &grant(*owner, 1)).await;
    }
    sqlx::raw_sql(SLOW).execute(&side.database.pool).await.unwrap();
    // First different commands on the same wallets, then the same commands, each time the other way round.
    let ones: Vec<_> = owners.iter().map(|owner| grant(*owner, 1)).collect();
    let others: Vec<_> = owners.iter().rev().map(|owner| grant(*owner, 1)).collect();
    let again: Vec<_> = owners.iter().map(|owner| grant(*owner, 1)).collect();
    let again_reversed: Vec<_> = again.iter().rev().cloned().collect();
    for (here, there) in [(ones, others), (again, again_reversed)] {
        // Both remember what is stored, and have nothing to read in between.
        for (node, owner) in nodes.iter().flat_map(|node| owners.iter().map(move |owner| (node, owner))) {
            assert_eq!(refusal(&done(node, &new_hold(*owner)).await), "insufficient_credit");
        }
        let plug = Plug::put(&side, &nodes[0], &grant(new_user(), 1)).await;
        let other_plug = Plug::put(&side, &nodes[1], &grant(new_user(), 1)).await;
        let answers = (submit(&nodes[0], &here).await, submit(&nodes[1], &there).await);
        let pulled = tokio::join!(plug.pull(), other_plug.pull());
        assert!(pulled.0.is_ok() && pulled.1.is_ok());
        answers_of(answers.0).await;
        answers_of(answers.1).await;
        for (message, other) in here.iter().zip(&there) {
            assert_eq!(appended(&insist_on(&nodes[0], message).await), ["wallet.granted"]);
            assert_eq!(appended(&insist_on(&nodes[1], other).await), ["wallet.granted"]);
        }
    }
    for owner in owners {
        assert_eq!(wallet(&side, owner).await.balance(), Nanos::new(4));
        assert_eq!(sequences(&side, owner).await, [1, 2, 3, 4]);
    }
    // Backends report what they counted when they end.
    side.database.pool.close().await;
    let mut connection = PgConnection::connect(&side.database.url).await.unwrap();
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
}
