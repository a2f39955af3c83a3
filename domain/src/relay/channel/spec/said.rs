//! What else is said about a channel, and how it returns to what it was.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    routing::{Drain, Fallbacks, Limits, ProbeBy, Routing, Strategy as Spread},
    *,
};

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn say(more: MoreSettings) -> ChannelCommand {
    change(Changes { more, ..Changes::default() })
}

fn revert(channel: &Channel) -> ChannelCommand {
    ChannelCommand::RevertChannel { settings: Box::new(channel.settings().unwrap().clone()), at: AT }
}

const LIMITS: Limits = Limits { requests_per_minute: Some(60), tokens_per_minute: None, parallel: Some(4) };

#[test]
fn how_calls_find_it_is_one_fact() {
    let more = MoreSettings {
        priority: Some(5),
        weight: Some(3),
        groups: Some(words(&["default", "staff"])),
        limits: Some(LIMITS),
        drain: Some(Change::To(Drain { seconds: 30, tokens: 2000 })),
        public_name: Some(Change::To(" europe ".to_owned())),
        probe: Some(ProbeBy::Chat),
        ..MoreSettings::default()
    };
    let routing = Routing {
        priority: 5,
        weight: 3,
        groups: words(&["default", "staff"]),
        limits: LIMITS,
        drain: Some(Drain { seconds: 30, tokens: 2000 }),
        public_name: Some("europe".to_owned()),
        probe: ProbeBy::Chat,
    };
    let changed = ChannelEvent::RoutingChanged { routing: routing.clone(), at: AT };
    given(added()).when(say(more.clone())).then_expect_events(vec![changed.clone()]);
    given([added(), vec![changed.clone()]].concat()).when(say(more.clone())).then_expect_events(vec![]);
    let from_the_start = [added(), vec![changed.clone()]].concat();
    let mut expected = from_the_start;
    expected.swap(3, 4);
    given(vec![]).when(add(New { more, ..new() })).then_expect_events(expected);
    let less = MoreSettings { drain: Some(Change::Nothing), ..MoreSettings::default() };
    let undrained = ChannelEvent::RoutingChanged { routing: Routing { drain: None, ..routing }, at: AT };
    given([added(), vec![changed]].concat()).when(say(less)).then_expect_events(vec![undrained]);
}

#[test]
fn what_cannot_be_routed_is_refused() {
    let none = MoreSettings::default;
    let bad = [
        MoreSettings { priority: Some(1001), ..none() },
        MoreSettings { priority: Some(i32::MIN), ..none() },
        MoreSettings { weight: Some(10_001), ..none() },
        MoreSettings { groups: Some(words(&["Our People"])), ..none() },
        MoreSettings { limits: Some(Limits { parallel: Some(0), ..LIMITS }), ..none() },
        MoreSettings { drain: Some(Change::To(Drain { seconds: 3601, tokens: 1 })), ..none() },
        MoreSettings { public_name: Some(Change::To(" ".to_owned())), ..none() },
        MoreSettings { public_name: Some(Change::To("a\nb".to_owned())), ..none() },
    ];
    for more in bad {
        given(added()).when(say(more)).then_expect_error(ChannelRefusal::InvalidRouting);
    }
}

#[test]
fn a_channel_without_groups_is_everybodys_and_one_with_groups_is_theirs() {
    assert!(Routing::default().admits("anybody"));
    let routing = Routing { groups: words(&["staff"]), ..Routing::default() };
    assert!(routing.admits("staff") && !routing.admits("default"));
}

#[test]
fn a_model_says_how_its_calls_are_spread_and_what_it_falls_back_to() {
    let fallbacks = Fallbacks { context_window: vec!["b".to_owned()], ..Fallbacks::default() };
    let traits = ModelTraits { strategy: Some(Spread::LowestCost), fallbacks, ..ModelTraits::default() };
    let described = ModelSpec { traits, ..spec("a") };
    let models =
        vec![OfferedModel { spec: described.clone(), ..offered("a", "1", "0.5", 1) }, offered("b", "2", "0", 1)];
    given(added())
        .when(change(Changes { models: Some(vec![described.clone(), spec("b")]), ..Changes::default() }))
        .then_expect_events(vec![models_offered(models)]);
    let itself = Fallbacks { general: vec!["a".to_owned()], ..Fallbacks::default() };
    for hedge_after_ms in [Some(0), Some(600_001)] {
        let traits = ModelTraits { hedge_after_ms, ..described.traits.clone() };
        let impatient = ModelSpec { traits, ..described.clone() };
        let name = impatient.name.clone();
        given(added())
            .when(change(Changes { models: Some(vec![impatient]), ..Changes::default() }))
            .then_expect_error(ChannelRefusal::InvalidModel { model: name });
    }
    let circular = ModelSpec { traits: ModelTraits { fallbacks: itself, ..described.traits.clone() }, ..described };
    given(added())
        .when(change(Changes { models: Some(vec![circular, spec("b")]), ..Changes::default() }))
        .then_expect_error(ChannelRefusal::InvalidModel { model: "a".to_owned() });
}

fn plain(name: &str) -> HeaderOverride {
    HeaderOverride { name: name.to_owned(), value: HeaderText::Plain("org-1".to_owned()) }
}

fn organisation() -> HeaderOverride {
    plain("OpenAI-Organization")
}

fn secret() -> HeaderOverride {
    HeaderOverride { name: "X-Secret".to_owned(), value: HeaderText::Sealed(key("")) }
}

#[test]
fn requests_are_changed_as_operators_say() {
    let parameters = vec![
        ParameterOverride::Set { path: "temperature".to_owned(), value: json!(0.5) },
        ParameterOverride::Default { path: "reasoning.effort".to_owned(), value: json!("low") },
        ParameterOverride::Remove { path: "seed".to_owned() },
        ParameterOverride::Rename { from: "max_tokens".to_owned(), to: "max_completion_tokens".to_owned() },
    ];
    let proxy = Proxy { url: "http://proxy.example:8080".to_owned(), credentials: Some(key("")) };
    let more = MoreSettings {
        parameters: Some(parameters.clone()),
        headers: Some(vec![HeaderInput::To(organisation()), HeaderInput::To(secret())]),
        proxy: Some(Change::To(proxy.clone())),
        ..MoreSettings::default()
    };
    let overrides = Overrides { parameters, headers: vec![organisation(), secret()], proxy: Some(proxy) };
    let changed = ChannelEvent::OverridesChanged { overrides: overrides.clone(), at: AT };
    given(added()).when(say(more)).then_expect_events(vec![changed.clone()]);
    let kept = HeaderInput::Keep { name: "x-secret".to_owned() };
    let only_the_secret = MoreSettings { headers: Some(vec![kept.clone()]), ..MoreSettings::default() };
    let left = ChannelEvent::OverridesChanged { overrides: Overrides { headers: vec![secret()], ..overrides }, at: AT };
    given([added(), vec![changed]].concat()).when(say(only_the_secret.clone())).then_expect_events(vec![left]);
    given(added())
        .when(say(only_the_secret))
        .then_expect_error(ChannelRefusal::InvalidOverride { name: "x-secret".to_owned() });
}

#[test]
fn what_is_the_relays_to_say_cannot_be_overridden() {
    let header =
        |name: &str| MoreSettings { headers: Some(vec![HeaderInput::To(plain(name))]), ..MoreSettings::default() };
    for name in ["Host", "content-length", "Transfer-Encoding", "", "a b", "a:b", "ü"] {
        let refused = ChannelRefusal::InvalidOverride { name: name.to_owned() };
        given(added()).when(say(header(name))).then_expect_error(refused);
    }
    let parameter = |name: &str| MoreSettings {
        parameters: Some(vec![ParameterOverride::Remove { path: name.to_owned() }]),
        ..MoreSettings::default()
    };
    for name in ["model", "stream", ""] {
        let refused = ChannelRefusal::InvalidOverride { name: name.to_owned() };
        given(added()).when(say(parameter(name))).then_expect_error(refused);
    }
    let twice = [organisation(), plain("openai-organization")];
    let twice = MoreSettings { headers: Some(twice.map(HeaderInput::To).to_vec()), ..MoreSettings::default() };
    given(added())
        .when(say(twice))
        .then_expect_error(ChannelRefusal::InvalidOverride { name: "openai-organization".to_owned() });
}

#[test]
fn a_key_is_added_or_taken_away_by_whoever_does_not_know_the_others() {
    let channel = crate::ChannelId::new(uuid::Uuid::from_u128(7));
    let other = |sealed: &str| SealedKey { hint: "1111".to_owned(), sealed: sealed.to_owned() };
    let two = ChannelEvent::KeysReplaced { keys: vec![other("b25l"), other("dHdv")], at: AT };
    let given_two = || given([added(), vec![two.clone()]].concat());
    let keep = |sealed: &str| KeyInput::Keep { channel, name: other(sealed).name(channel) };
    let to = |keys: Vec<KeyInput>| {
        let ChannelCommand::ChangeChannel { name, base_url, models, prices, costs, enabled, more, at, .. } =
            change(Changes::default())
        else {
            unreachable!("it is a change")
        };
        ChannelCommand::ChangeChannel { name, base_url, keys: Some(keys), models, prices, costs, enabled, more, at }
    };
    let replaced = |keys: Vec<SealedKey>| vec![ChannelEvent::KeysReplaced { keys, at: AT }];
    given_two().when(to(vec![keep("dHdv")])).then_expect_events(replaced(vec![other("dHdv")]));
    given_two()
        .when(to(vec![keep("b25l"), KeyInput::To(key("wxyz")), keep("dHdv")]))
        .then_expect_events(replaced(vec![other("b25l"), key("wxyz"), other("dHdv")]));
    given_two().when(to(vec![keep("b25l"), keep("dHdv")])).then_expect_events(vec![]);
    given_two().when(to(vec![keep("dGhyZWU=")])).then_expect_error(ChannelRefusal::UnknownKey);
}

#[test]
fn tags_and_a_note_describe_it() {
    let more = MoreSettings {
        tags: Some(words(&["eu ", "fast"])),
        note: Some(" ask Ann ".to_owned()),
        ..MoreSettings::default()
    };
    let (tags, note) = (words(&["eu", "fast"]), "ask Ann".to_owned());
    given(added()).when(say(more)).then_expect_events(vec![ChannelEvent::Annotated { tags, note, at: AT }]);
    let long = MoreSettings { note: Some("x".repeat(MAX_NOTE_CHARS + 1)), ..MoreSettings::default() };
    given(added()).when(say(long)).then_expect_error(ChannelRefusal::InvalidNote);
    let empty = MoreSettings { tags: Some(words(&[" "])), ..MoreSettings::default() };
    given(added()).when(say(empty)).then_expect_error(ChannelRefusal::InvalidNote);
}

#[test]
fn a_channel_returns_to_what_it_was_by_ordinary_events() {
    let before = after(added());
    let changes = Changes {
        name: Some("Other".to_owned()),
        base_url: Some("https://elsewhere.example".to_owned()),
        keys: Some(vec![key("1111")]),
        prices: list(&[("a", "9")]),
        enabled: Some(false),
        more: MoreSettings { priority: Some(1), ..MoreSettings::default() },
        ..Changes::default()
    };
    let changed = [added(), before.decide(change(changes)).unwrap()].concat();
    let back = vec![
        ChannelEvent::Renamed { name: "Main".to_owned(), at: AT },
        ChannelEvent::AddressChanged { base_url: Some(ADDRESS.to_owned()), at: AT },
        ChannelEvent::KeysReplaced { keys: vec![key("wxyz")], at: AT },
        prices_changed("a", terms("1", "0.5", 3)),
        ChannelEvent::RoutingChanged { routing: Routing::default(), at: AT },
        ChannelEvent::Enabled { at: AT },
    ];
    given(changed).when(revert(&before)).then_expect_events(back);
    given(added()).when(revert(&before)).then_expect_events(vec![]);
}

#[test]
fn what_was_removed_or_is_somebody_elses_cannot_be_returned_to() {
    let before = after(added());
    given(removed()).when(revert(&before)).then_expect_error(ChannelRefusal::ChannelNotFound);
    let other = after(Channel::default().decide(add(New { provider: ProviderKind::Mistral, ..new() })).unwrap());
    given(added()).when(revert(&other)).then_expect_error(ChannelRefusal::OtherProvider);
}

#[test]
fn a_key_that_is_void_is_suspended_once_until_it_is_resumed() {
    let channel = crate::ChannelId::new(uuid::Uuid::from_u128(7));
    let of = |sealed: &str| SealedKey { hint: "1111".to_owned(), sealed: sealed.to_owned() };
    let keys = vec![of("b25l"), of("dHdv")];
    let name = of("b25l").name(channel);
    let used = || [added(), vec![ChannelEvent::KeysReplaced { keys: keys.clone(), at: AT }]].concat();
    let suspend = |key| ChannelCommand::SuspendKey { channel, key, code: "invalid_api_key".to_owned(), at: AT };
    let suspended = || ChannelEvent::KeySuspended { key: name, code: "invalid_api_key".to_owned(), at: AT };
    let resumed = || ChannelEvent::KeyResumed { key: name, at: AT };
    let resume = || ChannelCommand::ResumeKey { key: name, at: AT };
    given(used()).when(suspend(name)).then_expect_events(vec![suspended()]);
    given([used(), vec![suspended()]].concat()).when(suspend(name)).then_expect_events(vec![]);
    given(used()).when(suspend(uuid::Uuid::from_u128(9))).then_expect_events(vec![]);
    given(used()).when(resume()).then_expect_events(vec![]);
    given([used(), vec![suspended()]].concat()).when(resume()).then_expect_events(vec![resumed()]);
    given([used(), vec![suspended(), resumed()]].concat()).when(suspend(name)).then_expect_events(vec![suspended()]);
    given(vec![]).when(suspend(name)).then_expect_error(ChannelRefusal::ChannelNotFound);
}

#[test]
fn a_key_that_was_replaced_is_not_suspended_any_more_and_one_that_returns_is_as_void_as_before() {
    let channel = crate::ChannelId::new(uuid::Uuid::from_u128(7));
    let of = |sealed: &str| SealedKey { hint: "1111".to_owned(), sealed: sealed.to_owned() };
    let replaced = |sealed: &str| ChannelEvent::KeysReplaced { keys: vec![of(sealed)], at: AT };
    let name = of("b25l").name(channel);
    let suspended = ChannelEvent::KeySuspended { key: name, code: "invalid_api_key".to_owned(), at: AT };
    let suspend = || ChannelCommand::SuspendKey { channel, key: name, code: "invalid_api_key".to_owned(), at: AT };
    // Somebody saw it die after it was replaced.
    given([added(), vec![replaced("dHdv")]].concat()).when(suspend()).then_expect_events(vec![]);
    let returned = [added(), vec![replaced("b25l"), suspended, replaced("dHdv"), replaced("b25l")]].concat();
    given(returned).when(suspend()).then_expect_events(vec![]);
}
