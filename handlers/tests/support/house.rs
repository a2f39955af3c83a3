//! All of the write side, running: queue, handlers, sequencer, publisher, reactor, jobs; models are scripted.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(dead_code, reason = "each test file uses its part")]
#![expect(unreachable_pub, reason = "shared by the test files of this folder")]

use std::{sync::Arc, time::Duration};

use domain::{
    ChannelId, HoldId, RunId, UserId,
    billing::{Currency, ExpiryPolicy, Nanos, Purpose, Rates, Source, Wallet, WalletCommand, WalletEvent},
    chat::{Session, SessionEvent},
    relay::{ProviderKind, Routing},
};
use handlers::{
    billing::{ExpiryReactor, ExpiryWorker},
    chat::{ReplyOptions, ReplyReactor, ReplyWorker},
    jobs::{JobOptions, run_jobs},
    reactor::run_reactor,
};
use metering::{Call, Catalogue, Held, Meter, MeterOptions, Offer, PayerGroup};
use nats::{CommandClient, CommandMessage, CommandOptions, ConsumerOptions, Outcome, Sent};
use relay::ProviderConfig;
use testkit::provider::MockProvider;
use tokio_util::sync::CancellationToken;

use uuid::Uuid;

use crate::support::{Chat, CommandSide, command, new_user};

/// Short, so that a test sees a take-over within seconds.
pub const LEASE: Duration = Duration::from_millis(800);
/// So short that a test sees a hold expire.
pub const HOLD_LIFE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);
const PARTITIONS: u16 = 4;

/// Input and output prices per million tokens.
pub fn rates(input: &str, output: &str) -> Rates {
    Rates { input: input.parse().unwrap(), output: output.parse().unwrap(), ..Rates::default() }
}

pub struct House {
    pub side: CommandSide,
    pub provider: MockProvider,
    pub commands: CommandClient,
    pub cancel: CancellationToken,
}

/// One process of the reactions role.
pub struct Workers(pub CancellationToken);

impl House {
    /// Everything but the workers.
    pub async fn open() -> Self {
        let (side, provider) = tokio::join!(CommandSide::start(), MockProvider::start());
        let (pool, client) = (side.database.pool.clone(), side.nats.client.clone());
        nats::streams::ensure(&client, &nats::StreamOptions::default()).await.unwrap();
        let cancel = CancellationToken::new();
        let consumer = ConsumerOptions { partitions: PARTITIONS, ..ConsumerOptions::default() };
        tokio::spawn(nats::run_commands(client.clone(), Arc::new(side.node()), consumer, cancel.clone()));
        tokio::spawn(nats::run_sequencer(pool.clone(), Some(client.clone()), Default::default(), cancel.clone()));
        let capabilities = nats::Capabilities(handlers::capabilities());
        tokio::spawn(nats::run_publisher(
            pool.clone(),
            client.clone(),
            capabilities,
            Default::default(),
            cancel.clone(),
        ));
        let options = CommandOptions { partitions: PARTITIONS, ..CommandOptions::default() };
        let commands = CommandClient::new(client, pool, options);
        Self { side, provider, commands, cancel }
    }

    /// One more process that reacts and answers.
    pub fn workers(&self, options: ReplyOptions) -> Workers {
        let (pool, client) = (self.side.database.pool.clone(), self.side.nats.client.clone());
        let cancel = self.cancel.child_token();
        let models = (self.catalogue(), self.meter());
        let replies = ReplyWorker::new(self.side.store.clone(), self.commands.clone(), client.clone(), models, options);
        let expiry = ExpiryWorker::new(self.commands.clone(), ExpiryPolicy::Release);
        tokio::spawn(run_reactor(pool.clone(), client.clone(), Arc::new(ReplyReactor), cancel.clone()));
        tokio::spawn(run_reactor(pool.clone(), client.clone(), Arc::new(ExpiryReactor), cancel.clone()));
        let jobs = JobOptions { concurrency: 8, lease: LEASE, poll: Duration::from_millis(100) };
        tokio::spawn(run_jobs(pool, client, vec![replies.shared(), expiry.shared()], jobs, cancel.clone()));
        Workers(cancel)
    }

    /// The scripted provider several times: as `m`, which is free, as `priced`, and as `shared`, which two channels offer.
    pub fn catalogue(&self) -> Catalogue {
        let base_url = Some(self.provider.base_url().to_owned());
        let provider = relay::provider(ProviderConfig { base_url, ..ProviderConfig::new("openai") }).unwrap();
        let offer = |model: &str, prices: Rates, costs: Rates| {
            Arc::new(Offer {
                model: model.to_owned(),
                upstream: "m".to_owned(),
                channel_id: ChannelId::new(Uuid::from_u128(7)),
                channel: "scripted".to_owned(),
                kind: ProviderKind::Openai,
                provider: Arc::clone(&provider),
                demonstration: false,
                context_tokens: None,
                max_output_tokens: Some(1000),
                prices,
                costs,
                price_version: 1,
                routing: Arc::default(),
                traits: Arc::default(),
                created_at: chrono::Utc::now(),
            })
        };
        let priced = offer("priced", rates("3", "15"), rates("2", "10"));
        let preferred = Routing { priority: 1, ..Routing::default() };
        let first = offer("shared", rates("3", "15"), rates("2", "10"));
        let first = Arc::new(Offer { routing: Arc::new(preferred), ..(*first).clone() });
        let second = offer("shared", rates("6", "30"), rates("4", "20"));
        let second = Arc::new(Offer {
            channel_id: ChannelId::new(Uuid::from_u128(8)),
            channel: "second".to_owned(),
            price_version: 5,
            ..(*second).clone()
        });
        let offers = Arc::from([offer("m", Rates::default(), Rates::default()), priced, first, second]);
        Catalogue::of(offers)
    }

    pub fn meter(&self) -> Meter {
        Meter::new(self.commands.clone(), MeterOptions { hold_life: HOLD_LIFE, ..MeterOptions::default() })
    }

    /// Credit of `owner` set apart for a call of the compatible API to the model with a price.
    pub async fn hold(&self, owner: UserId, output_tokens: u32) -> Held {
        let call = Call {
            payer: owner,
            hold_id: HoldId::new(Uuid::now_v7()),
            purpose: Purpose::Api { api_key_id: None },
            actor: format!("user:{owner}"),
            correlation_id: Uuid::now_v7(),
            must_hold: false,
        };
        let offer = self.catalogue().resolve(Some("priced"), &PayerGroup::default()).await.unwrap();
        let meter = self.meter();
        meter.hold(call, offer.quote(10, Some(output_tokens), meter.bounds())).await.unwrap()
    }

    pub async fn wallet(&self, owner: UserId) -> Wallet {
        self.side.store.load::<Wallet>(&owner.to_string()).await.unwrap().state
    }

    pub async fn wallet_events(&self, owner: UserId) -> Vec<WalletEvent> {
        let events = self.side.store.events::<Wallet>(&owner.to_string()).await.unwrap();
        events.into_iter().map(|event| event.payload).collect()
    }

    /// Credit for `owner`.
    pub async fn grant(&self, owner: UserId, nanos: i64) {
        let grant = WalletCommand::Grant {
            reference: Uuid::now_v7(),
            amount_nanos: Nanos::new(nanos),
            currency: Currency::USD,
            source: Source::SignUp,
            note: None,
            at: chrono::Utc::now(),
        };
        let outcome = self.send(command::<Wallet>(owner, "grant", &grant)).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }

    pub async fn send(&self, message: CommandMessage) -> Outcome {
        match self.commands.send(message, PATIENCE).await.unwrap() {
            Sent::Outcome(outcome) => outcome,
            Sent::Pending => panic!("no outcome within {PATIENCE:?}"),
        }
    }

    /// A conversation in which `prompt` was just said.
    pub async fn asked(&self, prompt: &str) -> (Chat, RunId) {
        let chat = Chat::of(new_user());
        self.send(chat.start()).await;
        let run = self.ask(&chat, prompt).await;
        (chat, run)
    }

    pub async fn ask(&self, chat: &Chat, prompt: &str) -> RunId {
        self.ask_model(chat, prompt, "m").await
    }

    pub async fn ask_model(&self, chat: &Chat, prompt: &str, model: &str) -> RunId {
        let (say, run) = chat.say(prompt, model);
        let outcome = self.send(say).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        run
    }

    pub async fn events(&self, chat: &Chat) -> Vec<SessionEvent> {
        let events = self.side.store.events::<Session>(&chat.id.to_string()).await.unwrap();
        events.into_iter().map(|event| event.payload).collect()
    }

    /// The ending of `run`, as soon as it has one.
    pub async fn ending(&self, chat: &Chat, run: RunId) -> SessionEvent {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(ending) = endings(&self.events(chat).await, run).pop() {
                    return ending;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        found.await.expect("the run ends in time")
    }

    pub async fn attempts(&self, chat: &Chat) -> Vec<u32> {
        let events = self.events(chat).await;
        events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::ReplyStarted { attempt, .. } => Some(*attempt),
                _ => None,
            })
            .collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// All endings of `run`: there must never be two.
pub fn endings(events: &[SessionEvent], run: RunId) -> Vec<SessionEvent> {
    let is_ending = |event: &&SessionEvent| {
        matches!(event, SessionEvent::ReplyCompleted { run_id, .. } | SessionEvent::ReplyFailed { run_id, .. }
            if *run_id == run)
    };
    events.iter().filter(is_ending).cloned().collect()
}

pub fn text(ending: &SessionEvent) -> &str {
    match ending {
        SessionEvent::ReplyCompleted { content, .. } | SessionEvent::ReplyFailed { content, .. } => {
            content.open().map_or("", String::as_str)
        }
        other => panic!("no ending: {other:?}"),
    }
}
