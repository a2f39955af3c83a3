//! Commands on channels.

use domain::relay::Channel;

use crate::dispatch::Plans;

pub(crate) fn plans() -> Plans {
    Plans::default().aggregate::<Channel>()
}
