//! Prices that begin later, and prices from a list.

use super::*;

fn set(prices: Vec<NewPrice>, at: DateTime<Utc>) -> ChannelCommand {
    ChannelCommand::SetPrices { prices, source: None, at }
}

fn price(model: &str, price: Option<&str>, cost: Option<&str>, from: Option<u32>) -> NewPrice {
    NewPrice { model: model.to_owned(), prices: price.map(rates), costs: cost.map(rates), from: from.map(day_of) }
}

fn later(day: u32, price: &str, cost: &str, price_version: u32) -> Upcoming {
    Upcoming { from: day_of(day), prices: rates(price), costs: rates(cost), price_version }
}

/// Model a costs 3 from the second day on, and 2 from the fourth.
fn scheduled() -> Vec<ChannelEvent> {
    let upcoming = vec![later(2, "3", "0.5", 2), later(4, "2", "0.5", 3)];
    [added(), vec![prices_changed("a", Terms { upcoming, ..terms("1", "0.5", 1) })]].concat()
}

fn terms_of_a(channel: &Channel) -> &Terms {
    &channel.settings().unwrap().models[0].terms
}

#[test]
fn a_price_begins_when_it_was_said_to() {
    let ask = set(vec![price("a", Some("3"), None, Some(2)), price("a", Some("2"), None, Some(4))], AT);
    let upcoming = vec![later(2, "3", "0.5", 2), later(4, "2", "0.5", 3)];
    given(added()).when(ask).then_expect_events(vec![prices_changed("a", Terms { upcoming, ..terms("1", "0.5", 1) })]);
    let channel = after(scheduled());
    let at = |day| {
        let now = terms_of_a(&channel).in_force(day_of(day));
        (now.prices.input.to_string(), now.price_version)
    };
    assert_eq!([at(1), at(2), at(3), at(4)].map(|(_, version)| version), [1, 2, 2, 3]);
    assert_eq!([at(1).0, at(2).0, at(4).0], ["1", "3", "2"]);
}

#[test]
fn a_cost_may_begin_later_without_a_price() {
    let upcoming = vec![later(3, "1", "0.7", 2)];
    given(added())
        .when(set(vec![price("a", None, Some("0.7"), Some(3))], AT))
        .then_expect_events(vec![prices_changed("a", Terms { upcoming, ..terms("1", "0.5", 1) })]);
}

#[test]
fn a_price_that_has_not_begun_can_be_replaced_and_withdrawn() {
    let replaced = vec![later(2, "9", "0.5", 4), later(4, "2", "0.5", 3)];
    given(scheduled())
        .when(set(vec![price("a", Some("9"), None, Some(2))], AT))
        .then_expect_events(vec![prices_changed("a", Terms { upcoming: replaced, ..terms("1", "0.5", 1) })]);
    let left = vec![later(4, "2", "0.5", 3)];
    given(scheduled())
        .when(set(vec![price("a", None, None, Some(2))], AT))
        .then_expect_events(vec![prices_changed("a", Terms { upcoming: left, ..terms("1", "0.5", 1) })]);
}

#[test]
fn what_has_begun_is_the_price_and_a_change_at_once_replaces_it() {
    let left = vec![later(4, "2", "0.5", 3)];
    let models = vec![ModelPrices { model: "a".to_owned(), terms: Terms { upcoming: left, ..terms("7", "0.5", 4) } }];
    let at = day_of(3);
    given(scheduled())
        .when(set(vec![price("a", Some("7"), None, None)], at))
        .then_expect_events(vec![ChannelEvent::PricesChanged { models, source: None, at }]);
    given(scheduled()).when(set(vec![price("a", Some("3"), None, None)], at)).then_expect_events(vec![]);
}

#[test]
fn a_date_that_has_passed_is_at_once() {
    given(added())
        .when(set(vec![price("b", Some("5"), None, Some(0))], AT))
        .then_expect_events(vec![prices_changed("b", terms("5", "0", 2))]);
}

#[test]
fn a_price_from_a_list_names_the_list() {
    let ask = ChannelCommand::SetPrices {
        prices: vec![price("a", Some("3"), Some("2"), None), price("b", Some("2"), None, None)],
        source: Some("public prices of 2026-01-01".to_owned()),
        at: AT,
    };
    let models = vec![ModelPrices { model: "a".to_owned(), terms: terms("3", "2", 2) }];
    let source = Some("public prices of 2026-01-01".to_owned());
    given(added()).when(ask).then_expect_events(vec![ChannelEvent::PricesChanged { models, source, at: AT }]);
}

#[test]
fn a_price_that_cannot_be_is_refused_by_its_model() {
    let refused = ChannelRefusal::InvalidPrice { model: "a".to_owned() };
    let own_factor = rates("1").times("0.5".parse().unwrap());
    let with = |prices: Rates| NewPrice { prices: Some(prices), ..price("a", None, None, None) };
    given(added()).when(set(vec![with(own_factor)], AT)).then_expect_error(refused.clone());
    let many = (1..=21).map(|day| price("a", Some("3"), None, Some(day))).collect();
    given(added()).when(set(many, AT)).then_expect_error(refused);
    let unknown = ChannelRefusal::InvalidModel { model: "c".to_owned() };
    given(added()).when(set(vec![price("c", Some("3"), None, None)], AT)).then_expect_error(unknown);
    given(removed())
        .when(set(vec![price("a", Some("3"), None, None)], AT))
        .then_expect_error(ChannelRefusal::ChannelNotFound);
}

#[test]
fn a_model_described_anew_keeps_what_it_will_cost() {
    let models = Some(vec![spec("b"), spec("a")]);
    let terms_then = Terms { upcoming: vec![later(2, "3", "0.5", 2), later(4, "2", "0.5", 3)], ..terms("1", "0.5", 1) };
    let expected = vec![offered("b", "2", "0", 1), OfferedModel { spec: spec("a"), terms: terms_then }];
    given(scheduled())
        .when(change(Changes { models, ..Changes::default() }))
        .then_expect_events(vec![models_offered(expected)]);
}
