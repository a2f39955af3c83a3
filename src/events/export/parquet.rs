//! An Apache Parquet file of events: the keys of a line as columns.
//!
//! Promise: whatever reads Parquet reads it; compressed with Snappy, dictionaries where they help; `recorded_at` is a
//! timestamp in UTC with microseconds, `payload` JSON as text, everything else as in a line. Memory is bounded by one
//! row group.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::events::line::EventLine;

/// A row group ends with this many events or bytes of payload.
const GROUP_EVENTS: usize = 20_000;
const GROUP_BYTES: usize = 32 * 1024 * 1024;

const SCHEMA: &str = "message event {
    required int64 epoch; required int64 position; required int64 prev;
    required binary capability (STRING); required binary type (STRING); required binary version (STRING);
    required binary aggregate_type (STRING); required binary aggregate_id (STRING); required int64 sequence;
    required binary tenant (STRING); optional binary actor (STRING); optional binary command_id (STRING);
    optional binary correlation_id (STRING); optional binary causation_id (STRING);
    optional binary traceparent (STRING); required int64 recorded_at (TIMESTAMP(MICROS, true));
    required binary payload (STRING);
}";

/// The values of one column.
enum Column {
    Number(Vec<i64>),
    Text(Vec<ByteArray>),
    /// Those that are there, and for each event whether it has one.
    Optional(Vec<ByteArray>, Vec<i16>),
}

enum Cell {
    Number(i64),
    Text(String),
    Optional(Option<String>),
}

/// A file that is being written.
pub(super) struct ParquetFile<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
    events: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn begin(file: W) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { writer, columns: Vec::new(), events: 0, bytes: 0 })
    }

    pub(super) fn add(&mut self, line: EventLine, payload_bytes: usize) -> anyhow::Result<()> {
        let cells = cells(line)?;
        if self.columns.is_empty() {
            self.columns = cells.iter().map(Column::of).collect();
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.events += 1;
        self.bytes += payload_bytes;
        if self.events >= GROUP_EVENTS || self.bytes >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(mut self) -> anyhow::Result<W> {
        self.end_group()?;
        Ok(self.writer.into_inner()?)
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        let mut columns = std::mem::take(&mut self.columns).into_iter();
        (self.events, self.bytes) = (0, 0);
        if columns.len() == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        while let Some(mut writer) = group.next_column()? {
            match columns.next() {
                Some(Column::Number(values)) => drop(writer.typed::<Int64Type>().write_batch(&values, None, None)?),
                Some(Column::Text(values)) => drop(writer.typed::<ByteArrayType>().write_batch(&values, None, None)?),
                Some(Column::Optional(values, levels)) => {
                    writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
                None => anyhow::bail!("the schema has more columns than an event"),
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

impl Column {
    fn of(cell: &Cell) -> Self {
        match cell {
            Cell::Number(_) => Self::Number(Vec::new()),
            Cell::Text(_) => Self::Text(Vec::new()),
            Cell::Optional(_) => Self::Optional(Vec::new(), Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Number(values), Cell::Number(value)) => values.push(value),
            (Self::Text(values), Cell::Text(value)) => values.push(value.into_bytes().into()),
            (Self::Optional(values, levels), Cell::Optional(value)) => {
                levels.push(i16::from(value.is_some()));
                values.extend(value.map(|value| ByteArray::from(value.into_bytes())));
            }
            // Every event has the same cells, in the order of the schema.
            _ => {}
        }
    }
}

/// In the order of the schema.
fn cells(line: EventLine) -> anyhow::Result<[Cell; 17]> {
    Ok([
        Cell::Number(line.epoch),
        Cell::Number(line.position),
        Cell::Number(line.prev),
        Cell::Text(line.capability),
        Cell::Text(line.event_type),
        Cell::Text(line.version),
        Cell::Text(line.aggregate_type),
        Cell::Text(line.aggregate_id),
        Cell::Number(line.sequence),
        Cell::Text(line.tenant),
        Cell::Optional(line.actor),
        Cell::Optional(line.command_id),
        Cell::Optional(line.correlation_id),
        Cell::Optional(line.causation_id),
        Cell::Optional(line.traceparent),
        Cell::Number(line.recorded_at.timestamp_micros()),
        Cell::Text(serde_json::to_string(&line.payload)?),
    ])
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::*;

    fn line(position: i64) -> EventLine {
        let at: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::microseconds(1_700_000_000_000_001);
        let odd = (position % 2 == 1).then(|| format!("value {position}"));
        EventLine {
            epoch: 1,
            position,
            prev: position - 1,
            capability: "chat".to_owned(),
            event_type: "session.renamed".to_owned(),
            version: "1".to_owned(),
            aggregate_type: "session".to_owned(),
            aggregate_id: format!("{}", position % 7),
            sequence: position,
            tenant: "default".to_owned(),
            actor: odd.clone(),
            command_id: odd.clone(),
            correlation_id: odd.clone(),
            causation_id: odd.clone(),
            traceparent: None,
            recorded_at: at,
            payload: json!({"renamed": {"title": format!("标题 {position}"), "n": position}}),
        }
    }

    #[test]
    fn what_is_written_is_read_again_over_several_row_groups() {
        let count = i64::try_from(GROUP_EVENTS).unwrap() + 3;
        let mut file = ParquetFile::begin(Vec::new()).unwrap();
        for position in 1..=count {
            file.add(line(position), 100).unwrap();
        }
        let bytes = bytes::Bytes::from(file.end().unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        for (position, row) in (1..).zip(reader.get_row_iter(None).unwrap()) {
            let row = row.unwrap();
            let expected = serde_json::to_value(line(position)).unwrap();
            for ((name, field), (key, value)) in row.get_column_iter().zip(expected.as_object().unwrap()) {
                assert_eq!(name, key);
                match field {
                    Field::Null => assert!(value.is_null(), "{name}"),
                    Field::Long(number) => assert_eq!(Some(*number), value.as_i64(), "{name}"),
                    Field::TimestampMicros(micros) => assert_eq!(*micros, 1_700_000_000_000_001, "{name}"),
                    Field::Str(text) if name == "payload" => assert_eq!(*text, value.to_string()),
                    Field::Str(text) => assert_eq!(Some(text.as_str()), value.as_str(), "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        assert_eq!(reader.metadata().file_metadata().num_rows(), count);
    }
}
