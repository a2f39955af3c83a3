//! Which models are found, by whom, and at what time.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::{
    billing::Rates,
    relay::{ModelTraits, ProviderKind, Routing},
};
use relay::{ChatRequest, ReplyStream, ServedAnswer, ServedCall};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::Known;

struct Nobody;

#[async_trait]
impl Provider for Nobody {
    fn name(&self) -> &str {
        "nobody"
    }

    async fn chat(&self, _: ChatRequest, _: CancellationToken) -> Result<ReplyStream, RelayError> {
        Err(RelayError::UpstreamCut)
    }

    async fn call(&self, _: ServedCall, _: CancellationToken) -> Result<ServedAnswer, RelayError> {
        Err(RelayError::UpstreamCut)
    }

    async fn list_models(&self) -> Result<Vec<String>, RelayError> {
        Ok(vec![])
    }
}

fn offer(channel: u128, model: &str) -> Arc<Offer> {
    Arc::new(Offer {
        model: model.to_owned(),
        upstream: model.to_owned(),
        channel_id: ChannelId::new(Uuid::from_u128(channel)),
        channel: channel.to_string(),
        kind: ProviderKind::Openai,
        provider: Arc::new(Nobody),
        demonstration: false,
        context_tokens: None,
        max_output_tokens: None,
        prices: Rates::default(),
        costs: Rates::default(),
        price_version: 1,
        routing: Arc::default(),
        traits: Arc::default(),
        created_at: chrono::DateTime::UNIX_EPOCH,
    })
}

fn everybody() -> PayerGroup {
    PayerGroup::default()
}

/// Has the model `late` only once it was added.
#[derive(Default)]
struct Growing(AtomicBool);

#[async_trait]
impl ChannelSource for Growing {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        let mut offers = vec![offer(1, "a"), offer(1, "shared"), offer(2, "shared"), offer(2, "b")];
        if self.0.load(Ordering::SeqCst) {
            offers.push(offer(3, "late"));
        }
        Ok(offers)
    }

    async fn provider(&self, _: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_model_that_two_channels_offer_is_served_by_the_first_and_shown_once() {
    let catalogue = Catalogue::new(Arc::new(Growing::default()));
    catalogue.reload().await.unwrap();
    let names: Vec<_> = catalogue.models_for(&everybody()).iter().map(|offer| offer.model.clone()).collect();
    assert_eq!(names, ["a", "shared", "b"]);
    let shared = catalogue.resolve(Some("shared"), &everybody()).await.unwrap();
    assert_eq!(shared.channel, "1");
    assert_eq!(catalogue.default_model(&everybody()).as_deref(), Some("a"));
}

#[tokio::test]
async fn an_unknown_name_is_looked_up_afresh_before_it_is_refused_but_not_by_every_caller() {
    let source = Arc::new(Growing::default());
    let catalogue = Catalogue::new(Arc::clone(&source) as Arc<dyn ChannelSource>);
    assert_eq!(
        catalogue.resolve(Some("late"), &everybody()).await.err().map(|error| error.code()),
        Some("unknown_model")
    );
    source.0.store(true, Ordering::SeqCst);
    assert!(catalogue.resolve(Some("late"), &everybody()).await.is_err(), "it was looked up a moment ago");
    tokio::time::sleep(LOOK_AGAIN).await;
    assert_eq!(catalogue.resolve(Some("late"), &everybody()).await.unwrap().channel, "3");
}

#[tokio::test]
async fn a_house_without_channels_has_no_default_model() {
    let empty = Catalogue::of(Arc::from([]));
    assert_eq!(empty.resolve(None, &everybody()).await.err().map(|error| error.code()), Some("unknown_model"));
}

#[tokio::test]
async fn the_most_preferred_channel_that_says_it_decides_when_another_one_is_asked_beside() {
    let of = |channel, priority, hedge_after_ms| {
        let traits = Arc::new(ModelTraits { hedge_after_ms, ..ModelTraits::default() });
        let routing = Arc::new(Routing { priority, ..Routing::default() });
        Arc::new(Offer { routing, traits, ..Arc::unwrap_or_clone(offer(channel, "m")) })
    };
    let hedge = async |offers: Vec<Arc<Offer>>| {
        let choices = Catalogue::of(offers.into()).choices(Some("m"), &everybody()).await.unwrap();
        let known = Known { affinity: None, tokens: 1, exactly: false };
        choices.demand(&known, routing::Tries::default()).hedge_after
    };
    assert_eq!(hedge(vec![of(1, 5, None), of(2, 0, None)]).await, None, "nobody is asked beside where nobody says so");
    let said = hedge(vec![of(1, 5, None), of(2, 1, Some(700)), of(3, 0, Some(10))]).await;
    assert_eq!(said, Some(Duration::from_millis(700)));
}

/// Everybody is in the group `staff`.
struct Staff;

#[async_trait]
impl ChannelSource for Staff {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        let of = |groups: &[&str], channel, model| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let routing = Arc::new(Routing { groups, ..Routing::default() });
            Arc::new(Offer { routing, ..Arc::unwrap_or_clone(offer(channel, model)) })
        };
        Ok(vec![of(&["staff"], 1, "a"), of(&[], 2, "a"), of(&["guests"], 3, "b"), of(&["staff", "guests"], 3, "c")])
    }

    async fn provider(&self, _: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        Ok(None)
    }

    async fn group_of(&self, _: UserId) -> anyhow::Result<PayerGroup> {
        Ok(PayerGroup { name: "staff".into(), factor: "0.5".parse()? })
    }
}

#[tokio::test]
async fn people_see_and_use_what_their_group_may() {
    let catalogue = Catalogue::new(Arc::new(Staff));
    catalogue.reload().await.unwrap();
    let staff = catalogue.group_of(UserId::new(Uuid::nil())).await.unwrap();
    let places = |group: &PayerGroup| {
        let offers = catalogue.all();
        let admitted = offers.iter().filter(|offer| offer.routing.admits(&group.name));
        admitted.map(|offer| format!("{} {}", offer.model, offer.channel)).collect::<Vec<_>>()
    };
    assert_eq!(places(&staff), ["a 1", "a 2", "c 3"]);
    assert_eq!(places(&everybody()), ["a 2"]);
    assert_eq!(catalogue.resolve(Some("a"), &staff).await.unwrap().channel, "1");
    assert_eq!(catalogue.resolve(Some("a"), &everybody()).await.unwrap().channel, "2");
    assert!(catalogue.resolve(Some("b"), &staff).await.is_err(), "it is for guests");
    let models: Vec<_> = catalogue.models_for(&staff).iter().map(|offer| offer.model.clone()).collect();
    assert_eq!(models, ["a", "c"]);
}

#[tokio::test]
async fn what_a_group_has_the_choice_of_is_made_once_until_channels_change_and_is_its_own() {
    let catalogue = Catalogue::new(Arc::new(Staff));
    catalogue.reload().await.unwrap();
    let staff = catalogue.group_of(UserId::new(Uuid::nil())).await.unwrap();
    let chosen = async |group: &PayerGroup| {
        let demand =
            catalogue.choices(Some("a"), group).await.unwrap().demand(&Known::default(), routing::Tries::default());
        demand.stages
    };
    let names = |stages: &[routing::Stage]| -> Vec<String> {
        stages.iter().flat_map(|stage| &stage.candidates).map(|candidate| candidate.name.to_string()).collect()
    };
    let (first, again, others) = (chosen(&staff).await, chosen(&staff).await, chosen(&everybody()).await);
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!((names(&first), names(&others)), (vec!["1".to_owned(), "2".to_owned()], vec!["2".to_owned()]));
    catalogue.reload().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &chosen(&staff).await), "channels may have changed");
}

#[tokio::test]
async fn of_more_channels_than_are_priced_those_that_are_well_now_are_chosen() {
    let offers: Vec<_> = (0..9).map(|channel| offer(channel, "m")).collect();
    let catalogue = Catalogue::of(offers.into());
    let chosen = async || {
        let choices = catalogue.choices(Some("m"), &everybody()).await.unwrap();
        let mut channels: Vec<_> = choices.all().map(|offer| offer.channel.clone()).collect();
        channels.sort();
        channels.dedup();
        channels
    };
    assert!(chosen().await.len() >= 8);
    let ill = ChannelId::new(Uuid::from_u128(3));
    catalogue.router().adopt(ill, &routing::Part::Channel, routing::State::Dead, 0);
    assert_eq!(chosen().await, ["0", "1", "2", "4", "5", "6", "7", "8"]);
}

/// The first reading sees the channels of its beginning and ends when it may; later ones see a new channel at once.
#[derive(Default)]
struct FirstIsSlow {
    begun: AtomicBool,
    may_end: tokio::sync::Notify,
}

#[async_trait]
impl ChannelSource for FirstIsSlow {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        if self.begun.swap(true, Ordering::SeqCst) {
            return Ok(vec![offer(1, "old"), offer(2, "new")]);
        }
        self.may_end.notified().await;
        Ok(vec![offer(1, "old")])
    }

    async fn provider(&self, _: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_reading_that_began_earlier_and_ends_later_does_not_take_a_new_model_back() {
    let source = Arc::new(FirstIsSlow::default());
    let catalogue = Catalogue::new(Arc::clone(&source) as Arc<dyn ChannelSource>);
    let slow = tokio::spawn({
        let catalogue = catalogue.clone();
        async move { catalogue.reload().await }
    });
    while !source.begun.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    catalogue.reload().await.unwrap();
    source.may_end.notify_one();
    slow.await.unwrap().unwrap();
    assert!(catalogue.resolve(Some("new"), &everybody()).await.is_ok());
}
