//! Which rows a projector writes: those that are read, or those of a rebuild beside them.
//!
//! A projector's statements name tables without a schema, and the transaction they run in says where these are found.
//! So the same code fills the live schema and the one beside it. Checkpoint and parked keys go by the schema's name.

use std::borrow::Cow;

use sqlx::PgConnection;

use crate::projector::Projector;

/// What the schema of a rebuild is called: the live one's name with this behind it.
const BESIDE: &str = "_rebuild";

/// A projector and the schema that it fills.
#[derive(Clone)]
pub(crate) struct ReadModel<'p> {
    projector: &'p dyn Projector,
    schema: Cow<'static, str>,
}

impl<'p> ReadModel<'p> {
    /// The rows that are read.
    pub(crate) fn live(projector: &'p dyn Projector) -> Self {
        Self { projector, schema: Cow::Borrowed(projector.name()) }
    }

    /// The rows of a rebuild.
    pub(crate) fn beside(projector: &'p dyn Projector) -> Self {
        Self { projector, schema: Cow::Owned(format!("{}{BESIDE}", projector.name())) }
    }

    pub(crate) fn projector(&self) -> &'p dyn Projector {
        self.projector
    }

    /// The schema, which is also the name of the checkpoint and of the parked keys.
    pub(crate) fn name(&self) -> &str {
        &self.schema
    }

    /// Lets the statements of the rest of this transaction find the tables of this read model, and rows by their key: a
    /// plan that was made while the tables were empty, and is kept, must not read them whole when they are full.
    ///
    /// The commit waits for no disk. A crash of the server may take the last transactions with it, each whole, checkpoint and
    /// all; the log has their events, and they are made again.
    pub(crate) async fn enter(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(
            "SELECT set_config('search_path', quote_ident($1) || ', public', true), \
             set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true), \
             set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), \
             set_config('synchronous_commit', 'off', true)",
        )
        .bind(self.name())
        .execute(tx)
        .await?;
        Ok(())
    }
}
