//! CREATE TABLE, VIEW and DATABASE.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use zepto_common::ColumnId;
use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::NAME_BYTES_MAX;
use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_common::service::Answer;
use zepto_common::types::ColumnType;
use zepto_engine::store::{NewTable, ViewDefinition};

use sqlparser::tokenizer::Token;

use super::evaluate::{constant, is_moving};
use super::show::columns_of;
use super::{insert, is_missing};
use crate::service::Run;
use crate::statement::cursor::{Cursor, is_word, text_of};
use crate::statement::{ColumnSpec, Columns, CreateTable, NameText, Replace, Tokens};
use crate::system::backticks;
use crate::system::is_built_in;

/// CREATE DATABASE.
pub(super) async fn database(run: Run, name: &str, if_not_exists: bool) -> Result<Answer> {
    if is_built_in(&run.core.store.catalog(), name) {
        if if_not_exists {
            return Ok(run.done());
        }
        return Err(Error::new(ErrorCode::DatabaseAlreadyExists, format!("Database {name} already exists")));
    }
    match run.core.change(Ddl::CreateDatabase { name: name.to_owned(), if_not_exists: false }).await {
        Err(error) if if_not_exists && error.code == ErrorCode::DatabaseAlreadyExists => {}
        other => other?,
    }
    Ok(run.done())
}

/// CREATE TABLE, from columns, from another table or from a query.
pub(super) async fn table(run: Run, create: CreateTable) -> Result<Answer> {
    match create.replace {
        Replace::No => new(run, create).await,
        Replace::IfThere | Replace::MustBeThere => replace(run, create).await,
    }
}

/// Makes and fills the table under another name, and lets it take the place of the one that is there in one step: who reads
/// meanwhile finds either of them whole.
async fn replace(run: Run, create: CreateTable) -> Result<Answer> {
    let name_text = create.name.clone().ok_or_else(|| Error::internal("CREATE TABLE without a name"))?;
    let name = run.writable_name(&name_text)?;
    let catalog = run.core.store.catalog();
    let is_there = catalog.table(&name).is_some();
    if is_there {
        // Whatever forbids to drop it forbids to replace it; told before anything is made.
        Ddl::DropTable { name: name.clone(), if_exists: false }.apply(&catalog)?;
    } else if create.replace == Replace::MustBeThere || catalog.view(&name).is_some() {
        catalog.require(&name)?;
    }
    let aside = format!("_tmp_replace_{}_{}", catalog.version(), run.context.query_id);
    let aside = TableName::new(&name.database, aside.chars().take(NAME_BYTES_MAX / 4).collect::<String>());
    let core = run.core.clone();
    let made = CreateTable {
        name: Some(NameText { database: Some(aside.database.clone()), table: aside.table.clone() }),
        ..create
    };
    let dropped = || core.change(Ddl::DropTable { name: aside.clone(), if_exists: true });
    let moved = match is_there {
        true => Ddl::ExchangeTables { one: name, other: aside.clone() },
        false => Ddl::RenameTable { from: aside.clone(), to: name },
    };
    let replaced = async {
        let answer = Box::pin(new(run, made)).await?;
        core.change(moved).await?;
        Ok(answer)
    };
    match replaced.await {
        Ok(answer) => dropped().await.map(|()| answer),
        Err(error) => {
            // What went wrong first is what the client must hear.
            if let Err(fault) = dropped().await {
                tracing::warn!(table = %aside, %fault, "a table that was to take another's place stays: drop it");
            }
            Err(error)
        }
    }
}

async fn new(mut run: Run, create: CreateTable) -> Result<Answer> {
    let name_text = create.name.clone().ok_or_else(|| Error::internal("CREATE TABLE without a name"))?;
    let name = run.writable_name(&name_text)?;
    let catalog = run.core.store.catalog();
    if catalog.table(&name).is_some() || catalog.view(&name).is_some() {
        if create.if_not_exists {
            return Ok(run.done());
        }
        return Err(Error::new(ErrorCode::TableAlreadyExists, format!("Table {name} already exists")));
    }
    run.warnings.extend(create.warnings.iter().cloned());
    let columns = columns(&run, &create).await?;
    let new = new_table(name, columns, &create, &mut run.warnings)?;
    match run.core.change(Ddl::CreateTable { table: new, if_not_exists: false }).await {
        Err(error) if create.if_not_exists && error.code == ErrorCode::TableAlreadyExists => {
            return Ok(run.done());
        }
        other => other?,
    };
    match create.query.filter(|_| !create.empty) {
        Some(query) => insert::insert(run, &name_text, Columns::All, query).await,
        None => Ok(run.done()),
    }
}

async fn columns(run: &Run, create: &CreateTable) -> Result<Vec<Column>> {
    if !create.columns.is_empty() {
        return create.columns.iter().map(|spec| column(run, spec)).collect();
    }
    if let Some(like) = &create.like {
        return Ok(run.table(like).await?.columns.clone());
    }
    let query = create.query.clone().unwrap_or_default();
    let plan = run.core.logical_plan(&*run.state()?, query).await?;
    Ok(columns_of(plan.schema()))
}

/// A column of the engine from one as written.
///
/// # Errors
/// A default that is not a constant or `now()`.
pub(super) fn column(run: &Run, spec: &ColumnSpec) -> Result<Column> {
    if matches!(spec.ty.inner(), ColumnType::Nothing) {
        let message = format!("Column {} cannot be of type Nothing", spec.name);
        return Err(Error::new(ErrorCode::IllegalColumn, message));
    }
    let default = match &spec.default {
        None => ColumnDefault::Zero,
        Some(tokens) => default(run, tokens.clone(), &spec.ty)?,
    };
    Ok(Column {
        id: ColumnId(0),
        name: spec.name.clone(),
        ty: spec.ty.clone(),
        default,
        comment: spec.comment.clone(),
    })
}

/// Whether an expression is `now()` or one of its other names, and nothing else.
fn is_now(tokens: &Tokens) -> bool {
    let mut cursor = Cursor::new(tokens.clone());
    let named = ["now", "now64", "current_timestamp"].iter().any(|name| cursor.word(name));
    let bare = tokens.first().is_some_and(|first| is_word(&first.token, "current_timestamp"));
    let called = cursor.peek() == Some(&Token::LParen) && cursor.parenthesised().is_ok();
    named && (called || bare) && cursor.at_end()
}

fn default(run: &Run, tokens: Tokens, ty: &ColumnType) -> Result<ColumnDefault> {
    if is_now(&tokens) {
        return match ty.inner().is_time() {
            true => Ok(ColumnDefault::Now),
            false => {
                let message = format!("DEFAULT now() is for time columns, not {ty}");
                Err(Error::new(ErrorCode::NotImplemented, message))
            }
        };
    }
    let state = run.state()?;
    if is_moving(&run.core, &state, &tokens)? {
        let message = format!(
            "DEFAULT {} is another value in each row, and one that is fixed when the table is made would be wrong: a \
             DEFAULT is a constant, or now() for a time column",
            text_of(&tokens)
        );
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    let text_of_default = text_of(&tokens);
    let value = constant(&run.core, &state, tokens, ty)?;
    if value.is_null(0) || is_empty_list(&value) {
        return Ok(ColumnDefault::Zero);
    }
    if matches!(ty.inner(), ColumnType::Array(_) | ColumnType::Tuple(_) | ColumnType::Map(..)) {
        let message =
            format!("DEFAULT {text_of_default} of type {ty} is not supported: only an empty one is");
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    Ok(ColumnDefault::Constant(text(&value, ty)?))
}

/// Whether the one value is an array or a map without elements.
fn is_empty_list(value: &ArrayRef) -> bool {
    let list = value.as_list_opt::<i32>().map(|list| list.value_length(0));
    list.or_else(|| value.as_map_opt().map(|map| map.value_length(0))).is_some_and(|length| length == 0)
}

/// The value's text, as an INSERT in TabSeparated would have it.
fn text(value: &dyn Array, ty: &ColumnType) -> Result<String> {
    let format = match ty.inner() {
        // Without the zone: the text is read back in the column's own.
        ColumnType::DateTime(_) => FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S")),
        ColumnType::DateTime64(..) => {
            FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        }
        _ => FormatOptions::new(),
    };
    let format = format.with_timestamp_format(match ty.inner() {
        ColumnType::DateTime(_) => Some("%Y-%m-%d %H:%M:%S"),
        _ => Some("%Y-%m-%d %H:%M:%S%.f"),
    });
    let formatter = ArrayFormatter::try_new(value, &format)?;
    Ok(formatter.value(0).to_string())
}

/// Chooses key and time: the time is the first time column of ORDER BY, else one of the usual names, else the
/// first there is; the key is `symbol`, else the first of ORDER BY that is not the time.
fn new_table(
    name: TableName,
    columns: Vec<Column>,
    create: &CreateTable,
    warnings: &mut Vec<String>,
) -> Result<NewTable> {
    let find = |name: &str| columns.iter().find(|column| column.name == name);
    for ordered in &create.order_by {
        if find(ordered).is_none() {
            let message = format!("Missing columns: '{ordered}' while processing ORDER BY of table {name}");
            return Err(Error::new(ErrorCode::UnknownIdentifier, message));
        }
    }
    let is_time = |name: &&str| find(name).is_some_and(|column| column.ty.is_time());
    let ordered_time = create.order_by.iter().map(String::as_str).find(is_time);
    let named_time = ["ts", "timestamp", "time"].into_iter().find(is_time);
    let first_time = columns.iter().find(|column| column.ty.is_time()).map(|column| column.name.as_str());
    let time = ordered_time.or(named_time).or(first_time).map(str::to_owned);
    let can_be_key = |name: &&str| {
        find(name).is_some_and(|column| {
            !matches!(column.ty.inner(), ColumnType::Array(_) | ColumnType::Tuple(_) | ColumnType::Map(..))
        })
    };
    let symbol = Some("symbol").filter(can_be_key);
    let ordered_key = create
        .order_by
        .iter()
        .map(String::as_str)
        .find(|name| Some(*name) != time.as_deref() && can_be_key(name));
    let key = symbol.or(ordered_key).map(str::to_owned);
    if let Some((column, _)) = &create.ttl
        && time.as_ref() != Some(column)
    {
        let message = match &time {
            Some(time) => format!("TTL must be on the time column {time}, not on {column}"),
            None => "TTL needs a DateTime or DateTime64 column".to_owned(),
        };
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    if create.order_by.is_empty() && create.query.is_none() && create.like.is_none() {
        warnings.push(match &time {
            Some(time) => format!("There is no ORDER BY: the time column is {time}"),
            None => "There is no ORDER BY and no time column: rows keep their order of arrival".to_owned(),
        });
    }
    Ok(NewTable {
        name,
        key,
        time,
        order_by: create.order_by.clone(),
        ttl_seconds: create.ttl.as_ref().map(|(_, seconds)| *seconds),
        engine: create.engine.clone(),
        comment: create.comment.clone(),
        columns,
    })
}

/// CREATE VIEW: planned once to learn its columns and that it is sound; kept as text.
pub(super) async fn view(
    run: Run,
    name: &NameText,
    query: Tokens,
    if_not_exists: bool,
    replace: bool,
) -> Result<Answer> {
    let name = run.writable_name(name)?;
    let catalog = run.core.store.catalog();
    if if_not_exists && (catalog.table(&name).is_some() || catalog.view(&name).is_some()) {
        return Ok(run.done());
    }
    let plan = run.core.logical_plan(&*run.state()?, query.clone()).await?;
    // Names in the text are looked up in the view's own database later; here they were in the statement's.
    let text = text_of(&query);
    if run.context.database != name.database {
        let state = run.core.sessions.plan_state(&run.core, &name.database, 0);
        run.core.logical_plan(&state, query).await?;
    }
    let definition = ViewDefinition {
        sql: format!("CREATE VIEW {}.{} AS {text}", backticks(&name.database), backticks(&name.table)),
        columns: columns_of(plan.schema()),
        materialized: false,
        target: None,
        source: None,
        states: None,
        reads: Vec::new(),
        name,
    };
    if replace && catalog.view(&definition.name).is_some() {
        let dropped = Ddl::DropView { name: definition.name.clone(), if_exists: false };
        match run.core.change(dropped).await {
            Err(error) if is_missing(error.code) => {}
            other => other?,
        }
    }
    run.core.change(Ddl::CreateView { view: definition, if_not_exists: false }).await?;
    Ok(run.done())
}
