//! Reading a reply while it is written, as a page does it: whatever breaks, the reader goes on where it was.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::client::Client;
use crate::journal::Answer;

/// A stream that says nothing, not even that it lives, is left.
const SILENCE: Duration = Duration::from_secs(20);
/// A reply may wait for leases and stopped processes, one after the other.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a reader has.
#[derive(Debug, Default)]
struct Reader {
    text: String,
    last_event_id: String,
    is_done: bool,
}

impl Reader {
    fn take(&mut self, frame: &str) {
        let fields: HashMap<&str, &str> = frame.lines().filter_map(|line| line.split_once(": ")).collect();
        let data: Value = fields.get("data").and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
        match fields.get("event").copied() {
            Some("delta") => {
                let offset = data["offset"].as_u64().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
                self.text = self.text.chars().take(offset).collect();
                self.text.push_str(data["text"].as_str().unwrap_or_default());
            }
            Some("reset") => self.text.clear(),
            Some("done") => self.is_done = true,
            _ => {}
        }
        if let Some(id) = fields.get("id") {
            (*id).clone_into(&mut self.last_event_id);
        }
    }
}

/// Reads `run` to its end, at one process after the other; acknowledged is the text that was seen.
pub async fn follow(client: Client, run: Uuid) -> Answer {
    let give_up = Instant::now() + PATIENCE;
    let mut reader = Reader::default();
    let mut api = 0;
    while Instant::now() < give_up {
        read(&client, run, api, &mut reader).await;
        if reader.is_done {
            return Answer::Acknowledged(json!({"text": reader.text}));
        }
        api += 1;
        sleep(Duration::from_millis(200)).await;
    }
    Answer::Unknown(format!("no end after {:?}", reader.text))
}

/// Reads from one process until that ends, or the reply does.
async fn read(client: &Client, run: Uuid, api: usize, reader: &mut Reader) {
    let Some(request) = client.events(run, api) else { return };
    let Ok(Ok(response)) = timeout(SILENCE, request.header("last-event-id", &reader.last_event_id).send()).await else {
        return;
    };
    if !response.status().is_success() {
        return;
    }
    let mut bytes = response.bytes_stream();
    let mut unread = Vec::new();
    while let Ok(Some(Ok(piece))) = timeout(SILENCE, bytes.next()).await {
        unread.extend_from_slice(&piece);
        while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let rest = unread.split_off(end + 2);
            let frame = std::mem::replace(&mut unread, rest);
            reader.take(&String::from_utf8_lossy(&frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_puts_the_text_together_and_begins_again_at_a_reset() {
        let mut reader = Reader::default();
        reader.take("event: delta\nid: r:1:3\ndata: {\"offset\": 0, \"text\": \"一二三\"}\n\n");
        reader.take("event: delta\nid: r:1:4\ndata: {\"offset\": 2, \"text\": \"3四\"}\n\n");
        assert_eq!((reader.text.as_str(), reader.last_event_id.as_str()), ("一二3四", "r:1:4"));
        reader.take(": alive\n\n");
        reader.take("event: reset\nid: r:2:0\ndata: {}\n\n");
        assert!(reader.text.is_empty() && !reader.is_done);
        reader.take("event: done\nid: r:2:0\ndata: {}\n\n");
        assert!(reader.is_done);
    }
}
