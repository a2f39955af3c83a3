//! `oblivious events verify`: every kind of fault, planted on purpose, is found and named.

use async_nats::HeaderMap;
use async_nats::jetstream;
use serde_json::Value;
use testkit::TestDatabase;

use crate::house::House;
use crate::support::{Said, command, lived_in};

/// Exit code, findings, summary.
fn verified(house: &House, database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, Vec<Value>, Value) {
    let arguments = [&["verify", "--json"][..], arguments].concat();
    let said = Said::by(command(&arguments, house.data_dir.path(), &database.url, Some(&house.nats.url)));
    let mut lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{}", said.error))["summary"].clone();
    (said.code, lines.into_iter().map(|line| line["finding"].clone()).collect(), summary)
}

async fn number(database: &TestDatabase, query: &str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap()
}

/// Where the first event of this type stands that is not the first of its aggregate.
async fn position_of(database: &TestDatabase, event_type: &str) -> i64 {
    number(
        database,
        &format!(
            "SELECT min(position) FROM event_log JOIN events USING (aggregate_type, aggregate_id, sequence) \
             WHERE event_type = '{event_type}'"
        ),
    )
    .await
}

const AT: &str = "(aggregate_type, aggregate_id, sequence) = \
    (SELECT l.aggregate_type, l.aggregate_id, l.sequence FROM event_log l WHERE l.position = $1)";

#[tokio::test]
async fn a_sound_log_and_its_stream_are_found_sound_and_nothing_is_changed() {
    let house = lived_in().await;
    let database = house.database.copy().await;
    let last = nats::last_position(&database.pool).await.unwrap();
    let (code, findings, summary) = verified(&house, &database, &[]);
    assert_eq!((code, findings), (Some(0), vec![]), "{summary}");
    assert_eq!((&summary["from"], &summary["to"]), (&1.into(), &last.into()));
    assert_eq!((&summary["events"], &summary["messages"]), (&last.into(), &last.into()));

    let (code, _, summary) = verified(&house, &database, &["--from", "4", "--to", "8"]);
    assert_eq!((code, &summary["events"], &summary["messages"]), (Some(0), &5.into(), &5.into()), "{summary}");
    let (code, _, summary) = verified(&house, &database, &["--log-only"]);
    assert_eq!((code, &summary["messages"]), (Some(0), &0.into()));

    // Somebody was erased: that is no fault.
    sqlx::query("UPDATE vault.data_keys SET wrapped_key = NULL, destroyed_at = now()")
        .execute(&database.pool)
        .await
        .unwrap();
    let (code, findings, _) = verified(&house, &database, &[]);
    assert_eq!((code, findings), (Some(0), vec![]));
}

#[tokio::test]
async fn every_fault_of_the_log_is_found_and_named() {
    // tidy: long because it is the table of all faults
    let house = lived_in().await;
    let charged = {
        let copy = house.database.copy().await;
        position_of(&copy, "wallet.charged").await
    };
    let faults: [(&str, &str, i64, String, &str); 8] = [
        ("gap", "a position is lost", charged + 1, "DELETE FROM event_log WHERE position = $1".into(), "epoch begins"),
        ("no_event", "an event is lost", charged, format!("DELETE FROM events WHERE {AT}"), "not stored"),
        (
            "undecodable",
            "a payload that is none",
            charged,
            format!("UPDATE events SET payload = '{{\"charged\": 1}}' WHERE {AT}"),
            "not known to this release",
        ),
        (
            "undecodable",
            "a version of the future",
            charged,
            format!("UPDATE events SET event_version = '99' WHERE {AT}"),
            "version 99",
        ),
        (
            "metadata",
            "nobody asked for it",
            charged,
            format!("UPDATE events SET metadata = (metadata::jsonb - 'actor')::json WHERE {AT}"),
            "no actor",
        ),
        (
            "sequence",
            "an event before the one that it follows",
            charged,
            "WITH pair AS (SELECT a.position AS mine, b.position AS before FROM event_log a JOIN event_log b \
               ON (b.aggregate_type, b.aggregate_id, b.sequence) = (a.aggregate_type, a.aggregate_id, a.sequence - 1) \
               WHERE a.position = $1), \
             gone AS (DELETE FROM event_log USING pair WHERE position = mine OR position = before RETURNING event_log.*, mine, before) \
             INSERT INTO swapped SELECT CASE position WHEN mine THEN before ELSE mine END, aggregate_type, aggregate_id, sequence FROM gone"
                .into(),
            "stands later",
        ),
        (
            "sealed",
            "a ciphertext of another field",
            0,
            "UPDATE events SET payload = jsonb_set(payload::jsonb, '{registered,email}', \
             payload::jsonb #> '{registered,username}')::json WHERE event_type = 'user.registered' AND $1 = 0"
                .into(),
            "/registered/email does not open",
        ),
        (
            "no_position",
            "an event that the sequencer passed over",
            -1,
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, xid) \
             SELECT 'wallet', 'w', 1, 'wallet.charged', '1', '{}', '{}', '3' WHERE $1 = -1"
                .into(),
            "no position",
        ),
    ];
    for (kind, what, position, sql, words) in faults {
        let database = house.database.copy().await;
        sqlx::query("CREATE TABLE swapped (LIKE event_log)").execute(&database.pool).await.unwrap();
        let planted =
            sqlx::query(&sql).bind(if kind == "gap" { charged } else { position }).execute(&database.pool).await;
        assert!(planted.unwrap().rows_affected() > 0, "{what}");
        sqlx::query("INSERT INTO event_log SELECT * FROM swapped").execute(&database.pool).await.unwrap();
        let (code, findings, summary) = verified(&house, &database, &["--log-only"]);
        assert_eq!(code, Some(1), "{what}: {summary}");
        let named = findings.iter().find(|finding| {
            let at = position < 1 || finding["position"] == position || kind == "sequence";
            finding["kind"] == kind && at && finding["what"].as_str().unwrap().contains(words)
        });
        assert!(named.is_some(), "{what}: {findings:#?}");
        assert_eq!(summary["findings"], findings.len());
        assert!(summary["by_kind"][kind].as_i64() >= Some(1));
    }
}

#[tokio::test]
async fn every_difference_of_the_stream_is_found_and_named() {
    let house = lived_in().await;
    let database = house.database.copy().await;
    let context = jetstream::new(house.nats.client.clone());
    let mut stream = context.get_stream("EVENTS").await.unwrap();
    let info = stream.info().await.unwrap().clone();
    let mut messages = Vec::new();
    for sequence in 1..=info.state.last_sequence {
        messages.push(stream.get_raw_message(sequence).await.unwrap());
    }
    context.delete_stream("EVENTS").await.unwrap();
    let stream = context.create_stream(info.config.clone()).await.unwrap();
    for message in &messages {
        let position = message.sequence;
        let mut headers = HeaderMap::new();
        let kept = message.headers.iter().filter(|(name, _)| !name.to_string().starts_with("Nats-"));
        kept.for_each(|(name, values)| headers.insert(name.clone(), values[0].clone()));
        let (mut subject, mut payload) = (message.subject.to_string(), message.payload.clone());
        match position {
            2 => payload = "{}".into(),
            3 => headers.insert("Actor", "somebody else"),
            4 => subject = "evt.billing.wallet.stolen".to_owned(),
            5 => headers.insert("Prev", "1"),
            _ => {}
        }
        context.publish_with_headers(subject, headers, payload).await.unwrap().await.unwrap();
    }
    stream.delete_message(6).await.unwrap();
    let (code, findings, summary) = verified(&house, &database, &[]);
    assert_eq!(code, Some(1));
    let named: Vec<(i64, &str)> =
        findings.iter().map(|one| (one["position"].as_i64().unwrap(), one["what"].as_str().unwrap())).collect();
    let expected = [
        (2, "the payload in EVENTS is not the stored one"),
        (3, "header Actor in EVENTS should be `"),
        (4, "the subject in EVENTS should be evt."),
        (5, "header Prev in EVENTS should be `"),
        (6, "EVENTS lacks the message"),
    ];
    assert_eq!(named.len(), expected.len(), "{named:#?}");
    for ((position, what), (expected_position, expected_what)) in named.iter().zip(expected) {
        assert!(*position == expected_position && what.starts_with(expected_what), "{position}: {what}");
    }
    assert_eq!(summary["messages"], info.state.last_sequence - 1);

    // More than the log ever had.
    context.publish("evt.billing.wallet.charged", "{}".into()).await.unwrap().await.unwrap();
    let (_, findings, _) = verified(&house, &database, &["--from", "7"]);
    let last = i64::try_from(info.state.last_sequence).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0]["position"], &findings[0]["kind"]), (&(last + 1).into(), &"stream".into()));
    assert!(findings[0]["what"].as_str().unwrap().contains("was the database restored?"));
}

#[tokio::test]
async fn what_could_not_be_compared_is_said_and_exits_with_2() {
    let mut house = lived_in().await;
    let database = house.database.copy().await;
    jetstream::new(house.nats.client.clone()).delete_stream("EVENTS").await.unwrap();
    let (code, findings, summary) = verified(&house, &database, &[]);
    assert_eq!((code, findings.len()), (Some(2), 0));
    assert_eq!(summary["not_compared"], "there is no stream EVENTS");
    house.nats.stop().await;
    let (code, _, summary) = verified(&house, &database, &[]);
    assert_eq!(code, Some(2));
    assert!(summary["not_compared"].as_str().unwrap().contains("NATS does not answer"), "{summary}");

    // Another house's secret proves nothing.
    let elsewhere = tempfile::tempdir().unwrap();
    let said = Said::by(command(&["verify"], elsewhere.path(), &database.url, None));
    assert!(said.code == Some(2) && said.error.contains("OBLIVIOUS_SECRET_KEY is not set"), "{}", said.error);
    assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0, "it leaves nothing behind");
}
