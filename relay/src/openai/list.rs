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
    /// The ids of the models that the server lists, in its order.
    ///
    /// # Errors
    /// It cannot be reached, refuses, or answers something else.
    pub async fn list_models(&self) -> Result<Vec<String>, RelayError> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

    use crate::openai::{Limits, OpenAi, OpenAiConfig};

    fn adapter(server: &MockServer) -> OpenAi {
        let config = OpenAiConfig {
            base_url: format!("{}/v1", server.uri()),
            api_key: Some("sk-secret".into()),
            models: vec![],
            limits: Limits::default(),
        };
        OpenAi::new(config).unwrap()
    }

    #[tokio::test]
    async fn the_models_of_a_server_are_listed_in_its_order() {
        let server = MockServer::start().await;
        let list = json!({ "object": "list", "data": [{ "id": "b", "object": "model" }, { "id": "a" }] });
        Mock::given(matchers::path("/v1/models"))
            .and(matchers::bearer_token("sk-secret"))
            .respond_with(ResponseTemplate::new(200).set_body_json(list))
            .mount(&server)
            .await;
        assert_eq!(adapter(&server).list_models().await.unwrap(), ["b", "a"]);
    }

    #[tokio::test]
    async fn a_refused_list_is_an_error_without_the_key() {
        let server = MockServer::start().await;
        let body = json!({ "error": { "message": "bad key sk-secret" } });
        Mock::given(matchers::any()).respond_with(ResponseTemplate::new(401).set_body_json(body)).mount(&server).await;
        let error = adapter(&server).list_models().await.unwrap_err();
        assert_eq!(error.code(), "upstream_refused");
        assert!(!error.to_string().contains("sk-secret"), "{error}");
    }
}
