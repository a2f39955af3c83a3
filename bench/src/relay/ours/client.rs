//! Somebody at the API of an installation.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::relay::http::connect;

/// What was written becomes visible within this time.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address, token: String::new() }
    }

    /// Signs in, as soon as the account is known to those who read.
    ///
    /// # Errors
    /// It is not, in time.
    pub(super) async fn sign_in(&mut self, email: &str, password: &str) -> anyhow::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.post("auth/login", &json!({"email": email, "password": password})).await;
            match answer {
                Ok(answer) => {
                    self.token = answer["access_token"].as_str().context("no token")?.to_owned();
                    return Ok(());
                }
                Err(error) if Instant::now() > give_up => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Waits until a model can be asked.
    ///
    /// # Errors
    /// It cannot, in time.
    pub(super) async fn wait_for_model(&self, name: &str) -> anyhow::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            let models = self.ask(Method::GET, "models", &Value::Null).await?;
            if models["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == name)) {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("there is no model `{name}`")
    }

    /// A write.
    ///
    /// # Errors
    /// It is refused.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header(HOST, self.address.to_string())
            .header("idempotency-key", Uuid::now_v7().to_string());
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(bytes))?;
        let response = connect(self.address).await?.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::ACCEPTED || !status.is_success() {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&answer));
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}
