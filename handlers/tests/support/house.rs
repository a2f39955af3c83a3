//! All of the write side, running: queue, handlers, sequencer, publisher, reactor, jobs; models are scripted.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(unreachable_pub, reason = "shared by the test files of this folder")]

use std::{sync::Arc, time::Duration};

use domain::{
    RunId,
    chat::{Session, SessionEvent},
};
use handlers::{
    chat::{ReplyOptions, ReplyReactor, ReplyWorker},
    jobs::{JobOptions, run_jobs},
    reactor::run_reactor,
};
use nats::{CommandClient, CommandMessage, CommandOptions, ConsumerOptions, Outcome, Sent};
use relay::{
    Catalogue,
    openai::{Limits, OpenAi, OpenAiConfig},
};
use testkit::provider::MockProvider;
use tokio_util::sync::CancellationToken;

use crate::support::{Chat, CommandSide, new_user};

/// Short, so that a test sees a take-over within seconds.
pub const LEASE: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(30);
const PARTITIONS: u16 = 4;

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
        let openai = OpenAi::new(OpenAiConfig {
            base_url: self.provider.base_url().to_owned(),
            api_key: None,
            models: vec!["m".to_owned()],
            limits: Limits::default(),
            address_policy: relay::AddressPolicy::default(),
        });
        let catalogue = Catalogue::new(vec![Arc::new(openai.unwrap())]);
        let worker =
            ReplyWorker::new(self.side.store.clone(), self.commands.clone(), client.clone(), catalogue, options);
        tokio::spawn(run_reactor(pool.clone(), client.clone(), Arc::new(ReplyReactor), cancel.clone()));
        let jobs = JobOptions { concurrency: 8, lease: LEASE, poll: Duration::from_millis(100) };
        tokio::spawn(run_jobs(pool, client, vec![worker.shared()], jobs, cancel.clone()));
        Workers(cancel)
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
        let (say, run) = chat.say(prompt, "m");
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
