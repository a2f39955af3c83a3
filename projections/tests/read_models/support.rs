//! A database of one's own, events in it as the store and the sequencer would have left them, and a conversation to play.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    Decider, MessageId, RunId, Sealed, SessionId, UserId,
    chat::{Finish, Session, SessionEvent, Usage},
};
use nats::EventRef;
use projections::{
    Checkpoint, ProjectedEvent, ProjectionError, Projector, RunnerOptions, Touched, run_until_caught_up,
};
use sqlx::PgPool;
use testkit::TestDatabase;
use uuid::Uuid;
use vault::{MasterKey, Place, Vault};

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) vault: Vault,
    _database: TestDatabase,
}

pub(crate) async fn world() -> World {
    let database = testkit::database().await;
    let pool = database.pool.clone();
    let vault = Vault::open(pool.clone(), MasterKey::generate().unwrap()).await.unwrap();
    World { pool, vault, _database: database }
}

/// Seconds after an arbitrary fixed instant.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

impl World {
    /// Stores `event` sealed and gives it the next position. Answers its name.
    pub(crate) async fn append<D: Decider>(&self, id: impl ToString, event: D::Event) -> EventRef {
        let event_ref = self.store::<D>(id, event).await;
        self.give_position(&event_ref, None).await;
        event_ref
    }

    /// Stores `event` as its next in its aggregate, without a position.
    pub(crate) async fn store<D: Decider>(&self, id: impl ToString, event: D::Event) -> EventRef {
        let aggregate_id = id.to_string();
        let next = "SELECT coalesce(max(sequence), 0) + 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2";
        let sequence: i64 =
            sqlx::query_scalar(next).bind(D::TYPE).bind(&aggregate_id).fetch_one(&self.pool).await.unwrap();
        let mut payload = serde_json::to_value(&event).unwrap();
        let place = Place { aggregate_type: D::TYPE, aggregate_id: &aggregate_id, sequence };
        self.vault.seal(&place, &mut payload).await.unwrap();
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             VALUES ($1, $2, $3, $4, $5, $6, '{}')",
        )
        .bind(D::TYPE)
        .bind(&aggregate_id)
        .bind(sequence)
        .bind(event.event_type())
        .bind(event.event_version())
        .bind(payload)
        .execute(&self.pool)
        .await
        .unwrap();
        EventRef { aggregate_type: D::TYPE.to_owned(), aggregate_id, sequence }
    }

    /// Puts a stored event at `position`, or at the end.
    pub(crate) async fn give_position(&self, event: &EventRef, position: Option<i64>) {
        sqlx::query(
            "INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence) \
             SELECT coalesce($1, max(position) + 1, 1), $2, $3, $4 FROM event_log",
        )
        .bind(position)
        .bind(&event.aggregate_type)
        .bind(&event.aggregate_id)
        .bind(event.sequence)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Hands one stored event to `projector`, and nothing else of its machinery. Answers what a browser would hear.
    pub(crate) async fn apply_alone(
        &self,
        projector: &dyn Projector,
        aggregate_type: &str,
        id: impl ToString,
        sequence: i64,
    ) -> Result<Touched, ProjectionError> {
        let aggregate_id = id.to_string();
        let logged = nats::page_log(&self.pool, 0, 1000).await.unwrap();
        let wanted = |event: &nats::LoggedEvent| {
            event.aggregate_type == aggregate_type && event.aggregate_id == aggregate_id && event.sequence == sequence
        };
        let mut event = ProjectedEvent::from(logged.into_iter().find(wanted).expect("the event"));
        event.open(&self.vault).await.unwrap();
        let mut tx = self.pool.begin().await.unwrap();
        let path = format!("SET LOCAL search_path = {}, public", projector.name());
        sqlx::query(&path).execute(&mut *tx).await.unwrap();
        let touched = projector.apply(&mut tx, &[&event]).await?;
        tx.commit().await.unwrap();
        Ok(touched)
    }

    pub(crate) async fn project(&self, projector: &dyn Projector) -> Checkpoint {
        run_until_caught_up(&self.pool, &self.vault, projector, &RunnerOptions::default()).await.unwrap()
    }
}

pub(crate) fn user() -> UserId {
    UserId::new(Uuid::now_v7())
}

/// A question and the reply that it asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) question: MessageId,
    pub(crate) reply: MessageId,
    pub(crate) run: RunId,
}

/// A conversation being had; every event is a second after the one before.
pub(crate) struct Talk<'w> {
    pub(crate) world: &'w World,
    pub(crate) owner: UserId,
    pub(crate) id: SessionId,
    pub(crate) seconds: i64,
}

impl<'w> Talk<'w> {
    pub(crate) async fn start(world: &'w World, owner: UserId, seconds: i64, title: Option<&str>) -> Self {
        let mut talk = Self { world, owner, id: SessionId::new(Uuid::now_v7()), seconds };
        let title = title.map(|title| talk.sealed(title));
        let event = SessionEvent::Started { owner, title, at: talk.tick() };
        talk.say(event).await;
        talk
    }

    pub(crate) fn sealed(&self, text: &str) -> Sealed<String> {
        Sealed::new(self.owner, text.to_owned())
    }

    pub(crate) fn tick(&mut self) -> DateTime<Utc> {
        self.seconds += 1;
        at(self.seconds)
    }

    pub(crate) async fn say(&self, event: SessionEvent) -> EventRef {
        self.world.append::<Session>(self.id, event).await
    }

    /// `parent` is the answer that the question follows.
    pub(crate) async fn ask(&mut self, parent: Option<MessageId>, text: &str) -> Asked {
        let question = MessageId::new(Uuid::now_v7());
        let content = self.sealed(text);
        let at = self.tick();
        self.say(SessionEvent::MessageSent { message_id: question, parent_id: parent, content, at }).await;
        self.regenerate(question).await
    }

    pub(crate) async fn regenerate(&mut self, question: MessageId) -> Asked {
        let (reply, run) = (MessageId::new(Uuid::now_v7()), RunId::new(Uuid::now_v7()));
        let (model, at) = ("small".to_owned(), self.tick());
        let event = SessionEvent::ReplyRequested { run_id: run, reply_id: reply, parent_id: question, model, at };
        self.say(event).await;
        Asked { question, reply, run }
    }

    pub(crate) async fn begin(&mut self, run: RunId, attempt: u32) -> EventRef {
        let at = self.tick();
        self.say(SessionEvent::ReplyStarted { run_id: run, attempt, at }).await
    }

    pub(crate) async fn complete(&mut self, run: RunId, text: &str, finish: Finish) -> EventRef {
        let usage = Some(Usage { input_tokens: 7, output_tokens: 3, basis: "reported".to_owned() });
        let (content, at) = (self.sealed(text), self.tick());
        self.say(SessionEvent::ReplyCompleted { run_id: run, attempt: 1, content, finish, usage, at }).await
    }

    /// A question with its finished answer.
    pub(crate) async fn exchange(&mut self, parent: Option<MessageId>, question: &str, answer: &str) -> Asked {
        let asked = self.ask(parent, question).await;
        self.begin(asked.run, 1).await;
        self.complete(asked.run, answer, Finish::Stop).await;
        asked
    }
}
