//! One answer of a provider, from request to end: read, gathered, and shown live at most every 20 ms.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use metering::Offer;
use relay::{ChatRequest, Finish, RelayError, ReplyDelta, ReplyStream, Usage};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::text::LiveText;
use crate::jobs::Lease;

/// Bytes of one reply as JSON, at most: sealed and encoded it still fits into one event. An ending that cannot be stored
/// could not be charged either.
const MAX_REPLY_BYTES: usize = 256 * 1024;
/// Live text is sent at most this often.
const COALESCE: Duration = Duration::from_millis(20);
/// Tries before the first byte; after it a failure is the user's to see.
const MAX_TRIES: u32 = 3;
/// A provider that asks for a longer pause is reported instead of waited for.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// How the writing ended; the text is in the [`LiveText`].
#[derive(Debug)]
pub(super) enum Ended {
    Finished {
        finish: Finish,
        usage: Option<Usage>,
    },
    Failed(RelayError),
    /// The lease is gone, or another attempt writes already.
    Abandoned,
}

/// Asks the model that `offer` is of and writes its answer into `live`.
pub(super) async fn write_answer(
    offer: &Offer,
    request: ChatRequest,
    live: &mut LiveText,
    lease: &Lease,
    stop: &CancellationToken,
) -> Ended {
    let upstream = stop.child_token();
    let _close_upstream = upstream.clone().drop_guard();
    let asked = Instant::now();
    let stream = tokio::select! {
        () = lease.lost.cancelled() => return Ended::Abandoned,
        stream = ask(offer, request, &upstream) => stream,
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(RelayError::Cancelled) => return Ended::Finished { finish: Finish::Cancelled, usage: None },
        Err(error) => return Ended::Failed(error),
    };
    let mut tick = tokio::time::interval(COALESCE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut first = true;
    let mut size_bytes = 0;
    loop {
        let step = tokio::select! {
            biased;
            () = lease.lost.cancelled() => return Ended::Abandoned,
            _ = tick.tick(), if live.has_unpublished() => {
                if live.flush().await.is_err() {
                    return Ended::Abandoned;
                }
                continue;
            }
            step = stream.next() => step,
        };
        match step {
            Some(Ok(ReplyDelta::Text(piece))) => {
                if std::mem::take(&mut first) {
                    metrics::histogram!("reply_first_text_seconds").record(asked.elapsed().as_secs_f64());
                }
                size_bytes = size_as_json(&piece).saturating_add(size_bytes);
                if size_bytes > MAX_REPLY_BYTES {
                    return Ended::Finished { finish: Finish::Length, usage: None };
                }
                live.push(&piece);
            }
            Some(Ok(ReplyDelta::Done { finish, usage })) => return Ended::Finished { finish, usage },
            Some(Err(error)) => return Ended::Failed(error),
            None => return Ended::Failed(RelayError::UpstreamCut),
        }
    }
}

/// Quotes, line ends and control characters are longer in JSON than they look.
fn size_as_json(piece: &str) -> usize {
    serde_json::to_string(piece).map_or(usize::MAX, |json| json.len())
}

/// Asks up to [`MAX_TRIES`] times while the failure may pass and nothing was said yet.
async fn ask(offer: &Offer, request: ChatRequest, upstream: &CancellationToken) -> Result<ReplyStream, RelayError> {
    let mut tries = 1;
    loop {
        let error = match offer.provider.chat(request.clone(), upstream.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let pause = error.retry_after().unwrap_or(Duration::from_millis(250) * 2_u32.pow(tries));
        if !error.is_retryable() || tries >= MAX_TRIES || pause > MAX_PAUSE {
            return Err(error);
        }
        tracing::info!(channel = offer.channel, code = error.code(), ?pause, tries, "asking a provider again");
        tries += 1;
        tokio::select! {
            () = upstream.cancelled() => return Err(RelayError::Cancelled),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
