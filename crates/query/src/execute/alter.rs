//! ALTER TABLE: schema operations go to the engine in one step; DELETE and UPDATE are rewrites.

use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{ColumnDefault, TableSchema};
use zepto_common::service::Answer;
use zepto_engine::store::{AlterOp, ColumnPosition};

use super::create::column;
use super::mutate;
use crate::service::Run;
use crate::statement::{AlterAction, ColumnChange, ColumnSpec, NameText, Place};

/// Does all actions.
pub(super) async fn alter(run: Run, table: &NameText, mut actions: Vec<AlterAction>) -> Result<Answer> {
    let schema = run.table(table).await?;
    if actions.len() == 1 {
        match actions.pop() {
            Some(AlterAction::Delete(predicate)) => return mutate::delete(run, table, predicate).await,
            Some(AlterAction::Update { assignments, predicate }) => {
                return mutate::update(run, table, assignments, predicate).await;
            }
            Some(AlterAction::RenameTo(to)) => {
                let to = run.writable_name(&to)?;
                run.core.change(Ddl::RenameTable { from: schema.name.clone(), to }).await?;
                return Ok(run.done());
            }
            Some(other) => actions.push(other),
            None => {}
        }
    }
    let mut operations = Vec::with_capacity(actions.len());
    for action in &actions {
        match action {
            AlterAction::ModifyColumn { name, if_exists, change } => {
                modify(&run, &schema, (name, *if_exists), change, &mut operations)?;
            }
            other => operations.push(operation(&run, other)?),
        }
    }
    if operations.is_empty() {
        return Ok(run.done());
    }
    run.core.change(Ddl::AlterTable { name: schema.name.clone(), operations }).await?;
    Ok(run.done())
}

/// MODIFY COLUMN: the default and the comment; the type only as it is.
fn modify(
    run: &Run,
    schema: &TableSchema,
    (name, if_exists): (&str, bool),
    change: &ColumnChange,
    operations: &mut Vec<AlterOp>,
) -> Result<()> {
    let Some(known) = schema.index_of(name).map(|index| &schema.columns[index]) else {
        let message = format!("Wrong column. Cannot find column `{name}` to modify");
        return if if_exists { Ok(()) } else { Err(Error::new(ErrorCode::NotFoundColumnInBlock, message)) };
    };
    if let Some(ty) = change.ty.as_ref().filter(|ty| **ty != known.ty) {
        let message = format!("Column {name}: its type {} cannot be changed, as to {ty}", known.ty);
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    if let Some(tokens) = &change.default {
        let spec = ColumnSpec {
            name: name.to_owned(),
            ty: known.ty.clone(),
            default: Some(tokens.clone()),
            comment: String::new(),
        };
        let default = column(run, &spec)?.default;
        operations.push(AlterOp::Default { name: name.to_owned(), default });
    }
    if change.without_default {
        operations.push(AlterOp::Default { name: name.to_owned(), default: ColumnDefault::Zero });
    }
    if let Some(comment) = &change.comment {
        operations.push(AlterOp::CommentColumn { name: name.to_owned(), comment: comment.clone() });
    }
    Ok(())
}

fn operation(run: &Run, action: &AlterAction) -> Result<AlterOp> {
    Ok(match action {
        AlterAction::AddColumn { spec, if_not_exists, place } => AlterOp::AddColumn {
            column: column(run, spec)?,
            position: match place {
                Place::Last => ColumnPosition::Last,
                Place::First => ColumnPosition::First,
                Place::After(name) => ColumnPosition::After(name.clone()),
            },
            if_not_exists: *if_not_exists,
        },
        AlterAction::DropColumn { name, if_exists } => {
            AlterOp::DropColumn { name: name.clone(), if_exists: *if_exists }
        }
        AlterAction::RenameColumn { from, to, if_exists } => {
            AlterOp::RenameColumn { from: from.clone(), to: to.clone(), if_exists: *if_exists }
        }
        AlterAction::CommentColumn { name, comment } => {
            AlterOp::CommentColumn { name: name.clone(), comment: comment.clone() }
        }
        AlterAction::Ttl(seconds) => AlterOp::ModifyTtl { seconds: *seconds },
        AlterAction::Comment(comment) => AlterOp::Comment(comment.clone()),
        AlterAction::Delete(_)
        | AlterAction::Update { .. }
        | AlterAction::RenameTo(_)
        | AlterAction::ModifyColumn { .. } => {
            let message = "DELETE, UPDATE and RENAME TO must be the only action of ALTER TABLE";
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    })
}
