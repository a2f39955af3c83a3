//! Prices as their rules say: exact, each token in one tier, never more than was held.

use proptest::prelude::*;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn nano_rate(nanos: u32) -> Rate {
    rate(&format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000))
}

#[test]
fn a_cost_is_summed_exactly_over_the_tiers_and_rounded_once() {
    let rates = Rates {
        input: rate("2.50"),
        output: rate("10"),
        cached_input: Some(rate("1.25")),
        reasoning: Some(rate("12")),
        ..Rates::default()
    };
    let tokens = Tokens { input: 1000, cached_input: 3, output: 7, reasoning: 11, ..Tokens::default() };
    assert_eq!(rates.cost(&tokens), Some(Nanos::new(2_500_000 + 3_750 + 70_000 + 132_000)));
}

#[test]
fn a_tier_without_its_own_rate_costs_what_its_kind_costs() {
    let rates = Rates { input: rate("1"), output: rate("2"), ..Rates::default() };
    let tokens = Tokens { cached_input: 5, cache_write: 4, audio_input: 3, image_input: 2, ..Tokens::default() };
    assert_eq!(rates.cost(&tokens), Some(Nanos::new(14_000)));
    let for_an_hour = Tokens { cache_write_hour: 6, ..Tokens::default() };
    assert_eq!(rates.cost(&for_an_hour), Some(Nanos::new(6_000)));
    let written = Rates { cache_write: Some(rate("1.25")), ..rates.clone() };
    assert_eq!(written.cost(&for_an_hour), Some(Nanos::new(7_500)), "the nearest rate that there is");
    let held = Rates { cache_write_hour: Some(rate("2")), ..written };
    assert_eq!(held.cost(&for_an_hour), Some(Nanos::new(12_000)));
    let tokens = Tokens { reasoning: 7, audio_output: 5, image_output: 3, ..Tokens::default() };
    assert_eq!(rates.cost(&tokens), Some(Nanos::new(30_000)));
}

#[test]
fn every_tier_has_its_own_rate() {
    let rates = Rates {
        input: rate("0.000001"),
        cached_input: Some(rate("0.00001")),
        cache_write: Some(rate("0.0001")),
        cache_write_hour: Some(rate("1000")),
        audio_input: Some(rate("0.001")),
        image_input: Some(rate("0.01")),
        output: rate("0.1"),
        reasoning: Some(rate("1")),
        audio_output: Some(rate("10")),
        image_output: Some(rate("100")),
        ..Rates::default()
    };
    let mega = |count: u64| count * 1_000_000;
    let tokens = Tokens {
        input: mega(1),
        cached_input: mega(2),
        cache_write: mega(3),
        cache_write_hour: mega(1),
        audio_input: mega(4),
        image_input: mega(5),
        output: mega(6),
        reasoning: mega(7),
        audio_output: mega(8),
        image_output: mega(9),
        pieces: Pieces::NONE,
    };
    // Each digit is the tokens of its tier.
    assert_eq!(rates.cost(&tokens), Some(Nanos::new(1_987_654_321_000)));
    let summed: u64 = tokens.by_tier().iter().map(|(_, count)| count).sum();
    assert_eq!(summed, mega(46), "every token is in exactly one tier");
}

#[test]
fn a_long_input_prices_the_whole_call_by_its_own_list() {
    // As Google prices Gemini 2.5 Pro: other rates for prompts of more than 200,000 tokens.
    let long = Tiers { input: rate("2.5"), output: rate("15"), cached_input: Some(rate("0.25")), ..Tiers::default() };
    let rates = Rates {
        input: rate("1.25"),
        output: rate("10"),
        long: vec![LongRates { above_input_tokens: 200_000, rates: long }],
        ..Rates::default()
    };
    let cost = |input, cached_input| {
        rates.cost(&Tokens { input, cached_input, output: 1000, ..Tokens::default() }).unwrap().get()
    };
    assert_eq!(cost(200_000, 0), 250_000_000 + 10_000_000, "not beyond the threshold");
    assert_eq!(cost(200_001, 0), 500_002_500 + 15_000_000, "all of it, not only what is beyond");
    assert_eq!(cost(1, 200_000), 2_500 + 50_000_000 + 15_000_000, "what was cached counts for the length");
}

#[test]
fn of_several_thresholds_the_highest_that_was_passed_counts() {
    let list = |above_input_tokens, input: &str| {
        let rates = Tiers { input: rate(input), ..Tiers::default() };
        LongRates { above_input_tokens, rates }
    };
    let rates = Rates { input: rate("1"), long: vec![list(100, "2"), list(1000, "3")], ..Rates::default() };
    let cost = |input| rates.cost(&Tokens { input, ..Tokens::default() }).unwrap().get();
    assert_eq!([cost(100), cost(101), cost(1000), cost(1001)], [100_000, 202_000, 2_000_000, 3_003_000]);
    assert!(rates.is_list());
    assert!(!Rates { long: vec![list(1000, "3"), list(100, "2")], ..rates.clone() }.is_list(), "thresholds rise");
    assert!(!rates.times("0.5".parse().unwrap()).is_list(), "a factor is nobody's price list");
}

#[test]
fn a_fee_is_paid_once_a_call_whatever_it_consumes() {
    let rates = Rates { input: rate("1"), per_request: Some("0.04".parse().unwrap()), ..Rates::default() };
    assert_eq!(rates.cost(&Tokens::default()), Some(Nanos::new(40_000_000)));
    assert_eq!(rates.cost(&Tokens { input: 1, ..Tokens::default() }), Some(Nanos::new(40_001_000)));
    assert_eq!(rates.at_most(1, 10, &Pieces::NONE), Some(Nanos::new(40_001_000)));
    assert!(!rates.is_free());
    assert_eq!(rates.output_covered_by(Nanos::new(39_999_999), 0, &Pieces::NONE), None);
}

#[test]
fn what_is_sold_by_the_piece_is_paid_besides_the_tokens_and_rounded_with_them() {
    let fee = |text: &str| Some(text.parse().unwrap());
    let rates = Rates {
        input: rate("1"),
        per_image: fee("0.04"),
        per_search: fee("0.002"),
        per_character: fee("0.000015"),
        per_second: fee("0.000000001"),
        ..Rates::default()
    };
    let cost = |pieces| rates.cost(&Tokens { input: 1, pieces, ..Tokens::default() }).unwrap().get();
    assert_eq!(cost(Pieces { images: 2, ..Pieces::NONE }), 1_000 + 80_000_000);
    assert_eq!(cost(Pieces { searches: 3, characters: 10, ..Pieces::NONE }), 1_000 + 6_000_000 + 150_000);
    assert_eq!([499, 501, 1_500].map(|sound_ms| cost(Pieces { sound_ms, ..Pieces::NONE })), [1_000, 1_001, 1_002]);
    let most = Pieces { images: 1, sound_ms: 1, ..Pieces::NONE };
    assert_eq!(rates.at_most(1, 0, &most), Some(Nanos::new(40_001_001)), "rounded up");
    assert_eq!(rates.output_covered_by(Nanos::new(40_001_000), 1, &most), None);
    let only_pieces = Rates { per_second: fee("0.0001"), ..Rates::default() };
    assert!(!only_pieces.is_free() && !only_pieces.scaled("0.5".parse().unwrap()).unwrap().is_free());
    let largest = Pieces { images: u32::MAX, searches: u32::MAX, characters: u32::MAX, sound_ms: u32::MAX };
    let dearest = Rates { per_image: fee("1000000"), ..Rates::default() }.times("1000".parse().unwrap());
    assert_eq!(dearest.cost(&Tokens { pieces: largest, ..Tokens::default() }), None, "beyond all amounts, and no wrap");
}

#[test]
fn a_factor_is_exact_and_rounded_with_the_sum_and_not_before() {
    let rates = Rates { input: rate("0.000000003"), ..Rates::default() }.times("0.333333333".parse().unwrap());
    // 3e-6 nano-units a token, a third of it: 10^12 tokens are 999,999.999 nano-units.
    let cost = rates.cost(&Tokens { input: 1_000_000_000_000, ..Tokens::default() });
    assert_eq!(cost, Some(Nanos::new(1_000_000)));
    let free = Rates { input: rate("5"), output: rate("5"), ..Rates::default() }.times("0".parse().unwrap());
    assert!(free.is_free());
    assert_eq!(free.at_most(u64::from(u32::MAX), u32::MAX, &Pieces::NONE), Some(Nanos::ZERO));
}

#[test]
fn halves_go_to_the_even_neighbour() {
    // 500 nano-units per million tokens: a thousand tokens are exactly half a nano-unit.
    let rates = Rates { input: rate("0.0000005"), ..Rates::default() };
    let cost = |input| rates.cost(&Tokens { input, ..Tokens::default() }).unwrap().get();
    assert_eq!([cost(1000), cost(3000), cost(5000), cost(1001), cost(999)], [0, 2, 2, 1, 0]);
}

#[test]
fn a_cost_beyond_all_amounts_is_none() {
    let rates = Rates { input: rate("1000000"), output: rate("1000000"), ..Rates::default() };
    assert_eq!(rates.cost(&Tokens { input: u64::MAX, output: u64::MAX, ..Tokens::default() }), None);
    assert_eq!(rates.at_most(u64::MAX, u32::MAX, &Pieces::NONE), None);
    let dearest = rates.times("1000".parse().unwrap());
    assert_eq!(dearest.cost(&Tokens { input: u64::MAX, output: u64::MAX, ..Tokens::default() }), None);
    assert_eq!(dearest.output_covered_by(Nanos::new(i64::MAX), u64::MAX, &Pieces::NONE), None);
}

/// How a cost was computed before there were more tiers, fees and factors.
fn cost_of_the_first_version(rates: &Rates, tokens: &Tokens) -> Option<Nanos> {
    let of = |rate: Rate, count: u64| i128::from(rate.nanos_per_million()) * i128::from(count);
    let exact = of(rates.input, tokens.input)
        + of(rates.cached_input.unwrap_or(rates.input), tokens.cached_input)
        + of(rates.output, tokens.output)
        + of(rates.reasoning.unwrap_or(rates.output), tokens.reasoning);
    let (whole, rest) = (exact.div_euclid(PER_TOKENS), exact.rem_euclid(PER_TOKENS));
    let up = rest * 2 > PER_TOKENS || (rest * 2 == PER_TOKENS && whole % 2 != 0);
    i64::try_from(if up { whole + 1 } else { whole }).ok().map(Nanos::new)
}

fn tiers() -> impl Strategy<Value = Tiers> {
    let own = || proptest::option::of(any::<u32>().prop_map(nano_rate));
    let base = (any::<u32>().prop_map(nano_rate), any::<u32>().prop_map(nano_rate));
    (base, (own(), own(), own(), own(), own()), (own(), own(), own())).prop_map(|((input, output), a, b)| Tiers {
        input,
        output,
        cached_input: a.0,
        cache_write: a.1,
        cache_write_hour: a.2,
        audio_input: a.3,
        image_input: a.4,
        reasoning: b.0,
        audio_output: b.1,
        image_output: b.2,
    })
}

fn any_rates() -> impl Strategy<Value = Rates> {
    let long = proptest::collection::btree_map(0_u64..2_000_000, tiers(), 0..3);
    let factor = prop_oneof![
        Just(Factor::ONE),
        (0_u32..4_000_000_000).prop_map(|nanos| nano_rate(nanos).to_string().parse().unwrap())
    ];
    let fee = || proptest::option::of(any::<u32>().prop_map(|nanos| nano_rate(nanos).to_string().parse().unwrap()));
    let fees = [fee(), fee(), fee(), fee(), fee()];
    (tiers(), long, factor, fees).prop_map(|(base, long, factor, fees)| {
        let [per_request, per_image, per_search, per_character, per_second] = fees;
        Rates {
            input: base.input,
            output: base.output,
            cached_input: base.cached_input,
            reasoning: base.reasoning,
            cache_write: base.cache_write,
            cache_write_hour: base.cache_write_hour,
            audio_input: base.audio_input,
            image_input: base.image_input,
            audio_output: base.audio_output,
            image_output: base.image_output,
            per_request,
            per_image,
            per_search,
            per_character,
            per_second,
            long: long.into_iter().map(|(above_input_tokens, rates)| LongRates { above_input_tokens, rates }).collect(),
            factor,
        }
    })
}

proptest! {
    #[test]
    fn what_is_held_covers_whatever_is_charged_within_the_bound(
        rates in any_rates(), inputs in any::<[u16; 6]>(), outputs in any::<[u16; 4]>(), spare in any::<(u16, u16)>(),
        counts in any::<[u16; 4]>(),
    ) {
        let [images, searches, characters, sound_ms] = counts.map(u32::from);
        let pieces = Pieces { images, searches, characters, sound_ms };
        let [input, cached_input, cache_write, cache_write_hour, audio_input, image_input] =
            inputs.map(|count| u64::from(count) * 8);
        let [output, reasoning, audio_output, image_output] = outputs.map(u64::from);
        let tokens = Tokens {
            input, cached_input, output, reasoning, cache_write, cache_write_hour, audio_input, image_input,
            audio_output, image_output, pieces,
        };
        let most_output = u32::try_from(tokens.of_output().iter().sum::<u64>()).unwrap() + u32::from(spare.1);
        let held = rates.at_most(tokens.all_input() + u64::from(spare.0), most_output, &tokens.pieces).unwrap();
        prop_assert!(rates.cost(&tokens).unwrap() <= held);
    }

    #[test]
    fn the_output_that_credit_covers_is_affordable_and_one_more_is_not(
        rates in any_rates(), credit in 0_i64..1_000_000_000_000, input in 0_u64..3_000_000,
    ) {
        match rates.output_covered_by(Nanos::new(credit), input, &Pieces::NONE) {
            None => prop_assert!(rates.at_most(input, 0, &Pieces::NONE).unwrap() > Nanos::new(credit)),
            Some(u32::MAX) => prop_assert!(rates.at_most(input, u32::MAX, &Pieces::NONE).unwrap() <= Nanos::new(credit)),
            Some(covered) => {
                prop_assert!(rates.at_most(input, covered, &Pieces::NONE).unwrap() <= Nanos::new(credit));
                prop_assert!(rates.at_most(input, covered + 1, &Pieces::NONE).unwrap() > Nanos::new(credit));
            }
        }
    }

    #[test]
    fn what_was_settled_by_the_first_price_lists_costs_the_same_today(
        list in any::<(u32, u32, Option<u32>, Option<u32>)>(), tokens in any::<[u64; 4]>(),
    ) {
        let rates = Rates {
            input: nano_rate(list.0),
            output: nano_rate(list.1),
            cached_input: list.2.map(nano_rate),
            reasoning: list.3.map(nano_rate),
            ..Rates::default()
        };
        let [input, cached_input, output, reasoning] = tokens;
        let tokens = Tokens { input, cached_input, output, reasoning, ..Tokens::default() };
        prop_assert_eq!(rates.cost(&tokens), cost_of_the_first_version(&rates, &tokens));
    }

    #[test]
    fn a_price_list_survives_its_json(rates in any_rates()) {
        let json = serde_json::to_string(&rates).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rates>(&json).unwrap(), rates);
    }
}

#[test]
fn a_list_can_be_so_many_times_another_one() {
    let long = LongRates { above_input_tokens: 7, rates: Tiers { output: rate("3"), ..Tiers::default() } };
    let rates = Rates {
        input: rate("0.000000003"),
        cached_input: Some(rate("1")),
        per_request: Some("0.04".parse().unwrap()),
        long: vec![long],
        ..Rates::default()
    };
    let scaled = rates.scaled("1.5".parse().unwrap()).unwrap();
    assert_eq!(scaled.input, rate("0.000000004"), "a half goes to the even neighbour");
    assert_eq!((scaled.cached_input, scaled.long[0].rates.output), (Some(rate("1.5")), rate("4.5")));
    assert_eq!((scaled.per_request, scaled.reasoning), (Some("0.06".parse().unwrap()), None));
    assert!(scaled.is_list());
    assert_eq!(Rates { input: rate("1000000"), ..Rates::default() }.scaled("2".parse().unwrap()), None);
}
