//! Subqueries in the condition of a mutation: each is run once, before anything is changed, and its rows stand in its place.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt64Type};
use futures::StreamExt;
use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{Column, TableSchema};
use zepto_common::types::ColumnType;

use super::evaluate::as_of_a_row;
use super::mutate::{no_null, table_text, value_text};
use super::show::columns_of;
use crate::cluster::run_attempts;
use crate::error::from_datafusion;
use crate::service::Run;
use crate::statement::cursor::{is_word, text_of};
use crate::statement::{self, Tokens};

/// Rows that a subquery in a mutation may have.
const ROWS_MAX: usize = 100_000;

/// One row: the literals of its values; None is NULL.
type Row = Vec<Option<String>>;

/// The condition with the rows of its subqueries in their places.
///
/// # Errors
/// Those of the subqueries; `NotImplemented` for one of too many rows, `IncorrectResultOfScalarSubquery`.
pub(super) async fn resolved(run: &Run, condition: Tokens) -> Result<Tokens> {
    let mut out = Tokens::with_capacity(condition.len());
    let mut at = 0;
    while at < condition.len() {
        let Some(end) = subquery_at(&condition, at) else {
            out.push(condition[at].clone());
            at += 1;
            continue;
        };
        let query = condition[at + 1..end].to_vec();
        let behind = |word: &str| out.last().is_some_and(|last| is_word(&last.token, word));
        if behind("EXISTS") {
            // Refused where the condition is looked at.
            out.extend_from_slice(&condition[at..=end]);
        } else {
            let text = if behind("IN") { set(run, query).await? } else { scalar(run, query).await? };
            out.extend(statement::tokenize_long(&text)?);
        }
        at = end + 1;
    }
    Ok(out)
}

/// The place of the bracket that closes a subquery which opens here.
fn subquery_at(tokens: &Tokens, at: usize) -> Option<usize> {
    let begins = tokens.get(at + 1).is_some_and(|t| is_word(&t.token, "SELECT") || is_word(&t.token, "WITH"));
    if tokens[at].token != Token::LParen || !begins {
        return None;
    }
    let mut depth = 0usize;
    tokens.iter().enumerate().skip(at).find_map(|(place, token)| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(place)
    })
}

/// `(1, 2)`, `((1, 'a'), (2, 'b'))`: NULLs of the set count for nothing.
async fn set(run: &Run, query: Tokens) -> Result<String> {
    let rows = rows(run, query, "DISTINCT ").await?;
    let item = |row: Row| {
        let values = row.into_iter().collect::<Option<Vec<String>>>()?;
        Some(if values.len() == 1 { values.concat() } else { format!("({})", values.join(", ")) })
    };
    let items: Vec<String> = rows.into_iter().filter_map(item).collect();
    Ok(format!("({})", items.join(", ")))
}

async fn scalar(run: &Run, query: Tokens) -> Result<String> {
    let text = text_of(&query);
    let mut rows = rows(run, query, "").await?;
    if rows.len() > 1 {
        let message = format!("Scalar subquery returned more than one row: {text}");
        return Err(Error::new(ErrorCode::IncorrectResultOfScalarSubquery, message));
    }
    let values: Vec<String> = match rows.pop() {
        None => vec!["NULL".to_owned()],
        Some(row) => row.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect(),
    };
    Ok(format!("({})", values.join(", ")))
}

async fn rows(run: &Run, query: Tokens, distinct: &str) -> Result<Vec<Row>> {
    let state = run.state()?;
    let plan = run.core.logical_plan(&state, query.clone()).await?;
    let types: Vec<ColumnType> = columns_of(plan.schema()).into_iter().map(|column| column.ty).collect();
    // As text, which every type has and is read from.
    let text = text_of(&query);
    let sql = format!("SELECT {distinct}* APPLY(toString) FROM ({text}) LIMIT {}", ROWS_MAX + 1);
    let mut input = run_attempts(run, statement::tokenize(&sql)?).await?;
    let mut found = Vec::new();
    while let Some(batch) = input.next().await {
        take_rows(&batch.map_err(from_datafusion)?, &types, &mut found)?;
        if found.len() > ROWS_MAX {
            let message = format!("A subquery in a mutation has more than {ROWS_MAX} rows: {text}");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    }
    Ok(found)
}

/// Makes the values of an UPDATE (columns and their texts) without storing them: what is wrong with one is told before anything
/// is agreed on.
///
/// # Errors
/// Those of the values; a NULL for a column that cannot hold it.
pub(super) async fn tried(
    run: &Run,
    schema: &TableSchema,
    set: &[(String, String)],
    condition: &Tokens,
) -> Result<()> {
    let columns: Vec<&Column> =
        set.iter().filter_map(|(name, _)| schema.columns.get(schema.index_of(name)?)).collect();
    let items = columns.iter().zip(set).map(|(column, (_, text))| {
        let value = value_text(text, &column.ty.to_string());
        // As text, so that every value is made.
        format!("countIf(isNull({value})), max(toString({value}))")
    });
    let items: Vec<String> = items.collect();
    let sql = format!("SELECT {} FROM {} WHERE {}", items.join(", "), table_text(schema), text_of(condition));
    let mut input = run_attempts(run, statement::tokenize(&sql)?).await.map_err(as_of_a_row)?;
    while let Some(batch) = input.next().await {
        let batch = batch.map_err(from_datafusion).map_err(as_of_a_row)?;
        for (at, column) in columns.iter().enumerate().filter(|(_, column)| !column.ty.is_nullable()) {
            let nulls = arrow::compute::cast(batch.column(2 * at), &DataType::UInt64)?;
            if nulls.as_primitive::<UInt64Type>().iter().flatten().any(|nulls| nulls > 0) {
                return Err(no_null(column));
            }
        }
    }
    Ok(())
}

fn take_rows(batch: &RecordBatch, types: &[ColumnType], into: &mut Vec<Row>) -> Result<()> {
    let texts = batch.columns().iter().map(|column| arrow::compute::cast(column, &DataType::Utf8));
    let texts = texts.collect::<std::result::Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let literal = |(array, ty): (&ArrayRef, &ColumnType)| {
            let array = array.as_string::<i32>();
            array.is_valid(row).then(|| statement::literal_of(array.value(row), ty))
        };
        into.push(texts.iter().zip(types).map(literal).collect());
    }
    Ok(())
}
