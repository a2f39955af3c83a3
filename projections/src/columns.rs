//! Many rows in one statement: a column as the array that Postgres takes, `unnest`ed there.

/// The values of one field of many rows: `column!(rows, model.as_deref())`.
macro_rules! column {
    ($rows:expr, $($field:tt)+) => {
        $rows.iter().map(|row| row.$($field)+).collect::<Vec<_>>()
    };
}

pub(crate) use column;
