//! Channels as operators and the catalogue of models read them.

use domain::{
    ChannelId, Decider as _, Sealed,
    relay::{Channel, ChannelCommand, Group, GroupEvent, SealedKey, group},
    users::{Role, User, UserEvent},
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
        let row = relay::channel(&self.world.pool, self.id.uuid(), at(100)).await.unwrap();
        row.map(|row| serde_json::to_value(row).unwrap())
    }
}

fn key(upstream: &Upstream<'_>, hint: &str, sealed: &str) -> Value {
    let key = SealedKey { hint: hint.to_owned(), sealed: sealed.to_owned() };
    json!({"name": key.name(upstream.id), "hint": hint, "suspended": null})
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
            "keys": [key(&upstream, "aaaa", "c2VjcmV0MQ=="), key(&upstream, "bbbb", "c2VjcmV0Mg==")],
            "priority": 0, "weight": 1, "groups": [], "limits": {}, "drain": null, "public_name": null, "probe": "list", "parameters": [], "headers": [],
            "proxy": null, "tags": [], "note": "", "version": 4,
            "models": [{
                "name": "small", "upstream": "small-2026", "context_tokens": 8000, "max_output_tokens": null,
                "prices": {"input": "2.5", "output": "10"}, "costs": {"input": "0", "output": "0"}, "price_version": 1,
                "upcoming": [],
            }],
        })
    );
    let secrets = relay::secrets(&world.pool, upstream.id.uuid()).await.unwrap();
    let keys: Vec<_> = secrets.keys.iter().map(|key| key.sealed.as_str()).collect();
    assert_eq!(keys, ["c2VjcmV0MQ==", "c2VjcmV0Mg=="]);
    assert!(relay::channel(&world.pool, Uuid::now_v7(), at(100)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_that_is_suspended_says_since_when_and_why_until_it_is_resumed_or_replaced() {
    let world = world().await;
    let mut upstream = Upstream::add(&world, "main", 1).await;
    let name = key(&upstream, "aaaa", "c2VjcmV0MQ==")["name"].clone();
    let suspended = json!({"code": "invalid_api_key", "at": at(2)});
    let of_first = |read: &Value| (read["keys"][0]["suspended"].clone(), read["keys"][1]["suspended"].clone());
    let suspend = json!({"channel": upstream.id, "key": name, "code": "invalid_api_key", "at": at(2)});
    upstream.act(json!({ "suspend_key": suspend })).await;
    let read = upstream.read().await.unwrap();
    assert_eq!(of_first(&read), (suspended.clone(), Value::Null));
    upstream.act(json!({"resume_key": {"key": name, "at": at(3)}})).await;
    assert_eq!(of_first(&upstream.read().await.unwrap()), (Value::Null, Value::Null));
    upstream.act(json!({ "suspend_key": suspend })).await;
    upstream.change(json!({"keys": [{"hint": "cccc", "sealed": "eA=="}]})).await;
    let read = upstream.read().await.unwrap();
    assert_eq!(read["keys"], json!([key(&upstream, "cccc", "eA==")]));
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
        ("keys", json!([key(&upstream, "cccc", "eA==")])),
        ("version", json!(9)),
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
    let ids: Vec<Uuid> =
        relay::channels(&world.pool, at(100)).await.unwrap().iter().map(|channel| channel.id).collect();
    assert_eq!(ids, [old.id.uuid(), young.id.uuid()]);
    assert_eq!(removed.read().await, None);
    assert!(relay::secrets(&world.pool, removed.id.uuid()).await.unwrap() == relay::Secrets::default());
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

#[tokio::test]
async fn what_is_said_about_a_channel_is_shown_without_what_is_secret() {
    let world = world().await;
    let mut upstream = Upstream::add(&world, "main", 1).await;
    let sealed = json!({"hint": "", "sealed": "c2VjcmV0Mw=="});
    let more = json!({
        "priority": 5, "weight": 3, "groups": ["staff"], "limits": {"parallel": 4},
        "drain": {"to": {"seconds": 30, "tokens": 100}},
        "parameters": [{"action": "remove", "path": "seed"}],
        "headers": [{"to": {"name": "X-A", "value": {"plain": "a"}}}, {"to": {"name": "X-B", "value": {"sealed": sealed}}}],
        "proxy": {"to": {"url": "http://proxy.example:1", "credentials": sealed}},
        "tags": ["eu"], "note": "Ask Ann.",
    });
    upstream.change(json!({"more": more})).await;
    let read = upstream.read().await.expect("the channel");
    for (field, value) in [
        ("priority", json!(5)),
        ("weight", json!(3)),
        ("groups", json!(["staff"])),
        ("limits", json!({"parallel": 4})),
        ("drain", json!({"seconds": 30, "tokens": 100})),
        ("parameters", json!([{"action": "remove", "path": "seed"}])),
        (
            "headers",
            json!([{"name": "X-A", "value": "a", "secret": false}, {"name": "X-B", "value": null, "secret": true}]),
        ),
        ("proxy", json!("http://proxy.example:1")),
        ("tags", json!(["eu"])),
        ("note", json!("Ask Ann.")),
    ] {
        assert_eq!(read[field], value, "{field}");
    }
    assert!(!read.to_string().contains("c2VjcmV0"), "{read}");
    let secrets = relay::secrets(&world.pool, upstream.id.uuid()).await.unwrap();
    assert_eq!(secrets.overrides.proxy.unwrap().credentials.unwrap().sealed, "c2VjcmV0Mw==");
    upstream.remove().await;
    assert_eq!(upstream.read().await, None);
    assert_eq!(relay::secrets(&world.pool, upstream.id.uuid()).await.unwrap(), relay::Secrets::default());
}

#[tokio::test]
async fn a_price_begins_by_itself() {
    let world = world().await;
    let mut upstream = Upstream::add(&world, "main", 1).await;
    let later = json!({"model": "small", "prices": {"input": "9", "output": "9"}, "costs": null, "from": at(50)});
    upstream.act(json!({"set_prices": {"prices": [later], "source": "a list", "at": at(2)}})).await;
    world.project(&RelayProjector).await;
    let input = async |seconds| {
        let channel = relay::channel(&world.pool, upstream.id.uuid(), at(seconds)).await.unwrap().unwrap();
        let model = &channel.models[0];
        (model.prices.input.to_string(), model.price_version, model.upcoming.len())
    };
    assert_eq!(input(49).await, ("2.5".to_owned(), 1, 1));
    assert_eq!(input(50).await, ("9".to_owned(), 2, 0));
    assert_eq!(relay::next_price(&world.pool, at(3)).await.unwrap(), Some(at(50)));
    assert_eq!(relay::next_price(&world.pool, at(50)).await.unwrap(), None);
}

#[tokio::test]
async fn the_preferred_channel_stands_first() {
    let world = world().await;
    let old = Upstream::add(&world, "old", 1).await;
    let mut preferred = Upstream::add(&world, "preferred", 2).await;
    preferred.change(json!({"more": {"priority": 1}})).await;
    world.project(&RelayProjector).await;
    let ids: Vec<Uuid> = relay::channels(&world.pool, at(9)).await.unwrap().iter().map(|channel| channel.id).collect();
    assert_eq!(ids, [preferred.id.uuid(), old.id.uuid()]);
}

#[tokio::test]
async fn a_channel_can_be_seen_as_it_was_after_each_of_its_changes() {
    let world = world().await;
    let mut upstream = Upstream::add(&world, "main", 1).await;
    upstream.change(json!({"name": "other"})).await;
    upstream.change(json!({"keys": [{"hint": "cccc", "sealed": "eA=="}]})).await;
    let page = relay::history(&world.pool, upstream.id.uuid(), None, 4).await.unwrap();
    let kinds: Vec<_> = page.items.iter().map(|change| (change.version, change.kind.as_str())).collect();
    assert_eq!(kinds, [(6, "keys_replaced"), (5, "renamed"), (4, "enabled"), (3, "models_offered")]);
    assert_eq!(page.items[0].change["keys"], json!([{"hint": "cccc"}]));
    let older = relay::history(&world.pool, upstream.id.uuid(), page.next_cursor.as_deref(), 4).await.unwrap();
    assert_eq!((older.items.len(), older.next_cursor), (2, None));
    let then = relay::settings_at(&world.pool, upstream.id.uuid(), 4).await.unwrap().unwrap();
    assert_eq!((then.name.as_str(), then.keys.len(), then.enabled), ("main", 2, true));
    assert_eq!(relay::settings_at(&world.pool, upstream.id.uuid(), 7).await.unwrap(), None);
    assert_eq!(relay::settings_at(&world.pool, upstream.id.uuid(), 0).await.unwrap(), None);
}

#[tokio::test]
async fn an_account_pays_what_its_group_pays() {
    let world = world().await;
    let me = crate::support::user();
    let group_of = async || {
        world.project(&RelayProjector).await;
        world.project(&projections::users::UsersProjector).await;
        let found = relay::group_of(&world.pool, me.uuid()).await.unwrap();
        (found.name, found.factor.to_string())
    };
    assert_eq!(group_of().await, ("default".to_owned(), "1".to_owned()), "of an account that is not known yet");
    let sealed = || Sealed::new(me, "x".to_owned());
    let (email, username, password_hash) = (sealed(), sealed(), sealed());
    let registered = UserEvent::Registered { email, username, password_hash, role: Role::User, at: at(1) };
    world.append::<User>(me, registered).await;
    let name = "staff".to_owned();
    let added = GroupEvent::Added { title: "Our people".to_owned(), factor: "0.8".parse().unwrap(), name, at: at(1) };
    world.append::<Group>(group::id_of("staff"), added).await;
    world.append::<User>(me, UserEvent::GroupAssigned { group: "staff".to_owned(), at: at(2) }).await;
    assert_eq!(group_of().await, ("staff".to_owned(), "0.8".to_owned()));
    let dearer = GroupEvent::FactorChanged { factor: "1.5".parse().unwrap(), at: at(3) };
    world.append::<Group>(group::id_of("staff"), dearer).await;
    assert_eq!(group_of().await, ("staff".to_owned(), "1.5".to_owned()));
    let groups = relay::groups(&world.pool).await.unwrap();
    assert_eq!((groups[0].title.as_str(), groups[0].factor.as_str(), groups[0].users), ("Our people", "1.5", 1));

    let before = relay::version(&world.pool).await.unwrap();
    world.append::<Group>(group::id_of("staff"), GroupEvent::Removed { at: at(4) }).await;
    assert_eq!(group_of().await, ("default".to_owned(), "1".to_owned()), "whoever was in it is in none");
    assert!(relay::groups(&world.pool).await.unwrap().is_empty());
    assert_eq!(relay::group(&world.pool, "staff").await.unwrap(), None);
    assert_ne!(relay::version(&world.pool).await.unwrap(), before, "nodes see that something changed");
    let (title, name) = ("Our people again".to_owned(), "staff".to_owned());
    let again = GroupEvent::Added { title, factor: "0.9".parse().unwrap(), name, at: at(5) };
    world.append::<Group>(group::id_of("staff"), again).await;
    assert_eq!(group_of().await, ("staff".to_owned(), "0.9".to_owned()));
    assert_eq!(relay::group(&world.pool, "staff").await.unwrap().unwrap().title, "Our people again");
}
