//! `oblivious events tail`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::house::House;
use crate::support::{ALL_ROLES, SECRET, Said, command, converse, lived_in};

fn positions(lines: &[Value]) -> Vec<i64> {
    lines.iter().map(|line| line["position"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_event_is_one_line_in_order_and_personal_fields_stay_sealed() {
    let house = lived_in().await;
    // Without NATS: it is not needed.
    let said = Said::by(command(&["tail", "--from", "1"], house.data_dir.path(), &house.database.url, None));
    assert!(said.out.contains("$sealed") && !said.out.contains(SECRET) && !said.out.contains("ann@example.org"));
    let lines = said.lines();
    assert_eq!(positions(&lines), (1..=i64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
    let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    let all = "epoch position prev capability type version aggregate_type aggregate_id sequence tenant actor command_id \
               correlation_id causation_id traceparent recorded_at payload";
    assert_eq!(keys, all.split_whitespace().collect::<Vec<_>>());
    for capability in ["users", "chat", "relay", "billing"] {
        let of: Vec<&Value> = lines.iter().filter(|line| line["capability"] == capability).collect();
        assert!(!of.is_empty(), "{capability}");
        assert_eq!(of[0]["prev"], 0);
        for pair in of.windows(2) {
            assert_eq!(pair[1]["prev"], pair[0]["position"], "{capability}: prev is the one before");
        }
    }
}

#[tokio::test]
async fn it_shows_what_is_asked_for_and_prev_stays_the_same() {
    let house = lived_in().await;
    let all = house.events(&["tail", "--from", "1"]).lines();
    let expect = |arguments: &[&str], wanted: &dyn Fn(&Value) -> bool| {
        let expected: Vec<Value> = all.iter().filter(|line| wanted(line)).cloned().collect();
        assert!(!expected.is_empty());
        let whole = [&["tail", "--from", "1"][..], arguments].concat();
        assert_eq!(house.events(&whole).lines(), expected, "{arguments:?}");
        let last = [&["tail", "--last", "2"][..], arguments].concat();
        let few = &expected[expected.len().saturating_sub(2)..];
        assert_eq!(house.events(&last).lines(), few, "{last:?}");
    };
    expect(&[], &|_| true);
    expect(&["--capability", "billing"], &|line| line["capability"] == "billing");
    expect(&["--type", "wallet.charged"], &|line| line["type"] == "wallet.charged");
    let wallet = all.iter().find(|line| line["aggregate_type"] == "wallet").unwrap()["aggregate_id"].clone();
    expect(&["--aggregate", wallet.as_str().unwrap()], &|line| line["aggregate_id"] == wallet);
    let both = ["--aggregate", wallet.as_str().unwrap(), "--capability", "billing"];
    expect(&both, &|line| line["aggregate_id"] == wallet && line["capability"] == "billing");

    assert_eq!(house.events(&["tail", "--from", "5"]).lines(), all[4..]);
    assert_eq!(house.events(&["tail"]).lines(), all[all.len() - 10..]);
    assert_eq!(house.events(&["tail", "--last", "0"]).lines(), [] as [Value; 0]);
}

#[tokio::test]
async fn names_that_no_event_has_are_mistakes() {
    let house = House::open().await;
    for (arguments, hint) in [
        (["tail", "--capability", "bilings"], "billing, chat, relay, users"),
        (["tail", "--type", "wallets.charged"], "wallet.charged"),
        (["tail", "--type", "charged"], "wallet.charged"),
    ] {
        let said = house.events(&arguments);
        assert!(said.code == Some(1) && said.error.contains(hint), "{arguments:?}: {}", said.error);
    }
}

#[tokio::test]
async fn it_follows_what_happens_and_ends_calmly_when_nobody_reads_on() {
    let house = House::open().await;
    let process = house.serve(ALL_ROLES);
    let arguments = ["tail", "--last", "0", "--follow", "--type", "wallet.charged"];
    let mut tail = command(&arguments, house.data_dir.path(), &house.database.url, None);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let ann = process.client().sign_up("ann").await;
    converse(&house, &ann, 1).await;
    let line = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines)).await.unwrap();
    let (line, lines) = line;
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["type"], "wallet.charged");
    drop(lines);
    converse(&house, &ann, 1).await;
    let ended = tokio::task::spawn_blocking(move || tail.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{ended}");
}
