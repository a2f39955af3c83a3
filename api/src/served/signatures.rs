//! What models want to see again with the calls of tools that they made, kept for clients that drop it (decision 0020).
//!
//! Promise: what is kept belongs to one account and is found by nobody else, sealed wherever it leaves this process, and
//! forgotten after an hour. Nobody waits for keeping; finding waits for 200 ms at most, and only where results of tools
//! come that this process does not know. Without NATS each process knows its own.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self,
    kv::{Config, Store},
    stream::StorageType,
};
use domain::UserId;
use futures::future::join_all;
use moka::{Expiry, sync::Cache};
use relay::{Memory, Remember, RequestBody, Thoughts};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, time::timeout};
use vault::Vault;

const BUCKET: &str = "signatures";
/// A turn with tools that rests for longer begins without its thoughts.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a call of which nothing is known is not asked for again: another process may be about to tell of it.
const ABSENT: Duration = Duration::from_secs(2);
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const BUCKET_BYTES: i64 = 64 * 1024 * 1024;
/// Longer ones stay in this process.
const MAX_SEALED_BYTES: usize = 64 * 1024;
/// Results of tools that are looked up for one call, the newest.
const MAX_CALLS: usize = 64;
/// Thoughts on their way to the others; while so many are, more stay here.
const MAX_UNDER_WAY: usize = 64;
const FOUND_WITHIN: Duration = Duration::from_millis(200);
const PUT_WITHIN: Duration = Duration::from_secs(5);

/// What is kept for all accounts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Signatures(Arc<Shared>);

struct Shared {
    vault: Vault,
    nats: async_nats::Client,
    /// Empty until NATS answers.
    bucket: RwLock<Option<Store>>,
    /// By account and call; `None` where there is nothing to know.
    known: Cache<String, Option<Arc<[u8]>>>,
    under_way: Arc<Semaphore>,
}

impl Signatures {
    pub(crate) fn new(vault: Vault, nats: async_nats::Client) -> Self {
        let bytes = |key: &String, kept: &Option<Arc<[u8]>>| {
            u32::try_from(key.len() + kept.as_ref().map_or(0, |bytes| bytes.len())).unwrap_or(u32::MAX)
        };
        let known = Cache::builder().weigher(bytes).max_capacity(CACHE_BYTES).expire_after(Lives).build();
        let under_way = Arc::new(Semaphore::new(MAX_UNDER_WAY));
        Self(Arc::new(Shared { vault, nats, bucket: RwLock::default(), known, under_way }))
    }

    /// What is known of the calls whose results this request brings, and who keeps what its answer adds.
    pub(super) async fn of(&self, user: UserId, body: &RequestBody) -> Memory {
        let keeper = Arc::new(Keeper { signatures: self.clone(), user });
        let calls = if body.may_bring_results() { answered_calls(body.tree()) } else { vec![] };
        if calls.is_empty() {
            return Memory::new(HashMap::new(), keeper);
        }
        let found = async { join_all(calls.iter().map(|call| self.find(user, call))).await };
        let known = match timeout(FOUND_WITHIN, found).await {
            Ok(found) => calls.into_iter().zip(found).filter_map(|(call, found)| Some((call, found?))).collect(),
            Err(_) => HashMap::new(),
        };
        Memory::new(known, keeper)
    }

    async fn find(&self, user: UserId, call: &str) -> Option<Thoughts> {
        let key = key(user, call);
        if let Some(known) = self.0.known.get(&key) {
            return serde_json::from_slice(&known?).ok();
        }
        let sealed = self.bucket().await?.get(&key).await.ok()?;
        let bytes = sealed.and_then(|sealed| self.0.vault.open_bytes(&key, &sealed).ok());
        let bytes: Option<Arc<[u8]>> = bytes.map(Into::into);
        self.0.known.insert(key, bytes.clone());
        serde_json::from_slice(&bytes?).ok()
    }

    /// The bucket, made if it is not there; `None` while NATS does not answer.
    async fn bucket(&self) -> Option<Store> {
        let known = self.0.bucket.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return known;
        }
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "Sealed signatures of models' thoughts, by account and call; may be lost at any time"
                .to_owned(),
            max_value_size: i32::try_from(MAX_SEALED_BYTES).unwrap_or(i32::MAX),
            history: 1,
            max_age: KEPT,
            max_bytes: BUCKET_BYTES,
            storage: StorageType::Memory,
            ..Config::default()
        };
        let made = jetstream::new(self.0.nats.clone()).create_or_update_key_value(config).await;
        let bucket = made.inspect_err(|error| tracing::debug!(%error, "signatures cannot be shared now")).ok()?;
        *self.0.bucket.write().unwrap_or_else(PoisonError::into_inner) = Some(bucket.clone());
        Some(bucket)
    }

    async fn tell(&self, key: String, bytes: Arc<[u8]>) {
        let Ok(sealed) = self.0.vault.seal_bytes(&key, &bytes) else { return };
        if sealed.len() > MAX_SEALED_BYTES {
            return;
        }
        if let Some(bucket) = self.bucket().await
            && let Err(error) = bucket.put(key, sealed.into()).await
        {
            tracing::debug!(%error, "a signature is known to this node alone");
        }
    }
}

/// What is known lives for the hour; that nothing is known, for seconds.
struct Lives;

impl Lives {
    const fn of(kept: Option<&Arc<[u8]>>) -> Duration {
        if kept.is_some() { KEPT } else { ABSENT }
    }
}

impl Expiry<String, Option<Arc<[u8]>>> for Lives {
    fn expire_after_create(&self, _: &String, kept: &Option<Arc<[u8]>>, _: Instant) -> Option<Duration> {
        Some(Self::of(kept.as_ref()))
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Option<Arc<[u8]>>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Self::of(kept.as_ref()))
    }
}

/// Keeps for one account.
struct Keeper {
    signatures: Signatures,
    user: UserId,
}

impl Remember for Keeper {
    fn remember(&self, call: &str, thoughts: Thoughts) {
        let Ok(bytes) = serde_json::to_vec(&thoughts) else { return };
        let (key, bytes): (String, Arc<[u8]>) = (key(self.user, call), bytes.into());
        let signatures = self.signatures.clone();
        signatures.0.known.insert(key.clone(), Some(Arc::clone(&bytes)));
        if let Ok(place) = Arc::clone(&signatures.0.under_way).try_acquire_owned() {
            tokio::spawn(async move {
                drop(timeout(PUT_WITHIN, signatures.tell(key, bytes)).await);
                drop(place);
            });
        }
    }
}

/// Under which a call is kept: says nothing of the account, and fits a subject.
fn key(user: UserId, call: &str) -> String {
    hex::encode(Sha256::new().chain_update(user.to_string()).chain_update([0]).chain_update(call).finalize())
}

fn list(value: Option<&Value>) -> std::slice::Iter<'_, Value> {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

/// The ids of the calls whose results a request brings, in any dialect, the newest last.
fn answered_calls(body: &Map<String, Value>) -> Vec<String> {
    let id = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut calls = Vec::new();
    for message in list(body.get("messages")) {
        calls.extend(id(message, "tool_call_id"));
        calls.extend(list(message.get("content")).filter_map(|block| id(block, "tool_use_id")));
    }
    let outputs = list(body.get("input")).filter(|item| item.get("output").is_some());
    calls.extend(outputs.filter_map(|item| id(item, "call_id")));
    let parts = list(body.get("contents")).flat_map(|content| list(content.get("parts")));
    calls.extend(parts.filter_map(|part| id(part.get("functionResponse")?, "id")));
    let old = calls.len().saturating_sub(MAX_CALLS);
    calls.split_off(old)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::sleep;
    use uuid::Uuid;

    use super::*;

    fn calls(body: &Value) -> Vec<String> {
        answered_calls(body.as_object().unwrap())
    }

    #[test]
    fn results_of_tools_name_their_calls_in_every_dialect() {
        let chat = json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "tool", "tool_call_id": "a"}]});
        let results = json!([{"type": "tool_result", "tool_use_id": "a"}, {"type": "text", "text": "Hi"}]);
        let messages = json!({"messages": [{"role": "user", "content": results}]});
        let responses = json!({"input": [
            {"type": "function_call", "call_id": "b"}, {"type": "function_call_output", "call_id": "a", "output": ""},
        ]});
        let gemini = json!({"contents": [{"parts": [{"functionResponse": {"id": "a"}}, {"functionResponse": {}}]}]});
        for body in [chat, messages, responses, gemini] {
            assert_eq!(calls(&body), ["a"]);
        }
        assert_eq!(calls(&json!({"input": "Hi", "messages": "odd"})), Vec::<String>::new());
    }

    #[test]
    fn of_very_many_results_the_newest_are_looked_up() {
        let messages: Vec<Value> = (0..100).map(|n| json!({"tool_call_id": n.to_string()})).collect();
        let calls = calls(&json!({"messages": messages}));
        assert_eq!((calls.len(), calls.last().map(String::as_str)), (MAX_CALLS, Some("99")));
    }

    #[tokio::test]
    async fn what_one_process_keeps_another_finds_for_the_same_account_alone_and_sealed() {
        let (database, nats) = (testkit::database().await, testkit::nats().await);
        let vault = Vault::open(database.pool.clone(), vault::MasterKey::generate().unwrap()).await.unwrap();
        let [here, there] = [(); 2].map(|()| Signatures::new(vault.clone(), nats.client.clone()));
        let [user, stranger] = [1, 2].map(|n| UserId::new(Uuid::from_u128(n)));
        let signature = json!({"dialect": "generate_content", "value": "sig-of-google"});
        let written = json!({"name": "weather", "signature": signature, "before": []}).to_string();
        let thoughts: Thoughts = serde_json::from_str(&written).unwrap();

        here.tell(key(user, "a"), written.into_bytes().into()).await;
        assert_eq!(there.find(user, "a").await, Some(thoughts.clone()));
        assert_eq!((there.find(stranger, "a").await, there.find(user, "b").await), (None, None));
        let stored = there.bucket().await.unwrap().get(key(user, "a")).await.unwrap().unwrap();
        assert!(!stored.windows(6).any(|part| part == b"google"), "the bucket holds nothing that can be read");

        // Nobody knew of it when it was asked for first.
        here.tell(key(user, "b"), json!(thoughts).to_string().into_bytes().into()).await;
        let told = async {
            while there.find(user, "b").await.is_none() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(timeout(KEPT / 60, told).await.is_ok(), "it is found soon");

        // What this process keeps itself needs nobody.
        Keeper { signatures: here.clone(), user }.remember("c", thoughts.clone());
        assert_eq!(here.find(user, "c").await, Some(thoughts));
    }

    #[test]
    fn that_nothing_is_known_is_believed_for_seconds_and_what_is_known_for_the_hour() {
        let (nothing, something) = (None, Some(Arc::from(*b"sig")));
        let now = Instant::now();
        let anew = |kept| Lives.expire_after_create(&String::new(), kept, now);
        let instead = |kept| Lives.expire_after_update(&String::new(), kept, now, Some(ABSENT));
        assert_eq!((anew(&nothing), anew(&something)), (Some(ABSENT), Some(KEPT)));
        assert_eq!((instead(&nothing), instead(&something)), (Some(ABSENT), Some(KEPT)));
    }

    #[tokio::test]
    async fn without_nats_a_process_knows_its_own_and_waits_for_nothing_else() {
        let (database, mut nats) = (testkit::database().await, testkit::nats().await);
        let vault = Vault::open(database.pool.clone(), vault::MasterKey::generate().unwrap()).await.unwrap();
        let signatures = Signatures::new(vault, nats.client.clone());
        nats.stop().await;
        let user = UserId::new(Uuid::from_u128(1));
        let body = json!({"messages": [{"role": "tool", "tool_call_id": "a"}]});
        let memory = signatures.of(user, &body.as_object().unwrap().clone().into()).await;
        assert_eq!(format!("{memory:?}"), "Memory(0 calls)");
    }

    #[test]
    fn a_call_of_another_account_has_another_key() {
        let [one, other] = [1, 2].map(|n| UserId::new(Uuid::from_u128(n)));
        assert_ne!(key(one, "a"), key(other, "a"));
        assert_eq!(key(one, "a"), key(one, "a"));
    }
}
