//! The SQL dialect: ClickHouse's, with the standard forms that it lacks and DataFusion can plan.

use std::any::TypeId;

use sqlparser::dialect::{ClickHouseDialect, Dialect};

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
