//! Providers as they read in rows and JSON.

use std::borrow::Cow;

use domain::relay::ProviderKind;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// How a provider is spoken to, by its word: described from the one list that the domain has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provider(pub ProviderKind);

/// A word that names no provider.
#[derive(Debug, Error)]
#[error("there is no provider of this word")]
pub struct UnknownProvider;

impl TryFrom<String> for Provider {
    type Error = UnknownProvider;

    fn try_from(word: String) -> Result<Self, UnknownProvider> {
        ProviderKind::of(&word).map(Self).ok_or(UnknownProvider)
    }
}

impl PartialSchema for Provider {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("How a provider is spoken to."))
            .enum_values(Some(ProviderKind::ALL.map(ProviderKind::as_str)))
            .into()
    }
}

impl ToSchema for Provider {
    fn name() -> Cow<'static, str> {
        "ChannelProvider".into()
    }
}
