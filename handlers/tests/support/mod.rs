//! A command side on a fresh database and an own NATS server, without its queue: tests deliver by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(dead_code, reason = "each test file uses its part")]
#![expect(unreachable_pub, reason = "shared by the test files of this folder")]

use chrono::{DateTime, Utc};
use domain::{
    Decider, MessageId, RunId, Sealed, SessionId, UserId,
    chat::{Finish, Parent, Session, SessionCommand},
    users::{RegisterUser, Role, User, UserCommand},
};
use handlers::{Bus, Dispatcher, cache::AggregateCache, dead_letters::DeadLetters, plans, store::PgEventStore};
use nats::{CommandHandler as _, CommandMessage, Handled, Outcome};
use serde::Serialize;
use testkit::{TestDatabase, TestNats};
use uuid::Uuid;
use vault::{MasterKey, Vault};

pub struct CommandSide {
    pub database: TestDatabase,
    pub nats: TestNats,
    pub vault: Vault,
    pub store: PgEventStore,
}

impl CommandSide {
    pub async fn start() -> Self {
        let (database, nats) = tokio::join!(testkit::database(), testkit::nats());
        let vault = Vault::open(database.pool.clone(), MasterKey::generate().unwrap()).await.unwrap();
        let store = PgEventStore::new(database.pool.clone(), vault.clone());
        Self { database, nats, vault, store }
    }

    /// A handler process: its own cache, the shared database.
    pub fn node(&self) -> Dispatcher {
        let bus = Bus::new(self.store.clone(), AggregateCache::new(1 << 20), self.nats.client.clone());
        Dispatcher::new(bus, plans(), self.dead_letters())
    }

    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.database.pool.clone(), self.vault.clone())
    }

    pub async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(&format!("SELECT count(*) FROM {table}")).fetch_one(&self.database.pool).await.unwrap()
    }
}

pub async fn deliver(node: &Dispatcher, message: &CommandMessage) -> Outcome {
    match node.handle(&std::sync::Arc::new(message.clone()), 1).await {
        Handled::Reply(outcome) => outcome,
        other => panic!("no reply: {}", describe(&other)),
    }
}

pub fn describe(handled: &Handled) -> String {
    match handled {
        Handled::Reply(outcome) => format!("reply {outcome:?}"),
        Handled::Retry { error } => format!("retry: {error}"),
        Handled::GiveUp { error } => format!("give up: {error}"),
    }
}

pub fn refusal(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn command<D: Decider>(id: impl std::fmt::Display, verb: &str, body: &impl Serialize) -> CommandMessage {
    CommandMessage::new((D::CAPABILITY, D::TYPE, verb), id, "test", serde_json::to_value(body).unwrap())
}

pub fn new_user() -> UserId {
    UserId::new(Uuid::now_v7())
}

pub fn registration(vault: &Vault, user: UserId, email: &str, username: &str) -> CommandMessage {
    let sealed = |text: &str| Sealed::new(user, text.to_owned());
    command::<User>(
        user,
        "register_user",
        &RegisterUser {
            grant: None,
            email_key: vault.name_hash("email", email),
            username_key: vault.name_hash("username", username),
            command: UserCommand::RegisterUser {
                email: sealed(email),
                username: sealed(username),
                password_hash: sealed("$argon2id$not-a-real-hash"),
                role: Role::User,
                at: now(),
            },
        },
    )
}

pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A conversation of `owner` as a test drives it.
pub struct Chat {
    pub owner: UserId,
    pub id: SessionId,
}

impl Chat {
    pub fn of(owner: UserId) -> Self {
        Self { owner, id: SessionId::new(Uuid::now_v7()) }
    }

    pub fn start(&self) -> CommandMessage {
        let body = SessionCommand::StartSession { owner: self.owner, title: None, at: now() };
        command::<Session>(self.id, "start_session", &body)
    }

    /// The command, and the run it asks for.
    pub fn say(&self, text: &str, model: &str) -> (CommandMessage, RunId) {
        let run_id = RunId::new(Uuid::now_v7());
        let body = SessionCommand::SendMessage {
            by: self.owner,
            message_id: MessageId::new(Uuid::now_v7()),
            parent: Parent::NewestLeaf,
            content: Sealed::new(self.owner, text.to_owned()),
            model: model.to_owned(),
            run_id,
            reply_id: MessageId::new(Uuid::now_v7()),
            at: now(),
        };
        (command::<Session>(self.id, "send_message", &body), run_id)
    }

    pub fn rename(&self, title: &str) -> CommandMessage {
        let title = Sealed::new(self.owner, title.to_owned());
        command::<Session>(
            self.id,
            "rename_session",
            &SessionCommand::RenameSession { by: self.owner, title, at: now() },
        )
    }

    pub fn delete(&self) -> CommandMessage {
        command::<Session>(self.id, "delete_session", &SessionCommand::DeleteSession { by: self.owner, at: now() })
    }

    pub fn restore(&self) -> CommandMessage {
        command::<Session>(self.id, "restore_session", &SessionCommand::RestoreSession { by: self.owner, at: now() })
    }

    pub fn attempt(&self, run_id: RunId, attempt: u32) -> CommandMessage {
        let body = SessionCommand::StartReply { run_id, attempt, at: now() };
        command::<Session>(self.id, "start_reply", &body)
    }

    pub fn complete(&self, run_id: RunId, attempt: u32, text: &str) -> CommandMessage {
        let body = SessionCommand::CompleteReply {
            run_id,
            attempt,
            content: Sealed::new(self.owner, text.to_owned()),
            finish: Finish::Stop,
            usage: None,
            at: now(),
        };
        command::<Session>(self.id, "complete_reply", &body)
    }

    pub fn stop(&self, run_id: RunId) -> CommandMessage {
        command::<Session>(self.id, "stop_reply", &SessionCommand::StopReply { by: self.owner, run_id, at: now() })
    }
}
