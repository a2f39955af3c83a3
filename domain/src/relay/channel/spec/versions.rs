//! Whatever happens to a channel: a version of a model is one price list, and what was told twice is done once.

use proptest::{collection::vec, prelude::*};

use super::*;

fn any_prices() -> impl Strategy<Value = BTreeMap<String, Rates>> {
    let entry = || (prop::sample::select(vec!["a", "b", "c"]), prop::sample::select(vec!["0", "1", "2"]));
    vec(entry(), 0..4).prop_map(|entries| list(&entries))
}

fn any_change() -> impl Strategy<Value = Changes> {
    let names = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    (prop::option::of(names), any_prices(), any_prices(), prop::option::of(any::<bool>())).prop_map(
        |(names, prices, costs, enabled)| Changes {
            models: names.map(|names| specs(&names)),
            prices,
            costs,
            enabled,
            ..Changes::default()
        },
    )
}

/// The price lists of an event: by model and version.
fn lists(event: &ChannelEvent) -> Vec<((String, u32), (Rates, Rates))> {
    let of = |model: &str, terms: &Terms| {
        let later = terms.upcoming.iter().map(|later| (later.price_version, later.prices.clone(), later.costs.clone()));
        let all = std::iter::once((terms.price_version, terms.prices.clone(), terms.costs.clone())).chain(later);
        all.map(|(version, prices, costs)| ((model.to_owned(), version), (prices, costs))).collect::<Vec<_>>()
    };
    match event {
        ChannelEvent::ModelsOffered { models, .. } => {
            models.iter().flat_map(|model| of(&model.spec.name, &model.terms)).collect()
        }
        ChannelEvent::PricesChanged { models, .. } => {
            models.iter().flat_map(|model| of(&model.model, &model.terms)).collect()
        }
        _ => vec![],
    }
}

#[derive(Debug, Clone)]
enum Ask {
    Change(Box<Changes>),
    Later { model: &'static str, price: Option<&'static str>, day: u32 },
    Revert { to: usize },
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let model = prop::sample::select(vec!["a", "b", "c"]);
    let later = (model, prop::option::of(prop::sample::select(vec!["0", "1", "2"])), 0..5_u32);
    prop_oneof![
        3 => any_change().prop_map(|changes| Ask::Change(Box::new(changes))),
        2 => later.prop_map(|(model, price, day)| Ask::Later { model, price, day }),
        1 => (0..50_usize).prop_map(|to| Ask::Revert { to }),
    ]
}

proptest! {
    /// So that a settlement, which names model and version, names one price list for ever.
    #[test]
    fn one_version_of_a_model_is_one_price_list_for_ever(asks in vec(any_ask(), 1..60)) {
        let mut channel = after(added());
        let mut known: BTreeMap<_, _> = added().iter().flat_map(lists).collect();
        let mut past = vec![channel.clone()];
        for ask in asks {
            let command = match ask.clone() {
                Ask::Change(changes) => change(*changes),
                Ask::Later { model, price, day } => ChannelCommand::SetPrices {
                    prices: vec![NewPrice { model: model.to_owned(), prices: price.map(rates), costs: None, from: Some(day_of(day)) }],
                    source: None,
                    at: AT,
                },
                Ask::Revert { to } => {
                    let settings = Box::new(past[to % past.len()].settings().unwrap().clone());
                    ChannelCommand::RevertChannel { settings, at: AT }
                }
            };
            for event in channel.decide(command.clone()).unwrap_or_default() {
                for (place, list) in lists(&event) {
                    let first = known.entry(place).or_insert_with(|| list.clone());
                    prop_assert_eq!(&*first, &list);
                }
                channel.apply(event);
            }
            prop_assert_eq!(channel.decide(command).unwrap_or_default(), vec![], "told twice, done once");
            past.push(channel.clone());
        }
        let stored = serde_json::to_string(&channel).unwrap();
        prop_assert_eq!(serde_json::from_str::<Channel>(&stored).unwrap(), channel);
    }
}
