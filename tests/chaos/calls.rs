//! Calls of the compatible API, as a program makes them that may hang up.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::journal::Answer;
use crate::upstream::MODEL;

/// A call whose process is stopped is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who calls.
pub struct Caller<'c> {
    pub client: &'c Client,
    pub key: &'c str,
    pub api: usize,
}

/// What is called.
pub struct Call {
    pub streamed: bool,
    pub prompt: String,
    /// When the client hangs up.
    pub leave_after: Option<Duration>,
}

impl Caller<'_> {
    /// Makes the call once: what came to its end tells the usage.
    pub async fn call(&self, call: &Call) -> Answer {
        let hang_up = async {
            match call.leave_after {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = timeout(PATIENCE, self.make(call)) => answer.unwrap_or_else(|_| Answer::Unknown("silence".to_owned())),
            () = hang_up => Answer::Left,
        }
    }

    async fn make(&self, call: &Call) -> Answer {
        let mut body =
            json!({"model": MODEL, "stream": call.streamed, "messages": [{"role": "user", "content": call.prompt}]});
        if call.streamed {
            body["stream_options"] = json!({"include_usage": true});
        }
        let url = format!("{}/v1/chat/completions", self.client.address(self.api).await);
        let asked = self.client.http.post(url).bearer_auth(self.key).json(&body).send().await;
        let response = match asked {
            Ok(response) => response,
            Err(error) => return Answer::Unknown(error.to_string()),
        };
        let status = response.status();
        if !status.is_success() {
            let body: Value = response.json().await.unwrap_or_default();
            let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
            return Answer::Refused { status: status.as_u16(), code };
        }
        let mut bytes = response.bytes_stream();
        let mut read = Vec::new();
        while let Some(piece) = bytes.next().await {
            match piece {
                Ok(piece) => read.extend_from_slice(&piece),
                Err(error) => return Answer::Unknown(error.to_string()),
            }
        }
        heard(call.streamed, &String::from_utf8_lossy(&read))
    }
}

/// Acknowledged is what came to its end, by the rules of its form.
fn heard(streamed: bool, text: &str) -> Answer {
    if !streamed {
        let body: Value = serde_json::from_str(text).unwrap_or_default();
        return match body["usage"].is_object() {
            true => Answer::Acknowledged(body["usage"].clone()),
            false => Answer::Unknown("half a document".to_owned()),
        };
    }
    if !text.contains("data: [DONE]") {
        return Answer::Unknown("the stream broke".to_owned());
    }
    let frames = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let usage = frames.map(|frame| frame["usage"].clone()).find(Value::is_object);
    usage.map_or_else(|| Answer::Unknown("no usage".to_owned()), Answer::Acknowledged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_to_its_end_counts_as_acknowledged() {
        let usage = r#"{"usage": {"prompt_tokens": 1}}"#;
        assert!(heard(false, usage).body().is_some());
        assert!(heard(false, r#"{"us"#).body().is_none());
        assert!(heard(true, &format!("data: {usage}\n\ndata: [DONE]\n\n")).body().is_some());
        assert!(heard(true, &format!("data: {usage}\n\n")).body().is_none());
        assert!(heard(true, "data: {\"error\": {}}\n\n").body().is_none());
    }
}
