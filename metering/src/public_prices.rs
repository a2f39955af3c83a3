//! Public prices of providers, from a list that comes with the program or that an operator brings.
//!
//! Promise: a list names its source, licence and date; it changes nothing by itself. What it says about a channel's model
//! is proposed by [`PriceList::of`], and becomes a price only by a command of an operator.

use std::{collections::HashMap, sync::LazyLock};

use domain::{billing::Rates, relay::ProviderKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The list that comes with the program.
const PUBLIC: &str = include_str!("../prices/public.json");
/// Models of one list, at most.
const MAX_LISTED: usize = 20_000;

/// What models cost where they are sold, as somebody wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    /// Who wrote it down.
    pub source: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: Option<String>,
    /// On which terms it was taken over.
    #[serde(default)]
    pub licence: Option<String>,
    /// When: `2026-11-22`.
    pub date: String,
    /// Of all amounts.
    pub currency: String,
    pub models: Vec<ListedModel>,
}

/// One model of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedModel {
    /// The word of whoever sells it.
    pub provider: String,
    /// As that provider names it.
    pub name: String,
    /// What it reads at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// What it answers at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    pub rates: Rates,
}

/// A list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidList {
    #[error("a price list has at most {MAX_LISTED} models")]
    TooLong,
    #[error("the price of `{0}` cannot be what a channel offers")]
    InvalidPrice(String),
}

impl PriceList {
    /// The list that comes with the program; `None` only if the program was built wrongly, which a test rules out.
    #[must_use]
    pub fn public() -> Option<&'static Self> {
        static LIST: LazyLock<Option<PriceList>> = LazyLock::new(|| serde_json::from_str(PUBLIC).ok());
        LIST.as_ref()
    }

    /// Whether all of it could be offered.
    ///
    /// # Errors
    /// See [`InvalidList`].
    pub fn check(&self) -> Result<(), InvalidList> {
        if self.models.len() > MAX_LISTED {
            return Err(InvalidList::TooLong);
        }
        let wrong = self.models.iter().find(|model| !model.rates.is_list());
        wrong.map_or(Ok(()), |model| Err(InvalidList::InvalidPrice(model.name.clone())))
    }

    /// What the list says about a model that `provider` calls `upstream`: by its seller, else by the only seller of a
    /// model of that name. Names are compared without the vendor's prefix.
    #[must_use]
    pub fn of(&self, provider: ProviderKind, upstream: &str) -> Option<&ListedModel> {
        let bare = upstream.rsplit('/').next().unwrap_or(upstream);
        let mut others = HashMap::new();
        for model in self.models.iter().filter(|model| model.name == upstream || model.name == bare) {
            if model.provider == provider.as_str() {
                return Some(model);
            }
            others.insert(model.provider.as_str(), model);
        }
        let mut others = others.into_values();
        others.next().filter(|_| others.next().is_none())
    }

    /// How its prices name it in events.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}, {}", self.source, self.date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_comes_along_names_its_source_and_every_price_can_be_offered() {
        let list = PriceList::public().unwrap();
        assert!(list.licence.as_deref().unwrap().contains("MIT") && list.url.is_some());
        assert_eq!((list.date.len(), list.currency.as_str()), (10, "USD"));
        assert_eq!(list.check(), Ok(()));
        assert!(list.models.len() > 200);
        for model in &list.models {
            assert!(ProviderKind::of(&model.provider).is_some(), "{}", model.provider);
        }
    }

    #[test]
    fn what_is_sold_by_the_piece_has_its_price() {
        let list = PriceList::public().unwrap();
        let rates = |provider, name| list.of(provider, name).unwrap().rates.clone();
        assert_eq!(rates(ProviderKind::Openai, "whisper-1").per_second.unwrap().to_string(), "0.0001");
        assert_eq!(rates(ProviderKind::Openai, "tts-1").per_character.unwrap().to_string(), "0.000015");
        assert_eq!(rates(ProviderKind::Gemini, "imagen-3.0-generate-001").per_image.unwrap().to_string(), "0.04");
        assert_eq!(rates(ProviderKind::OpenaiCompatible, "rerank-v3.5").per_search.unwrap().to_string(), "0.002");
        assert_eq!(rates(ProviderKind::Openai, "text-embedding-3-small").input.to_string(), "0.02");
    }

    #[test]
    fn a_model_is_found_by_its_seller_or_by_its_only_one() {
        let list = PriceList::public().unwrap();
        let price = |provider, upstream| list.of(provider, upstream).map(|model| model.rates.input.to_string());
        assert_eq!(price(ProviderKind::Openai, "gpt-4o").as_deref(), Some("2.5"));
        assert_eq!(price(ProviderKind::AzureOpenai, "gpt-4o").as_deref(), Some("2.5"), "only OpenAI sells it here");
        assert_eq!(price(ProviderKind::Openrouter, "openai/gpt-4o").as_deref(), Some("2.5"));
        assert_eq!(price(ProviderKind::Openai, "nobody-knows"), None);
        let gemini = list.of(ProviderKind::Gemini, "gemini-2.5-pro").unwrap();
        assert_eq!(gemini.rates.long[0].above_input_tokens, 200_000);
    }
}
