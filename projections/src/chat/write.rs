//! The rows of a batch, one statement a table and kind of change.

use sqlx::PgConnection;

use super::step::{Content, Message, Rows, SessionRow, StoredReply};
use crate::columns::column;

impl Rows {
    /// Writes what has changed.
    pub(super) async fn write(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let sessions: Vec<&SessionRow> = self.sessions.values().filter(|session| session.changed).collect();
        if !sessions.is_empty() {
            write_sessions(tx, &sessions).await?;
        }
        if !self.messages.is_empty() {
            insert_messages(tx, &self.messages).await?;
        }
        let replies: Vec<&StoredReply> = self.replies.values().filter(|reply| reply.changed).collect();
        if !replies.is_empty() {
            update_replies(tx, &replies).await?;
        }
        Ok(())
    }
}

async fn write_sessions(tx: &mut PgConnection, rows: &[&SessionRow]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO sessions (id, owner, title, preview, message_count, sequence, created_at, updated_at, deleted_at) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::bigint[], \
             $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) \
         ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title, preview = EXCLUDED.preview, \
         message_count = EXCLUDED.message_count, sequence = EXCLUDED.sequence, updated_at = EXCLUDED.updated_at, \
         deleted_at = EXCLUDED.deleted_at",
    )
    .bind(column!(rows, id))
    .bind(column!(rows, owner))
    .bind(column!(rows, title.as_deref()))
    .bind(column!(rows, preview.as_str()))
    .bind(column!(rows, message_count))
    .bind(column!(rows, sequence))
    .bind(column!(rows, created_at))
    .bind(column!(rows, updated_at))
    .bind(column!(rows, deleted_at))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_messages(tx: &mut PgConnection, rows: &[(Message, Content)]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO messages (id, session_id, owner, parent_id, sequence, role, model, run_id, created_at, content, \
         status, attempt, finish_reason, error_code, error_message, input_tokens, output_tokens, usage_basis, \
         completed_at) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], \
             $8::uuid[], $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::text[], $14::text[], \
             $15::text[], $16::bigint[], $17::bigint[], $18::text[], $19::timestamptz[])",
    )
    .bind(column!(rows, 0.id))
    .bind(column!(rows, 0.session_id))
    .bind(column!(rows, 0.owner))
    .bind(column!(rows, 0.parent_id))
    .bind(column!(rows, 0.sequence))
    .bind(column!(rows, 0.role))
    .bind(column!(rows, 0.model.as_deref()))
    .bind(column!(rows, 0.run_id))
    .bind(column!(rows, 0.created_at))
    .bind(column!(rows, 1.content.as_str()))
    .bind(column!(rows, 1.status.as_str()))
    .bind(column!(rows, 1.attempt))
    .bind(column!(rows, 1.finish_reason.as_deref()))
    .bind(column!(rows, 1.error_code.as_deref()))
    .bind(column!(rows, 1.error_message.as_deref()))
    .bind(column!(rows, 1.input_tokens))
    .bind(column!(rows, 1.output_tokens))
    .bind(column!(rows, 1.usage_basis.as_deref()))
    .bind(column!(rows, 1.completed_at))
    .execute(tx)
    .await?;
    Ok(())
}

async fn update_replies(tx: &mut PgConnection, rows: &[&StoredReply]) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE messages m SET content = r.content, status = r.status, attempt = r.attempt, \
         finish_reason = r.finish_reason, error_code = r.error_code, error_message = r.error_message, \
         input_tokens = r.input_tokens, output_tokens = r.output_tokens, usage_basis = r.usage_basis, \
         completed_at = r.completed_at \
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bigint[], \
             $9::bigint[], $10::text[], $11::timestamptz[]) \
             AS r (run_id, content, status, attempt, finish_reason, error_code, error_message, input_tokens, \
                 output_tokens, usage_basis, completed_at) \
         WHERE m.run_id = r.run_id",
    )
    .bind(column!(rows, run_id))
    .bind(column!(rows, content.content.as_str()))
    .bind(column!(rows, content.status.as_str()))
    .bind(column!(rows, content.attempt))
    .bind(column!(rows, content.finish_reason.as_deref()))
    .bind(column!(rows, content.error_code.as_deref()))
    .bind(column!(rows, content.error_message.as_deref()))
    .bind(column!(rows, content.input_tokens))
    .bind(column!(rows, content.output_tokens))
    .bind(column!(rows, content.usage_basis.as_deref()))
    .bind(column!(rows, content.completed_at))
    .execute(tx)
    .await?;
    Ok(())
}
