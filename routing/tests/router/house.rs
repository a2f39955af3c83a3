//! Channels that are real HTTP servers, and a router before them.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelId, relay::Limits as ChannelLimits};
use futures::StreamExt as _;
use relay::{
    ChatRequest, KeyRef, Provider, ProviderConfig, ProviderKey, RelayError, ReplyDelta, ReplyStream, Role, Turn,
};
use routing::{
    Answered, Asked, BreakerOptions, Candidate, Demand, HealthOptions, Router, RouterOptions, Stage, Tries, Unanswered,
    Waiting, When, Wish,
};
use testkit::provider::{MockProvider, Script};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One channel: a server, and an account there.
pub(crate) struct Channel {
    pub(crate) upstream: MockProvider,
    pub(crate) id: ChannelId,
    account: Arc<dyn Provider>,
    pub(crate) candidate: Candidate,
}

impl Channel {
    /// The `number`-th channel; the lower its number the sooner it is asked.
    pub(crate) async fn start(number: u128, keys: &[&str]) -> Self {
        let upstream = MockProvider::start().await;
        let key = |key: &&str| ProviderKey { name: KeyRef::new(key), secret: (*key).into() };
        let config = ProviderConfig {
            base_url: Some(upstream.base_url().to_owned()),
            keys: keys.iter().map(key).collect(),
            ..ProviderConfig::new("openai")
        };
        let account = relay::provider(config).unwrap();
        let id = ChannelId::new(Uuid::from_u128(number));
        let candidate = Candidate {
            channel: id,
            name: format!("channel {number}").into(),
            told: format!("place {number}").into(),
            model: "mock-1".into(),
            priority: -i32::try_from(number).unwrap(),
            weight: 1,
            price: 0,
            keys: keys.iter().map(|key| KeyRef::new(key)).collect(),
            limits: ChannelLimits::default(),
            context_tokens: None,
        };
        Self { upstream, id, account, candidate }
    }
}

/// Channels behind one router.
pub(crate) struct House {
    pub(crate) router: Arc<Router>,
    pub(crate) channels: Vec<Channel>,
    /// Further models: the reason to ask them, and the channels that offer them.
    pub(crate) instead: Vec<(When, Vec<usize>)>,
    pub(crate) tries: Tries,
    pub(crate) hedge_after: Option<Duration>,
}

/// Quick enough to wait for.
pub(crate) fn quick() -> RouterOptions {
    let breaker =
        BreakerOptions { failures: 3, open: Duration::from_millis(300), jitter: 0.0, ..BreakerOptions::default() };
    RouterOptions { health: HealthOptions { breaker, ..HealthOptions::default() }, ..RouterOptions::default() }
}

impl House {
    /// So many channels with these keys each, asked in their order.
    pub(crate) async fn start(channels: u128, keys: &[&str]) -> Self {
        Self::with(quick(), channels, keys).await
    }

    pub(crate) async fn with(options: RouterOptions, channels: u128, keys: &[&str]) -> Self {
        let mut started = vec![];
        for number in 0..channels {
            started.push(Channel::start(number, keys).await);
        }
        let tries = Tries { pause: Duration::from_millis(10), ..Tries::default() };
        Self { router: Router::new(options), channels: started, instead: vec![], tries, hedge_after: None }
    }

    pub(crate) fn upstream(&self, channel: usize) -> &MockProvider {
        &self.channels[channel].upstream
    }

    /// How often every channel was asked.
    pub(crate) fn received(&self) -> Vec<u64> {
        self.channels.iter().map(|channel| channel.upstream.received()).collect()
    }

    pub(crate) fn demand(&self) -> Demand {
        let first: Vec<usize> =
            (0..self.channels.len()).filter(|at| !self.instead.iter().any(|(_, of)| of.contains(at))).collect();
        let stage = |(when, of): (When, Vec<usize>)| Stage {
            model: format!("{when:?}").into(),
            when,
            strategy: None,
            candidates: of.iter().map(|at| self.channels[*at].candidate.clone()).collect(),
        };
        let stages = [(When::First, first)].into_iter().chain(self.instead.clone()).map(stage).collect();
        let wish = Wish { input_tokens: 10, ..Wish::default() };
        Demand { stages, wish, tries: self.tries, hedge_after: self.hedge_after }
    }

    /// Asks, and gives the answer that has begun.
    pub(crate) async fn begin(&self) -> Result<Answered<ReplyStream>, Unanswered> {
        let demand = self.demand();
        let cancel = CancellationToken::new();
        let ask = |asked: Asked| {
            let candidate = &demand.stages[asked.stage].candidates[asked.candidate];
            let channel = self.channels.iter().find(|channel| channel.id == candidate.channel).unwrap();
            let (account, question) = (Arc::clone(&channel.account), ChatRequest { key: asked.key, ..question() });
            async move { account.chat(question, CancellationToken::new()).await }
        };
        let waiting = Waiting { cancel: &cancel, still: &|| true };
        tokio::time::timeout(PATIENCE, self.router.attempt(&demand, waiting, ask)).await.expect("an attempt ends")
    }

    /// Asks and reads to the end: the text and the channel.
    pub(crate) async fn ask(&self) -> Result<(String, usize), RelayError> {
        let Answered { answer, by, .. } = self.begin().await.map_err(|unanswered| unanswered.error)?;
        let place = self.demand().stages[by.stage].candidates[by.candidate].channel;
        let channel = self.channels.iter().position(|channel| channel.id == place).unwrap();
        Ok((read(answer).await?, channel))
    }
}

pub(crate) async fn read(mut answer: ReplyStream) -> Result<String, RelayError> {
    let mut text = String::new();
    while let Some(step) = tokio::time::timeout(PATIENCE, answer.next()).await.expect("an answer goes on") {
        match step? {
            ReplyDelta::Text(piece) => text.push_str(&piece),
            ReplyDelta::Done { .. } => return Ok(text),
        }
    }
    Err(RelayError::UpstreamCut)
}

fn question() -> ChatRequest {
    ChatRequest {
        model: "mock-1".to_owned(),
        turns: vec![Turn { role: Role::User, content: "Hello".to_owned() }],
        max_output_tokens: None,
        temperature: None,
        user_tag: None,
        key: None,
    }
}

pub(crate) fn refuses(status: u16, code: &str) -> Script {
    let body = format!(r#"{{"error":{{"message":"no","type":"invalid_request_error","param":null,"code":"{code}"}}}}"#);
    Script::fails(status, body)
}

pub(crate) fn limits_for(seconds: u32) -> Script {
    refuses(429, "rate_limit_exceeded").header("retry-after", &seconds.to_string())
}
