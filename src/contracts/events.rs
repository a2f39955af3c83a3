//! Every event of every aggregate, as a subscriber meets it: collected from the types and their frozen examples.
//!
//! Promise: what is not told here does not exist, and what exists is told. An aggregate that is not listed, an event
//! without an example or a sentence, an example that the types do not read: each is an error, not a gap.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, bail, ensure};
use cqrs_es::DomainEvent;
use domain::Decider;
use domain::billing::Wallet;
use domain::chat::Session;
use domain::relay::{CallBatch, Channel, Group, Response};
use domain::upcast::upcast;
use domain::users::{ApiKey, Device, Reservation, User};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

use super::stored::{self, Wire, wire};

/// Where the schemas of shared types are found in the document.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

/// All that is published.
pub(super) struct Published {
    pub(super) aggregates: Vec<Aggregate>,
    /// Schemas of the types that events consist of, by name.
    pub(super) types: Map<String, Value>,
}

/// One kind of aggregate and its events, in the order of their declaration.
pub(super) struct Aggregate {
    pub(super) capability: &'static str,
    pub(super) name: &'static str,
    /// What it is.
    pub(super) sentence: &'static str,
    /// What its id looks like.
    pub(super) example_id: &'static str,
    pub(super) events: Vec<Event>,
}

/// One event with all its versions.
pub(super) struct Event {
    /// As it is stored and in the header `Type`: `session.renamed`.
    pub(super) name: String,
    /// The one key of its payload: `renamed`.
    pub(super) key: String,
    pub(super) subject: String,
    /// What happened.
    pub(super) sentence: String,
    /// Newest first; never empty.
    pub(super) versions: Vec<Version>,
}

/// One form in which an event lies on the stream.
pub(super) struct Version {
    pub(super) number: u32,
    /// Draft 7, with references into [`SCHEMAS`].
    pub(super) schema: Value,
    /// As it lies on the stream, sealed fields encrypted.
    pub(super) example: Value,
    /// Of an old version: what makes it the newest.
    pub(super) raised: Option<&'static str>,
}

impl Published {
    /// Collects everything.
    ///
    /// # Errors
    /// Something exists that is not documented, or the other way round; the error says what to do.
    pub(super) fn collect() -> anyhow::Result<Self> {
        let settings = SchemaSettings::draft07().for_serialize();
        let mut generator = settings
            .with(|settings| {
                settings.definitions_path = SCHEMAS.trim_start_matches('#').to_owned().into();
                settings.meta_schema = None;
            })
            .into_generator();
        let aggregates = aggregates(&mut generator)?;
        let listed: HashMap<String, String> =
            aggregates.iter().map(|known| (known.name.to_owned(), known.capability.to_owned())).collect();
        ensure!(
            listed == handlers::capabilities(),
            "src/contracts/events.rs lists the aggregates {listed:?}, the house has {:?}",
            handlers::capabilities()
        );
        Ok(Self { aggregates, types: generator.take_definitions(true) })
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (&Aggregate, &Event)> {
        self.aggregates.iter().flat_map(|aggregate| aggregate.events.iter().map(move |event| (aggregate, event)))
    }
}

/// A new aggregate is one entry here, a new event or version one line of its examples.
// tidy: long because it is a table: one entry an aggregate, one line an example
fn aggregates(generator: &mut SchemaGenerator) -> anyhow::Result<Vec<Aggregate>> {
    Ok(vec![
        aggregate::<User>(
            generator,
            "0197a0c0-0000-7000-8000-000000000001",
            "An account; its id is the account's.",
            &[wire!("user.registered.v1"), wire!("user.group_assigned.v1")],
        )?,
        aggregate::<Device>(
            generator,
            "0197a0c0-0000-7000-8000-000000000006",
            "A browser or API client that signed in to an account; each sign-in is a device of its own.",
            &[
                wire!("device.signed_in.v1"),
                wire!("device.rotated.v1"),
                wire!("device.reuse_detected.v1"),
                wire!("device.signed_out.v1"),
            ],
        )?,
        aggregate::<Reservation>(
            generator,
            "email:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "A name that only one account may have. Its id is the kind and a keyed hash of the name \
             (`email:<hex of HMAC-SHA-256>`), so that the log does not tell names.",
            &[wire!("reservation.claimed.v1"), wire!("reservation.released.v1")],
        )?,
        aggregate::<ApiKey>(
            generator,
            "0197a0c0-0000-7000-8000-000000000013",
            "A key of the API, with which a program acts in its owner's name.",
            &[wire!("api_key.created.v1"), wire!("api_key.revoked.v1")],
        )?,
        aggregate::<Session>(
            generator,
            "0197a0c0-0000-7000-8000-000000000005",
            "A conversation of one person with models.",
            &[
                wire!("session.started.v1"),
                wire!("session.message_sent.v1"),
                wire!("session.reply_requested.v1"),
                wire!("session.reply_started.v1"),
                wire!("session.stop_requested.v1"),
                wire!("session.reply_completed.v1"),
                wire!("session.reply_failed.v1"),
                wire!("session.reply_failed.v2"),
                wire!("session.renamed.v1"),
                wire!("session.deleted.v1"),
                wire!("session.restored.v1"),
            ],
        )?,
        aggregate::<Channel>(
            generator,
            "0197a0c0-0000-7000-8000-000000000012",
            "An account at a model provider, or the model in this house, with what it offers at which price.",
            &[
                wire!("channel.added.v1"),
                wire!("channel.renamed.v1"),
                wire!("channel.address_changed.v1"),
                wire!("channel.keys_replaced.v1"),
                wire!("channel.models_offered.v1"),
                wire!("channel.prices_changed.v1"),
                wire!("channel.routing_changed.v1"),
                wire!("channel.overrides_changed.v1"),
                wire!("channel.annotated.v1"),
                wire!("channel.key_suspended.v1"),
                wire!("channel.key_resumed.v1"),
                wire!("channel.enabled.v1"),
                wire!("channel.disabled.v1"),
                wire!("channel.removed.v1"),
            ],
        )?,
        aggregate::<Group>(
            generator,
            "37c366fc-3521-5b88-a56c-d696be0a74b9",
            "A group of users, and what its users pay of every price. Its id is made from its name.",
            &[
                wire!("group.added.v1"),
                wire!("group.retitled.v1"),
                wire!("group.factor_changed.v1"),
                wire!("group.removed.v1"),
            ],
        )?,
        aggregate::<Response>(
            generator,
            "0197a0c0-0000-7000-8000-000000000014",
            "A response of the Responses API that is kept for its owner, with what was asked.",
            &[
                wire!("response.created.v1"),
                wire!("response.completed.v1"),
                wire!("response.failed.v1"),
                wire!("response.cancelled.v1"),
                wire!("response.abandoned.v1"),
                wire!("response.deleted.v1"),
            ],
        )?,
        aggregate::<CallBatch>(
            generator,
            "0197a0c0-0000-7000-8000-000000000017",
            "Calls of models that one process told of together, as they went; the money is the wallets' to say.",
            &[wire!("call_batch.recorded.v1")],
        )?,
        aggregate::<Wallet>(
            generator,
            "0197a0c0-0000-7000-8000-000000000001",
            "The money of one account, whose id is also the wallet's.",
            &[
                wire!("wallet.granted.v1"),
                wire!("wallet.topped_up.v1"),
                wire!("wallet.adjusted.v1"),
                wire!("wallet.held.v1"),
                wire!("wallet.hold_extended.v1"),
                wire!("wallet.charged.v1"),
                wire!("wallet.released.v1"),
                wire!("wallet.expired.v1"),
            ],
        )?,
    ])
}

fn aggregate<D>(
    generator: &mut SchemaGenerator,
    example_id: &'static str,
    sentence: &'static str,
    wires: &[Wire],
) -> anyhow::Result<Aggregate>
where
    D: Decider,
    D::Event: JsonSchema,
{
    let mut examples = examples::<D::Event>(wires)?;
    let mut events = Vec::new();
    for schema in variants::<D::Event>(generator)? {
        let key = one_key(&schema["properties"]).context("an event is an object with one key")?;
        let name = format!("{}.{key}", D::TYPE);
        let sentence = sentence_of(&schema);
        ensure!(!sentence.is_empty(), "`{name}` has no sentence: write a doc comment on it in domain/src");
        let subject =
            nats::event_subject(D::CAPABILITY, D::TYPE, &name).with_context(|| format!("`{name}` makes no subject"))?;
        let found = examples.remove(&name).with_context(|| {
            format!(
                "`{name}` has no example: add domain/tests/wire/{name}.v1.json and a line to src/contracts/events.rs"
            )
        })?;
        events.push(Event { versions: versions(&name, &schema, found)?, name, key, subject, sentence });
    }
    if let Some(name) = examples.keys().next() {
        bail!("domain/tests/wire has an example of `{name}`, which no type knows");
    }
    Ok(Aggregate { capability: D::CAPABILITY, name: D::TYPE, sentence, example_id, events })
}

/// The schemas of the variants of an event's type.
fn variants<E: JsonSchema>(generator: &mut SchemaGenerator) -> anyhow::Result<Vec<Value>> {
    let mut schema = E::json_schema(generator);
    generator.transforms_mut().for_each(|transform| transform.transform(&mut schema));
    match schema.remove("oneOf") {
        Some(Value::Array(variants)) => Ok(variants),
        _ => bail!("{} is not an enum of facts", E::schema_name()),
    }
}

/// An example as it is, and the version that today's type raises it to.
struct Example {
    version: u32,
    current: u32,
    payload: Value,
}

/// The examples of one aggregate by event, each read by the type that it is of.
fn examples<E: DomainEvent>(wires: &[Wire]) -> anyhow::Result<BTreeMap<String, Vec<Example>>> {
    let mut found: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for wire in wires {
        let (name, version) = wire.name.rsplit_once(".v").context("an example is called <type>.v<version>")?;
        let payload: Value = serde_json::from_str(wire.text).with_context(|| wire.name)?;
        let event: E = serde_json::from_value(upcast(name, version, payload.clone()).1).with_context(|| wire.name)?;
        ensure!(event.event_type() == name, "{} is an example of `{}`", wire.name, event.event_type());
        let example = Example { version: version.parse()?, current: event.event_version().parse()?, payload };
        found.entry(name.to_owned()).or_default().push(example);
    }
    Ok(found)
}

fn versions(name: &str, schema: &Value, mut examples: Vec<Example>) -> anyhow::Result<Vec<Version>> {
    examples.sort_by_key(|example| std::cmp::Reverse(example.version));
    let newest = examples.first().map(|example| example.current).unwrap_or_default();
    let numbers: Vec<u32> = examples.iter().map(|example| example.version).collect();
    ensure!(
        numbers.iter().copied().eq((1..=newest).rev()),
        "`{name}` is at version {newest} and has examples of {numbers:?}: each version needs one"
    );
    let version = |example: Example| {
        let old = (example.version < newest).then(|| stored::old(name, example.version)).transpose()?;
        let mut schema = schema.clone();
        if let Some(old) = old {
            (old.schema)(&mut schema)?;
        }
        let example_stored = stored::as_on_the_stream(example.payload);
        Ok(Version { number: example.version, schema, example: example_stored, raised: old.map(|old| old.raised) })
    };
    examples.into_iter().map(version).collect()
}

fn one_key(fields: &Value) -> Option<String> {
    let fields = fields.as_object()?;
    if fields.len() == 1 { fields.keys().next().cloned() } else { None }
}

/// A description as one line.
pub(super) fn sentence_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
