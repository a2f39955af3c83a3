//! `GET models`: what a server offers, for installations that do not name their models.

use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{OpenAi, read_body};
use crate::RelayError;

/// The list of a server; everything but the ids is its own affair.
#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl OpenAi {
    pub(super) async fn list(&self) -> Result<Vec<String>, RelayError> {
        let mut address = self.endpoint.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop().pop().push("models");
        }
        let mut call = self.client.get(address).timeout(self.config.limits.connect * 2);
        if let Some(key) = &self.config.api_key {
            call = call.bearer_auth(key.expose_secret());
        }
        let response =
            call.send().await.map_err(|_| RelayError::UpstreamUnavailable("it does not list its models".to_owned()))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = read_body(response).await?;
        let models: Models = serde_json::from_str(&body)
            .map_err(|_| RelayError::UpstreamGarbage("its list of models cannot be read".to_owned()))?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }
}
