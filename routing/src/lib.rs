//! Which upstream is asked, and what happens when it fails.
//!
//! Promise: a request goes to whoever is healthy, has room and is preferred, in this order; before its first output it
//! may fail over to another candidate, within bounds that all requests share; after it, never. What is known about an
//! upstream is judged by pure rules ([`Health`]), kept by one [`Router`] in each process, and shared between nodes where
//! there is a bus. Whoever asks gets the answer, who gave it, and the story of how it came about; nothing of what was
//! asked or answered is looked at.

mod answer;
mod attempt;
mod breaker;
mod budget;
mod candidate;
mod change;
mod decay;
mod demand;
mod fault;
mod health;
mod illness;
mod label;
mod moment;
mod plan;
mod probe;
mod router;
mod shared;
mod watch;
mod window;

pub use answer::{Answer, Seen, Step};
pub use attempt::Waiting;
pub use breaker::{Breaker, BreakerOptions, Passed, Shut, State};
pub use budget::{BudgetOptions, RetryBudget};
pub use candidate::{Candidate, Tried, Wish};
pub use change::{Change, Part};
pub use demand::{Answered, Asked, Demand, Spared, Stage, Story, Tries, Try, Unanswered, When};
pub use fault::{Blame, Fault, Next, Weight};
pub use health::{Ended, Health, HealthOptions, Ticket};
pub use illness::Illness;
pub use label::Label;
pub use moment::Moment;
pub use plan::{Choice, LeftOut, Plan, Reason};
pub use probe::{Probe, probe};
pub use router::{Router, RouterOptions};
pub use shared::{ShareOptions, share};
pub use watch::Watch;
