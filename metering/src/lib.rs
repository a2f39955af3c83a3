//! What a model call costs, before and after it.
//!
//! Promise: a call is made only on an [`Offer`] with pinned prices, after credit was set apart for the most that it can
//! cost; every hold is settled, released, or left to expire by policy, whatever dies in between. The rules are the
//! wallet's (`domain::billing`); this crate carries them out, the same way for conversations and for the compatible API.

mod catalogue;
mod choices;
mod following;
mod free;
mod hold;
mod keeper;
mod meter;
mod offer;
mod public_prices;
mod recorder;

pub use catalogue::{Catalogue, ChannelProvider, ChannelSource, PayerGroup};
pub use choices::{Choices, Known};
pub use following::{Begun, Following, surface_of};
pub use hold::{Held, Settling};
pub use meter::{Call, Meter, MeterError, MeterOptions};
pub use offer::{Bounds, Offer, tokens_of};
pub use public_prices::{InvalidList, ListedModel, PriceList};
pub use recorder::{MAX_WAITING, Recorder};
