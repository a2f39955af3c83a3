//! Exactly once in effect: what the bus and the store promise, on real Postgres.

mod support;

use std::sync::Arc;

use domain::chat::{Session, SessionEvent};
use nats::{CommandHandler as _, Handled, Outcome};
use serde_json::{Value, json};
use support::{Chat, CommandSide, deliver, describe, new_user, refusal, registration};

#[tokio::test]
async fn a_command_delivered_twice_has_one_effect_and_the_same_answer() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    let (say, _) = chat.say("hello", "m");
    let first = deliver(&node, &say).await;
    let again = deliver(&node, &say).await;
    let elsewhere = deliver(&side.node(), &say).await;
    assert!(matches!(&first, Outcome::Done { event: Some(event), .. } if event.sequence == 3), "{first:?}");
    assert_eq!((&first, &first), (&again, &elsewhere));
    assert_eq!(side.count("events").await, 3, "started, message_sent, reply_requested");
}

#[tokio::test]
async fn a_command_at_two_handlers_at_once_has_one_effect() {
    let side = CommandSide::start().await;
    let chat = Chat::of(new_user());
    deliver(&side.node(), &chat.start()).await;
    for _ in 0..20 {
        let say = chat.rename("again");
        let (a, b) = (side.node(), side.node());
        let (one, two) = tokio::join!(deliver(&a, &say), deliver(&b, &say));
        assert_eq!(one, two);
    }
    assert_eq!(side.count("events").await, 21);
    assert_eq!(side.count("command_outcomes").await, 21);
}

#[tokio::test]
async fn different_commands_on_one_aggregate_from_many_handlers_are_all_decided_in_some_order() {
    let side = CommandSide::start().await;
    let chat = Chat::of(new_user());
    deliver(&side.node(), &chat.start()).await;
    let nodes = [side.node(), side.node(), side.node()];
    let mut tasks = vec![];
    for round in 0..5 {
        for node in &nodes {
            let rename = chat.rename(&format!("title {round}"));
            tasks.push(async move { node.handle(&Arc::new(rename), 1).await });
        }
    }
    for handled in futures::future::join_all(tasks).await {
        // Losing every race is an answer too: the queue delivers again.
        assert!(matches!(&handled, Handled::Reply(_) | Handled::Retry { .. }), "{}", describe(&handled));
    }
    let sequences: Vec<i64> =
        sqlx::query_scalar("SELECT sequence FROM events ORDER BY ins").fetch_all(&side.database.pool).await.unwrap();
    assert_eq!(sequences, (1..=i64::try_from(sequences.len()).unwrap()).collect::<Vec<_>>(), "no hole, no double");
}

#[tokio::test]
async fn the_same_id_with_another_body_is_told_apart() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    let rename = chat.rename("one");
    deliver(&node, &rename).await;
    let mut other = chat.rename("two");
    other.command_id = rename.command_id;
    assert_eq!(deliver(&node, &other).await, Outcome::KeyReused);
    assert_eq!(side.count("events").await, 2);
}

#[tokio::test]
async fn a_stale_cache_cannot_store_a_wrong_refusal() {
    let side = CommandSide::start().await;
    let chat = Chat::of(new_user());
    let (stale, fresh) = (side.node(), side.node());
    deliver(&stale, &chat.start()).await;
    deliver(&stale, &chat.delete()).await;
    // The first node remembers a deleted session; the second restores it behind its back.
    deliver(&fresh, &chat.restore()).await;
    let renamed = deliver(&stale, &chat.rename("works")).await;
    assert!(matches!(renamed, Outcome::Done { .. }), "{renamed:?}");
}

#[tokio::test]
async fn a_stale_cache_cannot_store_a_wrong_no_op() {
    let side = CommandSide::start().await;
    let chat = Chat::of(new_user());
    let (stale, fresh) = (side.node(), side.node());
    deliver(&stale, &chat.start()).await;
    deliver(&stale, &chat.delete()).await;
    deliver(&fresh, &chat.restore()).await;
    let deleted = deliver(&stale, &chat.delete()).await;
    assert!(matches!(deleted, Outcome::Done { event: Some(_), .. }), "deleting was not a no-op: {deleted:?}");
}

#[tokio::test]
async fn a_refusal_is_remembered_even_if_the_state_changes_afterwards() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    deliver(&node, &chat.delete()).await;
    let rename = chat.rename("late");
    assert_eq!(refusal(&deliver(&node, &rename).await), "session_not_found");
    deliver(&node, &chat.restore()).await;
    assert_eq!(refusal(&deliver(&node, &rename).await), "session_not_found");
}

#[tokio::test]
async fn registration_takes_both_names_and_the_account_or_nothing() {
    let side = CommandSide::start().await;
    let node = side.node();
    let (ann, bob) = (new_user(), new_user());
    let first = deliver(&node, &registration(&side.vault, ann, "ann@example.org", "ann")).await;
    assert!(matches!(first, Outcome::Done { .. }), "{first:?}");
    assert_eq!(side.count("events").await, 3);
    let same_name = deliver(&node, &registration(&side.vault, bob, "bob@example.org", "ann")).await;
    assert_eq!(refusal(&same_name), "username_taken");
    assert_eq!(side.count("events").await, 3, "the free e-mail address was not claimed either");
    let free = deliver(&node, &registration(&side.vault, bob, "bob@example.org", "bob")).await;
    assert!(matches!(free, Outcome::Done { .. }), "{free:?}");
}

#[tokio::test]
async fn of_many_registrations_of_one_name_exactly_one_wins() {
    let side = CommandSide::start().await;
    let nodes: Vec<_> = (0..8).map(|_| side.node()).collect();
    let tries = nodes.iter().enumerate().map(|(n, node)| {
        let message = registration(&side.vault, new_user(), "ann@example.org", &format!("ann{n}"));
        async move { deliver(node, &message).await }
    });
    let outcomes = futures::future::join_all(tries).await;
    let won = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
    assert_eq!(won, 1);
    assert!(outcomes.iter().filter(|o| !matches!(o, Outcome::Done { .. })).all(|o| refusal(o) == "email_taken"));
}

#[tokio::test]
async fn personal_fields_rest_sealed_and_are_read_open() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    deliver(&node, &chat.say("the secret of Kyoto", "m").0).await;
    let stored: String = sqlx::query_scalar("SELECT string_agg(payload::text, '') FROM events")
        .fetch_one(&side.database.pool)
        .await
        .unwrap();
    assert!(stored.contains("$sealed") && !stored.contains("Kyoto"), "{stored}");
    let events = side.store.events::<Session>(&chat.id.to_string()).await.unwrap();
    let SessionEvent::MessageSent { content, .. } = &events[1].payload else { panic!("{events:?}") };
    assert_eq!(content.open().map(String::as_str), Some("the secret of Kyoto"));

    side.vault.destroy(chat.owner.uuid()).await.unwrap();
    let events = side.store.events::<Session>(&chat.id.to_string()).await.unwrap();
    let SessionEvent::MessageSent { content, .. } = &events[1].payload else { panic!("{events:?}") };
    assert_eq!(content.open(), None, "without its key the text is erased and the fact remains");
}

#[tokio::test]
async fn an_append_that_would_leave_a_hole_or_a_double_is_refused() {
    let side = CommandSide::start().await;
    let append = async |base: i64, events: i64| {
        let sequences: Vec<i64> = (base + 1..=base + events).collect();
        let ended = sqlx::query(
            "SELECT commit_group('{}', '{}', '{}', '{}', '{}', '{device}', '{d}', ARRAY[$1], \
             array_fill('device'::text, ARRAY[$3]), array_fill('d'::text, ARRAY[$3]), $2, \
             array_fill('t'::text, ARRAY[$3]), array_fill('1'::text, ARRAY[$3]), array_fill('{}'::text, ARRAY[$3]), \
             array_fill('{}'::text, ARRAY[$3]))",
        )
        .bind(base)
        .bind(sequences)
        .bind(i32::try_from(events).unwrap())
        .execute(&side.database.pool)
        .await;
        ended.map_err(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
    };
    append(0, 2).await.unwrap();
    assert_eq!(append(5, 1).await.unwrap_err(), "OB002", "a hole");
    assert_eq!(append(1, 1).await.unwrap_err(), "OB002", "a double");
    append(2, 1).await.unwrap();
    assert_eq!(side.count("events").await, 3);
}

#[tokio::test]
async fn an_event_too_large_for_the_bus_is_refused_when_it_is_decided() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    let (say, run_id) = chat.say("x", "m");
    deliver(&node, &say).await;
    deliver(&node, &chat.attempt(run_id, 1)).await;
    let complete = chat.complete(run_id, 1, &"x".repeat(600 * 1024));
    assert_eq!(refusal(&deliver(&node, &complete).await), "event_too_large");
}

#[tokio::test]
async fn an_unknown_command_is_given_up_and_a_malformed_one_is_retried_until_it_is_buried() {
    let side = CommandSide::start().await;
    let node = side.node();
    let mut unknown = Chat::of(new_user()).start();
    unknown.aggregate = "spaceship".to_owned();
    assert!(matches!(node.handle(&Arc::new(unknown), 1).await, Handled::GiveUp { .. }));
    let mut malformed = Chat::of(new_user()).start();
    malformed.body = json!({"start_session": {"owner": "the secret of Kyoto"}}).into();
    let handled = node.handle(&Arc::new(malformed), 1).await;
    assert!(matches!(&handled, Handled::Retry { .. }), "{}", describe(&handled));
}

#[tokio::test]
async fn a_dead_letter_rests_sealed_answers_dead_and_can_be_sent_again() {
    let side = CommandSide::start().await;
    let node = side.node();
    let chat = Chat::of(new_user());
    deliver(&node, &chat.start()).await;
    let rename = chat.rename("the secret of Kyoto");
    node.bury(&rename, "Postgres was away", 6).await.unwrap();
    node.bury(&rename, "again", 7).await.unwrap();
    assert_eq!(deliver(&node, &rename).await, Outcome::Dead);

    let letters = side.dead_letters().list(10).await.unwrap();
    assert_eq!(letters.len(), 1, "buried twice, kept once");
    assert_eq!((letters[0].command_id, letters[0].attempts), (rename.command_id, 6));
    let stored: (Value, Vec<u8>) =
        sqlx::query_as("SELECT headers, sealed_body FROM dead_letters").fetch_one(&side.database.pool).await.unwrap();
    assert!(!stored.0.to_string().contains("Kyoto") && !String::from_utf8_lossy(&stored.1).contains("Kyoto"));
    side.dead_letters().drop_letter(letters[0].id).await.unwrap();
    assert!(side.dead_letters().drop_letter(letters[0].id).await.is_err());
}

#[tokio::test]
async fn a_command_buried_after_it_succeeded_keeps_its_success() {
    let side = CommandSide::start().await;
    let node = side.node();
    let start = Chat::of(new_user()).start();
    let done = deliver(&node, &start).await;
    node.bury(&start, "the reply was lost", 6).await.unwrap();
    assert_eq!(deliver(&node, &start).await, done);
    assert_eq!(side.count("dead_letters").await, 0);
}

#[tokio::test]
async fn old_outcomes_are_pruned_and_young_ones_stay() {
    let side = CommandSide::start().await;
    deliver(&side.node(), &Chat::of(new_user()).start()).await;
    let hour = chrono::TimeDelta::hours(1);
    assert_eq!(handlers::outcomes::prune(&side.database.pool, support::now() - hour).await.unwrap(), 0);
    assert_eq!(handlers::outcomes::prune(&side.database.pool, support::now() + hour).await.unwrap(), 1);
}

#[tokio::test]
async fn while_postgres_is_away_a_command_is_retried_and_nothing_is_decided() {
    let side = CommandSide::start().await;
    let node = side.node();
    side.database.pool.close().await;
    let handled = node.handle(&Arc::new(Chat::of(new_user()).start()), 1).await;
    assert!(matches!(&handled, Handled::Retry { .. }), "{}", describe(&handled));
}
