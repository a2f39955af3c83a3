//! The local model: SmolLM2-135M-Instruct on the CPU, so that the first chat needs no key and no network.
//!
//! It is a demonstration: English, often wrong, but every word is the model's own. [`prepare`] makes its file fast
//! once; the weights are loaded at the first question and kept. Answers are generated on threads of their own and take
//! turns by token; a full queue refuses with [`RelayError::Busy`]. A conversation longer than the window loses its
//! oldest turns before the model sees it.

mod answer;
mod generate;
mod llama;
mod prepare;
mod prompt;
mod sample;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::generate::{Generation, Model, Out};
pub use self::prepare::prepare;
use crate::account::understood;
use crate::count::read_prompt;
use crate::{
    Basis, ChatRequest, Counted, Dialect, Provider, RelayError, ReplyStream, ServedAnswer, ServedCall, Turn, dialects,
};

/// The one model that this provider has.
pub const MODEL_ID: &str = "smollm2-135m-instruct";

/// The environment variable from which the arithmetic library sizes its own pools, once, at first use. They wait by
/// spinning: with a thread a core they make everything on a busy machine slow, themselves most (measured: 6 tokens a
/// second instead of 30). An executable sets it to [`default_threads`] before it starts any thread.
pub const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// Threads for arithmetic: one core stays for the rest of the house, and a model this small gains nothing beyond four.
#[must_use]
pub fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, 4)
}

/// How the local model is run.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The file that [`prepare`] gave.
    pub model_path: PathBuf,
    /// Threads that compute for answers; see also [`THREADS_VARIABLE`].
    pub threads: usize,
    /// Answers that are generated at the same time, at least one. Each takes about 45 KiB a token of its conversation.
    pub concurrency: usize,
    /// Questions that wait beyond these; more are refused.
    pub queue: usize,
    /// Window of prompt and answer together; the model was trained for 8192, and long prompts take long on a CPU.
    pub context_tokens: usize,
    /// The longest answer, and the length where a request names none.
    pub max_output_tokens: u32,
    /// With a seed the same question always gets the same answer.
    pub seed: Option<u64>,
}

impl LocalConfig {
    /// Sensible values for a small machine.
    #[must_use]
    pub fn new(model_path: PathBuf) -> Self {
        Self {
            model_path,
            threads: default_threads(),
            concurrency: 4,
            queue: 16,
            context_tokens: 2048,
            max_output_tokens: 512,
            seed: None,
        }
    }
}

/// The provider. Dropping it lets its threads end after the answers that they generate.
pub struct Local {
    jobs: SyncSender<Job>,
    config: Arc<LocalConfig>,
    shared: Arc<Shared>,
}

struct Job {
    request: ChatRequest,
    cancel: CancellationToken,
    out: Out,
}

/// What the generating threads share.
struct Shared {
    config: Arc<LocalConfig>,
    pool: ThreadPool,
    model: Mutex<Option<Arc<Model>>>,
}

impl Local {
    /// Starts the threads; the file is not touched before the first question.
    ///
    /// # Errors
    /// [`RelayError::LocalFailure`] if the system gives no threads.
    pub fn new(config: LocalConfig) -> Result<Self, RelayError> {
        let failed = |error: &dyn std::fmt::Display| RelayError::LocalFailure(format!("no threads: {error}"));
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|number| format!("local-model-{number}"))
            .build()
            .map_err(|error| failed(&error))?;
        let config = Arc::new(config);
        let (jobs, waiting) = sync_channel(config.queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let shared = Arc::new(Shared { config: Arc::clone(&config), pool, model: Mutex::new(None) });
        for number in 0..config.concurrency.max(1) {
            let (shared, waiting) = (Arc::clone(&shared), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name(format!("local-answer-{number}"))
                .spawn(move || serve(&shared, &waiting))
                .map_err(|error| failed(&error))?;
        }
        Ok(Self { jobs, config, shared })
    }
}

/// Answers one question after the other until the provider is dropped.
fn serve(shared: &Shared, waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A defect in the arithmetic costs this answer, not the thread.
        let outcome = catch_unwind(AssertUnwindSafe(|| answer(shared, &job)));
        let failure = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => RelayError::LocalFailure("the computation panicked".to_owned()),
        };
        // Nobody listens any more: nothing to tell.
        drop(job.out.try_send(Err(failure)));
    }
}

fn answer(shared: &Shared, job: &Job) -> Result<(), RelayError> {
    if job.out.is_closed() {
        return Ok(());
    }
    let model = shared.model()?;
    Generation::new(&model, &shared.pool, &shared.config, &job.request, &job.cancel, &job.out)?.run()
}

impl Shared {
    /// The model, loaded by whoever comes first. A failure is not kept: the file may be there next time.
    fn model(&self) -> Result<Arc<Model>, RelayError> {
        let mut slot = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*slot {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(Model::load(&self.config.model_path, self.config.context_tokens)?);
        *slot = Some(Arc::clone(&model));
        Ok(model)
    }
}

#[async_trait]
impl Provider for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn count_turns(&self, _: &str, turns: &[Turn]) -> u64 {
        // As the model will see it: with its template, without what does not fit into its window.
        let prompt = self.shared.model().and_then(|model| model.prompt_tokens(turns, self.config.context_tokens));
        prompt.unwrap_or_else(|_| crate::count_turns(MODEL_ID, turns))
    }

    fn count_call(&self, dialect: Dialect, model: &str, body: &Map<String, Value>) -> Counted {
        match read_prompt(dialect, model, body).and_then(|prompt| answer::turns(&prompt).ok()) {
            Some(turns) => Counted { tokens: self.count_turns(model, &turns), basis: Basis::Counted },
            // It will be refused.
            None => crate::count_call(dialect, model, body),
        }
    }

    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        if request.model != MODEL_ID {
            return Err(RelayError::UnknownModel(request.model));
        }
        // Every token of the longest answer, and its end.
        let (out, mut steps) = mpsc::channel(self.config.max_output_tokens as usize + 2);
        self.jobs.try_send(Job { request, cancel: cancel.clone(), out }).map_err(|error| match error {
            TrySendError::Full(_) => RelayError::Busy,
            TrySendError::Disconnected(_) => RelayError::LocalFailure("its threads have ended".to_owned()),
        })?;
        // The first step tells whether there is an answer at all.
        let first = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RelayError::Cancelled),
            first = steps.recv() => first,
        };
        let first = first.unwrap_or_else(|| Err(RelayError::LocalFailure("the answer vanished".to_owned())))?;
        let rest = stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
        Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
    }

    async fn call(&self, call: ServedCall, cancel: CancellationToken) -> Result<ServedAnswer, RelayError> {
        let served = dialects::served(call.dialect)?;
        let prompt = understood(&call)?;
        let reply = self.chat(answer::chat_request(&prompt)?, cancel).await?;
        let envelope = call.envelope;
        if call.stream {
            let writer = served.writer(envelope.clone());
            return Ok(ServedAnswer::Stream(answer::events(reply, envelope, writer)));
        }
        let (answer, usage) = answer::whole(reply, &envelope).await?;
        Ok(ServedAnswer::Whole { body: served.write(&envelope, answer, &usage), usage })
    }

    async fn list_models(&self) -> Result<Vec<String>, RelayError> {
        Ok(vec![MODEL_ID.to_owned()])
    }
}
