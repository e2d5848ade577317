//! SHOW, DESCRIBE and EXISTS: as queries over `system` where they can be, else as one small batch.

use datafusion::common::DFSchema;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{Column, TableName};
use zepto_common::service::Answer;
use zepto_common::types::ColumnType;

use super::query;
use crate::service::{Core, Run};
use crate::statement::cursor::quote;
use crate::statement::{self, NameText, ObjectKind, Show};
use crate::system::{
    Cells, Lines, SYSTEM, batch, built_in_view, create_statement, create_view, default_text, is_built_in,
    table_names, type_name,
};

/// Answers it.
pub(super) async fn show(run: Run, show: Show) -> Result<Answer> {
    match show {
        Show::Tables { full, database, like, limit } => {
            let database = database.unwrap_or_else(|| run.context.database.clone());
            if !run.core.has_database(&database) {
                return Err(Error::new(
                    ErrorCode::UnknownDatabase,
                    format!("Database {database} does not exist"),
                ));
            }
            let limit = limit_text(limit);
            let condition = format!("database = {}{}", quote(&database), filter_text(like.as_ref(), " AND "));
            let columns = if full { "name, engine" } else { "name" };
            select(run, format!("SELECT {columns} FROM system.tables WHERE {condition} ORDER BY name{limit}"))
                .await
        }
        Show::Databases { like, limit } => {
            let (condition, limit) = (filter_text(like.as_ref(), " WHERE "), limit_text(limit));
            select(run, format!("SELECT name FROM system.databases{condition} ORDER BY name{limit}")).await
        }
        Show::Functions { like } => {
            let condition = filter_text(like.as_ref(), " WHERE ");
            select(run, format!("SELECT * FROM system.functions{condition}")).await
        }
        Show::Settings { like, changed } => {
            let changed = if changed { "changed" } else { "1" };
            let condition = filter_text(like.as_ref(), " AND ");
            let table = "system.settings";
            select(run, format!("SELECT name, type, value FROM {table} WHERE {changed}{condition}")).await
        }
        Show::Table { query, column, like, limit } => {
            let condition =
                like_text(like.as_ref(), " WHERE ").replace("WHERE name", &format!("WHERE {column}"));
            let limit = limit_text(limit);
            select(run, format!("SELECT * FROM ({query}){condition} ORDER BY {column}{limit}")).await
        }
        Show::Index(table) => {
            let sql = index_query(&run, &table)?;
            select(run, sql).await
        }
        Show::None { column } => Ok(run.give(batch(vec![(column, Cells::Text(Vec::new()))])?)),
        Show::Setting(name) => {
            let condition = format!("name = {}", quote(&name));
            select(run, format!("SELECT value FROM system.settings WHERE {condition}")).await
        }
        Show::ProcessList => select(run, "SELECT * FROM system.processes".to_owned()).await,
        Show::CreateTable(name) => create_table(run, &name),
        Show::CreateDatabase(name) => {
            let exists = run.core.has_database(&name);
            let missing =
                || Error::new(ErrorCode::UnknownDatabase, format!("Database {name} does not exist"));
            let text =
                exists.then(|| format!("CREATE DATABASE {name}\nENGINE = Atomic")).ok_or_else(missing)?;
            Ok(run.give(batch(vec![("statement", Cells::Text(vec![text]))])?))
        }
        Show::Columns { table, full, like, limit } => {
            let sql = columns_query(&run, &table, full, like.as_ref(), limit)?;
            select(run, sql).await
        }
        Show::Describe(name) => describe(run, &name).await,
        Show::DescribeQuery(tokens) => {
            let state = run.state()?;
            let plan = run.core.logical_plan(&state, tokens).await?;
            let columns = columns_of(plan.schema());
            give_columns(run, &columns)
        }
        Show::Exists(kind, name) => exists(run, kind, &name).await,
    }
}

/// The columns of a table as MySQL's tools want them.
fn columns_query(
    run: &Run,
    table: &NameText,
    full: bool,
    like: Option<&statement::Filter>,
    limit: Option<u64>,
) -> Result<String> {
    let name = Core::full_name(table, &run.context);
    let catalog = run.core.store.catalog();
    let described = name.database == SYSTEM || !is_built_in(&catalog, &name.database);
    if table_exists(&catalog, &name) && !described {
        let message = format!("SHOW COLUMNS does not know {name}: DESCRIBE TABLE {name} does");
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    let more = match full {
        true => ", NULL AS collation, comment, '' AS privileges",
        false => "",
    };
    let limit = limit_text(limit);
    let columns = format!(
        "SELECT name AS field, type, if(startsWith(type, 'Nullable('), 'YES', 'NO') AS `null`, \
         if(is_in_primary_key, 'PRI SOR', '') AS key, \
         if(default_kind = 'DEFAULT', toNullable(default_expression), NULL) AS `default`, '' AS extra{more} \
         FROM system.columns WHERE database = {} AND table = {}",
        quote(&name.database),
        quote(&name.table),
    );
    let condition = match like {
        Some(statement::Filter::Like(like)) => {
            like_text(Some(like), " WHERE ").replace("WHERE name", "WHERE field")
        }
        other => filter_text(other, " WHERE "),
    };
    Ok(format!("SELECT * FROM ({columns}){condition} ORDER BY field{limit}"))
}

/// The primary key of a table as MySQL's tools want it.
fn index_query(run: &Run, table: &NameText) -> Result<String> {
    let name = Core::full_name(table, &run.context);
    let key = run.core.store.catalog().table(&name).map(|schema| {
        let columns = schema.order_by.iter().filter_map(|id| schema.index_of_id(*id));
        columns.map(|at| schema.columns[at].name.clone()).collect::<Vec<_>>()
    });
    let rows: Vec<String> = (1..)
        .zip(key.unwrap_or_default())
        .map(|(at, column)| {
            format!(
                "SELECT {table} AS table, toUInt8(1) AS non_unique, 'PRIMARY' AS key_name, toUInt64({at}) AS seq_in_index, \
                 {column} AS pk_col, if(dummy = 0, 'A', NULL) AS collation, toUInt8(0) AS cardinality, NULL AS sub_part, \
                 NULL AS packed, NULL AS null, 'PRIMARY' AS index_type, '' AS comment, '' AS index_comment, \
                 'YES' AS visible, '' AS expression FROM system.one",
                table = quote(&name.table),
                column = quote(&column),
            )
        })
        .collect();
    match rows.is_empty() {
        false => Ok(format!("SELECT * FROM ({}) ORDER BY seq_in_index", rows.join(" UNION ALL "))),
        true => Err(Error::new(ErrorCode::NotImplemented, format!("{name} has no primary key to show"))),
    }
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default()
}

fn filter_text(filter: Option<&statement::Filter>, before: &str) -> String {
    match filter {
        None => String::new(),
        Some(statement::Filter::Like(like)) => like_text(Some(like), before),
        Some(statement::Filter::Where(condition)) => {
            format!("{before}({})", statement::cursor::text_of(condition))
        }
    }
}

async fn select(run: Run, sql: String) -> Result<Answer> {
    let tokens = statement::tokenize(&sql)?;
    query::select(run, tokens).await
}

fn like_text(like: Option<&statement::Like>, before: &str) -> String {
    let Some(like) = like else { return String::new() };
    let (not, i) = (if like.negated { "NOT " } else { "" }, if like.any_case { "I" } else { "" });
    format!("{before}name {not}{i}LIKE {}", quote(&like.pattern))
}

fn create_table(run: Run, name: &NameText) -> Result<Answer> {
    let full = Core::full_name(name, &run.context);
    let catalog = run.core.store.catalog();
    let text = match (catalog.view(&full), built_in_view(&catalog, &full)) {
        (Some(view), _) => create_view(view, Lines::Many),
        (None, Some(view)) => view.sql,
        (None, None) if catalog.table(&full).is_none() && table_exists(&catalog, &full) => {
            return Err(Error::new(
                ErrorCode::UnknownTable,
                format!("{full} is built in: nothing creates it"),
            ));
        }
        (None, None) => create_statement(catalog.require(&full)?, Lines::Many),
    };
    Ok(run.give(batch(vec![("statement", Cells::Text(vec![text]))])?))
}

/// Columns of a plan, with types as a client sees them.
pub(super) fn columns_of(schema: &DFSchema) -> Vec<Column> {
    schema
        .fields()
        .iter()
        .map(|field| Column {
            id: zepto_common::ColumnId(0),
            name: field.name().clone(),
            ty: ColumnType::of_field(field),
            default: zepto_common::schema::ColumnDefault::Zero,
            comment: String::new(),
        })
        .collect()
}

async fn describe(run: Run, name: &NameText) -> Result<Answer> {
    let full = Core::full_name(name, &run.context);
    let catalog = run.core.store.catalog();
    if let Some(schema) = catalog.table(&full) {
        let columns = schema.columns.clone();
        return give_columns(run, &columns);
    }
    if catalog.view(&full).is_none() && !is_built_in(&catalog, &full.database) {
        catalog.require(&full)?;
    }
    let quoted = |name: &str| format!("`{}`", name.replace('`', "\\`"));
    let sql = format!("SELECT * FROM {}.{}", quoted(&full.database), quoted(&full.table));
    let state = run.state()?;
    let plan = run.core.logical_plan(&state, statement::tokenize(&sql)?).await?;
    let columns = columns_of(plan.schema());
    give_columns(run, &columns)
}

fn give_columns(run: Run, columns: &[Column]) -> Result<Answer> {
    let text = |of: fn(&Column) -> String| Cells::Text(columns.iter().map(of).collect());
    let rows = batch(vec![
        ("name", text(|column| crate::semantics::output_name(&column.name).to_owned())),
        ("type", text(type_name)),
        ("default_type", text(|column| default_text(column).0)),
        ("default_expression", text(|column| default_text(column).1)),
        ("comment", text(|column| column.comment.clone())),
        ("codec_expression", Cells::same("", columns.len())),
        ("ttl_expression", Cells::same("", columns.len())),
    ])?;
    Ok(run.give(rows))
}

async fn exists(run: Run, kind: ObjectKind, name: &NameText) -> Result<Answer> {
    let full = Core::full_name(name, &run.context);
    let look = || {
        let catalog = run.core.store.catalog();
        match kind {
            ObjectKind::Database => run.core.has_database(&name.table),
            ObjectKind::View => catalog.view(&full).is_some(),
            ObjectKind::Dictionary => false,
            ObjectKind::Table => table_exists(&catalog, &full),
        }
    };
    let known = run.core.store.catalog().version();
    let found = look() || (run.core.catch_up(known).await && look());
    Ok(run.give(batch(vec![("result", Cells::U8(vec![u8::from(found)]))])?))
}

fn table_exists(catalog: &zepto_engine::catalog::Catalog, name: &TableName) -> bool {
    catalog.table(name).is_some()
        || catalog.view(name).is_some()
        || built_in_view(catalog, name).is_some()
        || (name.database == SYSTEM && table_names().any(|table| table == name.table))
}
