//! Commands on channels and on responses that are kept.

use domain::relay::{Channel, Response};

use crate::dispatch::Plans;

pub(crate) fn plans() -> Plans {
    Plans::default().aggregate::<Channel>().aggregate::<Response>()
}
