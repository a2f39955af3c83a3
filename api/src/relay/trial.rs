//! One short call through a channel, enabled or not: does it work? Charged to nobody.

use std::time::{Duration, Instant};

use axum::{Json, extract::State};
use domain::ChannelId;
use futures::StreamExt as _;
use metering::{Catalogue, ChannelProvider};
use relay::{ChatRequest, RelayError, ReplyDelta, Role, Turn};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::channels::no_channel;
use crate::{
    auth::Admin,
    extract::{Id, OptionalJson},
    openapi::Problems,
    problem::Problem,
};

const QUESTION: &str = "Say hello in one short sentence.";
const MAX_OUTPUT_TOKENS: u32 = 16;
/// Characters of the answer that are shown, at most, whatever the provider sends.
const MAX_REPLY_CHARS: usize = 500;
/// An operator does not wait longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to try.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Trial {
    /// By its public name; the channel's first model where absent.
    #[serde(default)]
    model: Option<String>,
}

/// What it came to. A provider that refuses is a result, not an error of this request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialResult {
    ok: bool,
    model: String,
    latency_ms: u64,
    /// The beginning of the answer.
    #[schema(required = true)]
    reply: Option<String>,
    #[schema(required = true)]
    error: Option<TrialError>,
}

/// Why it did not work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialError {
    code: String,
    message: String,
}

/// Makes one short call.
#[utoipa::path(post, path = "/api/v1/admin/channels/{id}/test", operation_id = "test_channel", tag = "admin",
    params(("id" = Uuid, Path)), request_body = Option<Trial>,
    responses((status = 200, body = TrialResult), Problems), security(("bearer" = [])))]
pub(super) async fn test(
    _: Admin,
    State(catalogue): State<Catalogue>,
    Id(id): Id,
    OptionalJson(request): OptionalJson<Trial>,
) -> Result<Json<TrialResult>, Problem> {
    let channel = match catalogue.provider_of(ChannelId::new(id)).await {
        Ok(channel) => channel.ok_or_else(no_channel)?,
        Err(error) => {
            let error = TrialError { code: "misconfigured".to_owned(), message: format!("{error:#}") };
            let model = request.model.unwrap_or_default();
            return Ok(Json(TrialResult { ok: false, model, latency_ms: 0, reply: None, error: Some(error) }));
        }
    };
    let wanted = request.model.as_deref();
    let named = channel.models.iter().find(|(public, _)| wanted.is_none_or(|wanted| wanted == public)).cloned();
    let (model, upstream) = named
        .ok_or_else(|| Problem::field("model", "unknown_model", "this channel does not offer a model of that name"))?;
    let begun = Instant::now();
    let asked = timeout(PATIENCE, ask(&channel, upstream)).await;
    let answer = asked.unwrap_or_else(|_| Err(RelayError::TimedOut(format!("no answer within {PATIENCE:?}"))));
    let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (reply, error) = match answer {
        Ok(reply) => (Some(reply), None),
        Err(error) => (None, Some(TrialError { code: error.code().to_owned(), message: error.to_string() })),
    };
    Ok(Json(TrialResult { ok: error.is_none(), model, latency_ms, reply, error }))
}

async fn ask(channel: &ChannelProvider, model: String) -> Result<String, RelayError> {
    let request = ChatRequest {
        model,
        turns: vec![Turn { role: Role::User, content: QUESTION.to_owned() }],
        max_output_tokens: Some(MAX_OUTPUT_TOKENS),
        temperature: None,
        user_tag: None,
        key: None,
    };
    // Whoever leaves takes the upstream's connection along.
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let mut answer = channel.provider.chat(request, cancel).await?;
    let (mut reply, mut chars) = (String::new(), 0);
    while let Some(delta) = answer.next().await {
        match delta? {
            ReplyDelta::Text(text) => {
                let shown: String = text.chars().take(MAX_REPLY_CHARS - chars).collect();
                chars += shown.chars().count();
                reply.push_str(&shown);
            }
            ReplyDelta::Done { .. } => return Ok(reply),
        }
    }
    Err(RelayError::UpstreamCut)
}
