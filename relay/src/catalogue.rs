//! Which provider serves which model.
//!
//! Providers are asked in the order in which they were given: the first one that lists an id serves it, and the first
//! model of the first provider is the default.

use std::sync::Arc;

use crate::{ModelInfo, Provider, RelayError};

/// All models of this installation. Cheap to clone; fixed for the life of the process.
#[derive(Clone)]
pub struct Catalogue {
    providers: Arc<[Arc<dyn Provider>]>,
}

impl Catalogue {
    /// A catalogue of these providers, the preferred one first.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self { providers: providers.into() }
    }

    /// Every model once, in order of preference; the first is the default.
    #[must_use]
    pub fn models(&self) -> Vec<ModelInfo> {
        let mut models: Vec<ModelInfo> = Vec::new();
        for model in self.providers.iter().flat_map(|provider| provider.models()) {
            if !models.iter().any(|known| known.id == model.id) {
                models.push(model);
            }
        }
        models
    }

    /// The id of the default model, if there is any model at all.
    #[must_use]
    pub fn default_model(&self) -> Option<String> {
        self.providers.iter().find_map(|provider| provider.models().into_iter().next()).map(|model| model.id)
    }

    /// The provider of `model` and the id to ask it for; `None` means the default model.
    ///
    /// # Errors
    /// [`RelayError::UnknownModel`] if nobody lists it, or if there is no default because there is no model.
    pub fn resolve(&self, model: Option<&str>) -> Result<(Arc<dyn Provider>, String), RelayError> {
        for provider in self.providers.iter() {
            let found = provider.models().into_iter().find(|offered| model.is_none_or(|wanted| wanted == offered.id));
            if let Some(found) = found {
                return Ok((Arc::clone(provider), found.id));
            }
        }
        Err(RelayError::UnknownModel(model.unwrap_or("default").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{ChatRequest, Completion, CompletionRequest, ReplyStream};

    struct Named(&'static str, Vec<&'static str>);

    #[async_trait]
    impl Provider for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn models(&self) -> Vec<ModelInfo> {
            let info = |id: &&str| ModelInfo {
                id: (*id).to_owned(),
                provider: self.0.to_owned(),
                demonstration: false,
                context_tokens: None,
            };
            self.1.iter().map(info).collect()
        }

        async fn chat(&self, _: ChatRequest, _: CancellationToken) -> Result<ReplyStream, RelayError> {
            Err(RelayError::UpstreamCut)
        }

        async fn complete(&self, _: CompletionRequest, _: CancellationToken) -> Result<Completion, RelayError> {
            Err(RelayError::UpstreamCut)
        }
    }

    fn catalogue() -> Catalogue {
        Catalogue::new(vec![
            Arc::new(Named("empty", vec![])),
            Arc::new(Named("first", vec!["a", "shared"])),
            Arc::new(Named("second", vec!["shared", "b"])),
        ])
    }

    #[test]
    fn the_default_is_the_first_model_of_the_first_provider_that_has_one() {
        let (provider, model) = catalogue().resolve(None).unwrap();
        assert_eq!((provider.name(), model.as_str()), ("first", "a"));
        assert_eq!(catalogue().default_model().as_deref(), Some("a"));
    }

    #[test]
    fn a_model_listed_twice_is_served_by_the_earlier_provider_and_shown_once() {
        let (provider, _) = catalogue().resolve(Some("shared")).unwrap();
        assert_eq!(provider.name(), "first");
        let ids: Vec<String> = catalogue().models().into_iter().map(|model| model.id).collect();
        assert_eq!(ids, ["a", "shared", "b"]);
    }

    #[test]
    fn a_model_that_nobody_lists_is_refused_by_name() {
        let refused = catalogue().resolve(Some("nope")).err();
        assert_eq!(refused, Some(RelayError::UnknownModel("nope".to_owned())));
    }

    #[test]
    fn a_house_without_providers_has_no_default_model() {
        let empty = Catalogue::new(vec![]);
        assert_eq!(empty.resolve(None).err().map(|error| error.code()), Some("unknown_model"));
        assert!(empty.models().is_empty());
    }
}
