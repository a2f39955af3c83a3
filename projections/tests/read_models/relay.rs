//! Channels as operators and the catalogue of models read them.

use domain::{
    ChannelId, Decider as _,
    relay::{Channel, ChannelCommand},
};
use projections::relay::{self, RelayProjector};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, at, world};

/// A channel being operated: commands are decided by the domain, and what they come to is stored.
pub(crate) struct Upstream<'w> {
    world: &'w World,
    pub(crate) id: ChannelId,
    channel: Channel,
    seconds: i64,
}

impl<'w> Upstream<'w> {
    pub(crate) async fn add(world: &'w World, name: &str, seconds: i64) -> Self {
        let id = ChannelId::new(Uuid::now_v7());
        let mut upstream = Self { world, id, channel: Channel::default(), seconds };
        let add = json!({"add_channel": {
            "name": name, "provider": "openai", "base_url": "https://api.example.org/v1",
            "keys": [{"hint": "aaaa", "sealed": "c2VjcmV0MQ=="}, {"hint": "bbbb", "sealed": "c2VjcmV0Mg=="}],
            "models": [{"name": "small", "upstream": "small-2026", "context_tokens": 8000, "max_output_tokens": null}],
            "prices": {"small": {"input": "2.50", "output": "10"}}, "costs": {}, "enabled": true, "at": at(seconds),
        }});
        upstream.act(add).await;
        upstream
    }

    async fn act(&mut self, command: Value) {
        let command: ChannelCommand = serde_json::from_value(command).unwrap();
        for event in self.channel.decide(command).unwrap() {
            self.channel.apply(event.clone());
            self.world.append::<Channel>(self.id, event).await;
        }
    }

    pub(crate) async fn change(&mut self, mut fields: Value) {
        self.seconds += 1;
        for absent in ["prices", "costs"] {
            if fields[absent].is_null() {
                fields[absent] = json!({});
            }
        }
        fields["at"] = json!(at(self.seconds));
        self.act(json!({ "change_channel": fields })).await;
    }

    pub(crate) async fn remove(&mut self) {
        self.seconds += 1;
        self.act(json!({"remove_channel": {"at": at(self.seconds)}})).await;
    }

    async fn read(&self) -> Option<Value> {
        self.world.project(&RelayProjector).await;
        let row = relay::channel(&self.world.pool, self.id.uuid()).await.unwrap();
        row.map(|row| serde_json::to_value(row).unwrap())
    }
}

#[tokio::test]
async fn a_channel_reads_as_the_contract_says_and_shows_of_its_keys_only_the_hints() {
    let world = world().await;
    let upstream = Upstream::add(&world, "main", 1).await;
    let read = upstream.read().await.expect("the channel");
    assert_eq!(
        read,
        json!({
            "id": upstream.id, "name": "main", "provider": "openai", "base_url": "https://api.example.org/v1",
            "key_hints": ["aaaa", "bbbb"], "enabled": true, "created_at": at(1), "updated_at": at(1),
            "models": [{
                "name": "small", "upstream": "small-2026", "context_tokens": 8000, "max_output_tokens": null,
                "prices": {"input": "2.5", "output": "10"}, "costs": {"input": "0", "output": "0"}, "price_version": 1,
            }],
        })
    );
    let keys = relay::sealed_keys(&world.pool, upstream.id.uuid()).await.unwrap();
    assert_eq!(keys, ["c2VjcmV0MQ==", "c2VjcmV0Mg=="]);
    assert!(relay::channel(&world.pool, Uuid::now_v7()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_change_shows_what_changed_and_nothing_else() {
    let world = world().await;
    let mut upstream = Upstream::add(&world, "main", 1).await;
    let mut expected = upstream.read().await.expect("the channel");
    upstream.change(json!({"name": "other", "base_url": "https://b.example.org", "enabled": false})).await;
    upstream.change(json!({"keys": [{"hint": "cccc", "sealed": "eA=="}]})).await;
    upstream.change(json!({"prices": {"small": {"input": "3", "output": "10", "cached_input": "0.3"}}})).await;
    for (field, value) in [
        ("name", json!("other")),
        ("base_url", json!("https://b.example.org")),
        ("enabled", json!(false)),
        ("key_hints", json!(["cccc"])),
        ("updated_at", json!(at(4))),
    ] {
        expected[field] = value;
    }
    expected["models"][0]["prices"] = json!({"input": "3", "output": "10", "cached_input": "0.3"});
    expected["models"][0]["price_version"] = json!(2);
    assert_eq!(upstream.read().await.expect("the channel"), expected);
}

#[tokio::test]
async fn channels_stand_by_age_and_a_removed_one_is_gone_with_its_keys() {
    let world = world().await;
    let (young, mut removed, old) = (
        Upstream::add(&world, "young", 30).await,
        Upstream::add(&world, "removed", 20).await,
        Upstream::add(&world, "old", 10).await,
    );
    removed.remove().await;
    world.project(&RelayProjector).await;
    let ids: Vec<Uuid> = relay::channels(&world.pool).await.unwrap().iter().map(|channel| channel.id).collect();
    assert_eq!(ids, [old.id.uuid(), young.id.uuid()]);
    assert_eq!(removed.read().await, None);
    assert!(relay::sealed_keys(&world.pool, removed.id.uuid()).await.unwrap().is_empty());
    let kept: String = sqlx::query_scalar("SELECT to_jsonb(c)::text FROM relay_v1.channels c WHERE removed")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(!kept.contains("c2VjcmV0"), "{kept}");
}

#[tokio::test]
async fn every_change_of_any_channel_is_another_version() {
    let world = world().await;
    let mut seen = vec![relay::version(&world.pool).await.unwrap()];
    let mut look = async || {
        world.project(&RelayProjector).await;
        let version = relay::version(&world.pool).await.unwrap();
        assert!(!seen.contains(&version), "{version} in {seen:?}");
        seen.push(version);
    };
    let mut first = Upstream::add(&world, "first", 1).await;
    look().await;
    let mut second = Upstream::add(&world, "second", 2).await;
    look().await;
    first.change(json!({"enabled": false})).await;
    look().await;
    second.remove().await;
    look().await;
    first.remove().await;
    look().await;
}
