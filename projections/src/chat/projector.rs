//! Events of conversations as rows of `chat_v1`.
//!
//! A batch is worked out in memory from the rows that it touches, and written with one statement a table. An event that
//! is contained already changes nothing; one that cannot follow is an error.

use async_trait::async_trait;
use domain::{Decider as _, chat};
use sqlx::PgConnection;

use super::step::{Rows, Step};
use crate::projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touched};

/// Writes `chat_v1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChatProjector;

#[async_trait]
impl Projector for ChatProjector {
    fn name(&self) -> &'static str {
        "chat_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        aggregate_type == chat::Session::TYPE
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let ours = events.iter().filter(|event| self.handles(&event.aggregate_type));
        let steps: Vec<Step> = ours.map(|event| Step::of(event)).collect::<Result<_, _>>()?;
        if steps.is_empty() {
            return Ok(Touched::default());
        }
        let mut rows = Rows::load(tx, &steps).await?;
        let mut touched = Touched::default();
        for step in &steps {
            let Some((owner, topic)) = rows.apply(step)? else { continue };
            // The list shows counts, previews and activity, so whatever changes a message changes it too.
            touched.add(owner, Topic::Sessions, Some(step.session));
            if topic == Topic::Messages {
                touched.add(owner, Topic::Messages, Some(step.session));
            }
        }
        rows.write(tx).await?;
        Ok(touched)
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE sessions, messages").execute(tx).await?;
        Ok(())
    }
}
