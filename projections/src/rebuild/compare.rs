//! The live rows beside rows that were made again, in one snapshot as of one position.
//!
//! Promise: every column of every row is compared to the byte; what differs is told by table, key and column, never by
//! value, because values are people's. Aggregates that were left behind are told too.

use std::fmt;

use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use super::{Progress, Rebuild, RebuildError};
use crate::{checkpoint, read_model::ReadModel};

/// Events that are applied while the live projection waits, at most.
const REST: i64 = 500;

/// What was compared, and with which result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// All events up to here, and the rows that follow from them.
    pub position: i64,
    /// How far the log is; what is beyond `position` is not projected yet.
    pub last_position: i64,
    /// Live rows that were compared.
    pub rows: u64,
    /// All of them; `differences` has the first ones.
    pub difference_count: u64,
    pub differences: Vec<Difference>,
    /// Aggregates that the live projection has left behind. Up to there they were compared.
    pub parked: Vec<ParkedAggregate>,
}

/// A row that is not what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// With its schema; `parked_keys` where an aggregate is left behind in one of the two only, or at another event.
    pub table: String,
    /// Names and values of the columns of the primary key.
    pub key: Vec<(String, String)>,
    #[serde(flatten)]
    pub kind: DifferenceKind,
}

/// What is wrong with a live row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum DifferenceKind {
    /// The events make it, and it is not there.
    Missing,
    /// It is there, and no event makes it.
    Extra,
    /// These columns are not what the events say.
    Changed { columns: Vec<String> },
}

/// An aggregate that a projection has left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ParkedAggregate {
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// Of the first event that is not applied.
    #[sqlx(rename = "first_position")]
    pub position: i64,
    pub error: String,
}

impl ParkedAggregate {
    /// Whether both are the same aggregate.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.aggregate_type, &self.aggregate_id) == (&other.aggregate_type, &other.aggregate_id)
    }
}

impl fmt::Display for ParkedAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aggregate_type, aggregate_id, position, error } = self;
        write!(f, "{aggregate_type} {aggregate_id} at position {position}: {error}")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<String> = self.key.iter().map(|(name, value)| format!("{name} {value}")).collect();
        write!(f, "{}, {}: ", self.table, key.join(", "))?;
        match &self.kind {
            DifferenceKind::Missing => f.write_str("the row is missing"),
            DifferenceKind::Extra => f.write_str("no event makes this row"),
            DifferenceKind::Changed { columns } => write!(f, "{} differs from the events", columns.join(", ")),
        }
    }
}

/// The aggregates that the projection `name` has left behind.
pub(super) async fn parked(connection: &mut PgConnection, name: &str) -> sqlx::Result<Vec<ParkedAggregate>> {
    sqlx::query_as(
        "SELECT aggregate_type, aggregate_id, first_position, error FROM parked_keys WHERE projection = $1 \
         ORDER BY first_position",
    )
    .bind(name)
    .fetch_all(connection)
    .await
}

impl Rebuild<'_> {
    /// Fills the new tables up to where the live ones are, and compares.
    pub(super) async fn compare(&mut self) -> Result<Compared, RebuildError> {
        loop {
            let live = self.live_position().await?;
            let reached = self.reached().await?;
            if reached > live {
                // An earlier run, which was to switch, has overtaken the live rows.
                self.start_again().await?;
                (self.tell)(Progress::Begun { after: 0, start: super::Start::Discarded });
                continue;
            }
            self.fill(live).await?;
            if live - reached <= REST {
                break;
            }
        }
        self.schemas.complete(self.pool).await?;
        // Two connections of a pool of any size: one keeps the live projection where it is, the other gets the snapshot.
        let mut hold = PgConnection::connect_with(&self.pool.connect_options()).await?;
        let mut held = hold.begin().await?;
        let live = checkpoint::lock(&mut held, self.schemas.live.name()).await?.position;
        if live < self.reached().await? {
            return Err(RebuildError::MovedBack { live });
        }
        self.fill(live).await?;
        let mut tx = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let sql = "SELECT coalesce(max(position), 0) FROM event_log";
        let last_position: i64 = sqlx::query_scalar(sql).fetch_one(&mut *tx).await?;
        held.rollback().await?;
        hold.close().await?;

        (self.tell)(Progress::Comparing);
        let mut compared = Compared {
            position: live,
            last_position,
            rows: 0,
            difference_count: 0,
            differences: vec![],
            parked: parked(&mut tx, self.schemas.live.name()).await?,
        };
        for table in self.schemas.tables(&mut tx).await? {
            self.compare_table(&mut tx, &table, &mut compared).await?;
        }
        let rebuilt = parked(&mut tx, self.schemas.beside.name()).await?;
        compare_parked(&rebuilt, &mut compared);
        Ok(compared)
    }

    async fn live_position(&self) -> sqlx::Result<i64> {
        Ok(checkpoint::read(self.pool, self.schemas.live.name()).await?.position)
    }

    async fn compare_table(
        &self,
        tx: &mut PgConnection,
        table: &str,
        compared: &mut Compared,
    ) -> Result<(), RebuildError> {
        let columns = Columns::of(tx, &self.schemas.live, table).await?;
        let (live, beside) = (self.schemas.live.name(), self.schemas.beside.name());
        let told = self.options.told_differences.saturating_sub(compared.differences.len());
        let sql = columns.comparison(&format!("{live}.{table}"), &format!("{beside}.{table}"));
        let rows = sqlx::query(&sql).bind(i64::try_from(told).unwrap_or(i64::MAX)).fetch_all(&mut *tx).await?;
        let total: i64 = match rows.first() {
            Some(row) => row.try_get("total")?,
            None => 0,
        };
        for row in rows.iter().take(told) {
            compared.differences.push(columns.difference(&format!("{live}.{table}"), row)?);
        }
        compared.difference_count += u64::try_from(total).unwrap_or(0);
        let count = format!("SELECT count(*) FROM {live}.{table}");
        let count: i64 = sqlx::query_scalar(&count).fetch_one(tx).await?;
        compared.rows += u64::try_from(count).unwrap_or(0);
        Ok(())
    }
}

/// A column's name as people write it.
fn plain(quoted: &str) -> String {
    match quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => quoted.to_owned(),
    }
}

/// Whether two lists of values differ in any byte; as an operator (`*<>`) SQL would compare rows value by value.
fn other(live: &str, beside: &str) -> String {
    format!("record_image_ne(ROW({live}), ROW({beside}))")
}

/// The columns of a table, quoted where that is needed.
struct Columns {
    key: Vec<String>,
    others: Vec<String>,
}

impl Columns {
    async fn of(tx: &mut PgConnection, model: &ReadModel<'_>, table: &str) -> Result<Self, RebuildError> {
        let all: Vec<(String, bool)> = sqlx::query_as(
            "SELECT quote_ident(attname), attnum = ANY (coalesce(indkey::int2[], '{}')) FROM pg_attribute \
             LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary \
             WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        )
        .bind(format!("{}.{table}", model.name()))
        .fetch_all(tx)
        .await?;
        let (key, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, in_key)| *in_key);
        if key.is_empty() {
            return Err(RebuildError::NoPrimaryKey(format!("{}.{table}", model.name())));
        }
        let names = |columns: Vec<(String, bool)>| columns.into_iter().map(|(name, _)| name).collect();
        Ok(Self { key: names(key), others: names(others) })
    }

    /// A statement that answers up to `$1` differences (but at least one, for the count), by key.
    fn comparison(&self, live: &str, beside: &str) -> String {
        let each = |columns: &[String], form: &dyn Fn(&str) -> String, between: &str| {
            columns.iter().map(|column| form(column)).collect::<Vec<_>>().join(between)
        };
        let same_key = each(&self.key, &|key| format!("l.{key} = b.{key}"), " AND ");
        let keys = each(&self.key, &|key| format!("coalesce(l.{key}, b.{key})::text"), ", ");
        let order = each(&self.key, &|key| format!("coalesce(l.{key}, b.{key})"), ", ");
        let changed = each(
            &self.others,
            &|column| {
                format!(
                    "CASE WHEN {} THEN '{}' END",
                    other(&format!("l.{column}"), &format!("b.{column}")),
                    plain(column).replace('\'', "''")
                )
            },
            ", ",
        );
        let (l, b) = (each(&self.others, &|c| format!("l.{c}"), ", "), each(&self.others, &|c| format!("b.{c}"), ", "));
        let key = &self.key[0];
        format!(
            "SELECT ARRAY[{keys}] AS key, l.{key} IS NULL AS missing, b.{key} IS NULL AS extra, \
             array_remove(ARRAY[{changed}]::text[], NULL) AS columns, count(*) OVER () AS total \
             FROM {live} l FULL JOIN {beside} b ON {same_key} \
             WHERE l.{key} IS NULL OR b.{key} IS NULL OR {} ORDER BY {order} LIMIT greatest($1, 1)",
            other(&l, &b)
        )
    }

    fn difference(&self, table: &str, row: &PgRow) -> sqlx::Result<Difference> {
        let values: Vec<String> = row.try_get("key")?;
        let kind = if row.try_get("missing")? {
            DifferenceKind::Missing
        } else if row.try_get("extra")? {
            DifferenceKind::Extra
        } else {
            DifferenceKind::Changed { columns: row.try_get("columns")? }
        };
        Ok(Difference {
            table: table.to_owned(),
            key: self.key.iter().map(|name| plain(name)).zip(values).collect(),
            kind,
        })
    }
}

/// An aggregate must be left behind in both, and at the same event.
fn compare_parked(rebuilt: &[ParkedAggregate], compared: &mut Compared) {
    let mut differ = |aggregate: &ParkedAggregate, kind| {
        compared.difference_count += 1;
        let key = vec![
            ("aggregate_type".to_owned(), aggregate.aggregate_type.clone()),
            ("aggregate_id".to_owned(), aggregate.aggregate_id.clone()),
        ];
        compared.differences.push(Difference { table: "parked_keys".to_owned(), key, kind });
    };
    for live in &compared.parked {
        match rebuilt.iter().find(|other| other.is(live)) {
            None => differ(live, DifferenceKind::Extra),
            Some(other) if other.position != live.position => {
                differ(live, DifferenceKind::Changed { columns: vec!["first_position".to_owned()] });
            }
            Some(_) => {}
        }
    }
    for other in rebuilt.iter().filter(|other| !compared.parked.iter().any(|live| live.is(other))) {
        differ(other, DifferenceKind::Missing);
    }
}
