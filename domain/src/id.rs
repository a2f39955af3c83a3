//! Typed identifiers: a `SessionId` cannot be passed where a `UserId` is wanted.
//!
//! All are UUID version 7 minted by the caller (RFC 9562), so that they sort by creation.

use std::{cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of one thing of `Kind`; written as a plain UUID everywhere outside.
pub struct Id<Kind>(Uuid, PhantomData<fn() -> Kind>);

/// Marker types of [`Id`].
pub mod kind {
    use schemars::JsonSchema;

    /// An account.
    #[derive(JsonSchema)]
    pub struct User;
    /// A signed-in browser or API client.
    #[derive(JsonSchema)]
    pub struct Device;
    /// A conversation.
    #[derive(JsonSchema)]
    pub struct Session;
    /// A message of a conversation.
    #[derive(JsonSchema)]
    pub struct Message;
    /// One reply being generated.
    #[derive(JsonSchema)]
    pub struct Run;
    /// Credit set apart for one model call.
    #[derive(JsonSchema)]
    pub struct Hold;
    /// An account at a model provider, or the model in this house.
    #[derive(JsonSchema)]
    pub struct Channel;
    /// A key of the API.
    #[derive(JsonSchema)]
    pub struct ApiKey;
    /// A response of the Responses API that is kept.
    #[derive(JsonSchema)]
    pub struct Response;
    /// A group of users.
    #[derive(JsonSchema)]
    pub struct Group;
    /// One call of a model; that of its hold where credit was set apart.
    #[derive(JsonSchema)]
    pub struct Call;
    /// Calls that one process tells of together.
    #[derive(JsonSchema)]
    pub struct CallBatch;
}

pub type UserId = Id<kind::User>;
pub type DeviceId = Id<kind::Device>;
pub type SessionId = Id<kind::Session>;
pub type MessageId = Id<kind::Message>;
pub type RunId = Id<kind::Run>;
pub type HoldId = Id<kind::Hold>;
pub type ChannelId = Id<kind::Channel>;
pub type ApiKeyId = Id<kind::ApiKey>;
pub type ResponseId = Id<kind::Response>;
pub type GroupId = Id<kind::Group>;
pub type CallId = Id<kind::Call>;
pub type CallBatchId = Id<kind::CallBatch>;

impl<K> Id<K> {
    /// Gives a UUID its meaning.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bare UUID, for rows and subjects.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<K> FromStr for Id<K> {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::new)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::new)
    }
}
