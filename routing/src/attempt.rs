//! From a demand to its answer: who is asked, again, beside, or instead.
//!
//! Promise: before the first output a bounded number of candidates is asked, within a budget that all requests share;
//! after it nobody else. Whoever is not waited for any more is let go, and every try is reported.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use relay::RelayError;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::demand::{Answered, Asked, Demand, Spared, Stage, Story, Try, Unanswered, When};
use crate::fault::Blame;
use crate::label::OK;
use crate::watch::Watch;
use crate::{Answer, Candidate, Choice, Fault, LeftOut, Next, Plan, Router, Ticket, Tried, Wish};

/// Who still waits for an answer.
#[derive(Clone, Copy)]
pub struct Waiting<'w> {
    /// Ends everything at once.
    pub cancel: &'w CancellationToken,
    /// Whether anybody would hear another try; asked before each.
    pub still: &'w (dyn Fn() -> bool + Sync),
}

impl Router {
    /// Asks until somebody answers; `ask` sends the call to whom it is told, once each time.
    ///
    /// # Errors
    /// Nobody answered, with what the last one said, or why nobody could be asked.
    pub async fn attempt<A, F, Asking>(
        self: &Arc<Self>,
        demand: &Demand,
        waiting: Waiting<'_>,
        ask: F,
    ) -> Result<Answered<A>, Unanswered>
    where
        A: Answer,
        F: Fn(Asked) -> Asking + Sync,
        Asking: Future<Output = Result<A, RelayError>> + Send,
    {
        let mut course = Course::new(Arc::clone(self), demand, waiting);
        self.earn(self.at(course.begun));
        if demand.hedge_after.is_some() {
            return course.hedged(ask).await;
        }
        loop {
            let (number, asked, watch) = match course.next().await {
                Ok(next) => next,
                Err(error) => return Err(course.unanswered(error)),
            };
            // Nobody is asked beside: it is waited for where it is.
            let ended = tokio::select! {
                biased;
                () = waiting.cancel.cancelled() => return Err(course.unanswered(RelayError::Cancelled)),
                ended = watch.over(ask(asked.clone())) => ended,
            };
            match ended {
                Ok(answer) => return Ok(course.answered(number, asked, answer)),
                Err(error) => course.failed(number, &asked, error),
            }
        }
    }
}

/// What is to be done next: the number of the try, whom to ask, and who watches.
type NextTry = (usize, Asked, Watch);

/// One demand on its way.
struct Course<'c> {
    router: Arc<Router>,
    demand: &'c Demand,
    waiting: Waiting<'c>,
    begun: Instant,
    stage: usize,
    /// Times that this stage was asked.
    asked: u32,
    /// Where this stage failed.
    tried: Vec<Tried>,
    /// What the last one said.
    last: Option<RelayError>,
    /// What the last one of the stages before said.
    before: Option<RelayError>,
    /// Stages that were left.
    left: Vec<usize>,
    /// As this stage wishes it.
    wish: Wish,
    story: Story,
}

impl<'c> Course<'c> {
    fn new(router: Arc<Router>, demand: &'c Demand, waiting: Waiting<'c>) -> Self {
        let strategy = demand.stages.first().and_then(|stage| stage.strategy);
        Self {
            router,
            demand,
            waiting,
            begun: Instant::now(),
            stage: 0,
            asked: 0,
            tried: vec![],
            last: None,
            before: None,
            left: vec![],
            wish: Wish { strategy, ..demand.wish.clone() },
            story: Story::default(),
        }
    }

    /// The way of a demand by which a second one is asked beside one that keeps silent.
    async fn hedged<A, F, Asking>(mut self, ask: F) -> Result<Answered<A>, Unanswered>
    where
        A: Answer,
        F: Fn(Asked) -> Asking + Sync,
        Asking: Future<Output = Result<A, RelayError>> + Send,
    {
        let one_try = |(number, asked, watch): NextTry| {
            let answer = ask(asked.clone());
            async move { (number, asked, watch.over(answer).await) }
        };
        let (mut under_way, mut hedge_at) = (FuturesUnordered::new(), None);
        loop {
            if under_way.is_empty() {
                match self.next().await {
                    Ok(next) => under_way.push(one_try(next)),
                    Err(error) => return Err(self.unanswered(error)),
                }
                hedge_at = self.demand.hedge_after.map(|after| tokio::time::Instant::now() + after);
            }
            let hedging = pin!(async move {
                match hedge_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            });
            let ended = tokio::select! {
                biased;
                () = self.waiting.cancel.cancelled() => return Err(self.unanswered(RelayError::Cancelled)),
                ended = under_way.next() => ended,
                () = hedging => None,
            };
            match ended {
                Some((number, asked, Ok(answer))) => return Ok(self.answered(number, asked, answer)),
                Some((number, asked, Err(error))) => self.failed(number, &asked, error),
                None => {
                    hedge_at = None;
                    under_way.extend(self.beside().map(one_try));
                }
            }
        }
    }

    /// Finds the next one, after a pause where it must be.
    async fn next(&mut self) -> Result<NextTry, RelayError> {
        loop {
            let Some(stage) = self.demand.stages.get(self.stage) else {
                return Err(self.end(&Plan::default()));
            };
            if let Some(error) = &self.last {
                let error = error.clone();
                match Fault::of(&error).next {
                    Next::GiveUp => return Err(error),
                    Next::LargerContext if self.fall_back(When::ContextWindow) => continue,
                    Next::OtherPolicy if self.fall_back(When::ContentPolicy) => continue,
                    Next::LargerContext | Next::OtherPolicy => return Err(error),
                    Next::Another if !self.may_go_on() => match self.fall_back(When::General) {
                        true => continue,
                        false => return Err(error),
                    },
                    Next::Another => {}
                }
            }
            if let ([only], true) = (stage.candidates.as_slice(), self.story.tries.is_empty())
                && let Some(next) = self.begin_only(stage, only)
            {
                return Ok(next);
            }
            let plan = self.router.plan(&stage.candidates, &self.wish, &self.tried);
            self.story.left_out = spared(stage, &plan);
            let Some(choice) = plan.order.first() else {
                self.empty(&plan).await?;
                continue;
            };
            if choice.again && !self.pause(self.pause_before_again()).await? {
                match self.fall_back(When::General) {
                    true => continue,
                    false => return Err(self.end(&plan)),
                }
            }
            if !self.story.tries.is_empty() && !self.router.may_retry() {
                return Err(self.end(&plan));
            }
            if let Some(next) = self.begin(stage, choice, false) {
                return Ok(next);
            }
        }
    }

    /// Nobody of this stage may be asked now: waits for the first who may, goes on to another model, or ends.
    async fn empty(&mut self, plan: &Plan) -> Result<(), RelayError> {
        if plan.is_too_long() {
            let falls = self.fall_back(When::ContextWindow);
            return if falls { Ok(()) } else { Err(RelayError::ContextTooLong) };
        }
        let pause = plan.soonest().map(|soonest| soonest.since(self.router.now()));
        if let Some(pause) = pause.filter(|_| self.asked > 0)
            && self.pause(pause).await?
        {
            return Ok(());
        }
        if self.fall_back(When::General) {
            return Ok(());
        }
        Err(self.end(plan))
    }

    /// What the request comes to where nobody more is asked.
    fn end(&self, plan: &Plan) -> RelayError {
        let said = self.last.as_ref().or(self.before.as_ref());
        said.cloned().unwrap_or_else(|| self.nobody(plan))
    }

    /// Somebody who is asked beside the one that keeps silent, if there is anybody.
    fn beside(&mut self) -> Option<NextTry> {
        let stage = self.demand.stages.get(self.stage)?;
        let mut tried = self.tried.clone();
        tried.extend(self.under_way());
        let plan = self.router.plan(&stage.candidates, &self.wish, &tried);
        let choice = plan.order.first().filter(|choice| !choice.again)?;
        if self.asked >= self.demand.tries.most || !self.router.may_retry() {
            return None;
        }
        metrics::counter!("routing_hedges_total").increment(1);
        self.begin(stage, choice, true)
    }

    /// The candidates that are being asked.
    fn under_way(&self) -> impl Iterator<Item = Tried> + '_ {
        let stage = self.demand.stages.get(self.stage);
        let pending = self.story.tries.iter().filter(|one| one.outcome == PENDING);
        pending.filter_map(move |one| {
            let candidate = stage?.candidates.iter().position(|candidate| candidate.channel == one.channel)?;
            Some(Tried { candidate, key: one.key.clone(), key_only: false })
        })
    }

    /// The first try of a request that only one may answer: there is nothing to plan.
    fn begin_only(&mut self, stage: &Stage, only: &Candidate) -> Option<NextTry> {
        let began = Instant::now();
        let (key, ticket) = self.router.begin_only(only, &self.wish, self.router.at(began))?;
        self.story.left_out.clear();
        Some(self.begun(stage, Choice { candidate: 0, key, again: false }, (only, ticket, began), false))
    }

    fn begin(&mut self, stage: &Stage, choice: &Choice, hedge: bool) -> Option<NextTry> {
        let (candidate, began) = (stage.candidates.get(choice.candidate)?, Instant::now());
        // Another request took its place meanwhile: the plan is made anew.
        let ticket = self.router.begin(candidate, choice, self.wish.input_tokens, self.router.at(began)).ok()?;
        Some(self.begun(stage, choice.clone(), (candidate, ticket, began), hedge))
    }

    /// Somebody may be asked, since `began`.
    fn begun(
        &mut self,
        stage: &Stage,
        choice: Choice,
        (candidate, ticket, began): (&Candidate, Ticket, Instant),
        hedge: bool,
    ) -> NextTry {
        let watch = Watch::new(Arc::clone(&self.router), ticket, choice.again, candidate.name.clone(), began);
        self.asked += 1;
        self.story.tries.push(Try {
            channel: candidate.channel,
            name: Arc::clone(candidate.name.name()),
            model: Arc::clone(&stage.model),
            key: choice.key.clone(),
            hedge,
            outcome: PENDING,
            took: Duration::ZERO,
            began,
        });
        let asked = Asked { stage: self.stage, candidate: choice.candidate, key: choice.key };
        (self.story.tries.len() - 1, asked, watch)
    }

    fn note(&mut self, number: usize, outcome: &'static str) {
        if let Some(one) = self.story.tries.get_mut(number) {
            one.outcome = outcome;
            one.took = one.began.elapsed();
        }
    }

    fn failed(&mut self, number: usize, asked: &Asked, error: RelayError) {
        self.note(number, error.code());
        let key_only = Fault::of(&error).blame == Blame::Key;
        self.tried.push(Tried { candidate: asked.candidate, key: asked.key.clone(), key_only });
        self.last = Some(error);
    }

    fn answered<A>(mut self, number: usize, by: Asked, answer: A) -> Answered<A> {
        self.note(number, OK);
        if self.story.tries.len() > 1 {
            metrics::counter!("routing_failovers_total").increment(1);
            tracing::info!(story = %self.story, "a request was answered after more than one try");
        }
        Answered { answer, by, story: self.story }
    }

    fn unanswered(self, error: RelayError) -> Unanswered {
        if error != RelayError::Cancelled {
            tracing::info!(code = error.code(), story = %self.story, "a request was not answered");
        }
        Unanswered { error, story: self.story }
    }

    /// Why nobody was asked.
    fn nobody(&self, plan: &Plan) -> RelayError {
        metrics::counter!("routing_unanswerable_total").increment(1);
        let retry_after = plan.soonest().map(|soonest| soonest.since(self.router.now()));
        RelayError::NoHealthyChannel { reasons: self.story.reasons(), retry_after }
    }

    /// Whether this stage may be asked once more.
    fn may_go_on(&self) -> bool {
        let tries = &self.demand.tries;
        self.asked < tries.most && self.begun.elapsed() < tries.within && (self.waiting.still)()
    }

    /// Goes on to the next model for that reason, if there is one and somebody waits.
    fn fall_back(&mut self, when: When) -> bool {
        self.left.push(self.stage);
        let is_next = |(place, stage): &(usize, &Stage)| stage.when == when && !self.left.contains(place);
        let Some((place, stage)) = self.demand.stages.iter().enumerate().find(is_next) else { return false };
        if self.begun.elapsed() >= self.demand.tries.within || !(self.waiting.still)() {
            return false;
        }
        tracing::info!(model = %stage.model, ?when, "another model is asked instead");
        metrics::counter!("routing_fallbacks_total", "reason" => when.as_str()).increment(1);
        (self.stage, self.asked, self.wish.strategy) = (place, 0, stage.strategy);
        self.tried.clear();
        self.before = self.last.take().or(self.before.take());
        true
    }

    fn pause_before_again(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.asked.saturating_sub(1).min(16));
        self.demand.tries.pause.saturating_mul(doubled)
    }

    /// Waits, if the request is not too old for it then. Whether it has.
    async fn pause(&self, pause: Duration) -> Result<bool, RelayError> {
        let tries = &self.demand.tries;
        if pause > tries.longest_pause || self.begun.elapsed() + pause > tries.within {
            return Ok(false);
        }
        tokio::select! {
            () = self.waiting.cancel.cancelled() => Err(RelayError::Cancelled),
            () = sleep(pause) => Ok(true),
        }
    }
}

/// The outcome of a try that has none yet.
const PENDING: &str = "pending";

impl When {
    const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::General => "general",
        }
    }
}

fn spared(stage: &Stage, plan: &Plan) -> Vec<Spared> {
    let one = |left: &LeftOut| {
        let candidate = stage.candidates.get(left.candidate)?;
        let (name, told) = (Arc::clone(candidate.name.name()), Arc::clone(&candidate.told));
        Some(Spared { name, told, reason: left.reason.clone() })
    };
    plan.left_out.iter().filter_map(one).collect()
}
