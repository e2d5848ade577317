//! The rows of each system table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use zepto_common::ColumnId;
use zepto_common::error::Result;
use zepto_common::placement::{Assignment, Replica};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::service::{NodeStatus, RunningQuery};
use zepto_common::settings::{Effect, Setting};
use zepto_common::types::ColumnType;
use zepto_engine::Part;
use zepto_engine::store::ViewDefinition;

use super::cells::{Cells, batch};
use super::create_text::{
    Lines, create_statement, create_view, default_text, engine_full, engine_name, order_by,
};
use super::{SYSTEM, described, information, is_built_in, table_names};
use crate::functions::FunctionInfo;
use crate::service::Core;
use crate::statement::cursor::text_of;
use crate::views::query_of;

/// One row, as ClickHouse's.
pub(super) fn one(_: &Core) -> Result<RecordBatch> {
    batch(vec![("dummy", Cells::U8(vec![0]))])
}

/// The nodes of the cluster; empty on a node that runs alone.
pub(super) fn nodes(core: &Core) -> Result<RecordBatch> {
    let nodes = core.cluster.as_ref().map(|cluster| cluster.nodes.nodes()).unwrap_or_default();
    let text = |of: fn(&NodeStatus) -> &String| Cells::Text(nodes.iter().map(|it| of(it).clone()).collect());
    batch(vec![
        ("id", Cells::U64(nodes.iter().map(|it| it.id.into()).collect())),
        ("role", text(|it| &it.role)),
        ("state", text(|it| &it.state)),
        ("incarnation", Cells::U64(nodes.iter().map(|it| it.incarnation).collect())),
        ("zone", text(|it| &it.zone)),
        ("http", text(|it| &it.http)),
        ("rpc", text(|it| &it.rpc)),
        ("partitions_owned", Cells::U64(nodes.iter().map(|it| it.partitions_owned).collect())),
        ("rows_per_second", Cells::MaybeU64(nodes.iter().map(|it| it.rows_per_second).collect())),
    ])
}

/// Who has which partition, by the placement that this node knows; empty on a node that runs alone.
pub(super) fn partitions(core: &Core) -> Result<RecordBatch> {
    let placement = core.reads.as_ref().map(|mode| mode.parts.peers.placement()).unwrap_or_default();
    let all = &placement.partitions;
    let numbers = |of: fn(&Assignment) -> u64| Cells::U64(all.iter().map(of).collect());
    let nodes = |of: &dyn Fn(&Assignment) -> Vec<u64>| Cells::U64s(all.iter().map(of).collect());
    let of_replicas = |replicas: &BTreeSet<Replica>| replicas.iter().map(|it| it.node.0.into()).collect();
    let followers = |it: &Assignment| {
        let others = it.grant.set.members.iter().filter(|member| **member != it.grant.owner);
        others.map(|member| member.node.0.into()).collect()
    };
    batch(vec![
        ("partition", numbers(|it| it.grant.partition.0.into())),
        ("owner", numbers(|it| it.grant.owner.node.0.into())),
        ("epoch", numbers(|it| it.grant.epoch.0)),
        ("set_version", numbers(|it| it.grant.set.version.0)),
        ("followers", nodes(&followers)),
        ("joining", nodes(&|it| of_replicas(&it.joining))),
        ("leaving", nodes(&|it| of_replicas(&it.leaving))),
        ("placement_version", Cells::U64(vec![placement.version.0; all.len()])),
    ])
}

pub(super) fn databases(core: &Core) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let mut names: Vec<String> = catalog.databases().to_vec();
    let built_in = || std::iter::once(SYSTEM).chain(information::databases());
    names.extend(built_in().filter(|name| is_built_in(&catalog, name)).map(str::to_owned));
    names.sort();
    let rows = names.len();
    let engine = |name: &String| if is_built_in(&catalog, name) { "Memory" } else { "Atomic" }.to_owned();
    let engines = names.iter().map(engine).collect();
    batch(vec![
        ("name", Cells::Text(names)),
        ("engine", Cells::Text(engines)),
        ("data_path", Cells::same("", rows)),
        ("metadata_path", Cells::same("", rows)),
        ("uuid", Cells::same("00000000-0000-0000-0000-000000000000", rows)),
        ("engine_full", Cells::same("", rows)),
        ("comment", Cells::same("", rows)),
    ])
}

/// One table, view or system table.
#[derive(Default)]
struct TableRow {
    database: String,
    name: String,
    engine: String,
    engine_full: String,
    primary_key: String,
    sorting_key: String,
    partition_key: String,
    create: String,
    select: String,
    rows: Option<u64>,
    bytes: Option<u64>,
    parts: Option<u64>,
    comment: String,
}

pub(super) fn tables(core: &Core) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let mut rows: Vec<TableRow> = catalog.tables().map(|schema| table_row(core, schema)).collect();
    rows.extend(catalog.views().map(|view| view_row(view)));
    rows.extend(table_names().map(|name| TableRow {
        database: SYSTEM.to_owned(),
        name: name.to_owned(),
        engine: "System".to_owned(),
        ..TableRow::default()
    }));
    let built_in = information::databases().filter(|name| is_built_in(&catalog, name));
    rows.extend(built_in.flat_map(|database| {
        information::names().filter_map(|name| information::view(database, &name)).map(|view| view_row(&view))
    }));
    rows.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
    let text = |of: fn(&TableRow) -> &String| Cells::Text(rows.iter().map(|row| of(row).clone()).collect());
    let count = rows.len();
    batch(vec![
        ("database", text(|row| &row.database)),
        ("name", text(|row| &row.name)),
        ("uuid", Cells::same("00000000-0000-0000-0000-000000000000", count)),
        ("engine", text(|row| &row.engine)),
        ("is_temporary", Cells::U8(vec![0; count])),
        ("create_table_query", text(|row| &row.create)),
        ("engine_full", text(|row| &row.engine_full)),
        ("as_select", text(|row| &row.select)),
        ("partition_key", text(|row| &row.partition_key)),
        ("sorting_key", text(|row| &row.sorting_key)),
        ("primary_key", text(|row| &row.primary_key)),
        ("sampling_key", Cells::same("", count)),
        ("storage_policy", Cells::same("default", count)),
        ("total_rows", Cells::MaybeU64(rows.iter().map(|row| row.rows).collect())),
        ("total_bytes", Cells::MaybeU64(rows.iter().map(|row| row.bytes).collect())),
        ("comment", text(|row| &row.comment)),
        ("has_own_data", Cells::U8(rows.iter().map(|row| u8::from(row.parts.is_some())).collect())),
        ("parts", Cells::MaybeU64(rows.iter().map(|row| row.parts).collect())),
        ("active_parts", Cells::MaybeU64(rows.iter().map(|row| row.parts).collect())),
    ])
}

fn table_row(core: &Core, schema: &TableSchema) -> TableRow {
    let snapshot = core.store.snapshot(schema.id).ok();
    let parts = snapshot.iter().flat_map(|snapshot| &snapshot.parts);
    let (rows, bytes) = parts.fold((0, 0), |(rows, bytes), part| (rows + part.rows(), bytes + part.memory()));
    let key = order_by(schema);
    TableRow {
        database: schema.name.database.clone(),
        name: schema.name.table.clone(),
        engine: engine_name(schema),
        engine_full: engine_full(schema),
        primary_key: key.clone(),
        sorting_key: key,
        partition_key: String::new(),
        create: create_statement(schema, Lines::One),
        select: String::new(),
        // A node of a cluster has some of the rows, and copies of others': a number of them would be taken for all.
        rows: snapshot.as_ref().filter(|_| core.reads.is_none()).map(|_| rows as u64),
        bytes: snapshot.as_ref().filter(|_| core.reads.is_none()).map(|_| bytes as u64),
        parts: snapshot.as_ref().map(|snapshot| snapshot.parts.len() as u64),
        comment: schema.comment.clone(),
    }
}

fn view_row(view: &ViewDefinition) -> TableRow {
    TableRow {
        database: view.name.database.clone(),
        name: view.name.table.clone(),
        engine: if view.materialized { "MaterializedView" } else { "View" }.to_owned(),
        create: create_view(view, Lines::One),
        // One that this build cannot read any more must not hide all other tables.
        select: query_of(view).map(|query| text_of(&query)).unwrap_or_default(),
        ..TableRow::default()
    }
}

/// The type's name, for DESCRIBE and `system.columns`.
pub(crate) fn type_name(column: &zepto_common::schema::Column) -> String {
    column.ty.to_string()
}

pub(super) fn columns(core: &Core) -> Result<RecordBatch> {
    let own = columns_of(core, &[])?.schema();
    let mut built_in = described(core)?;
    built_in.push(("columns", own));
    let built_in: Vec<(TableName, Vec<Column>)> = built_in
        .into_iter()
        .map(|(name, schema)| (TableName::new(SYSTEM, name), columns_of_schema(&schema)))
        .collect();
    columns_of(core, &built_in)
}

fn columns_of_schema(schema: &SchemaRef) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column {
        id: ColumnId(0),
        name: field.name().clone(),
        ty: ColumnType::of_field(field),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    schema.fields().iter().map(column).collect()
}

fn columns_of(core: &Core, built_in: &[(TableName, Vec<Column>)]) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let tables = catalog.tables().map(|schema| (&schema.name, &schema.columns, Some(schema)));
    let views = catalog.views().map(|view| (&view.name, &view.columns, None));
    let built_in = built_in.iter().map(|(name, columns)| (name, columns, None));
    let mut all: Vec<_> = tables.chain(views).chain(built_in).collect();
    all.sort_by_key(|(name, ..)| *name);
    let mut text: [Vec<String>; 8] = Default::default();
    let (mut positions, mut in_key, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for (name, columns, schema) in all {
        for (position, column) in (1..).zip(columns) {
            let (kind, expression) = default_text(column);
            let key = schema.is_some_and(|schema| schema.order_by.contains(&column.id));
            let cells = [
                name.database.clone(),
                name.table.clone(),
                column.name.clone(),
                type_name(column),
                kind,
                expression,
                column.comment.clone(),
                String::new(),
            ];
            text.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            positions.push(position);
            in_key.push(u8::from(key));
            figures.push(Figures::of(&column.ty));
        }
    }
    let [database, table, name, ty, kind, expression, comment, codec] = text.map(Cells::Text);
    let none = vec![0u8; positions.len()];
    let figure = |of: fn(&Figures) -> Option<u8>| {
        Cells::MaybeU64(figures.iter().map(|it| of(it).map(u64::from)).collect())
    };
    batch(vec![
        ("database", database),
        ("table", table),
        ("name", name),
        ("type", ty),
        ("position", Cells::U64(positions)),
        ("default_kind", kind),
        ("default_expression", expression),
        ("comment", comment),
        ("is_in_partition_key", Cells::U8(none.clone())),
        ("is_in_sorting_key", Cells::U8(in_key.clone())),
        ("is_in_primary_key", Cells::U8(in_key)),
        ("is_in_sampling_key", Cells::U8(none)),
        ("compression_codec", codec),
        ("character_octet_length", figure(|_| None)),
        ("numeric_precision", figure(|it| it.precision)),
        ("numeric_precision_radix", figure(|it| it.radix)),
        ("numeric_scale", figure(|it| it.scale)),
        ("datetime_precision", figure(|it| it.time)),
    ])
}

/// What the SQL standard wants to know of a type.
#[derive(Default)]
struct Figures {
    precision: Option<u8>,
    radix: Option<u8>,
    scale: Option<u8>,
    time: Option<u8>,
}

impl Figures {
    fn of(ty: &ColumnType) -> Self {
        let number = |digits, base, scale| Self {
            precision: Some(digits),
            radix: Some(base),
            scale: Some(scale),
            time: None,
        };
        match ty {
            ColumnType::Nullable(inner) => Self::of(inner),
            ColumnType::Bool | ColumnType::Int8 | ColumnType::UInt8 => number(8, 2, 0),
            ColumnType::Int16 | ColumnType::UInt16 => number(16, 2, 0),
            ColumnType::Int32 | ColumnType::UInt32 => number(32, 2, 0),
            ColumnType::Int64 | ColumnType::UInt64 => number(64, 2, 0),
            ColumnType::Decimal(precision, scale) => number(*precision, 10, *scale),
            ColumnType::Date | ColumnType::DateTime(_) => Self { time: Some(0), ..Self::default() },
            ColumnType::DateTime64(precision, _) => Self { time: Some(*precision), ..Self::default() },
            _ => Self::default(),
        }
    }
}

pub(super) fn functions(_: &Core) -> Result<RecordBatch> {
    let all = crate::functions::list();
    let rows = all.len();
    let text =
        |of: fn(&FunctionInfo) -> &'static str| Cells::Text(all.iter().map(|f| of(f).to_owned()).collect());
    let flag = |of: fn(&FunctionInfo) -> bool| Cells::U8(all.iter().map(|f| u8::from(of(f))).collect());
    batch(vec![
        ("name", text(|function| function.name)),
        ("is_aggregate", flag(|function| function.is_aggregate)),
        ("case_insensitive", flag(|function| function.case_insensitive)),
        ("alias_to", text(|function| function.alias_to)),
        ("create_query", Cells::same("", rows)),
        ("origin", Cells::same("System", rows)),
        ("description", text(|function| function.description)),
        ("syntax", text(|function| function.syntax)),
        ("arguments", Cells::same("", rows)),
        ("returned_value", Cells::same("", rows)),
        ("examples", Cells::same("", rows)),
        ("categories", Cells::same("", rows)),
    ])
}

pub(super) fn metrics(core: &Core) -> Result<RecordBatch> {
    let running = core.running.list();
    let memory: u64 = running.iter().map(|query| query.memory_usage).sum();
    let rows = [
        ("Query", running.len() as u64, "Statements that run now"),
        ("MemoryTracking", memory, "Bytes that running statements hold"),
        ("Tables", core.store.catalog().tables().count() as u64, "Tables"),
    ];
    batch(vec![
        ("metric", Cells::Text(rows.iter().map(|row| row.0.to_owned()).collect())),
        ("value", Cells::U64(rows.iter().map(|row| row.1).collect())),
        ("description", Cells::Text(rows.iter().map(|row| row.2.to_owned()).collect())),
    ])
}

pub(super) fn parts(core: &Core) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let mut text: [Vec<String>; 5] = Default::default();
    let mut numbers: [Vec<u64>; 2] = Default::default();
    for schema in catalog.tables() {
        let Ok(snapshot) = core.store.snapshot(schema.id) else { continue };
        for (number, part) in snapshot.parts.iter().enumerate() {
            let kind = match part {
                Part::Chunk(_) => "chunk",
                Part::Run(_) => "run",
                Part::Segment(_) => "segment",
            };
            let cells = [
                schema.name.database.clone(),
                schema.name.table.clone(),
                format!("{kind}_{number}"),
                kind.to_owned(),
                engine_name(schema),
            ];
            text.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            numbers[0].push(part.rows() as u64);
            numbers[1].push(part.memory() as u64);
        }
    }
    let [database, table, name, kind, engine] = text.map(Cells::Text);
    let [rows, bytes] = numbers;
    let count = rows.len();
    // What a part takes is what it takes in memory, where it is not compressed.
    batch(vec![
        ("partition", Cells::same("tuple()", count)),
        ("partition_id", Cells::same("all", count)),
        ("database", database),
        ("table", table),
        ("name", name),
        ("part_type", kind),
        ("active", Cells::U8(vec![1; rows.len()])),
        ("rows", Cells::U64(rows)),
        ("bytes", Cells::U64(bytes.clone())),
        ("data_compressed_bytes", Cells::U64(bytes.clone())),
        ("data_uncompressed_bytes", Cells::U64(bytes.clone())),
        ("engine", engine),
        ("bytes_in_memory", Cells::U64(bytes.clone())),
        ("bytes_on_disk", Cells::U64(bytes)),
        ("disk_name", Cells::same("default", count)),
    ])
}

/// The statements of this node.
pub(super) fn processes(core: &Core) -> Result<RecordBatch> {
    processes_of(&core.running.list())
}

/// These statements.
pub(super) fn processes_of(running: &[RunningQuery]) -> Result<RecordBatch> {
    let rows = running.len();
    batch(vec![
        ("is_initial_query", Cells::U8(vec![1; rows])),
        ("initial_user", Cells::Text(running.iter().map(|query| query.user.clone()).collect())),
        ("initial_query_id", Cells::Text(running.iter().map(|query| query.query_id.clone()).collect())),
        ("interface", Cells::same("HTTP", rows)),
        ("query_id", Cells::Text(running.iter().map(|query| query.query_id.clone()).collect())),
        ("user", Cells::Text(running.iter().map(|query| query.user.clone()).collect())),
        ("query", Cells::Text(running.iter().map(|query| query.query.clone()).collect())),
        ("elapsed", Cells::F64(running.iter().map(|query| query.elapsed).collect())),
        ("read_rows", Cells::U64(running.iter().map(|query| query.read_rows).collect())),
        ("memory_usage", Cells::U64(running.iter().map(|query| query.memory_usage).collect())),
    ])
}

/// ClickHouse's settings with their defaults, then the node's configuration as it is in force.
pub(super) fn settings(core: &Core) -> Result<RecordBatch> {
    settings_with(core, &BTreeMap::new())
}

/// The same with the values that a statement has set.
pub(super) fn settings_with(core: &Core, set: &BTreeMap<String, String>) -> Result<RecordBatch> {
    let all: Vec<Setting> = zepto_common::settings::all().collect();
    let configured = &core.options.configuration;
    let rows = all.len() + configured.len();
    let text = |of: fn(&Setting) -> &str, here: fn(&(String, String)) -> &str| {
        let settings = all.iter().map(of);
        Cells::Text(settings.chain(configured.iter().map(here)).map(str::to_owned).collect())
    };
    let value = |row: &Setting| set.get(row.name).map_or(row.default, String::as_str).to_owned();
    let values = all.iter().map(value).chain(configured.iter().map(|(_, value)| value.clone())).collect();
    let changed = all.iter().map(|row| u8::from(set.contains_key(row.name)));
    let changed = changed.chain(configured.iter().map(|_| 0)).collect();
    let is_configured = (0..rows).map(|row| u8::from(row >= all.len())).collect();
    batch(vec![
        ("name", text(|row| row.name, |key| &key.0)),
        ("value", Cells::Text(values)),
        ("changed", Cells::U8(changed)),
        (
            "description",
            text(|row| effect_of(row.effect), |_| "The node's configuration: set when it starts"),
        ),
        ("min", Cells::same("", rows)),
        ("max", Cells::same("", rows)),
        ("readonly", Cells::U8(is_configured)),
        ("type", text(|row| row.kind, |_| "Configuration")),
        ("default", text(|row| row.default, |_| "")),
        ("alias_for", Cells::same("", rows)),
        ("is_obsolete", Cells::U8(vec![0; rows])),
    ])
}

fn effect_of(effect: Effect) -> &'static str {
    match effect {
        Effect::Obeyed => "In force",
        Effect::Fixed => "Not supported: only values that change no answer are taken",
        Effect::Ignored => "Taken and ignored: no answer depends on it",
    }
}

pub(super) fn views(core: &Core) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let views: Vec<_> = catalog.views().collect();
    batch(vec![
        ("database", Cells::Text(views.iter().map(|view| view.name.database.clone()).collect())),
        ("name", Cells::Text(views.iter().map(|view| view.name.table.clone()).collect())),
        ("query", Cells::Text(views.iter().map(|view| view.sql.clone()).collect())),
        ("is_materialized", Cells::U8(views.iter().map(|view| u8::from(view.materialized)).collect())),
    ])
}

/// From where feeds go on, of the streams whose home partition this node owns.
pub(super) fn feed_positions(core: &Core) -> Result<RecordBatch> {
    let catalog = core.store.catalog();
    let positions = core.store.feed_positions();
    let named = positions.iter().filter_map(|at| Some((catalog.table_by_id(at.table)?, at)));
    let named: Vec<_> = named.collect();
    batch(vec![
        ("database", Cells::Text(named.iter().map(|(table, _)| table.name.database.clone()).collect())),
        ("table", Cells::Text(named.iter().map(|(table, _)| table.name.table.clone()).collect())),
        ("stream", Cells::Text(named.iter().map(|(_, at)| at.stream.clone()).collect())),
        ("partition", Cells::U64(named.iter().map(|(_, at)| at.source.into()).collect())),
        ("next_offset", Cells::U64(named.iter().map(|(_, at)| at.offset).collect())),
    ])
}
