//! Tables of `system` that tools read when they start: each has ClickHouse's columns, and rows where this database has
//! what the table tells of. One without rows has nothing to tell of here (dictionaries, macros, users in SQL) or does not tell
//! it yet (`clusters`, `disks`, `mutations`, `events`, `asynchronous_metrics`: docs/deviations.md).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono_tz::TZ_VARIANTS;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Result, ScalarValue};
use sqlparser::keywords::ALL_KEYWORDS;
use zepto_common::types::ColumnType;

use crate::error::external;

/// Written by `tests/goldens/generate.py`: table, column, type; an Enum is a String here.
const COLUMNS: &str = include_str!("declared.tsv");

/// Some cells of a row, by their columns; the others have their type's default.
type Row = Vec<(&'static str, String)>;

/// Makes the rows of a table.
type Rows = fn() -> Vec<Row>;

/// What is known, by table.
const ROWS: &[(&str, Rows)] = &[
    ("data_type_families", families),
    ("formats", formats),
    ("keywords", keywords),
    ("table_engines", engines),
    ("table_functions", table_functions),
    ("time_zones", zones),
];

/// Names of the types, by which they are written.
const FAMILIES: &[&str] = &[
    "Array",
    "Bool",
    "Date",
    "Date32",
    "DateTime",
    "DateTime64",
    "Decimal",
    "Decimal128",
    "Decimal32",
    "Decimal64",
    "Float32",
    "Float64",
    "Int16",
    "Int32",
    "Int64",
    "Int8",
    "LowCardinality",
    "Map",
    "Nothing",
    "Nullable",
    "String",
    "Tuple",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt8",
    "UUID",
];

/// What `zepto-formats` has, which this crate does not know; a test beside its goldens compares them. Name, whether it is
/// read and written, media type.
const FORMATS: &[(&str, bool, bool, &str)] = &[
    ("Arrow", true, true, "application/octet-stream"),
    ("ArrowStream", true, true, "application/octet-stream"),
    ("CSV", true, true, "text/csv; charset=UTF-8; header=absent"),
    ("CSVWithNames", true, true, "text/csv; charset=UTF-8; header=present"),
    ("CSVWithNamesAndTypes", true, true, "text/csv; charset=UTF-8; header=present"),
    ("JSON", true, true, "application/json; charset=UTF-8"),
    ("JSONColumns", true, true, "application/json; charset=UTF-8"),
    ("JSONColumnsWithMetadata", true, true, "application/json; charset=UTF-8"),
    ("JSONCompact", true, true, "application/json; charset=UTF-8"),
    ("JSONCompactColumns", true, true, "application/json; charset=UTF-8"),
    ("JSONCompactEachRow", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRowWithNames", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRowWithNamesAndTypes", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactStrings", false, true, "application/json; charset=UTF-8"),
    ("JSONCompactStringsEachRow", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactStringsEachRowWithNames", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactStringsEachRowWithNamesAndTypes", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONEachRow", true, true, "application/x-ndjson; charset=UTF-8"),
    ("JSONStrings", false, true, "application/json; charset=UTF-8"),
    ("JSONStringsEachRow", true, true, "application/x-ndjson; charset=UTF-8"),
    ("Markdown", false, true, "text/markdown; charset=UTF-8"),
    ("MsgPack", true, true, "application/msgpack"),
    ("MsgPackColumns", true, false, "application/msgpack"),
    ("Native", true, true, "application/octet-stream"),
    ("Null", false, true, "text/plain; charset=UTF-8"),
    ("Parquet", true, true, "application/octet-stream"),
    ("Pretty", false, true, "text/plain; charset=UTF-8"),
    ("PrettyCompact", false, true, "text/plain; charset=UTF-8"),
    ("PrettyCompactMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("PrettyCompactNoEscapes", false, true, "text/plain; charset=UTF-8"),
    ("PrettyCompactNoEscapesMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("PrettyMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("PrettyNoEscapes", false, true, "text/plain; charset=UTF-8"),
    ("PrettyNoEscapesMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("PrettySpace", false, true, "text/plain; charset=UTF-8"),
    ("PrettySpaceMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("PrettySpaceNoEscapes", false, true, "text/plain; charset=UTF-8"),
    ("PrettySpaceNoEscapesMonoBlock", false, true, "text/plain; charset=UTF-8"),
    ("RowBinary", true, true, "application/octet-stream"),
    ("RowBinaryWithNames", true, true, "application/octet-stream"),
    ("RowBinaryWithNamesAndTypes", true, true, "application/octet-stream"),
    ("TabSeparated", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("TabSeparatedRaw", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("TabSeparatedRawWithNames", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("TabSeparatedRawWithNamesAndTypes", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("TabSeparatedWithNames", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("TabSeparatedWithNamesAndTypes", true, true, "text/tab-separated-values; charset=UTF-8"),
    ("Values", true, true, "text/plain; charset=UTF-8"),
    ("Vertical", false, true, "text/plain; charset=UTF-8"),
];

/// Names that `ENGINE =` takes, and views.
const ENGINES: &[&str] = &[
    "Log",
    "MaterializedView",
    "Memory",
    "MergeTree",
    "ReplicatedMergeTree",
    "SharedMergeTree",
    "StripeLog",
    "TinyLog",
    "View",
];

const TABLE_FUNCTIONS: &[&str] = &["generate_series", "numbers", "numbers_mt", "values"];

fn families() -> Vec<Row> {
    FAMILIES.iter().map(|name| vec![("name", (*name).to_owned())]).collect()
}

fn engines() -> Vec<Row> {
    ENGINES.iter().map(|name| vec![("name", (*name).to_owned())]).collect()
}

fn table_functions() -> Vec<Row> {
    let row = |name: &&str| vec![("name", (*name).to_owned()), ("allow_readonly", "1".to_owned())];
    TABLE_FUNCTIONS.iter().map(row).collect()
}

fn formats() -> Vec<Row> {
    let flag = |is: bool| u8::from(is).to_string();
    let row = |&(name, read, write, media): &(&str, bool, bool, &str)| {
        vec![
            ("name", name.to_owned()),
            ("is_input", flag(read)),
            ("is_output", flag(write)),
            ("content_type", media.to_owned()),
        ]
    };
    FORMATS.iter().map(row).collect()
}

/// The words that the reader of statements knows.
fn keywords() -> Vec<Row> {
    ALL_KEYWORDS.iter().map(|word| vec![("keyword", (*word).to_owned())]).collect()
}

fn zones() -> Vec<Row> {
    TZ_VARIANTS.iter().map(|zone| vec![("time_zone", zone.name().to_owned())]).collect()
}

/// Names and types of a table's columns; none of a table that is not declared.
fn columns(table: &str) -> Vec<(&'static str, &'static str)> {
    let lines = COLUMNS.lines().filter_map(|line| line.split_once('\t'));
    let of_table = lines.filter(|(name, _)| *name == table);
    of_table.filter_map(|(_, column)| column.split_once('\t')).collect()
}

/// Names of the tables that are made here alone.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    names().filter(|name| !super::TABLES.iter().any(|(made, _)| made == name))
}

/// A table's columns.
///
/// # Errors
/// A type that is not known.
pub(super) fn schema(name: &str) -> Result<SchemaRef> {
    let field = |(name, ty): &(&str, &str)| Ok(ty.parse::<ColumnType>().map_err(external)?.query_field(name));
    Ok(Arc::new(Schema::new(columns(name).iter().map(field).collect::<Result<Vec<_>>>()?)))
}

/// Rows with ClickHouse's columns in its order, of its types where the values can have them; a column that nothing is known
/// of has its type's default. Columns that only this database has stand behind them.
///
/// # Errors
/// A type that is not known.
pub(super) fn completed(name: &str, rows: RecordBatch) -> Result<RecordBatch> {
    let declared = schema(name)?;
    if declared.fields().is_empty() {
        return Ok(rows);
    }
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for field in declared.fields() {
        match rows.schema_ref().index_of(field.name()) {
            Ok(at) => match strictly(rows.column(at), field.data_type()) {
                Some(array) => {
                    fields.push((**field).clone());
                    arrays.push(array);
                }
                None => {
                    fields.push(rows.schema_ref().field(at).clone());
                    arrays.push(rows.column(at).clone());
                }
            },
            Err(_) => {
                fields.push((**field).clone());
                arrays.push(defaults(field, rows.num_rows())?);
            }
        }
    }
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        if declared.index_of(field.name()).is_err() {
            fields.push((**field).clone());
            arrays.push(array.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn strictly(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let same = array.data_type() == to;
    if same {
        Some(array.clone())
    } else {
        cast(array, to).ok().filter(|new| new.null_count() == array.null_count())
    }
}

fn defaults(field: &Field, rows: usize) -> Result<ArrayRef> {
    match rows {
        0 => Ok(arrow::array::new_empty_array(field.data_type())),
        _ if matches!(field.data_type(), DataType::Map(..)) => {
            // NULLs without their marks: maps without elements.
            let nulls = arrow::array::new_null_array(field.data_type(), rows).to_data();
            Ok(arrow::array::make_array(nulls.into_builder().nulls(None).build()?))
        }
        _ if field.is_nullable() => Ok(arrow::array::new_null_array(field.data_type(), rows)),
        _ => ScalarValue::new_default(field.data_type())?.to_array_of_size(rows),
    }
}

/// Names of the tables whose columns are declared.
fn names() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    let names = COLUMNS.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split('\t').next());
    names.filter(move |name| std::mem::replace(&mut last, name) != *name)
}

/// A table with its rows.
pub(super) fn table(name: &str) -> Option<Result<Arc<dyn TableProvider>>> {
    let columns = columns(name);
    let made = super::TABLES.iter().any(|(made, _)| *made == name);
    (!columns.is_empty() && !made).then(|| {
        let rows = ROWS.iter().find(|(table, _)| *table == name).map(|(_, rows)| rows()).unwrap_or_default();
        let batch = batch(&columns, &rows)?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?) as _)
    })
}

fn batch(columns: &[(&str, &str)], rows: &[Row]) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, ty) in columns {
        let ty: ColumnType = ty.parse().map_err(external)?;
        let field = ty.query_field(name);
        arrays.push(column(&field, rows)?);
        fields.push(field);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn column(field: &Field, rows: &[Row]) -> Result<ArrayRef> {
    let cell = |row: &Row| row.iter().find(|(name, _)| name == field.name()).map(|(_, text)| text.clone());
    let cells: Option<StringArray> = rows.iter().map(cell).collect::<Option<Vec<_>>>().map(StringArray::from);
    match cells.filter(|cells| !cells.is_empty()) {
        Some(cells) => Ok(cast(&cells, field.data_type())?),
        None => defaults(field, rows.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_table_has_columns_of_known_types_and_the_rows_that_there_are() {
        for name in names() {
            let rows = ROWS.iter().find(|(table, _)| *table == name).map_or(0, |(_, rows)| rows().len());
            let batch =
                batch(&columns(name), &ROWS.iter().find(|it| it.0 == name).map_or(vec![], |it| it.1()));
            assert_eq!(batch.unwrap().num_rows(), rows, "{name}");
        }
        assert!(ROWS.iter().all(|(name, rows)| names().any(|it| it == *name) && !rows().is_empty()));
        let unique: std::collections::HashSet<_> = names().collect();
        assert_eq!(unique.len(), names().count());
    }
}
