//! One person of a run, who does one thing after the other and remembers what came of it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::calls::{self, Caller};
use crate::client::{Client, Request, Told};
use crate::follow::follow;
use crate::journal::{Answer, Did, Entry, Journal, id};
use crate::plan::{Act, Manner, Step};

const PASSWORD: &str = "a long enough passphrase";

/// Somebody and what is theirs.
pub struct Person {
    name: String,
    client: Client,
    journal: Arc<Journal>,
    user: Uuid,
    key: String,
    sessions: Vec<Uuid>,
    questions: Vec<Question>,
    replies: Vec<Uuid>,
    following: JoinSet<()>,
}

/// Something said that has an answer.
#[derive(Clone)]
struct Question {
    session: Uuid,
    tag: String,
    message: Uuid,
}

impl Person {
    pub fn new(number: usize, client: Client, journal: Arc<Journal>) -> Self {
        Self {
            name: format!("u{number}"),
            client,
            journal,
            user: Uuid::nil(),
            key: String::new(),
            sessions: vec![],
            questions: vec![],
            replies: vec![],
            following: JoinSet::new(),
        }
    }

    /// Registers, signs in, makes a key; tells who it became. `None` if that failed, which the journal tells.
    pub async fn arrive(&mut self) -> Option<Uuid> {
        let email = format!("{}@example.org", self.name);
        let body = json!({"email": email, "username": format!("name-{}", self.name), "password": PASSWORD});
        let mut registered = self.client.ask(&Request::unkeyed(Method::POST, "auth/register", body)).await;
        // It takes no key: a repeated one is told that the names are taken, by the first try.
        if registered.sends > 1
            && matches!(&registered.answer, Answer::Refused { code, .. } if code.ends_with("_taken"))
        {
            registered.answer = Answer::Acknowledged(Value::Null);
        }
        let is_registered = registered.answer.body().is_some();
        self.note(Did::Register { email: email.clone() }, vec![registered]);
        if !is_registered {
            return None;
        }
        let signed_in = self.client.sign_in_surely(&email, PASSWORD).await;
        self.note(Did::SignIn, vec![signed_in]);
        let key = format!("{}-key", self.name);
        let request = Request::post("api-keys", json!({"name": "robot"}), key).that_may_be_unknown_yet();
        let made = self.client.ask(&request).await;
        self.key = made.answer.body().and_then(|body| body["key"].as_str()).unwrap_or_default().to_owned();
        self.note(Did::MakeKey, vec![made]);
        self.user = self.client.get_surely("me").await.as_ref().and_then(|me| id(me, "id"))?;
        Some(self.user)
    }

    pub async fn live(mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            sleep(Duration::from_millis(step.after_ms)).await;
            self.client.at(step.api);
            let tag = format!("{}-{number}", self.name);
            self.act(step, tag).await;
        }
        while let Some(followed) = self.following.join_next().await {
            followed.expect("a reader comes to an end");
        }
    }

    async fn act(&mut self, step: &Step, tag: String) {
        match &step.act {
            Act::Begin => self.begin(step, tag).await,
            Act::Say { session, manner, followed } => {
                let run = self.say(step, tag, *session, manner).await;
                run.filter(|_| *followed).into_iter().for_each(|run| self.follow(run));
            }
            Act::Regenerate { question } => self.regenerate(step, tag, *question).await,
            Act::Stop { reply } => self.stop(*reply).await,
            Act::Rename { session } => self.rename(tag, *session).await,
            Act::Look { session } => self.look(*session).await,
            Act::SignIn => {
                let told = self.client.sign_in(&format!("{}@example.org", self.name), PASSWORD).await;
                self.note(Did::SignIn, vec![told]);
            }
            Act::Call { streamed, manner, leave_after_ms } => {
                let leave_after = leave_after_ms.map(Duration::from_millis);
                let prompt = format!("{tag} {}", manner.directives());
                let call = calls::Call { streamed: *streamed, prompt, leave_after };
                let caller = Caller { client: &self.client, key: &self.key, api: step.api };
                let answer = caller.call(&call).await;
                let did = Did::Call { owner: self.user, tag, api: step.api };
                self.journal.note(Entry { who: self.name.clone(), did, sends: 1, answers: vec![answer] });
            }
            Act::Grant { .. } | Act::TopUp { .. } => {}
        }
    }

    async fn begin(&mut self, step: &Step, title: String) {
        let request = Request::post("sessions", json!({"title": title}), title.clone());
        let told = self.keyed(step, &request).await;
        self.sessions.extend(told[0].answer.body().and_then(|body| id(body, "id")));
        self.note(Did::Begin { title }, told);
    }

    /// Says something; tells the run that is to answer it.
    async fn say(&mut self, step: &Step, tag: String, session: usize, manner: &Manner) -> Option<Uuid> {
        let session_id = pick(&self.sessions, session)?;
        let mut body = json!({"content": format!("{tag} {}", manner.directives())});
        if session % 2 == 1 {
            // A beginning of its own, so that it need not wait for the answer before.
            body["parent_id"] = Value::Null;
        }
        let request = Request::post(format!("sessions/{session_id}/messages"), body, tag.clone());
        let told = self.keyed(step, &request).await;
        let run = told[0].answer.body().and_then(|body| id(body, "run_id"));
        if let Some(message) = told[0].answer.body().and_then(|body| id(body, "message_id")) {
            self.questions.push(Question { session: session_id, tag: tag.clone(), message });
            self.replies.extend(run);
        }
        self.note(Did::Say { session: session_id, tag }, told);
        run
    }

    /// Reads the reply while this person goes on.
    fn follow(&mut self, run: Uuid) {
        let (client, journal, who) = (self.client.clone(), Arc::clone(&self.journal), self.name.clone());
        self.following.spawn(async move {
            let answers = vec![follow(client, run).await];
            journal.note(Entry { who, did: Did::Follow { run }, sends: 1, answers });
        });
    }

    async fn regenerate(&mut self, step: &Step, key: String, question: usize) {
        let Some(Question { session, tag, message }) = pick(&self.questions, question) else { return };
        let request = Request::post(format!("messages/{message}/regenerate"), json!({}), key);
        let told = self.keyed(step, &request).await;
        self.replies.extend(told[0].answer.body().and_then(|body| id(body, "run_id")));
        self.note(Did::Regenerate { session, tag }, told);
    }

    async fn stop(&mut self, reply: usize) {
        let Some(run) = pick(&self.replies, reply) else { return };
        let request = Request::unkeyed(Method::POST, format!("runs/{run}/cancel"), Value::Null);
        let told = self.client.ask(&request).await;
        self.note(Did::Stop { run }, vec![told]);
    }

    async fn rename(&mut self, title: String, session: usize) {
        let Some(session) = pick(&self.sessions, session) else { return };
        let request = Request::unkeyed(Method::PATCH, format!("sessions/{session}"), json!({"title": title}));
        let told = self.client.ask(&request).await;
        self.note(Did::Rename { session, title }, vec![told]);
    }

    /// Reads a conversation after the last thing that was done, and expects to find in it what was said.
    async fn look(&mut self, session: usize) {
        let Some(session) = pick(&self.sessions, session) else { return };
        let said = self.questions.iter().filter(|question| question.session == session);
        let expects = said.map(|question| question.message).collect();
        let path = format!("sessions/{session}/messages?limit=100");
        let mut told = self.client.ask(&Request::unkeyed(Method::GET, path, Value::Null)).await;
        if told.stale {
            // It says so itself.
            told.answer = Answer::Left;
        }
        self.note(Did::Look { session, expects }, vec![told]);
    }

    async fn keyed(&mut self, step: &Step, request: &Request) -> Vec<Told> {
        match step.twice {
            true => self.client.ask_twice(request).await.into(),
            false => vec![self.client.ask(request).await],
        }
    }

    fn note(&self, did: Did, told: Vec<Told>) {
        self.journal.note(entry(&self.name, did, told));
    }
}

/// Gives credit to `people` as the plan has it; each amount is of one movement alone.
pub async fn operate(mut client: Client, journal: Arc<Journal>, steps: Vec<Step>, people: Vec<Uuid>) {
    for (number, step) in (1_i64..).zip(&steps) {
        sleep(Duration::from_millis(step.after_ms)).await;
        client.at(step.api);
        let (person, path) = match step.act {
            Act::Grant { person } => (person, "grants"),
            Act::TopUp { person } => (person, "top-ups"),
            _ => continue,
        };
        let Some(owner) = pick(&people, person) else { continue };
        let nanos = 500_000_000 + number;
        let body = json!({"amount_nanos": nanos.to_string(), "reason": format!("movement {number}")});
        let request = Request::post(format!("admin/users/{owner}/{path}"), body, format!("movement-{number}"));
        let request = request.that_may_be_unknown_yet();
        let told = match step.twice {
            true => client.ask_twice(&request).await.into(),
            false => vec![client.ask(&request).await],
        };
        journal.note(entry("operator", Did::Move { owner, nanos }, told));
    }
}

fn entry(who: &str, did: Did, told: Vec<Told>) -> Entry {
    let sends = told.iter().map(|told| told.sends).sum();
    Entry { who: who.to_owned(), did, sends, answers: told.into_iter().map(|told| told.answer).collect() }
}

fn pick<T: Clone>(things: &[T], any: usize) -> Option<T> {
    things.get(any.checked_rem(things.len())?).cloned()
}
