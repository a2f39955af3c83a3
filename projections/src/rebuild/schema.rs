//! The schema beside the live one: the same tables, copied from the catalog, so that no migration can be forgotten here.
//!
//! Promise: what is made is compared with what is read, line by line, before it may replace it; something that cannot be
//! copied (a view, a policy) is named instead of being lost. Making it and throwing it away is one transaction each.
//! Indexes that only readers need are built after the rows.

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use super::RebuildError;
use crate::read_model::ReadModel;

/// What the copy was made of and by: after a change of either, rows from before it may not be mixed with new ones.
const MADE_BY: &str = concat!("oblivious ", env!("CARGO_PKG_VERSION"));

/// Two read models of one projection: the one that is read, and the one that is made.
pub(super) struct Schemas<'p> {
    pub(super) live: ReadModel<'p>,
    pub(super) beside: ReadModel<'p>,
}

/// How the copy came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// Of this release and this definition: it goes on where it stopped.
    Unfinished,
    /// Of another release, or before a migration.
    Outdated,
}

/// A catalog statement that answers one text a row, about the schema `$1`.
type Catalog = &'static str;

/// Everything that readers, constraints and operators see of the tables of a schema.
const DEFINITION: Catalog = "
    WITH r AS (SELECT c.* FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1))
    SELECT format('relation %s: kind %s, persistence %s, options %s, row security %s, comment %s', relname, relkind,
        relpersistence, reloptions, relrowsecurity, obj_description(oid, 'pg_class')) FROM r
        WHERE relkind NOT IN ('i', 'I')
    UNION ALL SELECT format('column %s.%s: number %s, %s, not null %s, collation %s, %s %s, identity %s, generated %s, \
        storage %s, compression %s, statistics %s, grants %s, comment %s', relname, attname,
        row_number() OVER (PARTITION BY r.oid ORDER BY attnum), format_type(atttypid, atttypmod), attnotnull,
        attcollation::regcollation, CASE WHEN attgenerated = '' THEN 'default' ELSE 'as' END,
        pg_get_expr(adbin, adrelid, true), attidentity, attgenerated, attstorage, attcompression, attstattarget, attacl,
        col_description(r.oid, attnum))
        FROM r JOIN pg_attribute a ON a.attrelid = r.oid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (r.oid, attnum)
        WHERE relkind NOT IN ('i', 'I') AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT format('constraint %s.%s: %s, validated %s', relname, conname, pg_get_constraintdef(c.oid, true),
        convalidated) FROM r JOIN pg_constraint c ON c.conrelid = r.oid
    UNION ALL SELECT format('index %s: %s, valid %s, clustered %s, identity %s', relname,
        pg_get_indexdef(indexrelid, 0, true), indisvalid, indisclustered, indisreplident)
        FROM r JOIN pg_index i ON i.indexrelid = r.oid
    UNION ALL SELECT format('trigger %s, enabled %s', pg_get_triggerdef(t.oid, true), tgenabled)
        FROM r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT tgisinternal
    UNION ALL SELECT format('grant on %s: %s to %s, grantable %s', relname, privilege_type, grantee::regrole, is_grantable)
        FROM r, aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE relkind = 'r'
    UNION ALL SELECT format('policy %s on %s', polname, relname) FROM r JOIN pg_policy p ON p.polrelid = r.oid
    UNION ALL SELECT format('statistics %s', stxname) FROM r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
    UNION ALL SELECT format('rule %s on %s', rulename, relname) FROM r JOIN pg_rewrite w ON w.ev_class = r.oid
    UNION ALL SELECT format('%s inherits %s', relname, inhparent::regclass) FROM r JOIN pg_inherits h ON h.inhrelid = r.oid
    ORDER BY 1";

/// Statements that make the tables of `$1` again where the search path puts them, with what decides whether a row may be
/// there. `LIKE` names indexes itself, so they and their constraints come by name afterwards.
const TABLES: Catalog = "
    WITH r AS (SELECT c.* FROM pg_class c
        WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = 'r')
    SELECT statement FROM (
        SELECT 1, relname, format('CREATE TABLE %I (LIKE %I.%I INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)%s',
            relname, $1, relname, ' WITH (' || array_to_string(reloptions, ', ') || ')') FROM r
        UNION ALL SELECT CASE contype WHEN 'f' THEN 3 ELSE 2 END, conname,
            format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(c.oid, true))
            FROM r JOIN pg_constraint c ON c.conrelid = r.oid WHERE contype IN ('p', 'u', 'x', 'f')
        UNION ALL SELECT 4, indexrelid::regclass::name, pg_get_indexdef(indexrelid, 0, true)
            FROM r JOIN pg_index i ON i.indrelid = r.oid
            WHERE indisunique AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        UNION ALL SELECT 5, tgname, pg_get_triggerdef(t.oid, true)
            FROM r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT tgisinternal
        UNION ALL SELECT 6, relname, format('GRANT %s ON %I TO %s%s', privilege_type, relname,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM r, aclexplode(relacl)
        UNION ALL SELECT 7, relname, format('COMMENT ON TABLE %I IS %L', relname, obj_description(oid, 'pg_class'))
            FROM r WHERE obj_description(oid, 'pg_class') IS NOT NULL
    ) AS made (step, name, statement) ORDER BY step, name";

/// Statements that make the indexes of `$1` that `$2` has not.
const INDEXES: Catalog = "
    SELECT pg_get_indexdef(i.indexrelid, 0, true) FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_class o
        WHERE o.relname = c.relname AND o.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2))
    ORDER BY c.relname";

impl<'p> Schemas<'p> {
    pub(super) const fn new(live: ReadModel<'p>, beside: ReadModel<'p>) -> Self {
        Self { live, beside }
    }

    /// The tables of the live read model by name, quoted where that is needed.
    pub(super) async fn tables(&self, connection: &mut PgConnection) -> Result<Vec<String>, RebuildError> {
        let sql = "SELECT quote_ident(relname) FROM pg_class \
            WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = 'r' ORDER BY relname";
        let tables: Vec<String> = sqlx::query_scalar(sql).bind(self.live.name()).fetch_all(connection).await?;
        if tables.is_empty() { Err(RebuildError::NoReadModel(self.live.name().to_owned())) } else { Ok(tables) }
    }

    /// What an earlier run left behind.
    pub(super) async fn find(&self, pool: &PgPool) -> Result<Found, RebuildError> {
        let mut tx = pool.begin().await?;
        let comment = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1";
        let found: Option<String> =
            sqlx::query_scalar(comment).bind(self.beside.name()).fetch_optional(&mut *tx).await?;
        let Some(found) = found else { return Ok(Found::Nothing) };
        let current = self.mark(&mut tx).await?;
        Ok(if found == current { Found::Unfinished } else { Found::Outdated })
    }

    async fn mark(&self, tx: &mut PgConnection) -> sqlx::Result<String> {
        let definition = self.definition(tx, &self.live).await?.join("\n");
        let digest: String = sqlx::query_scalar("SELECT md5($1)").bind(definition).fetch_one(tx).await?;
        Ok(format!("{MADE_BY}, definition {digest}"))
    }

    /// Makes the empty tables, and a checkpoint before the first event.
    pub(super) async fn make(&self, pool: &PgPool) -> Result<(), RebuildError> {
        let mut tx = pool.begin().await?;
        self.tables(&mut tx).await?;
        let mark = self.mark(&mut tx).await?;
        let beside = self.beside.name();
        let statements: Vec<String> = sqlx::query_scalar(TABLES).bind(self.live.name()).fetch_all(&mut *tx).await?;
        tx.execute(&*format!("CREATE SCHEMA {beside}")).await?;
        tx.execute(&*format!("COMMENT ON SCHEMA {beside} IS '{mark}'")).await?;
        self.see(&mut tx, &self.beside).await?;
        for statement in &statements {
            tx.execute(&**statement).await?;
        }
        sqlx::query("INSERT INTO checkpoints (name) VALUES ($1)").bind(beside).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Throws the copy away, with its checkpoint and its parked keys.
    pub(super) async fn drop(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(&*format!("DROP SCHEMA IF EXISTS {} CASCADE", self.beside.name())).await?;
        self.forget(&mut tx).await?;
        tx.commit().await
    }

    /// Removes the copy's checkpoint and parked keys.
    pub(super) async fn forget(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        for sql in ["DELETE FROM checkpoints WHERE name = $1", "DELETE FROM parked_keys WHERE projection = $1"] {
            sqlx::query(sql).bind(self.beside.name()).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Makes what only readers need, where it is not there yet, and counts what the planner wants to know.
    pub(super) async fn complete(&self, pool: &PgPool) -> Result<(), RebuildError> {
        let mut connection = pool.acquire().await?;
        let mut tx = connection.begin().await?;
        self.see(&mut tx, &self.live).await?;
        // Sorted in memory where they fit.
        tx.execute("SET LOCAL maintenance_work_mem = '256MB'").await?;
        let names = sqlx::query_scalar(INDEXES).bind(self.live.name()).bind(self.beside.name());
        let indexes: Vec<String> = names.fetch_all(&mut *tx).await?;
        self.see(&mut tx, &self.beside).await?;
        for index in &indexes {
            tx.execute(&**index).await?;
        }
        tx.commit().await?;
        for table in self.tables(&mut connection).await? {
            connection.execute(&*format!("ANALYZE {}.{table}", self.beside.name())).await?;
        }
        Ok(())
    }

    /// Refuses if the two are not the same to readers.
    ///
    /// # Errors
    /// [`RebuildError::DefinitionsDiffer`] with the first line that differs.
    pub(super) async fn compare(&self, tx: &mut PgConnection) -> Result<(), RebuildError> {
        let live = self.definition(tx, &self.live).await?;
        let beside = self.definition(tx, &self.beside).await?;
        let missing = live.iter().find(|line| !beside.contains(line)).map(|line| format!("missing: {line}"));
        let added = || beside.iter().find(|line| !live.contains(line)).map(|line| format!("added: {line}"));
        missing.or_else(added).map_or(Ok(()), |line| Err(RebuildError::DefinitionsDiffer(line)))
    }

    async fn definition(&self, tx: &mut PgConnection, of: &ReadModel<'_>) -> sqlx::Result<Vec<String>> {
        self.see(tx, of).await?;
        sqlx::query_scalar(DEFINITION).bind(of.name()).fetch_all(tx).await
    }

    /// Lets the catalog name, and statements find, the tables of `model` without their schema for the rest of the
    /// transaction. Functions are in the live schema and serve both.
    async fn see(&self, tx: &mut PgConnection, model: &ReadModel<'_>) -> sqlx::Result<()> {
        let path = format!("{}, {}, public", model.name(), self.live.name());
        sqlx::query("SELECT set_config('search_path', $1, true)").bind(path).execute(tx).await?;
        Ok(())
    }
}
