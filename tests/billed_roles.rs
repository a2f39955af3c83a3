//! Money when processes die: each role is killed in the middle of a billed stream, and every call is settled once.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

mod house;

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use house::{Client, House, PATIENCE, Process, id, slowly};
use serde_json::{Value, json};

/// What the scripted provider says that each answer took, at the prices of the first channel: 2.50 and 10.00 a million.
const USAGE: (u64, u64) = (100, 50);
const CHARGE: i64 = 100 * 2_500 + 50 * 10_000;
const GRANT: i64 = 1_000_000_000;
const OTHERS: [&str; 4] = ["handlers", "publisher", "projections", "reactions"];

fn nanos(value: &Value, name: &str) -> i64 {
    value[name].as_str().unwrap().parse().unwrap()
}

/// An installation of one process a role, whose model answers slowly and says what it took.
async fn open() -> (House, HashMap<&'static str, Process>) {
    let house = House::open().await;
    house.provider.answer_with(|_| slowly("a slow answer that takes a second or two").usage(USAGE.0, USAGE.1));
    let mut processes: HashMap<_, _> = OTHERS.map(|role| (role, house.serve(role))).into();
    processes.insert("api", house.serve("api"));
    (house, processes)
}

/// Kills `role` in the middle of a stream and starts it again.
async fn murder(house: &House, processes: &mut HashMap<&'static str, Process>, role: &'static str) {
    tokio::time::sleep(Duration::from_millis(600)).await;
    processes.remove(role).unwrap().kill();
    tokio::time::sleep(Duration::from_millis(200)).await;
    processes.insert(role, house.serve(role));
}

/// The charges so far, once nothing is held any more; every position of the ledger sums to zero.
async fn settled(person: &Client) -> Vec<Value> {
    person.until(async || person.get("wallet").await["held_nanos"] == "0").await;
    let mut sums: HashMap<i64, i64> = HashMap::new();
    for entry in person.get("ledger/entries?limit=100").await["items"].as_array().unwrap() {
        *sums.entry(entry["position"].as_i64().unwrap()).or_default() += nanos(entry, "amount_nanos");
    }
    // The page may end in the middle of its last position.
    let oldest = sums.keys().min().copied();
    assert!(sums.iter().all(|(position, sum)| Some(*position) == oldest || *sum == 0), "{sums:?}");
    person.get("charges?limit=100").await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_reply_is_settled_once_whichever_role_dies_while_it_is_written() {
    let (house, mut processes) = open().await;
    let mut ann = processes["api"].client().sign_up("ann").await;
    let mut calls = 0;
    for role in ["handlers", "publisher", "projections", "reactions", "api"] {
        let session = ann.post("sessions", &json!({})).await;
        let session = id(&session, "id").to_owned();
        let sent = ann.post(&format!("sessions/{session}/messages"), &json!({"content": format!("kill {role}")})).await;
        murder(&house, &mut processes, role).await;
        ann = ann.at(&processes["api"]);
        let messages = ann.finished(&session).await;
        calls += 1;
        let charges = settled(&ann).await;
        let of_run = charges.iter().filter(|charge| charge["run_id"] == sent["run_id"]).count();
        assert_eq!((of_run, charges.len()), (1, calls), "{role}: {charges:#?}");
        assert_eq!(messages[1]["status"], "complete", "{role}");
        let wallet = ann.get("wallet").await;
        assert_eq!(nanos(&wallet, "balance_nanos"), GRANT - CHARGE * i64::try_from(calls).unwrap(), "{role}");
        assert_eq!(nanos(&wallet, "available_nanos"), nanos(&wallet, "balance_nanos"), "{role}");
    }
}

/// Streams one call of the compatible API with `key`; whether it came to its end.
async fn stream(api: &str, key: &str) -> bool {
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]});
    let request = reqwest::Client::new().post(format!("{api}/v1/chat/completions")).bearer_auth(key).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut bytes = response.bytes_stream();
    let mut read = String::new();
    while let Some(Ok(piece)) = bytes.next().await {
        read.push_str(&String::from_utf8_lossy(&piece));
    }
    read.contains("data: [DONE]")
}

#[tokio::test]
async fn a_call_of_the_compatible_api_is_settled_once_whichever_role_dies_meanwhile() {
    let (house, mut processes) = open().await;
    let mut ann = processes["api"].client().sign_up("ann").await;
    let key = ann.post("api-keys", &json!({"name": "robot"})).await;
    let key = id(&key, "key").to_owned();
    for (calls, role) in (1..).zip(OTHERS) {
        let api = processes["api"].address.clone().unwrap();
        let streaming = tokio::time::timeout(PATIENCE, stream(&api, &key));
        let (done, ()) = tokio::join!(streaming, murder(&house, &mut processes, role));
        assert!(done.expect("the stream ends"), "{role}: the caller's stream does not notice");
        let charges = settled(&ann).await;
        assert_eq!(charges.len(), calls, "{role}: {charges:#?}");
        let wallet = ann.get("wallet").await;
        assert_eq!(nanos(&wallet, "balance_nanos"), GRANT - CHARGE * i64::try_from(calls).unwrap(), "{role}");
    }
    // The api process is the call: with it nobody knows any more what came of it, so the hold ends by policy.
    let api = processes["api"].address.clone().unwrap();
    let streaming = tokio::time::timeout(PATIENCE, stream(&api, &key));
    let (done, ()) = tokio::join!(streaming, murder(&house, &mut processes, "api"));
    assert!(!done.expect("the stream breaks"));
    ann = ann.at(&processes["api"]);
    let charges = settled(&ann).await;
    assert_eq!(charges.len(), OTHERS.len(), "nothing is charged for what nobody can account for");
    let entries = ann.get("ledger/entries?limit=10").await;
    assert_eq!(entries["items"][0]["kind"], "expiry", "{entries:#?}");
    let wallet = ann.get("wallet").await;
    assert_eq!(wallet["available_nanos"], wallet["balance_nanos"]);
}

#[tokio::test]
async fn a_kept_response_whose_process_dies_has_an_ending_nevertheless() {
    let (house, mut processes) = open().await;
    let ann = processes["api"].client().sign_up("ann").await;
    let key = ann.post("api-keys", &json!({"name": "robot"})).await;
    let key = id(&key, "key").to_owned();
    let http = reqwest::Client::new();
    let api = processes["api"].address.clone().unwrap();
    let body = json!({"model": "m", "stream": true, "input": "hello"});
    let streaming = http.post(format!("{api}/v1/responses")).bearer_auth(&key).json(&body).send();
    let mut bytes = streaming.await.unwrap().bytes_stream();
    let mut read = String::new();
    while !read.contains("response.output_text.delta") {
        read.push_str(&String::from_utf8_lossy(&bytes.next().await.unwrap().unwrap()));
    }
    let named = read.split("\"id\":\"").find(|piece| piece.starts_with("resp_")).unwrap();
    let name = named.split('"').next().unwrap().to_owned();
    processes.remove("api").unwrap().kill();
    processes.insert("api", house.serve("api"));

    let ann = ann.at(&processes["api"]);
    let api = processes["api"].address.clone().unwrap();
    let get = async || -> Value {
        let asked = http.get(format!("{api}/v1/responses/{name}")).bearer_auth(&key).send().await.unwrap();
        asked.json().await.unwrap()
    };
    assert_eq!(get().await["status"], "in_progress", "nobody knows yet");
    ann.until(async || get().await["status"] == "failed").await;
    assert_eq!(get().await["error"]["code"], "server_error");
    let body = json!({"model": "m", "input": "and then?", "previous_response_id": name});
    let refused = http.post(format!("{api}/v1/responses")).bearer_auth(&key).json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["code"], "previous_response_failed", "{refused}");
    assert!(settled(&ann).await.is_empty(), "nothing is charged for what nobody can account for");
}
