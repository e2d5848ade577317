//! The SQL dialect: ClickHouse's, with the standard forms that it lacks and DataFusion can plan.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr};
use sqlparser::dialect::{ClickHouseDialect, Dialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::functions::rewrites::plain_call;

/// `condition ? a : b` binds less than every operator (OR has 5).
const TERNARY: u8 = 4;

/// ClickHouse's dialect, widened. It reports ClickHouse's identity, so the parser's own special cases apply.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ZeptoDialect;

/// Names the methods that answer `true`.
macro_rules! supports {
    ($($method:ident),* $(,)?) => {
        $(fn $method(&self) -> bool { true })*
    };
}

impl Dialect for ZeptoDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<ClickHouseDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_ascii_digit() || ch == '$'
    }

    /// `condition ? a : b`.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Placeholder(sign) if sign == "?" => Some(Ok(TERNARY)),
            // Ends the middle of it.
            Token::Colon => Some(Ok(0)),
            _ => None,
        }
    }

    /// `a DIV b` and `condition ? a : b`.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if parser.parse_keyword(Keyword::DIV) {
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::BinaryOp {
                left: Box::new(expr.clone()),
                op: BinaryOperator::MyIntegerDivide,
                right: Box::new(right),
            }));
        }
        parser.consume_token(&Token::Placeholder("?".to_owned())).then(|| choice(parser, expr))
    }

    // What ClickHouse has.
    supports!(
        supports_string_literal_backslash_escape,
        supports_select_wildcard_except,
        describe_requires_table_keyword,
        supports_limit_comma,
        supports_numeric_literal_underscores,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_dictionary_syntax,
        supports_lambda_functions,
        supports_from_first_select,
        supports_order_by_all,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_nested_comments,
        supports_optimize_table,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_select_wildcard_replace,
        supports_comma_separated_trim,
        supports_in_empty_list,
    );

    // What standard SQL has and ClickHouse's dialect here does not.
    supports!(
        supports_filter_during_aggregation,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
        supports_within_after_array_aggregation,
        supports_projection_trailing_commas,
        supports_left_associative_joins_without_parens,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_named_fn_args_with_assignment_operator,
    );
}

/// What stands behind the question mark; `a ? b : c ? d : e` leans right.
fn choice(parser: &mut Parser<'_>, condition: &Expr) -> Result<Expr, ParserError> {
    let then = parser.parse_subexpr(0)?;
    parser.expect_token(&Token::Colon)?;
    let otherwise = parser.parse_subexpr(TERNARY - 1)?;
    Ok(plain_call("if", vec![condition.clone(), then, otherwise]))
}
