//! What operators say about a channel besides what it offers: who may use it, how much it bears, what it changes about
//! requests.
//!
//! Promise: the value of a header is encrypted for its channel unless it was said to be no secret, and so is a proxy's
//! address that has credentials; what the relay could not use is refused here, with the field's name and no value.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    ChannelId,
    relay::{
        Change, Drain, HeaderInput, HeaderOverride, HeaderText, Limits, MoreSettings, ParameterOverride, ProbeBy,
        Proxy, SealedKey,
    },
};
use projections::relay::{DrainSchema, LimitsSchema, ParameterSchema, ProbeBySchema};
use relay::{AddressPolicy, ProviderConfig, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use vault::Vault;

use crate::problem::Problem;

/// Headers that are never shown, whatever an operator says.
const SECRETS: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"];

/// What may be said about a channel; what is absent stays as it is.
// No `Debug`: it may hold secrets.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelSettings)]
pub(crate) struct Settings {
    /// The highest that can serve is asked first; 0 where nobody says.
    #[schema(minimum = -1000, maximum = 1000)]
    priority: Option<i32>,
    /// Its share among channels of the same priority; 1 where nobody says.
    #[schema(maximum = 10000)]
    weight: Option<u32>,
    /// The user groups that may use it, by name; everybody where empty.
    groups: Option<BTreeSet<String>>,
    #[schema(value_type = Option<LimitsSchema>)]
    limits: Option<Limits>,
    /// How far an answer is read on after its client has gone; `null` for the installation's policy.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<DrainSchema>)]
    drain: Option<Option<Drain>>,
    /// What clients are told of who answered (`x-oblivious-channel`); `null` for the channel's id.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, max_length = 80)]
    public_name: Option<Option<String>>,
    /// How it is found out whether the channel works again; by its list of models where nobody says.
    #[schema(value_type = Option<ProbeBySchema>)]
    probe: Option<ProbeBy>,
    /// Replace all changes of the body.
    #[schema(value_type = Option<Vec<ParameterSchema>>)]
    parameters: Option<Vec<ParameterOverride>>,
    /// Replace all headers.
    headers: Option<Vec<Header>>,
    /// `http`, `https`, `socks5` or `socks5h`, with user and password where it wants them; `null` for none.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    proxy: Option<Option<String>>,
    tags: Option<BTreeSet<String>>,
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// A header of every request.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = NewChannelHeader)]
struct Header {
    name: String,
    /// As it was where absent, for whoever replaces other headers.
    value: Option<String>,
    /// Nobody reads it again, unless this is `false`.
    #[serde(default = "yes")]
    #[schema(default = true)]
    secret: bool,
}

const fn yes() -> bool {
    true
}

/// Tells `null` from nothing.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Settings {
    /// As part of a command on `channel`.
    pub(super) fn seal(
        self,
        vault: &Vault,
        channel: ChannelId,
        policy: AddressPolicy,
    ) -> Result<Box<MoreSettings>, Problem> {
        self.check(policy)?;
        let header = |header: Header| header.seal(vault, channel);
        let change = |proxy: Option<String>| match proxy {
            Some(url) => proxied(vault, channel, &url).map(Change::To),
            None => Ok(Change::Nothing),
        };
        Ok(Box::new(MoreSettings {
            priority: self.priority,
            weight: self.weight,
            groups: self.groups,
            limits: self.limits,
            drain: self.drain.map(|drain| drain.map_or(Change::Nothing, Change::To)),
            public_name: self.public_name.map(|name| name.map_or(Change::Nothing, Change::To)),
            probe: self.probe,
            parameters: self.parameters,
            headers: self.headers.map(|headers| headers.into_iter().map(header).collect()).transpose()?,
            proxy: self.proxy.map(change).transpose()?,
            tags: self.tags,
            note: self.note,
        }))
    }

    /// Whether the relay could send requests so.
    fn check(&self, policy: AddressPolicy) -> Result<(), Problem> {
        let account = || ProviderConfig { address_policy: policy, ..ProviderConfig::new("openai") };
        let works = |field: &str, config: ProviderConfig| match relay::provider(config) {
            Ok(_) => Ok(()),
            Err(error) => Err(Problem::field(field, "invalid_override", error.to_string())),
        };
        if let Some(parameters) = &self.parameters {
            let parameters = parameters.iter().cloned().map(parameter).collect();
            works("parameters", ProviderConfig { parameters, ..account() })?;
        }
        if let Some(headers) = &self.headers {
            let text = |header: &Header| (header.name.clone(), header.value.clone().unwrap_or_default());
            works("headers", ProviderConfig { headers: headers.iter().map(text).collect(), ..account() })?;
        }
        if let Some(Some(proxy)) = &self.proxy {
            works("proxy", ProviderConfig { proxy: Some(SecretString::from(proxy.clone())), ..account() })?;
        }
        Ok(())
    }
}

/// As the relay knows it.
fn parameter(change: ParameterOverride) -> relay::ParameterOverride {
    match change {
        ParameterOverride::Set { path, value } => relay::ParameterOverride::Set { path, value },
        ParameterOverride::Default { path, value } => relay::ParameterOverride::Default { path, value },
        ParameterOverride::Remove { path } => relay::ParameterOverride::Remove { path },
        ParameterOverride::Rename { from, to } => relay::ParameterOverride::Rename { from, to },
    }
}

impl Header {
    fn seal(self, vault: &Vault, channel: ChannelId) -> Result<HeaderInput, Problem> {
        let name = self.name.trim().to_owned();
        let Some(value) = self.value.map(|value| value.trim().to_owned()) else {
            return Ok(HeaderInput::Keep { name });
        };
        let secret = self.secret || SECRETS.iter().any(|known| known.eq_ignore_ascii_case(&name));
        let value = match secret {
            true => HeaderText::Sealed(sealed(vault, &SealedKey::header_context(channel, &name), &value)?),
            false => HeaderText::Plain(value),
        };
        Ok(HeaderInput::To(HeaderOverride { name, value }))
    }
}

fn proxied(vault: &Vault, channel: ChannelId, url: &str) -> Result<Proxy, Problem> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let Some((_, host)) = rest.rsplit_once('@') else {
        return Ok(Proxy { url: url.to_owned(), credentials: None });
    };
    let credentials = Some(sealed(vault, &SealedKey::proxy_context(channel), url)?);
    Ok(Proxy { url: format!("{scheme}://{host}"), credentials })
}

/// Of these nothing is shown, not even an end.
fn sealed(vault: &Vault, context: &str, text: &str) -> Result<SealedKey, Problem> {
    let sealed = vault.seal_bytes(context, text.as_bytes()).map_err(|error| Problem::bug(&error))?;
    Ok(SealedKey { hint: String::new(), sealed: STANDARD.encode(sealed) })
}
