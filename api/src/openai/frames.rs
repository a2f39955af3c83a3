//! The client's side of a call: the whole answer, or its frames.
//!
//! Promise: a failure before the first frame has its own status; after it, it is one error frame and the end. Whatever
//! the upstream calls its model, the client reads the name that it asked for. The usage frame comes only if it was
//! asked for: clients that read `choices[0]` break on it.

use std::time::Duration;

use async_stream::stream;
use axum::{
    Json,
    response::{IntoResponse as _, Response, sse::Event},
};
use futures::Stream;
use relay::{Basis, Usage};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc::Receiver, time::timeout};
use uuid::Uuid;

use super::{
    call::Heard,
    error::{object, of_upstream},
};
use crate::{chat::stream_answer, problem::Problem};

/// A first frame that takes longer is not waited for: the stream begins with a ping, and proxies stay patient.
const FIRST_FRAME: Duration = Duration::from_secs(10);

/// The answer in one piece.
pub(super) async fn whole(mut heard: Receiver<Heard>, model: String) -> Result<Response, Problem> {
    match heard.recv().await {
        Some(Heard::Whole { body: Value::Object(mut body), usage }) => {
            body.insert("model".to_owned(), model.into());
            // A report that was believed keeps its further details; any other is not what is charged.
            if usage.basis != Basis::Reported || body.get("usage").is_none_or(Value::is_null) {
                body.insert("usage".to_owned(), usage.to_openai());
            }
            Ok(Json(body).into_response())
        }
        Some(Heard::Failed(error)) => Err(of_upstream(error)),
        _ => Err(lost()),
    }
}

/// The answer as it is generated.
pub(super) async fn streamed(
    mut heard: Receiver<Heard>,
    model: String,
    include_usage: bool,
) -> Result<Response, Problem> {
    let first = match timeout(FIRST_FRAME, heard.recv()).await {
        Err(_) => None,
        Ok(Some(Heard::Failed(error))) => return Err(of_upstream(error)),
        Ok(Some(first)) => Some(first),
        Ok(None) => return Err(lost()),
    };
    Ok(stream_answer(frames(first, heard, Writer::new(model, include_usage))))
}

fn frames(first: Option<Heard>, mut heard: Receiver<Heard>, mut writer: Writer) -> impl Stream<Item = Event> + Send {
    stream! {
        let mut next = match first {
            Some(first) => Some(first),
            None => {
                yield Event::default().comment("ping");
                heard.recv().await
            }
        };
        loop {
            match next {
                Some(Heard::Chunk(chunk)) => yield data(&writer.chunk(chunk)),
                Some(Heard::End(usage)) => {
                    if let Some(frame) = writer.usage(&usage) {
                        yield data(&frame);
                    }
                    yield Event::default().data("[DONE]");
                    return;
                }
                Some(Heard::Failed(error)) => {
                    yield data(&object(&of_upstream(error)));
                    return;
                }
                Some(Heard::Whole { .. }) | None => {
                    yield data(&object(&lost()));
                    return;
                }
            }
            next = heard.recv().await;
        }
    }
}

fn data(frame: &Value) -> Event {
    Event::default().data(frame.to_string())
}

/// The task of a call died, or its client took nothing for too long.
fn lost() -> Problem {
    Problem::bug("a call ended without an answer")
}

/// Gives the frames of one answer what they have in common.
struct Writer {
    model: String,
    include_usage: bool,
    /// What the last chunk said about the whole answer.
    common: Map<String, Value>,
}

impl Writer {
    fn new(model: String, include_usage: bool) -> Self {
        Self { model, include_usage, common: Map::new() }
    }

    fn chunk(&mut self, mut chunk: Value) -> Value {
        if let Some(fields) = chunk.as_object_mut() {
            fields.insert("model".to_owned(), self.model.clone().into());
            for name in ["id", "created", "system_fingerprint", "service_tier"] {
                if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
                    self.common.insert(name.to_owned(), value.clone());
                }
            }
        }
        chunk
    }

    /// The frame after the last chunk, if the client asked for it.
    fn usage(&self, usage: &Usage) -> Option<Value> {
        if !self.include_usage {
            return None;
        }
        let mut frame = json!({
            // Of an answer without a single chunk.
            "id": format!("chatcmpl-{}", Uuid::now_v7().simple()),
            "object": "chat.completion.chunk",
            "created": chrono::Utc::now().timestamp(),
            "model": self.model,
            "choices": [],
            "usage": usage.to_openai(),
        });
        if let Some(fields) = frame.as_object_mut() {
            fields.extend(self.common.clone());
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn every_frame_bears_the_name_that_was_asked_for_and_the_id_of_the_answer() {
        let mut writer = Writer::new("public".to_owned(), true);
        let chunk =
            json!({ "id": "c-1", "created": 7, "model": "upstream-2026", "choices": [], "system_fingerprint": "fp" });
        let chunk = writer.chunk(chunk);
        assert_eq!((&chunk["model"], &chunk["id"]), (&json!("public"), &json!("c-1")));
        let frame = writer.usage(&Usage::new(3, 4, Basis::Reported)).unwrap();
        assert_eq!(frame["id"], "c-1");
        assert_eq!(frame["created"], 7);
        assert_eq!(frame["system_fingerprint"], "fp");
        assert_eq!((&frame["model"], &frame["choices"]), (&json!("public"), &json!([])));
        assert_eq!(frame["usage"]["total_tokens"], 7);
    }

    #[tokio::test]
    async fn a_whole_answer_tells_the_usage_that_is_charged() {
        let report = json!({ "prompt_tokens": 0, "completion_tokens": 7, "extra": true });
        for (basis, told) in
            [(Basis::Reported, report.clone()), (Basis::Counted, Usage::new(3, 4, Basis::Counted).to_openai())]
        {
            let (tell, heard) = tokio::sync::mpsc::channel(1);
            let body = json!({ "model": "upstream", "choices": [], "usage": report });
            assert!(tell.send(Heard::Whole { body, usage: Usage::new(3, 4, basis) }).await.is_ok());
            let response = whole(heard, "public".to_owned()).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["model"], &body["usage"]), (&json!("public"), &told));
        }
    }

    #[test]
    fn the_usage_frame_comes_only_if_it_was_asked_for() {
        assert!(Writer::new("m".to_owned(), false).usage(&Usage::new(3, 4, Basis::Reported)).is_none());
        let empty = Writer::new("m".to_owned(), true).usage(&Usage::new(3, 0, Basis::Counted)).unwrap();
        assert!(empty["id"].as_str().unwrap().starts_with("chatcmpl-"));
    }
}
