//! Money and tokens as metrics, counted from the log.
//!
//! Promise: each fact is counted by the one runner that follows the log, after its cursor moved: no fact twice, and at
//! most those of one batch not at all, where a process dies in between. Metrics are for graphs; the truth is the ledger.

use std::collections::BTreeMap;

use domain::{
    Decider as _,
    billing::{Nanos, Tokens, Wallet, WalletEvent},
    relay::{Call, CallBatch, CallBatchEvent},
};
use nats::LoggedEvent;

/// Counts what happened to wallets, and what calls consumed that no wallet tells of.
pub(super) fn count(events: &[LoggedEvent]) {
    for event in events {
        // What cannot be read of a wallet has stopped the reaction before.
        match event.aggregate_type.as_str() {
            Wallet::TYPE => drop(event.payload.read().map(count_one)),
            CallBatch::TYPE => drop(event.payload.read().map(count_free)),
            _ => {}
        }
    }
}

/// Calls of one batch are mostly of few models: each model is counted once.
fn count_free(CallBatchEvent::Recorded { calls }: CallBatchEvent) {
    let mut by_model: BTreeMap<&str, Consumed> = BTreeMap::new();
    for (by, _, tokens, _) in calls.iter().filter_map(Call::for_nothing) {
        by_model.entry(&by.model).or_default().add(tokens);
    }
    by_model.into_iter().for_each(|(model, consumed)| consumed.count(model));
}

fn count_one(fact: WalletEvent) {
    match fact {
        WalletEvent::Granted { amount_nanos, .. } => credited("granted", amount_nanos),
        WalletEvent::ToppedUp { amount_nanos, .. } => credited("topped_up", amount_nanos),
        WalletEvent::Held { .. } => metrics::counter!("holds_made_total").increment(1),
        WalletEvent::Charged { model, tokens, charged_nanos, cost_nanos, lost_cost_nanos, .. } => {
            ended("charged");
            let mut consumed = Consumed::default();
            consumed.add(&tokens);
            consumed.count(&model);
            metrics::counter!("charged_nanos_total", "model" => model).increment(of(charged_nanos));
            cost("charged", cost_nanos);
            cost("lost", lost_cost_nanos);
        }
        WalletEvent::Released { lost_cost_nanos, .. } => {
            ended("released");
            cost("lost", lost_cost_nanos);
        }
        WalletEvent::Expired { cost_nanos, .. } => {
            ended("expired");
            cost("expired", cost_nanos);
        }
        WalletEvent::Adjusted { .. } | WalletEvent::HoldExtended { .. } => {}
    }
}

fn credited(kind: &'static str, amount: Nanos) {
    metrics::counter!("credited_nanos_total", "kind" => kind).increment(of(amount));
}

fn ended(outcome: &'static str) {
    metrics::counter!("holds_ended_total", "outcome" => outcome).increment(1);
}

fn cost(reason: &'static str, amount: Nanos) {
    metrics::counter!("upstream_cost_nanos_total", "reason" => reason).increment(of(amount));
}

/// What calls of one model consumed, by tier of tokens and kind of pieces.
#[derive(Default)]
struct Consumed {
    tokens: BTreeMap<&'static str, u64>,
    pieces: BTreeMap<&'static str, u64>,
}

impl Consumed {
    fn add(&mut self, tokens: &Tokens) {
        for (tier, count) in tokens.by_tier().into_iter().filter(|(_, count)| *count > 0) {
            let sum = self.tokens.entry(tier).or_default();
            *sum = sum.saturating_add(count);
        }
        for (kind, count) in tokens.pieces.by_kind().into_iter().filter(|(_, count)| *count > 0) {
            let sum = self.pieces.entry(kind).or_default();
            *sum = sum.saturating_add(count.into());
        }
    }

    fn count(self, model: &str) {
        for (tier, count) in self.tokens {
            metrics::counter!("tokens_total", "model" => model.to_owned(), "tier" => tier).increment(count);
        }
        for (kind, count) in self.pieces {
            metrics::counter!("pieces_total", "model" => model.to_owned(), "kind" => kind).increment(count);
        }
    }
}

/// None of these amounts is ever negative.
fn of(amount: Nanos) -> u64 {
    u64::try_from(amount.get()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use nats::{Body, Metadata};

    use super::*;

    fn stored(name: &str) -> LoggedEvent {
        stored_with(name, "")
    }

    fn stored_with(name: &str, what: &str) -> LoggedEvent {
        let path = format!("{}/../domain/tests/wire/{name}.v1{what}.json", env!("CARGO_MANIFEST_DIR"));
        let payload = Body::read_from(std::fs::read(path).unwrap()).unwrap();
        LoggedEvent {
            epoch: 1,
            position: 1,
            aggregate_type: name.split('.').next().unwrap().to_owned(),
            aggregate_id: "1".to_owned(),
            sequence: 1,
            event_type: name.to_owned(),
            event_version: "1".to_owned(),
            payload,
            metadata: Metadata::default(),
            recorded_at: DateTime::UNIX_EPOCH,
            tenant: "default".to_owned(),
        }
    }

    #[test]
    fn money_and_tokens_are_counted_as_the_events_say() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let events =
            ["granted", "held", "charged", "released", "expired"].map(|name| stored(&format!("wallet.{name}")));
        metrics::with_local_recorder(&recorder, || {
            count(&events);
            count(&[
                stored("session.started"),
                stored("call_batch.recorded"),
                stored_with("call_batch.recorded", "+free"),
            ]);
        });
        let counted = recorder.handle().render();
        for line in [
            r#"credited_nanos_total{kind="granted"} 1000000000"#,
            "holds_made_total 1",
            r#"holds_ended_total{outcome="charged"} 1"#,
            r#"holds_ended_total{outcome="released"} 1"#,
            r#"holds_ended_total{outcome="expired"} 1"#,
            r#"tokens_total{model="gpt-4o-mini",tier="cached_input"} 200"#,
            r#"tokens_total{model="llama",tier="output"} 31"#,
            r#"charged_nanos_total{model="gpt-4o-mini"} 393000"#,
            r#"upstream_cost_nanos_total{reason="charged"} 195000"#,
            r#"upstream_cost_nanos_total{reason="lost"} 360000"#,
            r#"upstream_cost_nanos_total{reason="expired"} 180000"#,
        ] {
            assert!(counted.lines().any(|counted| counted == line), "{line} is missing in:\n{counted}");
        }
    }
}
