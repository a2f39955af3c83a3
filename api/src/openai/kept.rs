//! A response that is kept: before the call its conversation is put together, and what becomes of it is written down.
//!
//! Promise: it is kept from before the model speaks, so that a client whose connection drops finds it again, and its end
//! is written whoever still listens, before the end is told. What is too large to be kept is answered with `store: false`
//! or, where only the answer is, forgotten; nothing is cut.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::FromRef, http::StatusCode};
use chrono::Utc;
use domain::{
    HoldId, ResponseId, Sealed, UserId,
    relay::{Response, ResponseCommand, response},
};
use projections::relay::{self as rows, ConversationError, KeptResponse};
use relay::{
    Envelope, RelayError, Served as _, ServedEvent,
    dialects::responses::{Responses, state},
    model::Delta,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::told::Told;
use crate::{
    commands::{Actor, Bus},
    idempotency::CommandIdentity,
    problem::Problem,
    read::Reads,
    request_id::Origin,
    served::{invalid, of_request, of_upstream},
    state::App,
};

/// What our ids of responses begin with.
const PREFIX: &str = "resp_";
/// The status of what nobody makes any more.
const ABANDONED: &str = "abandoned";
/// How long a read waits for what was written a moment ago.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Tries to write an end down, and the pause between them.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Where responses are kept.
#[derive(Clone)]
pub(super) struct Keeping {
    bus: Bus,
    reads: Reads,
}

impl FromRef<App> for Keeping {
    fn from_ref(app: &App) -> Self {
        Self { bus: app.bus.clone(), reads: app.reads.clone() }
    }
}

/// One response that is kept while it is made.
pub(crate) struct Kept {
    keeping: Keeping,
    owner: UserId,
    origin: Origin,
    id: ResponseId,
    previous: Option<ResponseId>,
    /// Its own input, as a JSON list.
    input: String,
    seen: Mutex<Told>,
}

impl Keeping {
    /// Puts everything that came before into the input, and says how the response is kept. `None`: it is not.
    pub(super) async fn prepare(
        &self,
        owner: UserId,
        origin: &Origin,
        mut body: Map<String, Value>,
    ) -> Result<(Map<String, Value>, Option<Kept>), Problem> {
        let id = ResponseId::new(Uuid::now_v7());
        let previous = match state::previous(&body) {
            Some(text) => Some(id_of(text).ok_or_else(|| previous_missing(text))?),
            None => None,
        };
        let earlier = match previous {
            Some(previous) => self.conversation(owner, previous).await?,
            None => vec![],
        };
        let referenced = self.referenced(owner, &body).await?;
        let input = Value::Array(state::input_items(&name_of(id), &body)).to_string();
        let is_kept = state::is_kept(&body) && response::fits(&[&input]);
        body.insert("store".to_owned(), json!(is_kept));
        let body = state::continued(body, earlier, &referenced).map_err(of_request)?;
        let (keeping, origin) = (self.clone(), origin.clone());
        let kept = Kept { keeping, owner, origin, id, previous, input, seen: Mutex::default() };
        Ok((body, is_kept.then_some(kept)))
    }

    /// The response of `owner` with this name.
    pub(super) async fn find(&self, owner: UserId, name: &str) -> Result<KeptResponse, Problem> {
        let id = id_of(name).ok_or_else(|| missing(name))?;
        rows::wait_for_response(self.reads.pool(), id.uuid(), CATCH_UP).await?;
        let found = rows::response(self.reads.pool(), owner.uuid(), id.uuid()).await?;
        found.ok_or_else(|| missing(name))
    }

    /// Forgets the response of `owner` with this name.
    pub(super) async fn delete(&self, owner: UserId, origin: Origin, name: &str) -> Result<(), Problem> {
        let id = id_of(name).ok_or_else(|| missing(name))?;
        let command = ResponseCommand::DeleteResponse { by: owner, at: Utc::now() };
        let sent =
            self.bus.send::<Response>(origin, Actor::User(owner), CommandIdentity::unique(), id.uuid(), &command);
        match sent.await {
            Ok(_) => Ok(()),
            Err(problem) if problem.code() == "response_not_found" => Err(missing(name)),
            Err(problem) => Err(problem),
        }
    }

    async fn conversation(&self, owner: UserId, last: ResponseId) -> Result<Vec<state::Turn>, Problem> {
        rows::wait_for_response(self.reads.pool(), last.uuid(), CATCH_UP).await?;
        let turns =
            rows::conversation(self.reads.pool(), owner.uuid(), last.uuid()).await.map_err(|error| match error {
                ConversationError::Missing(id) => previous_missing(&name_of(ResponseId::new(id))),
                ConversationError::TooLong => {
                    invalid("previous_response_id", "conversation_too_long", error.to_string())
                }
                ConversationError::Database(error) => error.into(),
            })?;
        match turns.last().map(|turn| turn.status.as_str()) {
            Some("in_progress") => {
                let detail = "the previous response has not ended; wait for it";
                return Err(invalid("previous_response_id", "previous_response_in_progress", detail));
            }
            Some(ABANDONED) => {
                let detail = "the previous response broke off and its answer is lost; go on from the one before it";
                return Err(invalid("previous_response_id", "previous_response_failed", detail));
            }
            _ => {}
        }
        Ok(turns.iter().map(|turn| state::Turn { input: items(&turn.input), output: output(&turn.response) }).collect())
    }

    /// The items that the input only names.
    async fn referenced(&self, owner: UserId, body: &Map<String, Value>) -> Result<HashMap<String, Value>, Problem> {
        let mut referenced = HashMap::new();
        for id in state::references(body) {
            let Some(response) = state::response_of_item(id) else { continue };
            // What is not found is refused where the reference stands.
            let Ok(kept) = self.find(owner, &response).await else { continue };
            let mut all = items(&kept.input).into_iter().chain(output(&kept.response));
            if let Some(item) = all.find(|item| item["id"] == id) {
                referenced.insert(id.to_owned(), item);
            }
        }
        Ok(referenced)
    }
}

impl Kept {
    /// The id of the credit that is held for it: whoever lets the hold expire has abandoned the response.
    pub(crate) const fn hold_id(&self) -> HoldId {
        HoldId::new(self.id.uuid())
    }

    /// The id that the client gets.
    pub(crate) fn name(&self) -> String {
        name_of(self.id)
    }

    /// Writes down that the model is asked.
    pub(crate) async fn begin(&self, envelope: &Envelope) -> Result<(), Problem> {
        let begun = Delta::Begin { id: String::new(), model: String::new(), usage: None };
        let events = Responses.writer(envelope.clone()).write(begun);
        events.iter().for_each(|event| self.hear(event));
        let command = ResponseCommand::CreateResponse {
            owner: self.owner,
            previous: self.previous,
            input: Sealed::new(self.owner, self.input.clone()),
            response: self.sealed(&self.seen().so_far(|_| ())),
            at: Utc::now(),
        };
        self.send(&command).await
    }

    /// Looks at what the client is told.
    pub(crate) fn hear(&self, event: &ServedEvent) {
        self.seen().hear(event);
    }

    /// The end of a whole answer.
    pub(crate) fn completed(&self, body: &Value) -> ResponseCommand {
        ResponseCommand::CompleteResponse { response: self.sealed(body), at: Utc::now() }
    }

    /// The end of a stream, whose last events have the whole answer.
    pub(crate) fn told(&self, last: &[ServedEvent]) -> ResponseCommand {
        last.iter().for_each(|event| self.hear(event));
        self.completed(self.seen().newest())
    }

    /// The end of what failed, with the items that were complete.
    pub(crate) fn failed(&self, error: &RelayError) -> ResponseCommand {
        let at = Utc::now();
        if *error == RelayError::Cancelled {
            let object = self.seen().so_far(|object| object["status"] = json!("cancelled"));
            return ResponseCommand::CancelResponse { response: self.sealed(&object), at };
        }
        let object = self.seen().failed(&of_upstream(error.clone()));
        ResponseCommand::FailResponse { code: error.code().to_owned(), response: self.sealed(&object), at }
    }

    /// Writes the end down.
    pub(crate) async fn end(&self, ending: &ResponseCommand) {
        let written = match self.insist(ending).await {
            Err(problem) if problem.code() == "response_too_large" => {
                self.insist(&ResponseCommand::DeleteResponse { by: self.owner, at: Utc::now() }).await
            }
            written => written,
        };
        if let Err(problem) = written {
            tracing::warn!(code = problem.code(), "the end of a response could not be kept");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Told> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed(&self, object: &Value) -> Sealed<String> {
        Sealed::new(self.owner, object.to_string())
    }

    async fn send(&self, command: &ResponseCommand) -> Result<(), Problem> {
        let (bus, actor) = (&self.keeping.bus, Actor::User(self.owner));
        let identity = CommandIdentity::unique();
        bus.send::<Response>(self.origin.clone(), actor, identity, self.id.uuid(), command).await.map(|_| ())
    }

    /// As [`Self::send`], again while the bus is away.
    async fn insist(&self, command: &ResponseCommand) -> Result<(), Problem> {
        let mut tries = 1;
        loop {
            match self.send(command).await {
                Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }
}

/// The name that clients have for a response.
pub(super) fn name_of(id: ResponseId) -> String {
    format!("{PREFIX}{}", id.uuid().simple())
}

fn id_of(name: &str) -> Option<ResponseId> {
    Uuid::try_parse(name.strip_prefix(PREFIX)?).ok().map(ResponseId::new)
}

fn missing(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "response_not_found", format!("Response with id '{name}' not found."))
}

fn previous_missing(name: &str) -> Problem {
    let detail = format!("Previous response with id '{name}' not found.");
    invalid("previous_response_id", "previous_response_not_found", detail)
}

/// The object of a response, as its owner reads it; nothing where its owner was erased.
pub(super) fn object(kept: &KeptResponse) -> Value {
    let mut object: Value = serde_json::from_str(&kept.response).unwrap_or_default();
    if kept.status == ABANDONED && object.is_object() {
        object["status"] = json!("failed");
        object["error"] = json!({ "code": "server_error", "message": "The server that made this response died." });
    }
    object
}

/// The items of a list that was kept; none where its owner was erased.
pub(super) fn items(list: &str) -> Vec<Value> {
    serde_json::from_str(list).unwrap_or_default()
}

fn output(object: &str) -> Vec<Value> {
    let mut object: Value = serde_json::from_str(object).unwrap_or_default();
    match object["output"].take() {
        Value::Array(items) => items,
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_response_is_its_id_and_nothing_else_is_one() {
        let id = ResponseId::new(Uuid::from_u128(7));
        assert_eq!(id_of(&name_of(id)), Some(id));
        for name in ["", "resp_", "resp_x", "msg_00000000000000000000000000000007"] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_an_erased_owner_left_is_nothing() {
        assert!(items("").is_empty() && output("").is_empty() && output("{}").is_empty());
        assert_eq!(output(r#"{"output": [1]}"#), [json!(1)]);
    }
}
