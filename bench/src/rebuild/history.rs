//! A log as the house writes it: people who talk to models and call the API, and what that costs them.

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use domain::billing::{Basis, Currency, Nanos, Purpose, Quote, Rates, Source, Tokens, Wallet, WalletCommand};
use domain::chat::{Finish, Session, SessionEvent, Usage};
use domain::{ChannelId, Decider, HoldId, MessageId, RunId, Sealed, SessionId, UserId};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use vault::{Place, Vault};

/// People whose events alternate.
pub(crate) const AT_ONCE: usize = 100;
pub(crate) const QUESTION_CHARS: usize = 200;
pub(crate) const ANSWER_CHARS: usize = 1000;
/// Replies of one conversation, and as many calls of the API beside it.
const TURNS: usize = 10;
/// Conversations of one person.
const SESSIONS: usize = 10;
/// Events of one insert.
const AT_A_TIME: usize = 5000;

/// What was written.
pub(crate) struct Seeded {
    pub(crate) events: i64,
    pub(crate) of_wallets: i64,
    pub(crate) of_sessions: i64,
    pub(crate) people: usize,
}

/// Somebody, with one conversation at a time.
struct Person {
    id: UserId,
    wallet: Wallet,
    wallet_sequence: i64,
    session: SessionId,
    session_sequence: i64,
    last_reply: Option<MessageId>,
    turns: usize,
}

/// Events that wait to be inserted.
struct Log<'l> {
    pool: &'l PgPool,
    vault: &'l Vault,
    position: i64,
    now: DateTime<Utc>,
    of_wallets: i64,
    of_sessions: i64,
    types: Vec<&'static str>,
    ids: Vec<String>,
    sequences: Vec<i64>,
    event_types: Vec<String>,
    versions: Vec<String>,
    payloads: Vec<String>,
    metadata: Vec<String>,
}

/// Writes `events` events, in the order and with the positions that the sequencer would have given them.
///
/// # Errors
/// The database or the vault does not take them.
pub(crate) async fn seed(pool: &PgPool, vault: &Vault, events: usize) -> anyhow::Result<Seeded> {
    let mut log = Log {
        pool,
        vault,
        position: 0,
        now: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
        of_wallets: 0,
        of_sessions: 0,
        types: vec![],
        ids: vec![],
        sequences: vec![],
        event_types: vec![],
        versions: vec![],
        payloads: vec![],
        metadata: vec![],
    };
    let mut people = 0;
    let mut active: Vec<Person> = vec![];
    while log.len() < events {
        if active.len() < AT_ONCE {
            active.push(Person::arrive(&mut log).await?);
            people += 1;
        }
        for person in &mut active {
            if log.len() < events {
                person.turn(&mut log).await?;
            }
        }
        active.retain(|person| person.turns < TURNS * SESSIONS);
    }
    log.write().await?;
    let sql = "UPDATE sequencer SET snap = pg_current_snapshot(), last = $1";
    sqlx::query(sql).bind(log.position).execute(pool).await?;
    Ok(Seeded { events: log.position, of_wallets: log.of_wallets, of_sessions: log.of_sessions, people })
}

impl Person {
    async fn arrive(log: &mut Log<'_>) -> anyhow::Result<Self> {
        let mut person = Self {
            id: UserId::new(Uuid::now_v7()),
            wallet: Wallet::default(),
            wallet_sequence: 0,
            session: SessionId::new(Uuid::now_v7()),
            session_sequence: 0,
            last_reply: None,
            turns: 0,
        };
        let amount_nanos = Nanos::new(1_000_000_000_000);
        let (reference, currency, source, at) = (Uuid::now_v7(), Currency::USD, Source::SignUp, log.tick());
        let note = Some(Sealed::new(person.id, "welcome".to_owned()));
        person.pay(log, WalletCommand::Grant { reference, amount_nanos, currency, source, note, at }).await?;
        Ok(person)
    }

    /// A question with its answer, and a call of the API.
    async fn turn(&mut self, log: &mut Log<'_>) -> anyhow::Result<()> {
        if self.turns.is_multiple_of(TURNS) {
            (self.session, self.session_sequence) = (SessionId::new(Uuid::now_v7()), 0);
            self.last_reply = None;
            let at = log.tick();
            self.say(log, SessionEvent::Started { owner: self.id, title: None, at }).await?;
        }
        self.turns += 1;
        let (question, reply) = (MessageId::new(Uuid::now_v7()), MessageId::new(Uuid::now_v7()));
        let run_id = RunId::new(Uuid::now_v7());
        let (content, at) = (self.text("What do you think of this? ", QUESTION_CHARS), log.tick());
        let parent_id = self.last_reply.replace(reply);
        self.say(log, SessionEvent::MessageSent { message_id: question, parent_id, content, at }).await?;
        let model = "small".to_owned();
        let asked = SessionEvent::ReplyRequested { run_id, reply_id: reply, parent_id: question, model, at };
        self.say(log, asked).await?;
        let at = log.tick();
        self.say(log, SessionEvent::ReplyStarted { run_id, attempt: 1, at }).await?;
        let hold_id = HoldId::new(run_id.uuid());
        self.hold(log, hold_id, Purpose::Reply { session_id: self.session, run_id }).await?;
        self.call(log).await?;
        let (content, at) = (self.text("It depends on what you want. ", ANSWER_CHARS), log.tick());
        let usage = Some(Usage { input_tokens: 60, output_tokens: 250, basis: "reported".to_owned() });
        let completed = SessionEvent::ReplyCompleted { run_id, attempt: 1, content, finish: Finish::Stop, usage, at };
        self.say(log, completed).await?;
        self.charge(log, hold_id).await
    }

    async fn call(&mut self, log: &mut Log<'_>) -> anyhow::Result<()> {
        let hold_id = HoldId::new(Uuid::now_v7());
        self.hold(log, hold_id, Purpose::Api { api_key_id: None }).await?;
        self.charge(log, hold_id).await
    }

    async fn hold(&mut self, log: &mut Log<'_>, hold_id: HoldId, purpose: Purpose) -> anyhow::Result<()> {
        let rate = |text: &str| text.parse().ok().context("a rate");
        let quote = Quote {
            model: "small".to_owned(),
            channel_id: ChannelId::new(Uuid::from_u128(7)),
            price_version: 3,
            prices: Rates { input: rate("0.15")?, output: rate("0.6")?, ..Rates::default() },
            costs: Rates { input: rate("0.1")?, output: rate("0.4")?, ..Rates::default() },
            input_tokens: 60,
            max_output_tokens: 4096,
            min_output_tokens: 64,
            pieces: domain::billing::Pieces::NONE,
            alternatives: vec![],
        };
        let at = log.tick();
        let expires_at = at + TimeDelta::seconds(120);
        self.pay(log, WalletCommand::Hold { hold_id, purpose, quote, expires_at, at }).await
    }

    async fn charge(&mut self, log: &mut Log<'_>, hold_id: HoldId) -> anyhow::Result<()> {
        let tokens = Tokens { input: 60, output: 250, ..Tokens::default() };
        let (basis, at) = (Basis::Reported, log.tick());
        self.pay(log, WalletCommand::ChargeTokens { hold_id, tokens, basis, by: None, lost_attempts: 0, at }).await
    }

    async fn pay(&mut self, log: &mut Log<'_>, command: WalletCommand) -> anyhow::Result<()> {
        for event in self.wallet.decide(command)? {
            self.wallet.apply(event.clone());
            self.wallet_sequence += 1;
            log.of_wallets += 1;
            log.append::<Wallet>(self.id.to_string(), self.wallet_sequence, &event).await?;
        }
        Ok(())
    }

    async fn say(&mut self, log: &mut Log<'_>, event: SessionEvent) -> anyhow::Result<()> {
        self.session_sequence += 1;
        log.of_sessions += 1;
        log.append::<Session>(self.session.to_string(), self.session_sequence, &event).await
    }

    fn text(&self, sentence: &str, chars: usize) -> Sealed<String> {
        Sealed::new(self.id, sentence.repeat(chars.div_ceil(sentence.len())))
    }
}

impl Log<'_> {
    fn len(&self) -> usize {
        usize::try_from(self.position).unwrap_or_default() + self.ids.len()
    }

    fn tick(&mut self) -> DateTime<Utc> {
        self.now += TimeDelta::milliseconds(7);
        self.now
    }

    async fn append<D: Decider>(&mut self, id: String, sequence: i64, event: &D::Event) -> anyhow::Result<()> {
        let mut payload = serde_json::to_value(event)?;
        let place = Place { aggregate_type: D::TYPE, aggregate_id: &id, sequence };
        self.vault.seal(&place, &mut payload).await?;
        let command = Uuid::now_v7();
        let metadata = json!({"command_id": command, "actor": id, "correlation_id": command, "tenant": "default"});
        self.types.push(D::TYPE);
        self.ids.push(id);
        self.sequences.push(sequence);
        self.event_types.push(event.event_type());
        self.versions.push(event.event_version());
        self.payloads.push(payload.to_string());
        self.metadata.push(metadata.to_string());
        if self.ids.len() >= AT_A_TIME { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let count = self.ids.len() as i64;
        let positions: Vec<i64> = (self.position + 1..=self.position + count).collect();
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             SELECT a, i, s, t, v, p::json, m::json FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], \
             $5::text[], $6::text[], $7::text[]) AS e (a, i, s, t, v, p, m)",
        )
        .bind(&self.types)
        .bind(&self.ids)
        .bind(&self.sequences)
        .bind(std::mem::take(&mut self.event_types))
        .bind(std::mem::take(&mut self.versions))
        .bind(std::mem::take(&mut self.payloads))
        .bind(std::mem::take(&mut self.metadata))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])",
        )
        .bind(positions)
        .bind(std::mem::take(&mut self.types))
        .bind(std::mem::take(&mut self.ids))
        .bind(std::mem::take(&mut self.sequences))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.position += count;
        Ok(())
    }
}
