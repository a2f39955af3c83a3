//! Which token comes next, from the logits: repetition penalty, temperature, the likeliest few.

use std::cmp::Reverse;

/// Only this many of the likeliest tokens are considered.
const TOP_TOKENS: usize = 40;
/// Of these only the likeliest that together have this probability.
const TOP_PROBABILITY: f32 = 0.9;
/// Logits of recently said tokens are divided by this (multiplied where negative).
const REPETITION_PENALTY: f32 = 1.1;
/// How many of the last said tokens count as recent.
const RECENT_TOKENS: usize = 64;
/// Below this temperature the likeliest token is taken.
const GREEDY_BELOW: f32 = 0.01;
/// A block that was said this often in a row ends the answer …
const LOOP_REPEATS: usize = 4;
/// … if all repeats together have at least this many tokens: a table ruler or "ha ha ha ha" is no loop.
const LOOP_MIN_TOKENS: usize = 48;

/// Chooses tokens. The same seed and the same logits give the same tokens.
pub(super) struct Sampler {
    random: fastrand::Rng,
    temperature: f32,
}

impl Sampler {
    /// Without a seed every answer is another one.
    pub(super) fn new(seed: Option<u64>, temperature: f32) -> Self {
        let random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self { random, temperature }
    }

    /// The next token after `said`; `None` if the logits hold no number, which is a broken model.
    pub(super) fn choose(&mut self, mut logits: Vec<f32>, said: &[u32]) -> Option<u32> {
        penalise(&mut logits, said);
        let mut tokens: Vec<(f32, u32)> = logits.into_iter().zip(0..).filter(|(logit, _)| !logit.is_nan()).collect();
        let keep = TOP_TOKENS.min(tokens.len());
        if keep < tokens.len() {
            tokens.select_nth_unstable_by(keep, |a, b| b.0.total_cmp(&a.0));
            tokens.truncate(keep);
        }
        tokens.sort_unstable_by_key(|(logit, token)| (Reverse(total_order(*logit)), *token));
        let &(highest, likeliest) = tokens.first()?;
        if self.temperature < GREEDY_BELOW {
            return Some(likeliest);
        }
        let weights: Vec<f32> = tokens.iter().map(|(logit, _)| ((logit - highest) / self.temperature).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mut nucleus = 0.0;
        let within = weights.iter().take_while(|weight| {
            let before = nucleus;
            nucleus += **weight;
            before < TOP_PROBABILITY * total
        });
        let count = within.count();
        let mut pick = self.random.f32() * weights[..count].iter().sum::<f32>();
        for ((_, token), weight) in tokens.iter().zip(&weights[..count]) {
            pick -= weight;
            if pick <= 0.0 {
                return Some(*token);
            }
        }
        Some(tokens[count - 1].1)
    }
}

/// A key by which floats sort as numbers.
fn total_order(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

fn penalise(logits: &mut [f32], said: &[u32]) {
    let recent = &said[said.len().saturating_sub(RECENT_TOKENS)..];
    for (at, token) in recent.iter().enumerate() {
        if recent[..at].contains(token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / REPETITION_PENALTY } else { *logit * REPETITION_PENALTY };
        }
    }
}

/// True where the answer has become the same block again and again.
pub(super) fn is_looping(said: &[u32]) -> bool {
    (1..=said.len() / LOOP_REPEATS).any(|period| {
        let repeats = LOOP_REPEATS.max(LOOP_MIN_TOKENS.div_ceil(period));
        let Some(start) = said.len().checked_sub(period * repeats) else { return false };
        let tail = &said[start..];
        tail[period..] == tail[..tail.len() - period]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits() -> Vec<f32> {
        let mut logits = vec![-10.0; 1000];
        logits[7] = 4.0;
        logits[8] = 3.9;
        logits[9] = 3.0;
        logits
    }

    #[test]
    fn without_temperature_the_likeliest_token_is_taken() {
        assert_eq!(Sampler::new(None, 0.0).choose(logits(), &[]), Some(7));
    }

    #[test]
    fn a_token_that_was_just_said_gives_way_to_one_that_is_about_as_likely() {
        assert_eq!(Sampler::new(None, 0.0).choose(logits(), &[7]), Some(8));
    }

    #[test]
    fn the_same_seed_gives_the_same_choices_and_unlikely_tokens_never_come() {
        let choices = |seed| {
            let mut sampler = Sampler::new(Some(seed), 1.0);
            (0..50).map(|_| sampler.choose(logits(), &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(choices(3), choices(3));
        assert_ne!(choices(3), choices(4));
        assert!(choices(5).iter().all(|token| (7..=9).contains(token)));
    }

    #[test]
    fn logits_without_any_number_choose_nothing() {
        assert_eq!(Sampler::new(None, 0.5).choose(vec![f32::NAN; 4], &[]), None);
    }

    #[test]
    fn a_block_said_again_and_again_is_a_loop_and_a_short_repetition_is_none() {
        let block: Vec<u32> = (0..16).collect();
        assert!(is_looping(&block.repeat(4)));
        assert!(is_looping(&[vec![99; 30], block.repeat(5)].concat()));
        assert!(!is_looping(&block.repeat(3)));
        assert!(!is_looping(&[5; 20]));
        assert!(is_looping(&[5; 48]));
        assert!(!is_looping(&[]));
    }
}
