//! One caller with one connection.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use memchr::memmem::find;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::tally::Notes;
use crate::relay::http::{Connection, connect};
use crate::relay::job::{Job, Shape, Target};

const PATH: &str = "/v1/chat/completions";
/// A caller who was refused waits before it asks again.
const AFTER_FAILURE: Duration = Duration::from_millis(20);
/// Comes before the text in an event, whoever wrote it; some put a space behind the colon.
const CONTENT: &[u8] = b"\"content\":";

/// Asks one question after the other.
pub(super) struct Caller {
    job: Rc<Job>,
    headers: HeaderMap,
    body: Bytes,
    connection: Option<Connection>,
}

impl Caller {
    /// The one at that place among all.
    pub(super) fn new(job: &Rc<Job>, place: usize) -> Self {
        let body = Bytes::from(question(&job.target, job.shape).to_string());
        let key = job.target.keys.get(place % job.target.keys.len().max(1)).cloned().unwrap_or_default();
        Self { job: Rc::clone(job), headers: headers(&job.target, &key), body, connection: None }
    }

    /// Asks once, on the connection of the last time if it lives.
    pub(super) async fn ask(&mut self, notes: &Notes) {
        if let Err(error) = self.try_to(notes).await {
            notes.fail(&format!("{error:#}"));
            self.connection = None;
            sleep(AFTER_FAILURE).await;
        }
    }

    async fn try_to(&mut self, notes: &Notes) -> anyhow::Result<()> {
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => connect(self.job.target.address).await?,
        };
        connection.ready().await?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(PATH);
        request.headers_mut().clone_from(&self.headers);
        let asked = Instant::now();
        let response = connection.send_request(request).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        match self.job.shape {
            Shape::Streams { script, .. } => {
                let least = u64::from(script.events) + 1;
                Reading { paced: script.pace_us > 0, ..Reading::default() }.read(response, asked, notes, least).await?;
            }
            Shape::Callers(_) | Shape::Rate { .. } => {
                let body = response.into_body().collect().await?.to_bytes();
                notes.waited(asked);
                ensure!(find(&body, b"quick brown fox").is_some(), "an answer without its text");
            }
        }
        notes.answered();
        self.connection = Some(connection);
        Ok(())
    }
}

fn headers(target: &Target, key: &str) -> HeaderMap {
    let own = [(HOST, target.address.to_string()), (AUTHORIZATION, format!("Bearer {key}"))];
    let further =
        target.headers.iter().filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.clone())));
    let all = own.into_iter().chain([(CONTENT_TYPE, "application/json".to_owned())]).chain(further);
    all.filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
}

/// A conversation of a usual beginning, of about half a kilobyte.
fn question(target: &Target, shape: Shape) -> Value {
    let instructions = "You are a helpful assistant. Answer briefly and to the point, in the language of the question, \
                        and say so where you do not know something.";
    let asked = "What does the quick brown fox do, and what does the lazy dog think about it? One sentence, please.";
    let message = |role: &str, content: String| json!({"role": role, "content": content});
    match shape {
        Shape::Streams { script, .. } => json!({
            "model": target.model,
            "messages": [
                message("system", instructions.to_owned()),
                message("user", format!("{asked} {}", script.directive())),
            ],
            "max_tokens": 1024,
            "temperature": 0.7,
            "stream": true,
            "stream_options": {"include_usage": true},
        }),
        Shape::Callers(_) | Shape::Rate { .. } => json!({
            "model": target.model,
            "messages": [message("system", instructions.to_owned()), message("user", asked.to_owned())],
            "max_tokens": 256,
            "temperature": 0.7,
        }),
    }
}

/// A stream that is being read.
#[derive(Default)]
struct Reading {
    paced: bool,
    /// What of the current event has come so far.
    rest: Vec<u8>,
    /// How long the last one was under way.
    delay: Option<Duration>,
    events: u64,
    done: bool,
}

impl Reading {
    async fn read(
        mut self,
        response: Response<Incoming>,
        asked: Instant,
        notes: &Notes,
        least: u64,
    ) -> anyhow::Result<()> {
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            let before = self.events;
            self.take(&piece, notes);
            if before == 0 && self.events > 0 {
                notes.waited(asked);
            }
            notes.events(self.events - before);
        }
        ensure!(self.done, "a stream without its end");
        ensure!(self.events >= least, "a stream of {} events instead of at least {least}", self.events);
        Ok(())
    }

    /// Finds the events that end in `piece`.
    fn take(&mut self, piece: &[u8], notes: &Notes) {
        self.rest.extend_from_slice(piece);
        let mut from = 0;
        while let Some(length) = self.rest.get(from..).and_then(|rest| find(rest, b"\n\n")) {
            let event = self.rest.get(from..from + length).unwrap_or_default();
            from += length + 2;
            if !event.starts_with(b"data:") {
                continue;
            }
            if event.ends_with(b"[DONE]") {
                self.done = true;
                continue;
            }
            self.events += 1;
            if let Some(written) = written(event).filter(|_| self.paced) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let delay = now.saturating_sub(written);
                let before = self.delay.replace(delay).unwrap_or(delay);
                notes.delayed(delay, delay.saturating_sub(before).as_secs_f64() * 1e6);
            }
        }
        self.rest.drain(..from);
    }
}

/// The instant that an event tells, since the epoch.
fn written(event: &[u8]) -> Option<Duration> {
    let text = event.get(find(event, CONTENT)? + CONTENT.len()..)?;
    let digits: Vec<u8> = text
        .iter()
        .skip_while(|byte| b" \"".contains(byte))
        .take_while(|byte| byte.is_ascii_digit())
        .copied()
        .collect();
    Some(Duration::from_nanos(std::str::from_utf8(&digits).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instant_is_read_whoever_wrote_the_event() {
        let plain = br#"data: {"choices":[{"delta":{"content":" 1760000000000000123"}}]}"#;
        let spaced = br#"data: {"choices": [{"delta": {"content": " 1760000000000000123"}}]}"#;
        for event in [plain.as_slice(), spaced] {
            assert_eq!(written(event), Some(Duration::from_nanos(1_760_000_000_000_000_123)));
        }
        assert_eq!(written(br#"data: {"choices":[{"delta":{"content":""}}]}"#), None);
        assert_eq!(written(b"data: {}"), None);
    }

    #[test]
    fn events_are_counted_wherever_they_are_cut() {
        let text = b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\n: ping\n\ndata: [DONE]\n\n";
        let span = super::super::tally::Span { begin: Instant::now(), end: Instant::now() };
        let notes = Notes::new(span).unwrap();
        for cut in 0..text.len() {
            let mut reading = Reading::default();
            reading.take(&text[..cut], &notes);
            reading.take(&text[cut..], &notes);
            assert!(reading.done && reading.events == 2, "cut at {cut}: {}", reading.events);
        }
    }
}
