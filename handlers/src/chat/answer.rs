//! One answer of a provider, from request to end: read, gathered, and shown live at most every 20 ms.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use metering::{Choices, Following, Known, Offer};
use relay::{ChatRequest, Finish, RelayError, ReplyDelta, ReplyStream, Usage};
use routing::{Answered, Asked, Router, Tries, Unanswered, Waiting};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::text::LiveText;
use crate::jobs::Lease;

/// Bytes of one reply as JSON, at most: sealed and encoded it still fits into one event. An ending that cannot be stored
/// could not be charged either.
const MAX_REPLY_BYTES: usize = 256 * 1024;
/// Live text is sent at most this often.
const COALESCE: Duration = Duration::from_millis(20);
/// A person waits for longer than a program.
const PATIENCE: Duration = Duration::from_secs(60);
/// A provider that asks for a longer pause is reported instead of waited for.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// What is asked, and of whom.
pub(super) struct Question<'q> {
    pub(super) router: &'q Arc<Router>,
    pub(super) choices: &'q Choices,
    pub(super) known: Known,
    /// Without the model and the key, which are those of whoever is asked.
    pub(super) request: ChatRequest,
}

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

/// Asks and writes the answer into `live`; `by` becomes whose answer it is, and `following` notes how it went.
pub(super) async fn write_answer(
    question: Question<'_>,
    following: &mut Following,
    by: &mut Arc<Offer>,
    live: &mut LiveText,
    lease: &Lease,
    stop: &CancellationToken,
) -> Ended {
    let upstream = stop.child_token();
    let _close_upstream = upstream.clone().drop_guard();
    let asked = Instant::now();
    let stream = tokio::select! {
        () = lease.lost.cancelled() => return Ended::Abandoned,
        stream = ask(&question, &upstream) => stream,
    };
    let mut stream = match stream {
        Ok(Answered { answer, by: asked, story }) => {
            *by = Arc::clone(question.choices.offer(&asked));
            following.tried(&story);
            following.answers(by);
            answer
        }
        Err(Unanswered { error, story }) => {
            following.tried(&story);
            return match error {
                RelayError::Cancelled => Ended::Finished { finish: Finish::Cancelled, usage: None },
                error => Ended::Failed(error),
            };
        }
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
                    following.speaks();
                    metrics::histogram!("reply_first_text_seconds").record(asked.elapsed().as_secs_f64());
                }
                let fits = fitting(&piece, MAX_REPLY_BYTES - size_bytes);
                size_bytes += size_as_json(fits);
                live.push(fits);
                if fits.len() < piece.len() {
                    return Ended::Finished { finish: Finish::Length, usage: None };
                }
            }
            Some(Ok(ReplyDelta::Done { finish, usage })) => return Ended::Finished { finish, usage },
            Some(Err(error)) => return Ended::Failed(error),
            None => return Ended::Failed(RelayError::UpstreamCut),
        }
    }
}

/// As much of a piece as has so many bytes as JSON: a provider may send all of its answer in one.
fn fitting(piece: &str, mut room: usize) -> &str {
    let end = piece.char_indices().find(|(_, character)| match room.checked_sub(bytes_as_json(*character)) {
        Some(left) => {
            room = left;
            false
        }
        None => true,
    });
    end.and_then(|(at, _)| piece.get(..at)).unwrap_or(piece)
}

fn size_as_json(piece: &str) -> usize {
    piece.chars().map(bytes_as_json).sum()
}

/// Quotes, line ends and control characters are longer in JSON than they look.
const fn bytes_as_json(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// Asks one after the other of those who may answer; the answer has begun.
async fn ask(question: &Question<'_>, upstream: &CancellationToken) -> Result<Answered<ReplyStream>, Unanswered> {
    let Question { router, choices, known, request } = question;
    let tries = Tries { within: PATIENCE, longest_pause: MAX_PAUSE, ..Tries::default() };
    let demand = choices.demand(known, tries);
    let ask = |asked: Asked| {
        let (offer, upstream) = (Arc::clone(choices.offer(&asked)), upstream.clone());
        let most = [request.max_output_tokens, offer.max_output_tokens].into_iter().flatten().min();
        let (model, key) = (offer.upstream.clone(), asked.key);
        let request = ChatRequest { model, key, max_output_tokens: most, ..request.clone() };
        async move { offer.provider.chat(request, upstream).await }
    };
    let waiting = Waiting { cancel: upstream, still: &|| true };
    router.attempt(&demand, waiting, ask).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_json() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert_eq!(size_as_json(&all) + 2, serde_json::to_string(&all).unwrap().len());
    }

    #[test]
    fn a_piece_is_cut_where_the_room_ends_and_between_characters() {
        for (piece, room, fits) in
            [("abc", 3, "abc"), ("abc", 2, "ab"), ("a\nb", 2, "a"), ("你好", 4, "你"), ("a", 0, "")]
        {
            assert_eq!(fitting(piece, room), fits, "{piece:?} in {room}");
        }
    }
}
