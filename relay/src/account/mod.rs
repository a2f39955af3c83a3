//! One account at one provider: the same way for every provider and every dialect.
//!
//! Where the upstream speaks the client's dialect, a call passes through with as little change as possible: the model, the
//! bound, the wish for usage, and what the provider calls by another name. Otherwise it is read into the model of all
//! dialects, asked in the upstream's, and the answer is told in the client's. Either way usage is watched, limits hold,
//! and every end is accounted for.

mod alarm;
mod asked;
mod beside;
mod chunks;
mod events;
mod form;
mod gathered;
mod heads;
mod hidden;
mod media;
mod passing;
mod plain;
mod reply;
mod served;
mod stream;
mod template;
mod usage;
mod whole;

use std::{pin::pin, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Body, Request, StatusCode, Url};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::asked::Asked;
pub(crate) use self::asked::understood;
use self::chunks::Chunks;
use self::events::Events;
use self::heads::{Form, Heads};
use self::hidden::Hidden;
use self::passing::Passing;
use self::served::{Ending, Translated};
use self::stream::{Listener, Reading};
use self::whole::Document;
use crate::dialects::{self, custom};
use crate::http::{
    self, Http, Keys, ParameterOverride, Prepared, Response, is_json, read_body, read_error_body, retry_after,
    unless_cancelled,
};
use crate::modalities::Modalities;
use crate::model::{Author, Message, Prompt, Sampling};
use crate::providers::{ProviderConfig, Vendor, base_url};
use crate::{
    ChatRequest, Dialect, KeyRef, Provider, RelayError, ReplyStream, Role, ServedAnswer, ServedCall, ServedFrame,
    ServedStream,
};

/// The account.
pub(crate) struct Account {
    vendor: Box<dyn Vendor>,
    http: Http,
    base: Url,
    keys: Keys,
    hidden: Arc<Hidden>,
    headers: HeaderMap,
    heads: Heads,
    parameters: Vec<ParameterOverride>,
}

impl Account {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if it cannot work.
    pub(crate) fn new(config: ProviderConfig, vendor: Box<dyn Vendor>) -> Result<Self, RelayError> {
        let base = base_url(vendor.as_ref(), config.base_url.as_deref(), config.address_policy)?;
        http::check_parameters(&config.parameters)?;
        let headers = http::check_headers(&config.headers)?;
        let proxy = config.proxy.as_ref().map(ExposeSecret::expose_secret);
        let http = Http::new(config.limits, config.address_policy, proxy, &base)?;
        let keys = Keys::new(config.keys, config.key_order);
        let hidden = Arc::new(Hidden::new(keys.secrets(), &base));
        Ok(Self { vendor, http, base, keys, hidden, headers, heads: Heads::default(), parameters: config.parameters })
    }

    /// A client's call as it goes upstream.
    fn asked(&self, call: &ServedCall) -> Result<Asked, RelayError> {
        Asked::of_call(call, self.vendor.as_ref(), &self.parameters)
    }

    /// The response of a provider that accepted the request, asked with the key of that name.
    async fn send(
        &self,
        asked: &Asked,
        passed: &[(String, String)],
        key: Option<&KeyRef>,
    ) -> Result<Response, RelayError> {
        let bytes = asked.written()?;
        if bytes.len() > self.vendor.max_body_bytes() {
            let most = self.vendor.max_body_bytes() / 1_000_000;
            return Err(RelayError::refused(413, format!("the request is larger than the {most} MB that it takes")));
        }
        let key = self.keys.place(key);
        let (head, body) = self.head(asked, key, bytes.into())?;
        let head = if passed.is_empty() { head } else { head.with(passed, &self.headers) };
        let limits = self.http.limits();
        let patience = if asked.stream { limits.first_byte } else { limits.total };
        let response = self.http.send_prepared(head, body, patience).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            _ => Err(Box::pin(self.refusal(response, asked.dialect, self.keys.secret(key))).await),
        }
    }

    /// The head of a request with that body.
    fn head(&self, asked: &Asked, key: Option<usize>, body: Body) -> Result<(Prepared, Body), RelayError> {
        let Asked { dialect, ref model, stream, .. } = *asked;
        let request = || Http::post(self.vendor.address(&self.base, dialect, model, stream));
        let complete = |mut request: Request| {
            self.vendor.authorize(&mut request, self.keys.secret(key))?;
            request.headers_mut().extend(self.headers.clone());
            Ok(request)
        };
        if self.vendor.signs() {
            let mut request = request();
            *request.body_mut() = Some(body);
            let mut request = complete(request)?;
            let body = request.body_mut().take().unwrap_or_default();
            return Ok((Prepared::of(&request)?, body));
        }
        let head = self.heads.get(model, Form { dialect, stream, key }, || Prepared::of(&complete(request())?))?;
        Ok((Prepared::clone(&head), body))
    }

    /// The error that a refused request means.
    async fn refusal(&self, response: Response, dialect: Dialect, secret: Option<&str>) -> RelayError {
        let status = response.status().as_u16();
        let wait = retry_after(response.headers(), SystemTime::now());
        let body = read_error_body(response).await;
        let refusal = self.vendor.spoken(dialect).refusal(status, &body, wait, secret);
        self.hidden.clean(refusal.with_key_judged(&body))
    }

    /// The text of a response that is one document.
    async fn text(&self, response: Response) -> Result<String, RelayError> {
        let limits = self.http.limits();
        tokio::time::timeout(limits.total, read_body(response))
            .await
            .map_err(|_| limits.too_slow("the whole answer", limits.total))?
    }

    /// What that text says.
    fn document(&self, text: &str, dialect: Dialect) -> Result<Document, RelayError> {
        Document::read(text, self.vendor.spoken(dialect)).map_err(|error| self.hidden.clean(error))
    }

    async fn whole(&self, call: ServedCall) -> Result<ServedAnswer, RelayError> {
        if !call.stream && self.vendor.streams_only(&call.model) {
            return Box::pin(self.gathered(ServedCall { stream: true, ..call })).await;
        }
        let asked = self.asked(&call)?;
        let response = self.send(&asked, passed(&call, &asked), call.key.as_ref()).await?;
        self.answered(call, asked, response).await
    }

    /// The answer that is one document, as the client gets it.
    async fn answered(&self, call: ServedCall, asked: Asked, response: Response) -> Result<ServedAnswer, RelayError> {
        let text = self.text(response).await?;
        if call.dialect == Dialect::ChatCompletions
            && asked.dialect == call.dialect
            && let Some((body, usage)) = plain::whole(&text, &call.envelope.model, asked.question.most())
        {
            return Ok(ServedAnswer::Passed { body, usage });
        }
        let Document { body, mut answer, generated } = self.document(&text, asked.dialect)?;
        if asked.dialect != call.dialect {
            call.memory.hear(&answer);
        }
        custom::restore(&mut answer, &asked.custom);
        let usage = Box::pin(usage::final_usage(answer.usage, true, asked.question, generated)).await;
        let body = match body {
            Value::Object(body) if asked.dialect == call.dialect => {
                passing::whole(call.dialect, body, &call.envelope, &usage)
            }
            _ => dialects::served(call.dialect)?.write(&call.envelope, answer, &usage),
        };
        Ok(ServedAnswer::Whole { body, usage })
    }

    /// A whole answer of an upstream that only streams.
    async fn gathered(&self, call: ServedCall) -> Result<ServedAnswer, RelayError> {
        let asked = self.asked(&call)?;
        let response = self.send(&asked, passed(&call, &asked), call.key.as_ref()).await?;
        if is_json(response.headers()) {
            return self.answered(call, asked, response).await;
        }
        let custom = asked.custom.clone();
        let steps = reply::Steps::new(self.vendor.spoken(asked.dialect).reader());
        let reading = self.reading(response, steps, asked, CancellationToken::new());
        let (mut answer, usage) = gathered::gathered(reading).await?;
        call.memory.hear(&answer);
        custom::restore(&mut answer, &custom);
        let body = dialects::served(call.dialect)?.write(&call.envelope, answer, &usage);
        Ok(ServedAnswer::Whole { body, usage })
    }

    async fn streamed(&self, call: ServedCall, cancel: CancellationToken) -> Result<ServedStream, RelayError> {
        let mut asked = self.asked(&call)?;
        let response = self.send(&asked, passed(&call, &asked), call.key.as_ref()).await?;
        let spoken = self.vendor.spoken(asked.dialect);
        let (envelope, memory) = (call.envelope, call.memory);
        if !is_json(response.headers()) && asked.dialect == call.dialect {
            return if call.dialect == Dialect::ChatCompletions {
                let chunks = Chunks::new(&asked, envelope);
                self.read(response, chunks, asked, cancel).await
            } else {
                let passing = Passing::new(asked.dialect, spoken.reader(), envelope);
                self.read(response, passing, asked, cancel).await
            };
        }
        let writer = dialects::served(call.dialect)?.writer(envelope);
        let writer = custom::restoring(writer, std::mem::take(&mut asked.custom));
        if is_json(response.headers()) {
            // A server that does not stream. Its document is told as a stream.
            let document = self.document(&self.text(response).await?, asked.dialect)?;
            memory.hear(&document.answer);
            return Ok(served::told(document, writer, asked.question).await);
        }
        let translated = Translated::new(spoken.reader(), writer, asked.candidates(), memory.listener());
        self.read(response, translated, asked, cancel).await
    }

    async fn read<L>(
        &self,
        response: Response,
        listener: L,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Result<ServedStream, RelayError>
    where
        L: Listener<Step = ServedFrame> + Ending,
    {
        let reading = self.reading(response, listener, asked, cancel).begun().await?;
        Ok(served::frames(reading))
    }

    fn reading<L: Listener>(
        &self,
        response: Response,
        listener: L,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Reading<L> {
        let limits = self.http.limits();
        let events = Events::of(response, asked.dialect, limits.event_bytes);
        Reading::new(events, listener, (limits, Arc::clone(&self.hidden)), asked.question, cancel)
    }

    async fn reply(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        let key = request.key.clone();
        let asked = Asked::of_prompt(prompt(request), self.vendor.as_ref(), &self.parameters)?;
        let response = self.send(&asked, &[], key.as_ref()).await?;
        if is_json(response.headers()) {
            let document = self.document(&self.text(response).await?, asked.dialect)?;
            return Ok(reply::told(document, asked.question).await);
        }
        let steps = reply::Steps::new(self.vendor.spoken(asked.dialect).reader());
        Ok(reply::texts(self.reading(response, steps, asked, cancel).begun().await?))
    }
}

#[async_trait]
impl Provider for Account {
    fn name(&self) -> &str {
        self.vendor.name()
    }

    fn keys(&self) -> &[KeyRef] {
        self.keys.names()
    }

    fn choose_key(&self, avoid: &[KeyRef]) -> Option<KeyRef> {
        self.keys.choose(avoid)
    }

    async fn chat(&self, request: ChatRequest, cancel: CancellationToken) -> Result<ReplyStream, RelayError> {
        unless_cancelled(&cancel, self.reply(request, cancel.clone())).await
    }

    /// What seldom happens on the way has a place of its own on the heap, or every call would be moved with room for it.
    async fn call(&self, call: ServedCall, cancel: CancellationToken) -> Result<ServedAnswer, RelayError> {
        if call.stream {
            unless_cancelled(&cancel, Box::pin(self.streamed(call, cancel.clone()))).await.map(ServedAnswer::Stream)
        } else {
            // It is pinned where it is made, or it would be moved into whoever waits for it.
            let answering = pin!(self.whole(call));
            unless_cancelled(&cancel, answering).await
        }
    }

    fn modalities(&self) -> Option<&dyn Modalities> {
        Some(self)
    }

    async fn list_models(&self) -> Result<Vec<String>, RelayError> {
        let nothing = || RelayError::Misconfigured("this provider has no list of its models".to_owned());
        let (url, read) = self.vendor.models(&self.base).ok_or_else(nothing)?;
        let mut request = Http::get(url);
        let secret = self.keys.secret(self.keys.place(None));
        self.vendor.authorize(&mut request, secret)?;
        request.headers_mut().extend(self.headers.clone());
        let response = self.http.send(request, self.http.limits().connect * 2).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, self.vendor.dialect(None, ""), secret).await);
        }
        let list = read_body(response).await?;
        let list = serde_json::from_str::<Value>(&list).ok().and_then(|list| read(&list));
        list.ok_or_else(|| RelayError::UpstreamGarbage("its list of models cannot be read".to_owned()))
    }
}

/// The headers of the client that go upstream: only where its own dialect is spoken.
fn passed<'c>(call: &'c ServedCall, asked: &Asked) -> &'c [(String, String)] {
    if call.dialect == asked.dialect { &call.headers } else { &[] }
}

/// A question of our own conversations, always streamed.
fn prompt(request: ChatRequest) -> Prompt {
    let messages = request.turns.into_iter().map(|turn| {
        let author = match turn.role {
            Role::System => Author::System,
            Role::User => Author::User,
            Role::Assistant => Author::Assistant,
        };
        Message::text(author, turn.content)
    });
    // By way of its text: 0.2 is to arrive as 0.2 and not as 0.20000000298023224.
    let exact = |number: f32| number.to_string().parse().unwrap_or(f64::from(number));
    Prompt {
        model: request.model,
        messages: messages.collect(),
        sampling: Sampling { temperature: request.temperature.map(exact), ..Sampling::default() },
        max_output_tokens: request.max_output_tokens,
        user_tag: request.user_tag,
        stream: true,
        ..Prompt::default()
    }
}
