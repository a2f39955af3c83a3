//! Where answers come from, and at what price.

pub mod call;
pub mod channel;
pub mod group;
pub mod response;

pub use call::{
    Answering, Call, CallBatch, CallBatchCommand, CallBatchEvent, CallBatchRefusal, CallOutcome, CallTry, LeftOut,
    Spent, Surface,
};
pub use channel::{
    Change, Channel, ChannelCommand, ChannelEvent, ChannelRefusal, HeaderInput, HeaderOverride, HeaderText, InForce,
    KeyInput, ModelPrices, ModelSpec, MoreSettings, NewPrice, OfferedModel, Overrides, ParameterOverride, ProviderKind,
    Proxy, SealedKey, Settings, Terms, Upcoming,
    routing::{Capability, Drain, Fallbacks, Limits, Modality, ModelTraits, ProbeBy, Routing, Strategy},
};
pub use group::{Group, GroupCommand, GroupEvent, GroupRefusal};
pub use response::{Response, ResponseCommand, ResponseEvent, ResponseRefusal};
