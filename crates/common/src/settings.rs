//! The names of ClickHouse's settings that are taken: those that do something here, and those that real clients
//! send and that may do nothing without changing an answer. The HTTP door and the statements share this list, so
//! that a misspelt name is refused wherever it stands. Of the other names that ClickHouse has `clickhouse.rs` decides.

mod clickhouse;
mod harmless;
mod kinds;
mod list;
#[cfg(test)]
mod tests;

pub use clickhouse::{Rest, rest};
pub use list::{Effect, Setting, all};

use crate::{Error, ErrorCode, Result};

/// Settings that are handed on and may be any text.
const SETTINGS: &[&str] = &[
    "readonly",
    "max_threads",
    "max_execution_time",
    "timeout_before_checking_execution_speed",
    "timeout_overflow_mode",
    "result_overflow_mode",
    "read_overflow_mode",
    "extremes",
    "join_use_nulls",
    "join_algorithm",
    "any_join_distinct_right_table_keys",
    "group_by_use_nulls",
    "prefer_column_name_to_alias",
    "union_default_mode",
    "cast_keep_nullable",
    "aggregate_functions_null_for_empty",
    "implicit_select",
    "transform_null_in",
    "log_queries",
    "log_comment",
    "use_uncompressed_cache",
    "use_query_cache",
    "insert_deduplicate",
    "insert_quorum",
    "async_insert",
    "wait_for_async_insert",
    "async_insert_deduplicate",
    "wait_for_async_insert_timeout",
    "insert_null_as_default",
    "mutations_sync",
    "alter_sync",
    "optimize_on_insert",
    "connect_timeout",
    "send_timeout",
    "receive_timeout",
    "network_compression_method",
    "network_zstd_compression_level",
    "send_progress_in_http_headers",
    "http_zlib_compression_level",
    "http_write_exception_in_output_format",
    "http_wait_end_of_query",
    "http_response_buffer_size",
    "http_connection_timeout",
    "http_receive_timeout",
    "http_send_timeout",
    "http_make_head_request",
    "cancel_http_readonly_queries_on_client_close",
    "replace_running_query",
    "describe_include_subcolumns",
    "describe_compact_output",
    "cast_string_to_dynamic_use_inference",
    "allow_experimental_analyzer",
    "allow_experimental_object_type",
    "allow_experimental_json_type",
    "allow_suspicious_low_cardinality_types",
    "low_cardinality_allow_in_native_format",
    "additional_table_filters",
    "additional_result_filter",
    "format_schema",
    "format_csv_allow_single_quotes",
    "format_csv_allow_double_quotes",
    "output_format_arrow_string_as_string",
    "output_format_arrow_low_cardinality_as_dictionary",
    "output_format_arrow_compression_method",
    "output_format_arrow_unsupported_types_as_binary",
    "output_format_parquet_string_as_string",
    "output_format_parquet_compression_method",
    "output_format_binary_write_json_as_string",
    "output_format_json_map_as_array_of_tuples",
    "output_format_json_named_tuples_as_objects",
    "output_format_json_skip_null_value_in_named_tuples",
    "output_format_json_validate_utf8",
    "output_format_native_encode_types_in_binary_format",
    "output_format_native_use_flattened_dynamic_and_json_serialization",
    "output_format_native_write_json_as_string",
    "output_format_pretty_max_column_pad_width",
    "output_format_pretty_grid_charset",
    "output_format_parallel_formatting",
    "input_format_parallel_parsing",
    "input_format_defaults_for_omitted_fields",
    "input_format_import_nested_json",
    "input_format_json_read_bools_as_numbers",
    "input_format_json_read_numbers_as_strings",
    "input_format_binary_read_json_as_string",
    "input_format_values_deduce_templates_of_expressions",
];

/// Settings that say how rows are read and written.
pub const FORMATS: &[&str] = &[
    "date_time_input_format",
    "date_time_output_format",
    "input_format_null_as_default",
    "input_format_skip_unknown_fields",
    "input_format_csv_empty_as_default",
    "input_format_tsv_empty_as_default",
    "input_format_values_interpret_expressions",
    "format_csv_delimiter",
    "output_format_json_quote_64bit_integers",
    "output_format_json_quote_denormals",
    "output_format_json_escape_forward_slashes",
    "output_format_json_quote_64bit_floats",
    "output_format_json_quote_decimals",
    "output_format_json_array_of_rows",
    "output_format_json_pretty_print",
    "output_format_write_statistics",
    "output_format_pretty_row_numbers",
    "output_format_pretty_max_rows",
    "output_format_pretty_color",
    "session_timezone",
    "format_csv_null_representation",
    "format_tsv_null_representation",
    "input_format_allow_errors_num",
    "input_format_allow_errors_ratio",
    "input_format_csv_skip_first_lines",
    "input_format_tsv_skip_first_lines",
    "input_format_with_names_use_header",
    "output_format_csv_crlf_end_of_line",
    "output_format_tsv_crlf_end_of_line",
    "output_format_decimal_trailing_zeros",
    "input_format_with_types_use_header",
    "input_format_arrow_case_insensitive_column_matching",
    "input_format_parquet_case_insensitive_column_matching",
    "bool_false_representation",
    "bool_true_representation",
    "input_format_column_name_matching_mode",
    "input_format_csv_detect_header",
    "input_format_tsv_detect_header",
];

/// Settings that the HTTP door itself obeys.
const DOOR: &[&str] =
    &["wait_end_of_query", "enable_http_compression", "add_http_cors_header", "insert_deduplication_token"];

/// Settings that are whole numbers without a sign.
const UNSIGNED: &[&str] = &["limit", "offset"];

/// Settings that are whole numbers without a sign and may have a suffix of size: `10M`, `10Gi`.
const SIZES: &[&str] = &[
    "max_block_size",
    "max_insert_block_size",
    "max_result_rows",
    "max_result_bytes",
    "max_rows_to_read",
    "max_bytes_to_read",
    "max_memory_usage",
    "max_memory_usage_for_user",
    "max_query_size",
    "max_ast_depth",
    "max_parser_depth",
    "priority",
    "http_headers_progress_interval_ms",
    "async_insert_busy_timeout_ms",
];

/// Settings that would change answers and are not obeyed here: the values with which nothing is missed. Any other is
/// refused, because an answer that is not the one asked for is worse than none.
const NEUTRAL: &[(&str, &[&str])] = &[
    ("additional_result_filter", &[""]),
    ("aggregate_functions_null_for_empty", &["0", "false"]),
    ("any_join_distinct_right_table_keys", &["0", "false"]),
    ("cast_keep_nullable", &["0", "false"]),
    ("describe_compact_output", &["0", "false"]),
    ("describe_include_subcolumns", &["0", "false"]),
    ("format_csv_allow_double_quotes", &["1", "true"]),
    ("format_csv_allow_single_quotes", &["0", "false"]),
    ("implicit_select", &["0", "false"]),
    ("input_format_defaults_for_omitted_fields", &["1", "true"]),
    ("input_format_import_nested_json", &["0", "false"]),
    ("input_format_json_read_bools_as_numbers", &["1", "true"]),
    ("input_format_json_read_numbers_as_strings", &["1", "true"]),
    ("insert_quorum", &["0", "1", "auto"]),
    ("max_memory_usage_for_user", &["0"]),
    ("output_format_arrow_low_cardinality_as_dictionary", &["0", "false"]),
    ("output_format_arrow_string_as_string", &["1", "true"]),
    ("output_format_json_map_as_array_of_tuples", &["0", "false"]),
    ("output_format_native_encode_types_in_binary_format", &["0", "false"]),
    ("output_format_parquet_string_as_string", &["1", "true"]),
    ("output_format_pretty_grid_charset", &["UTF-8"]),
    ("output_format_pretty_max_column_pad_width", &["250"]),
    ("prefer_column_name_to_alias", &["0", "false"]),
    ("replace_running_query", &["0", "false"]),
    ("timeout_overflow_mode", &["throw"]),
    ("transform_null_in", &["0", "false"]),
    ("union_default_mode", &["", "DISTINCT"]),
];

/// Values that are not obeyed of settings that are.
const REFUSED: &[(&str, &str)] = &[("date_time_input_format", "best_effort_us")];

/// Whether the name is one that this database lists.
#[must_use]
pub fn is_known(name: &str) -> bool {
    [SETTINGS, UNSIGNED, SIZES, FORMATS, DOOR].iter().any(|names| names.contains(&name))
}

/// Whether the name is a setting's: one that this database lists, or another of ClickHouse's.
#[must_use]
pub fn exists(name: &str) -> bool {
    is_known(name) || clickhouse::has(name)
}

/// Whether only values that change nothing are taken.
fn is_neutral(name: &str) -> bool {
    NEUTRAL.iter().any(|(known, _)| *known == name)
}

/// Refuses a setting that is not known, and a value that the setting cannot have.
///
/// # Errors
/// `UnknownSetting`; ClickHouse's code for a value that is no number, no flag or no word that the setting knows.
pub fn check(name: &str, value: &str) -> Result<()> {
    let short =
        |text: &str| text.chars().take(crate::limits::NAME_BYTES_MAX).flat_map(char::escape_debug).collect();
    if !exists(name) {
        let name: String = short(name);
        return Err(Error::new(ErrorCode::UnknownSetting, format!("Unknown setting '{name}'")));
    }
    let shown: String = short(value);
    let what = format!("value '{shown}' for setting {name}");
    if UNSIGNED.contains(&name) && value.parse::<u64>().is_err() {
        let text = format!("Cannot use {what}: it must be an unsigned number");
        return Err(Error::new(ErrorCode::CannotConvertType, text));
    }
    if !is_known(name) {
        return clickhouse::check(name, value, &what);
    }
    kinds::of(name).check(value, &what)?;
    if harmless::is_bound(name) && !harmless::is_wide_enough(name, value) || REFUSED.contains(&(name, value))
    {
        return Err(Error::new(ErrorCode::NotImplemented, format!("Cannot use {what}: it is not supported")));
    }
    match NEUTRAL.iter().find(|(known, _)| *known == name) {
        Some((_, values)) if !values.iter().any(|neutral| neutral.eq_ignore_ascii_case(value)) => {
            Err(Error::new(ErrorCode::NotImplemented, format!("Cannot use {what}: it is not supported")))
        }
        _ => Ok(()),
    }
}

/// Whether a flag among these settings is set; [`check`] has refused other words than `0`, `1`, `false` and `true`.
#[must_use]
pub fn is_on(settings: &std::collections::BTreeMap<String, String>, name: &str) -> bool {
    settings.get(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// A whole number that may have a suffix: k or K, M, G, T for powers of 1000, with an `i` behind it of 1024.
/// None for anything else, and for more than 64 bits (which ClickHouse cuts off in silence).
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (unit, binary) = match text[digits.len()..].strip_suffix('i') {
        Some(unit) if !unit.is_empty() => (unit, true),
        _ => (&text[digits.len()..], false),
    };
    let power = match unit {
        "" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    let base: u64 = if binary { 1 << 10 } else { 1_000 };
    digits.parse::<u64>().ok()?.checked_mul(base.pow(power))
}
