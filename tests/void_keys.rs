//! Keys that a provider calls void, over the death of every process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure report")]

mod house;

use house::{Client, House, PATIENCE, Process, id};
use serde_json::{Value, json};
use testkit::provider::Script;

const ALL: &str = "api,handlers,projections,reactions,publisher";
const VOID: &str = r#"{"error": {"message": "Incorrect API key provided.", "type": "x", "code": "invalid_api_key"}}"#;

/// The status and the code of one call of the compatible API.
async fn call(api: &Process, key: &str) -> (u16, Value) {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let address = api.address.clone().unwrap();
    let request = reqwest::Client::new().post(format!("{address}/v1/chat/completions")).bearer_auth(key).json(&body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json::<Value>().await.unwrap()["error"]["code"].clone())
}

/// Who said what about the first channel's keys.
async fn said(house: &House) -> Vec<(String, String)> {
    let sql =
        "SELECT event_type, metadata ->> 'actor' FROM events WHERE event_type LIKE 'channel.key\\_%' ORDER BY sequence";
    sqlx::query_as(sql).fetch_all(&house.database.pool).await.unwrap()
}

async fn until(condition: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("it comes true in time");
}

async fn with_key(client: Client) -> String {
    let ann = client.sign_up("ann").await;
    id(&ann.post("api-keys", &json!({"name": "robot"})).await, "key").to_owned()
}

#[tokio::test]
async fn a_void_key_is_used_nowhere_also_after_a_restart_until_it_works_again() {
    let house = House::open().await;
    let settings = [("OPENAI_API_KEY", "sk-void"), ("OBLIVIOUS_KEY_PROBE_SECONDS", "0")];
    let patient = house.serve_with(ALL, &settings);
    let other = house.serve_with(ALL, &settings);
    let key = with_key(patient.client()).await;
    house.provider.answer_with(|_| Script::fails(401, VOID));
    assert_eq!(call(&patient, &key).await, (502, json!("upstream_error")));
    until(async || !said(&house).await.is_empty()).await;
    let suspended = ("channel.key_suspended".to_owned(), "router".to_owned());
    assert_eq!(said(&house).await, std::slice::from_ref(&suspended));
    until(async || call(&other, &key).await.0 == 503).await;

    // Nobody of those who saw it is left, nor is the bucket in which they told each other.
    patient.kill();
    other.kill();
    let context = async_nats::jetstream::new(house.nats.client.clone());
    context.delete_key_value("routing").await.unwrap();
    let asked = house.provider.received();
    let restarted = house.serve_with(ALL, &settings);
    until(async || call(&restarted, &key).await.0 == 503).await;
    assert!(house.provider.received() <= asked + 1, "at most a call before the channels were read asks with it");
    assert_eq!(said(&house).await, std::slice::from_ref(&suspended), "it is suspended once");
    restarted.kill();

    // It is asked after, in vain at first.
    let settings = [("OPENAI_API_KEY", "sk-void"), ("OBLIVIOUS_KEY_PROBE_SECONDS", "1")];
    let curious = house.serve_with(ALL, &settings);
    let asked = house.provider.received();
    until(async || house.provider.received() > asked).await;
    assert_eq!(said(&house).await, std::slice::from_ref(&suspended));
    house.provider.answer_with(|_| Script::says("hello"));
    until(async || said(&house).await.len() == 2).await;
    assert_eq!(said(&house).await[1], ("channel.key_resumed".to_owned(), "router".to_owned()));
    until(async || call(&curious, &key).await.0 == 200).await;
}
