//! A provider whose calls are counted and timed.
//!
//! Promise: every call is counted once, by how it ended, and nothing of what was asked or answered is looked at. Each
//! try is a call of its own: what a caller repeats is counted again.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};

use async_trait::async_trait;
use futures::{Stream, StreamExt as _, stream::BoxStream};
use metrics::{Counter, Histogram};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::modalities::{Modalities, Modality, ModalityAnswer, ModalityCall, Piece};
use crate::{
    ChatRequest, Counted, Dialect, Finish, KeyRef, Provider, RelayError, ReplyDelta, ReplyStream, ServedAnswer,
    ServedCall, ServedFrame, Turn,
};

const OK: &str = "ok";
/// Also the end of a call that was let go before its end.
const CANCELLED: &str = "cancelled";

/// A provider under the name of its channel in metrics.
pub struct Watched {
    provider: Arc<dyn Provider>,
    counts: Arc<Counts>,
}

/// What is counted of one channel. Its name is looked up among all metrics once, and only where there is something to
/// count; of the outcomes, which are many, that of nearly all calls.
struct Counts {
    channel: String,
    ok: OnceLock<Counter>,
    first_output: OnceLock<Histogram>,
    whole: OnceLock<Histogram>,
}

impl Watched {
    /// `channel` is what operators call it: the label `channel`.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, channel: String) -> Self {
        let (ok, first_output, whole) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { provider, counts: Arc::new(Counts { channel, ok, first_output, whole }) }
    }
}

impl Counts {
    fn count(&self, outcome: &'static str) {
        let calls =
            || metrics::counter!("upstream_calls_total", "channel" => self.channel.clone(), "outcome" => outcome);
        if outcome == OK { self.ok.get_or_init(calls).increment(1) } else { calls().increment(1) }
    }

    fn first_output(&self) -> &Histogram {
        let seconds = || metrics::histogram!("upstream_first_output_seconds", "channel" => self.channel.clone());
        self.first_output.get_or_init(seconds)
    }

    fn whole(&self) -> &Histogram {
        let seconds = || metrics::histogram!("upstream_call_seconds", "channel" => self.channel.clone());
        self.whole.get_or_init(seconds)
    }
}

#[async_trait]
impl Provider for Watched {
    fn name(&self) -> &str {
        self.provider.name()
    }

    fn keys(&self) -> &[KeyRef] {
        self.provider.keys()
    }

    fn choose_key(&self, avoid: &[KeyRef]) -> Option<KeyRef> {
        self.provider.choose_key(avoid)
    }

    fn count_turns(&self, model: &str, turns: &[Turn]) -> u64 {
        self.provider.count_turns(model, turns)
    }

    fn count_call(&self, dialect: Dialect, model: &str, body: &Map<String, Value>) -> Counted {
        self.provider.count_call(dialect, model, body)
    }

    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        let mut call = Call::begin(&self.counts);
        let stream = call.check(self.provider.chat(request, cancel).await)?;
        Ok(watch(stream, call, |delta| match delta {
            Ok(ReplyDelta::Done { finish: Finish::Cancelled, .. }) => Some(CANCELLED),
            Ok(ReplyDelta::Done { .. }) => Some(OK),
            Ok(ReplyDelta::Text(_)) => None,
            Err(error) => Some(error.code()),
        }))
    }

    async fn call(&self, asked: ServedCall, cancel: CancellationToken) -> Result<ServedAnswer, RelayError> {
        let mut call = Call::begin(&self.counts);
        match call.check(self.provider.call(asked, cancel).await)? {
            whole @ (ServedAnswer::Whole { .. } | ServedAnswer::Passed { .. }) => {
                call.first_output();
                call.outcome = Some(OK);
                Ok(whole)
            }
            ServedAnswer::Stream(stream) => Ok(ServedAnswer::Stream(watch(stream, call, |frame| match frame {
                ServedFrame::Event(_) | ServedFrame::Passed(_) => None,
                ServedFrame::Done { .. } => Some(OK),
                ServedFrame::Failed { error, .. } => Some(error.code()),
            }))),
        }
    }

    fn modalities(&self) -> Option<&dyn Modalities> {
        self.provider.modalities().map(|_| self as &dyn Modalities)
    }

    async fn list_models(&self) -> Result<Vec<String>, RelayError> {
        self.provider.list_models().await
    }
}

#[async_trait]
impl Modalities for Watched {
    fn offers(&self, modality: Modality) -> bool {
        self.provider.modalities().is_some_and(|inner| inner.offers(modality))
    }

    async fn ask(&self, asked: ModalityCall, cancel: CancellationToken) -> Result<ModalityAnswer, RelayError> {
        let mut call = Call::begin(&self.counts);
        let nothing = || RelayError::refused(400, "the provider of this model does not offer this");
        let inner = call.check(self.provider.modalities().ok_or_else(nothing))?;
        match call.check(inner.ask(asked, cancel).await)? {
            whole @ ModalityAnswer::Json { .. } => {
                call.first_output();
                call.outcome = Some(OK);
                Ok(whole)
            }
            ModalityAnswer::Stream { content_type, pieces } => {
                let pieces = watch(pieces, call, |piece| match piece {
                    Ok(Piece::Bytes(_)) => None,
                    Ok(Piece::Done(_)) => Some(OK),
                    Err(error) => Some(error.code()),
                });
                Ok(ModalityAnswer::Stream { content_type, pieces })
            }
        }
    }
}

/// One call; counted when dropped.
struct Call {
    counts: Arc<Counts>,
    begun: Instant,
    heard: bool,
    /// Absent until the end is known.
    outcome: Option<&'static str>,
}

impl Call {
    fn begin(counts: &Arc<Counts>) -> Self {
        Self { counts: Arc::clone(counts), begun: Instant::now(), heard: false, outcome: None }
    }

    fn check<T>(&mut self, result: Result<T, RelayError>) -> Result<T, RelayError> {
        if let Err(error) = &result {
            self.outcome = Some(error.code());
        }
        result
    }

    fn first_output(&mut self) {
        if !std::mem::replace(&mut self.heard, true) {
            self.counts.first_output().record(self.begun.elapsed());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.counts.count(self.outcome.unwrap_or(CANCELLED));
        self.counts.whole().record(self.begun.elapsed());
    }
}

fn watch<T: Send + 'static>(
    stream: BoxStream<'static, T>,
    call: Call,
    end: fn(&T) -> Option<&'static str>,
) -> BoxStream<'static, T> {
    Watching { stream, call, end }.boxed()
}

struct Watching<T> {
    stream: BoxStream<'static, T>,
    call: Call,
    end: fn(&T) -> Option<&'static str>,
}

impl<T> Stream for Watching<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.stream.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(step)) => match (self.end)(step) {
                None => self.call.first_output(),
                end => self.call.outcome = end,
            },
            // Over without an end: callers treat it as a cut.
            Poll::Ready(None) => {
                self.call.outcome.get_or_insert(RelayError::UpstreamCut.code());
            }
            Poll::Pending => {}
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, stream};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::Envelope;

    /// Answers with these steps.
    struct Scripted(Vec<Result<ReplyDelta, RelayError>>);

    #[async_trait]
    impl Provider for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        async fn chat(&self, _: ChatRequest, _: CancellationToken) -> Result<ReplyStream, RelayError> {
            Ok(stream::iter(self.0.clone()).boxed())
        }

        async fn call(&self, _: ServedCall, _: CancellationToken) -> Result<ServedAnswer, RelayError> {
            Err(RelayError::Busy)
        }

        async fn list_models(&self) -> Result<Vec<String>, RelayError> {
            Ok(vec![])
        }
    }

    fn said(text: &str) -> Result<ReplyDelta, RelayError> {
        Ok(ReplyDelta::Text(text.to_owned()))
    }

    fn done() -> Result<ReplyDelta, RelayError> {
        Ok(ReplyDelta::Done { finish: Finish::Stop, usage: None })
    }

    /// What is counted when `take` steps of `script` are read.
    fn counted(script: Vec<Result<ReplyDelta, RelayError>>, take: usize) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let watched = Watched::new(Arc::new(Scripted(script)), "house".to_owned());
            let request = ChatRequest {
                model: "m".to_owned(),
                turns: vec![],
                max_output_tokens: None,
                temperature: None,
                user_tag: None,
                key: None,
            };
            let stream = watched.chat(request, CancellationToken::new()).now_or_never().unwrap().unwrap();
            stream.take(take).collect::<Vec<_>>().now_or_never().unwrap();
        });
        recorder.handle().render()
    }

    #[test]
    fn a_whole_answer_is_one_call_that_went_well_with_one_first_output() {
        let counted = counted(vec![said("a"), said("b"), done()], 9);
        assert!(counted.contains(r#"upstream_calls_total{channel="house",outcome="ok"} 1"#), "{counted}");
        assert!(counted.contains(r#"upstream_first_output_seconds_count{channel="house"} 1"#), "{counted}");
    }

    #[test]
    fn an_answer_that_nobody_reads_to_its_end_was_cancelled() {
        let stopped = Ok(ReplyDelta::Done { finish: Finish::Cancelled, usage: None });
        for (script, take) in [(vec![said("a"), said("b"), done()], 1), (vec![said("a"), stopped], 9)] {
            let counted = counted(script, take);
            assert!(counted.contains(r#"upstream_calls_total{channel="house",outcome="cancelled"} 1"#), "{counted}");
        }
    }

    #[test]
    fn an_answer_that_fails_or_breaks_off_is_counted_by_its_reason() {
        let failed = counted(vec![said("a"), Err(RelayError::TimedOut("a chunk".to_owned()))], 9);
        assert!(failed.contains(r#"upstream_calls_total{channel="house",outcome="timed_out"} 1"#), "{failed}");
        let broken_off = counted(vec![said("a")], 9);
        assert!(
            broken_off.contains(r#"upstream_calls_total{channel="house",outcome="upstream_cut"} 1"#),
            "{broken_off}"
        );
        assert_eq!(broken_off.matches("upstream_calls_total{").count(), 1, "{broken_off}");
    }

    #[test]
    fn a_call_that_was_refused_at_once_has_no_first_output() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let watched = Watched::new(Arc::new(Scripted(vec![])), "house".to_owned());
            let envelope = Envelope {
                id: "chatcmpl-1".to_owned(),
                model: "m".to_owned(),
                created: 0,
                input_tokens: 1,
                include_usage: false,
                request: Default::default(),
            };
            let request = ServedCall {
                dialect: Dialect::ChatCompletions,
                model: "m".to_owned(),
                body: Default::default(),
                max_output_tokens: None,
                stream: true,
                envelope,
                headers: vec![],
                key: None,
                memory: crate::Memory::default(),
            };
            assert!(watched.call(request, CancellationToken::new()).now_or_never().unwrap().is_err());
        });
        let counted = recorder.handle().render();
        assert!(counted.contains(r#"outcome="model_busy"} 1"#) && !counted.contains("first_output"), "{counted}");
    }
}
