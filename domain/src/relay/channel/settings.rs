//! Everything that an operator can say about a channel, and which events lead from one state of it to another.
//!
//! Promise: changing a channel and returning it to what it was are the same thing, so both leave the same ordinary
//! events.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    ChannelEvent, ChannelRefusal, MAX_KEYS, MAX_NAME_CHARS, MAX_NOTE_CHARS, MAX_TAG_CHARS, MAX_TAGS,
    command::{HeaderInput, KeyInput, MoreSettings},
    models::{ModelPrices, OfferedModel},
    overrides::{Overrides, SealedKey},
    provider::ProviderKind,
    routing::Routing,
};
use crate::relay::group;

/// A channel as it is at some event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub provider: ProviderKind,
    pub base_url: Option<String>,
    pub keys: Vec<SealedKey>,
    pub models: Vec<OfferedModel>,
    pub routing: Routing,
    pub overrides: Overrides,
    pub tags: BTreeSet<String>,
    pub note: String,
    pub enabled: bool,
}

impl Settings {
    /// As a channel begins.
    pub(super) fn new(name: String, provider: ProviderKind, base_url: Option<String>) -> Self {
        Self {
            name,
            provider,
            base_url,
            keys: vec![],
            models: vec![],
            routing: Routing::default(),
            overrides: Overrides::default(),
            tags: BTreeSet::new(),
            note: String::new(),
            enabled: false,
        }
    }

    /// The same with what `more` says.
    pub(super) fn with(mut self, more: MoreSettings) -> Result<Self, ChannelRefusal> {
        let MoreSettings { priority, weight, groups, limits, drain, public_name, probe, .. } = more;
        let MoreSettings { parameters, headers, proxy, tags, note, .. } = more;
        let routing = &mut self.routing;
        routing.priority = priority.unwrap_or(routing.priority);
        routing.weight = weight.unwrap_or(routing.weight);
        routing.limits = limits.unwrap_or(routing.limits);
        if let Some(groups) = groups {
            routing.groups = groups;
        }
        if let Some(drain) = drain {
            routing.drain = drain.into_value();
        }
        if let Some(public_name) = public_name {
            routing.public_name = public_name.into_value().map(|name| name.trim().to_owned());
        }
        routing.probe = probe.unwrap_or(routing.probe);
        if let Some(parameters) = parameters {
            self.overrides.parameters = parameters;
        }
        if let Some(headers) = headers {
            self.replace_headers(headers)?;
        }
        if let Some(proxy) = proxy {
            self.overrides.proxy = proxy.into_value();
        }
        if let Some(tags) = tags {
            self.tags = tags.iter().map(|tag| tag.trim().to_owned()).collect();
        }
        if let Some(note) = note {
            note.trim().clone_into(&mut self.note);
        }
        Ok(self)
    }

    fn replace_headers(&mut self, headers: Vec<HeaderInput>) -> Result<(), ChannelRefusal> {
        let old = std::mem::take(&mut self.overrides.headers);
        for header in headers {
            self.overrides.headers.push(match header {
                HeaderInput::To(header) => header,
                HeaderInput::Keep { name } => {
                    let kept = old.iter().find(|header| header.name.eq_ignore_ascii_case(&name)).cloned();
                    kept.ok_or(ChannelRefusal::InvalidOverride { name })?
                }
            });
        }
        Ok(())
    }

    /// These keys and no others; a key that stays must be there.
    pub(super) fn replace_keys(&mut self, keys: Vec<KeyInput>) -> Result<(), ChannelRefusal> {
        let old = std::mem::take(&mut self.keys);
        for key in keys {
            self.keys.push(match key {
                KeyInput::To(key) => key,
                KeyInput::Keep { channel, name } => {
                    let kept = old.iter().find(|key| key.name(channel) == name).cloned();
                    kept.ok_or(ChannelRefusal::UnknownKey)?
                }
            });
        }
        Ok(())
    }

    /// Whether all of it can be; the models were checked when they were priced.
    pub(super) fn check(&self) -> Result<(), ChannelRefusal> {
        check_name(&self.name)?;
        check_address(self.provider, self.base_url.as_deref())?;
        if self.keys.len() > MAX_KEYS {
            return Err(ChannelRefusal::TooManyKeys);
        }
        if !self.routing.is_valid() || !self.routing.groups.iter().all(|name| group::is_name(name)) {
            return Err(ChannelRefusal::InvalidRouting);
        }
        if let Some(name) = self.overrides.invalid() {
            return Err(ChannelRefusal::InvalidOverride { name });
        }
        let is_tag = |tag: &String| !tag.is_empty() && fits(tag, MAX_TAG_CHARS);
        let described = self.tags.len() <= MAX_TAGS && self.tags.iter().all(is_tag);
        // A note may have lines.
        let noted = self.note.chars().count() <= MAX_NOTE_CHARS;
        if described && noted { Ok(()) } else { Err(ChannelRefusal::InvalidNote) }
    }

    /// The events that make `self` of `before`.
    pub(super) fn since(self, before: &Self, source: Option<String>, at: DateTime<Utc>) -> Vec<ChannelEvent> {
        use ChannelEvent as E;
        let Self { name, provider: _, base_url, keys, models, routing, overrides, tags, note, enabled } = self;
        let mut events = vec![];
        if name != before.name {
            events.push(E::Renamed { name, at });
        }
        if base_url != before.base_url {
            events.push(E::AddressChanged { base_url, at });
        }
        if keys != before.keys {
            events.push(E::KeysReplaced { keys, at });
        }
        events.extend(models_since(models, &before.models, source, at));
        if routing != before.routing {
            events.push(E::RoutingChanged { routing, at });
        }
        if overrides != before.overrides {
            events.push(E::OverridesChanged { overrides, at });
        }
        if tags != before.tags || note != before.note {
            events.push(E::Annotated { tags, note, at });
        }
        match (before.enabled, enabled) {
            (false, true) => events.push(E::Enabled { at }),
            (true, false) => events.push(E::Disabled { at }),
            _ => {}
        }
        events
    }
}

/// Where only prices differ, only they are told.
fn models_since(
    models: Vec<OfferedModel>,
    before: &[OfferedModel],
    source: Option<String>,
    at: DateTime<Utc>,
) -> Option<ChannelEvent> {
    if models == before {
        return None;
    }
    if !models.iter().map(|model| &model.spec).eq(before.iter().map(|model| &model.spec)) {
        return Some(ChannelEvent::ModelsOffered { models, at });
    }
    let changed = models.into_iter().zip(before).filter(|(model, before)| model != *before);
    let models = changed.map(|(model, _)| ModelPrices { model: model.spec.name, terms: model.terms }).collect();
    Some(ChannelEvent::PricesChanged { models, source, at })
}

fn check_name(name: &str) -> Result<(), ChannelRefusal> {
    let is_name = !name.is_empty() && fits(name, MAX_NAME_CHARS);
    if is_name { Ok(()) } else { Err(ChannelRefusal::InvalidName) }
}

fn fits(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains(char::is_control)
}

fn check_address(provider: ProviderKind, base_url: Option<&str>) -> Result<(), ChannelRefusal> {
    match (provider, base_url) {
        (ProviderKind::Local, None) => Ok(()),
        (ProviderKind::Local, Some(_)) | (_, Some("")) => Err(ChannelRefusal::InvalidBaseUrl),
        (_, Some(_)) => Ok(()),
        (kind, None) if kind.needs_address() => Err(ChannelRefusal::InvalidBaseUrl),
        (_, None) => Ok(()),
    }
}
