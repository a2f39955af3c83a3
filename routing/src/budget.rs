//! How many second tries all requests together may have.
//!
//! Promise: when an upstream fails for everybody, retries add a bounded share to its load instead of multiplying it. A
//! token bucket, as in Finagle's `RetryBudget` and gRPC's retry throttling (proposal A6).

use std::time::Duration;

use crate::Moment;

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetOptions {
    /// Retries that each request earns.
    pub share: f64,
    /// Retries earned in a second without any traffic, so that a quiet house retries too.
    pub per_second: f64,
    /// Retries saved up, at most; also what there is at the start.
    pub most: f64,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self { share: 0.2, per_second: 1.0, most: 20.0 }
    }
}

/// The bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryBudget {
    options: BudgetOptions,
    saved: f64,
    at: Moment,
}

impl RetryBudget {
    /// A full one.
    #[must_use]
    pub const fn new(options: BudgetOptions, now: Moment) -> Self {
        Self { options, saved: options.most, at: now }
    }

    /// A request begins.
    pub fn earn(&mut self, now: Moment) {
        self.refill(now, self.options.share);
    }

    /// Takes a retry, if there is one.
    pub fn take(&mut self, now: Moment) -> bool {
        self.refill(now, 0.0);
        let has = self.saved >= 1.0;
        if has {
            self.saved -= 1.0;
        }
        has
    }

    fn refill(&mut self, now: Moment, earned: f64) {
        let time: Duration = now.since(self.at);
        self.at = self.at.max(now);
        let earned = earned + time.as_secs_f64() * self.options.per_second;
        self.saved = (self.saved + earned).min(self.options.most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn retries_are_never_more_than_their_share_of_traffic_and_time(
            steps in prop::collection::vec((0_u64..500, any::<bool>()), 1..500),
        ) {
            let options = BudgetOptions::default();
            let mut budget = RetryBudget::new(options, Moment::from_millis(0));
            let (mut now, mut requests, mut retries) = (0, 0_u32, 0_u32);
            for (pause, is_request) in steps {
                now += pause;
                let moment = Moment::from_millis(now);
                if is_request {
                    budget.earn(moment);
                    requests += 1;
                } else {
                    retries += u32::from(budget.take(moment));
                }
            }
            let earned = f64::from(requests) * options.share + now as f64 / 1000.0 * options.per_second;
            prop_assert!(f64::from(retries) <= options.most + earned + 1e-6);
        }
    }

    #[test]
    fn an_empty_budget_fills_again_with_traffic() {
        let now = Moment::from_millis(5);
        let options = BudgetOptions { share: 0.5, per_second: 0.0, most: 2.0 };
        let mut budget = RetryBudget::new(options, now);
        assert_eq!([budget.take(now), budget.take(now), budget.take(now)], [true, true, false]);
        budget.earn(now);
        assert!(!budget.take(now), "half a retry is none");
        budget.earn(now);
        assert!(budget.take(now));
    }
}
