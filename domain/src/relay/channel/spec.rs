//! Channels as their rules say.

mod prices;
mod said;
mod versions;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::{
    models::{MAX_MODEL_CHARS, MAX_MODELS},
    routing::ModelTraits,
    *,
};
use crate::Decided;

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;
const ADDRESS: &str = "https://api.example.org/v1";

fn given(events: Vec<ChannelEvent>) -> AggregateTestExecutor<Decided<Channel>> {
    TestFramework::with(()).given(events)
}

fn after(events: Vec<ChannelEvent>) -> Channel {
    let mut channel = Channel::default();
    events.into_iter().for_each(|event| channel.apply(event));
    channel
}

fn spec(name: &str) -> ModelSpec {
    let (name, upstream) = (name.to_owned(), format!("{name}-2026"));
    ModelSpec { name, upstream, context_tokens: None, max_output_tokens: None, traits: ModelTraits::default() }
}

fn specs(names: &[&str]) -> Vec<ModelSpec> {
    names.iter().map(|name| spec(name)).collect()
}

/// Units per million tokens of input; output costs nothing.
fn rates(input: &str) -> Rates {
    Rates { input: input.parse().unwrap(), ..Rates::default() }
}

fn list(entries: &[(&str, &str)]) -> BTreeMap<String, Rates> {
    entries.iter().map(|(name, input)| ((*name).to_owned(), rates(input))).collect()
}

fn key(hint: &str) -> SealedKey {
    SealedKey { hint: hint.to_owned(), sealed: "c2VhbGVk".to_owned() }
}

/// What an operator enters, with one thing in it changed.
#[derive(Clone)]
struct New {
    name: String,
    provider: ProviderKind,
    base_url: Option<String>,
    keys: Vec<SealedKey>,
    models: Vec<ModelSpec>,
    prices: BTreeMap<String, Rates>,
    costs: BTreeMap<String, Rates>,
    enabled: bool,
    more: MoreSettings,
}

/// Models a at 1, costing 0.5, and b at 2, costing nothing.
fn new() -> New {
    New {
        name: "Main".to_owned(),
        provider: ProviderKind::Openai,
        base_url: Some(ADDRESS.to_owned()),
        keys: vec![key("wxyz")],
        models: specs(&["a", "b"]),
        prices: list(&[("a", "1"), ("b", "2")]),
        costs: list(&[("a", "0.5")]),
        enabled: true,
        more: MoreSettings::default(),
    }
}

fn add(new: New) -> ChannelCommand {
    let New { name, provider, base_url, keys, models, prices, costs, enabled, more } = new;
    let more = Box::new(more);
    ChannelCommand::AddChannel { name, provider, base_url, keys, models, prices, costs, enabled, more, at: AT }
}

/// What an operator changes; nothing by default.
#[derive(Default, Clone, Debug)]
struct Changes {
    name: Option<String>,
    base_url: Option<String>,
    keys: Option<Vec<SealedKey>>,
    models: Option<Vec<ModelSpec>>,
    prices: BTreeMap<String, Rates>,
    costs: BTreeMap<String, Rates>,
    enabled: Option<bool>,
    more: MoreSettings,
}

fn change(change: Changes) -> ChannelCommand {
    let Changes { name, base_url, keys, models, prices, costs, enabled, more } = change;
    let more = Box::new(more);
    let keys = keys.map(|keys| keys.into_iter().map(KeyInput::To).collect());
    ChannelCommand::ChangeChannel { name, base_url, keys, models, prices, costs, enabled, more, at: AT }
}

fn terms(price: &str, cost: &str, price_version: u32) -> Terms {
    Terms { prices: rates(price), costs: rates(cost), price_version, upcoming: vec![] }
}

fn offered(name: &str, price: &str, cost: &str, price_version: u32) -> OfferedModel {
    OfferedModel { spec: spec(name), terms: terms(price, cost, price_version) }
}

fn added() -> Vec<ChannelEvent> {
    vec![
        ChannelEvent::Added {
            name: "Main".to_owned(),
            provider: ProviderKind::Openai,
            base_url: Some(ADDRESS.to_owned()),
            at: AT,
        },
        ChannelEvent::KeysReplaced { keys: vec![key("wxyz")], at: AT },
        models_offered(vec![offered("a", "1", "0.5", 1), offered("b", "2", "0", 1)]),
        ChannelEvent::Enabled { at: AT },
    ]
}

fn models_offered(models: Vec<OfferedModel>) -> ChannelEvent {
    ChannelEvent::ModelsOffered { models, at: AT }
}

fn prices_changed(model: &str, terms: Terms) -> ChannelEvent {
    let models = vec![ModelPrices { model: model.to_owned(), terms }];
    ChannelEvent::PricesChanged { models, source: None, at: AT }
}

fn removed() -> Vec<ChannelEvent> {
    [added(), vec![ChannelEvent::Removed { at: AT }]].concat()
}

#[test]
fn a_channel_is_added_with_its_keys_and_with_every_model_at_its_first_price() {
    given(vec![]).when(add(new())).then_expect_events(added());
}

#[test]
fn a_channel_may_begin_without_keys_and_disabled() {
    let expected = added()
        .into_iter()
        .filter(|event| !matches!(event, ChannelEvent::KeysReplaced { .. } | ChannelEvent::Enabled { .. }));
    given(vec![]).when(add(New { keys: vec![], enabled: false, ..new() })).then_expect_events(expected.collect());
}

#[test]
fn a_channel_is_added_once() {
    for events in [added(), removed()] {
        given(events).when(add(new())).then_expect_error(ChannelRefusal::AlreadyAdded);
    }
}

#[test]
fn nothing_is_offered_without_a_price_but_costs_may_be_unknown() {
    let unpriced = New { prices: list(&[("a", "1")]), ..new() };
    given(vec![]).when(add(unpriced)).then_expect_error(ChannelRefusal::PriceMissing { model: "b".to_owned() });
    let more = Changes { models: Some(specs(&["a", "b", "c"])), ..Changes::default() };
    given(added()).when(change(more.clone())).then_expect_error(ChannelRefusal::PriceMissing { model: "c".to_owned() });
    let priced = Changes { prices: list(&[("c", "0")]), ..more };
    let all = [offered("a", "1", "0.5", 1), offered("b", "2", "0", 1), offered("c", "0", "0", 1)];
    given(added()).when(change(priced)).then_expect_events(vec![models_offered(all.to_vec())]);
}

#[test]
fn a_price_or_cost_that_differs_is_a_new_version_of_that_model_alone() {
    let dearer = Changes { prices: list(&[("a", "3")]), ..Changes::default() };
    given(added()).when(change(dearer)).then_expect_events(vec![prices_changed("a", terms("3", "0.5", 2))]);
    let costlier = Changes { costs: list(&[("b", "1")]), ..Changes::default() };
    given(added()).when(change(costlier)).then_expect_events(vec![prices_changed("b", terms("2", "1", 2))]);
}

#[test]
fn a_price_that_returns_to_what_it_was_is_a_new_version_still() {
    let dearer = prices_changed("a", terms("3", "0.5", 2));
    let back = Changes { prices: list(&[("a", "1")]), ..Changes::default() };
    given([added(), vec![dearer]].concat())
        .when(change(back))
        .then_expect_events(vec![prices_changed("a", terms("1", "0.5", 3))]);
}

#[test]
fn a_model_described_anew_keeps_its_price_and_version() {
    let described = ModelSpec { context_tokens: Some(8192), max_output_tokens: Some(1024), ..spec("a") };
    let models = Some(vec![spec("b"), described.clone()]);
    let expected = vec![offered("b", "2", "0", 1), OfferedModel { spec: described, ..offered("a", "1", "0.5", 1) }];
    given(added())
        .when(change(Changes { models, ..Changes::default() }))
        .then_expect_events(vec![models_offered(expected)]);
}

#[test]
fn a_name_that_returns_needs_a_price_and_goes_on_with_its_versions() {
    let without_a = [added(), vec![models_offered(vec![offered("b", "2", "0", 1)])]].concat();
    let again = Changes { models: Some(specs(&["a", "b"])), ..Changes::default() };
    given(without_a.clone())
        .when(change(again.clone()))
        .then_expect_error(ChannelRefusal::PriceMissing { model: "a".to_owned() });
    let priced = Changes { prices: list(&[("a", "1")]), ..again };
    given(without_a)
        .when(change(priced))
        .then_expect_events(vec![models_offered(vec![offered("a", "1", "0", 2), offered("b", "2", "0", 1)])]);
}

#[test]
fn prices_and_costs_of_models_that_are_not_offered_are_refused() {
    let unknown = ChannelRefusal::InvalidModel { model: "c".to_owned() };
    let more = list(&[("a", "1"), ("b", "2"), ("c", "3")]);
    given(vec![]).when(add(New { prices: more.clone(), ..new() })).then_expect_error(unknown.clone());
    given(vec![]).when(add(New { costs: more.clone(), ..new() })).then_expect_error(unknown.clone());
    given(added())
        .when(change(Changes { prices: more.clone(), ..Changes::default() }))
        .then_expect_error(unknown.clone());
    given(added()).when(change(Changes { costs: more, ..Changes::default() })).then_expect_error(unknown);
    // One that leaves in the same change is not offered either.
    let leaving = Changes { models: Some(specs(&["a"])), prices: list(&[("b", "1")]), ..Changes::default() };
    given(added()).when(change(leaving)).then_expect_error(ChannelRefusal::InvalidModel { model: "b".to_owned() });
}

#[test]
fn a_name_of_a_model_is_short_has_no_spaces_and_stands_once() {
    let long = "x".repeat(MAX_MODEL_CHARS + 1);
    for bad in ["", "a b", "a\n", long.as_str()] {
        let refused = ChannelRefusal::InvalidModel { model: bad.to_owned() };
        let named = New { models: vec![spec(bad)], prices: list(&[(bad, "1")]), costs: list(&[]), ..new() };
        given(vec![]).when(add(named)).then_expect_error(refused);
        let upstream = ModelSpec { upstream: bad.to_owned(), ..spec("a") };
        let named = New { models: vec![upstream], prices: list(&[("a", "1")]), costs: list(&[]), ..new() };
        given(vec![]).when(add(named)).then_expect_error(ChannelRefusal::InvalidModel { model: "a".to_owned() });
    }
    let twice = New { models: specs(&["a", "b", "a"]), ..new() };
    given(vec![]).when(add(twice)).then_expect_error(ChannelRefusal::InvalidModel { model: "a".to_owned() });
    let longest = "字".repeat(MAX_MODEL_CHARS);
    let model = ModelSpec { upstream: longest.clone(), ..spec(&longest) };
    let fits = New { models: vec![model], prices: list(&[(&longest, "1")]), costs: list(&[]), ..new() };
    given(vec![]).when(add(fits)).inspect_result().expect("the longest names are taken");
}

#[test]
fn a_channel_offers_at_least_one_model_and_at_most_so_many() {
    let many = |count: usize| {
        let models: Vec<_> = (0..count).map(|n| spec(&format!("m{n}"))).collect();
        let prices = models.iter().map(|model| (model.name.clone(), rates("1"))).collect();
        New { models, prices, costs: BTreeMap::new(), ..new() }
    };
    for count in [0, MAX_MODELS + 1] {
        given(vec![]).when(add(many(count))).then_expect_error(ChannelRefusal::NoModels);
        let change_to = Changes { models: Some(many(count).models), ..Changes::default() };
        given(added()).when(change(change_to)).then_expect_error(ChannelRefusal::NoModels);
    }
    given(vec![]).when(add(many(MAX_MODELS))).inspect_result().expect("as many are taken");
}

#[test]
fn a_provider_in_the_network_has_an_address_and_the_model_in_this_house_has_none() {
    let local = || New { provider: ProviderKind::Local, base_url: None, keys: vec![], ..new() };
    given(vec![]).when(add(local())).inspect_result().expect("the local model needs no address");
    given(vec![]).when(add(New { base_url: None, ..new() })).inspect_result().expect("it has an address of its own");
    let wrong = [
        New { provider: ProviderKind::OpenaiCompatible, base_url: None, ..new() },
        New { provider: ProviderKind::AzureOpenai, base_url: None, ..new() },
        New { base_url: Some(String::new()), ..new() },
        New { base_url: Some(ADDRESS.to_owned()), ..local() },
    ];
    for wrong in wrong {
        given(vec![]).when(add(wrong)).then_expect_error(ChannelRefusal::InvalidBaseUrl);
    }
    let to = |base_url: &str| change(Changes { base_url: Some(base_url.to_owned()), ..Changes::default() });
    let in_house = after(vec![]).decide(add(local())).unwrap();
    given(in_house).when(to(ADDRESS)).then_expect_error(ChannelRefusal::InvalidBaseUrl);
    given(added()).when(to("")).then_expect_error(ChannelRefusal::InvalidBaseUrl);
    let elsewhere = ChannelEvent::AddressChanged { base_url: Some("https://elsewhere.example".to_owned()), at: AT };
    given(added()).when(to("https://elsewhere.example")).then_expect_events(vec![elsewhere]);
}

#[test]
fn a_channel_has_a_name_of_its_own_without_spaces_around_it() {
    let renamed = |name: &str| change(Changes { name: Some(name.to_owned()), ..Changes::default() });
    for bad in ["", "  ", "two\nlines", &"x".repeat(MAX_NAME_CHARS + 1)] {
        given(vec![]).when(add(New { name: bad.to_owned(), ..new() })).then_expect_error(ChannelRefusal::InvalidName);
        given(added()).when(renamed(bad)).then_expect_error(ChannelRefusal::InvalidName);
    }
    given(vec![]).when(add(New { name: " Main ".to_owned(), ..new() })).then_expect_events(added());
    let longest = "字".repeat(MAX_NAME_CHARS);
    given(added())
        .when(renamed(&format!(" {longest} ")))
        .then_expect_events(vec![ChannelEvent::Renamed { name: longest, at: AT }]);
}

#[test]
fn keys_are_replaced_as_a_whole() {
    let to = |keys: Vec<SealedKey>| change(Changes { keys: Some(keys), ..Changes::default() });
    for keys in [vec![key("1111"), key("2222")], vec![key("wxyz"), key("wxyz")], vec![]] {
        let replaced = ChannelEvent::KeysReplaced { keys: keys.clone(), at: AT };
        given(added()).when(to(keys)).then_expect_events(vec![replaced]);
    }
    let many = vec![key("wxyz"); MAX_KEYS + 1];
    given(added()).when(to(many.clone())).then_expect_error(ChannelRefusal::TooManyKeys);
    given(vec![]).when(add(New { keys: many, ..new() })).then_expect_error(ChannelRefusal::TooManyKeys);
}

#[test]
fn it_is_switched_on_and_off() {
    let switch = |enabled| change(Changes { enabled: Some(enabled), ..Changes::default() });
    given(added()).when(switch(false)).then_expect_events(vec![ChannelEvent::Disabled { at: AT }]);
    let off = [added(), vec![ChannelEvent::Disabled { at: AT }]].concat();
    given(off).when(switch(true)).then_expect_events(vec![ChannelEvent::Enabled { at: AT }]);
}

#[test]
fn a_change_that_changes_nothing_leaves_no_event() {
    let New { name, base_url, models, prices, costs, enabled, .. } = new();
    let same = Changes {
        name: Some(name),
        base_url,
        models: Some(models),
        prices,
        costs,
        enabled: Some(enabled),
        ..Changes::default()
    };
    for nothing in [same, Changes::default()] {
        given(added()).when(change(nothing)).then_expect_events(vec![]);
    }
}

#[test]
fn a_change_with_one_bad_part_changes_nothing_at_all() {
    let mixed = Changes { name: Some("Other".to_owned()), prices: list(&[("c", "1")]), ..Changes::default() };
    given(added()).when(change(mixed)).then_expect_error(ChannelRefusal::InvalidModel { model: "c".to_owned() });
}

#[test]
fn a_removed_channel_is_gone_for_good() {
    let remove = || ChannelCommand::RemoveChannel { at: AT };
    given(added()).when(remove()).then_expect_events(vec![ChannelEvent::Removed { at: AT }]);
    given(removed()).when(remove()).then_expect_events(vec![]);
    given(removed()).when(change(Changes::default())).then_expect_error(ChannelRefusal::ChannelNotFound);
    given(removed()).when(add(new())).then_expect_error(ChannelRefusal::AlreadyAdded);
}

#[test]
fn what_was_never_added_is_not_found() {
    given(vec![]).when(change(Changes::default())).then_expect_error(ChannelRefusal::ChannelNotFound);
    given(vec![]).when(ChannelCommand::RemoveChannel { at: AT }).then_expect_error(ChannelRefusal::ChannelNotFound);
}

fn day_of(day: u32) -> DateTime<Utc> {
    AT + chrono::TimeDelta::days(i64::from(day))
}

#[test]
fn of_a_short_key_nothing_is_shown() {
    assert_eq!(SealedKey::hint_of("sk-0123456789"), "6789");
    for short in ["", "key", "secret", "elevenchars"] {
        assert_eq!(SealedKey::hint_of(short), "", "{short}");
    }
    assert_eq!(SealedKey::hint_of("ключключключ字"), "", "never half a character");
}
