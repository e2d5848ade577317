//! What the value of a setting may look like, so that a malformed one is refused even where the setting is only taken.
//!
//! The kinds and the codes are ClickHouse's own; `tests.rs` beside this file lists what it says to each.

use crate::{Error, ErrorCode, Result};

/// The kinds of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// 0, 1, true or false in any case.
    Bool,
    /// A whole number without a sign, perhaps with a suffix of size.
    Unsigned,
    /// A whole number, perhaps with a suffix of size.
    Signed,
    /// A number, also with a fraction: seconds and ratios.
    Float,
    /// A whole number without a sign, or `auto`.
    UnsignedOrAuto,
    /// The same, or what is left behind ClickHouse's `auto(8)`.
    Threads,
    /// A flag, or `auto`.
    BoolOrAuto,
    /// A number, or `auto`.
    FloatOrAuto,
    /// At most one byte.
    Char,
    /// One of these words, which have commas between them.
    Choice(&'static str, ErrorCode),
    /// One of these words.
    OneOf(&'static [&'static str], ErrorCode),
    /// Any of these words with commas between them.
    SomeOf(&'static [&'static str], ErrorCode),
}

const BOOLS: &[&str] = &[
    "aggregate_functions_null_for_empty",
    "allow_experimental_analyzer",
    "allow_experimental_json_type",
    "allow_experimental_object_type",
    "allow_suspicious_low_cardinality_types",
    "any_join_distinct_right_table_keys",
    "async_insert",
    "async_insert_deduplicate",
    "cancel_http_readonly_queries_on_client_close",
    "cast_keep_nullable",
    "cast_string_to_dynamic_use_inference",
    "describe_compact_output",
    "describe_include_subcolumns",
    "extremes",
    "format_csv_allow_double_quotes",
    "format_csv_allow_single_quotes",
    "group_by_use_nulls",
    "http_make_head_request",
    "http_wait_end_of_query",
    "http_write_exception_in_output_format",
    "implicit_select",
    "input_format_arrow_case_insensitive_column_matching",
    "input_format_binary_read_json_as_string",
    "input_format_csv_detect_header",
    "input_format_csv_empty_as_default",
    "input_format_defaults_for_omitted_fields",
    "input_format_import_nested_json",
    "input_format_json_read_bools_as_numbers",
    "input_format_json_read_numbers_as_strings",
    "input_format_null_as_default",
    "input_format_parallel_parsing",
    "input_format_parquet_case_insensitive_column_matching",
    "input_format_skip_unknown_fields",
    "input_format_tsv_detect_header",
    "input_format_tsv_empty_as_default",
    "input_format_values_deduce_templates_of_expressions",
    "input_format_values_interpret_expressions",
    "input_format_with_names_use_header",
    "input_format_with_types_use_header",
    "insert_deduplicate",
    "insert_null_as_default",
    "join_use_nulls",
    "log_queries",
    "low_cardinality_allow_in_native_format",
    "optimize_on_insert",
    "output_format_arrow_low_cardinality_as_dictionary",
    "output_format_arrow_string_as_string",
    "output_format_arrow_unsupported_types_as_binary",
    "output_format_binary_write_json_as_string",
    "output_format_csv_crlf_end_of_line",
    "output_format_decimal_trailing_zeros",
    "output_format_json_array_of_rows",
    "output_format_json_escape_forward_slashes",
    "output_format_json_map_as_array_of_tuples",
    "output_format_json_named_tuples_as_objects",
    "output_format_json_pretty_print",
    "output_format_json_quote_64bit_floats",
    "output_format_json_quote_64bit_integers",
    "output_format_json_quote_decimals",
    "output_format_json_quote_denormals",
    "output_format_json_skip_null_value_in_named_tuples",
    "output_format_json_validate_utf8",
    "output_format_native_encode_types_in_binary_format",
    "output_format_native_use_flattened_dynamic_and_json_serialization",
    "output_format_native_write_json_as_string",
    "output_format_parallel_formatting",
    "output_format_parquet_string_as_string",
    "output_format_pretty_row_numbers",
    "output_format_tsv_crlf_end_of_line",
    "output_format_write_statistics",
    "prefer_column_name_to_alias",
    "replace_running_query",
    "send_progress_in_http_headers",
    "transform_null_in",
    "use_query_cache",
    "use_uncompressed_cache",
    "wait_for_async_insert",
];

const UNSIGNED: &[&str] = &[
    "alter_sync",
    "http_response_buffer_size",
    "input_format_allow_errors_num",
    "input_format_csv_skip_first_lines",
    "input_format_tsv_skip_first_lines",
    "mutations_sync",
    "output_format_pretty_max_column_pad_width",
    "output_format_pretty_max_rows",
    "readonly",
];

const FLOATS: &[&str] = &[
    "connect_timeout",
    "http_connection_timeout",
    "http_receive_timeout",
    "http_send_timeout",
    "input_format_allow_errors_ratio",
    "max_execution_time",
    "receive_timeout",
    "send_timeout",
    "timeout_before_checking_execution_speed",
    "wait_for_async_insert_timeout",
];

const OVERFLOW_MODES: &[&str] = &["throw", "break"];
const UNION_MODES: &[&str] = &["", "ALL", "DISTINCT"];
const JOINS: &[&str] = &[
    "default",
    "auto",
    "hash",
    "parallel_hash",
    "grace_hash",
    "direct",
    "partial_merge",
    "prefer_partial_merge",
    "full_sorting_merge",
    "parallel_full_sorting_merge",
    "ie_join",
    "",
];
const ARROW_CODECS: &[&str] = &["none", "lz4_frame", "zstd"];
const PARQUET_CODECS: &[&str] = &["none", "snappy", "lz4", "brotli", "zstd", "gzip"];
const TIME_INPUTS: &[&str] = &["basic", "best_effort", "best_effort_us"];
const TIME_OUTPUTS: &[&str] = &["simple", "iso", "unix_timestamp"];

/// The kind of a setting that is known; of others [`Kind::Text`].
pub(super) fn of(name: &str) -> Kind {
    match name {
        "http_zlib_compression_level" | "network_zstd_compression_level" => Kind::Signed,
        "max_threads" => Kind::Threads,
        "insert_quorum" | "output_format_pretty_color" => Kind::UnsignedOrAuto,
        "read_overflow_mode" | "result_overflow_mode" | "timeout_overflow_mode" => {
            Kind::OneOf(OVERFLOW_MODES, ErrorCode::UnknownOverflowMode)
        }
        "union_default_mode" => Kind::OneOf(UNION_MODES, ErrorCode::UnknownUnion),
        "join_algorithm" => Kind::SomeOf(JOINS, ErrorCode::UnknownJoin),
        "output_format_arrow_compression_method" => Kind::OneOf(ARROW_CODECS, ErrorCode::BadArguments),
        "output_format_parquet_compression_method" => Kind::OneOf(PARQUET_CODECS, ErrorCode::BadArguments),
        "date_time_input_format" => Kind::OneOf(TIME_INPUTS, ErrorCode::BadArguments),
        "input_format_column_name_matching_mode" => {
            Kind::OneOf(&["auto", "ignore_case", "match_case"], ErrorCode::BadArguments)
        }
        "date_time_output_format" => Kind::OneOf(TIME_OUTPUTS, ErrorCode::BadArguments),
        _ if BOOLS.contains(&name) => Kind::Bool,
        _ if FLOATS.contains(&name) => Kind::Float,
        _ if UNSIGNED.contains(&name) || super::SIZES.contains(&name) => Kind::Unsigned,
        _ => Kind::Text,
    }
}

impl Kind {
    /// Refuses a value that is not of this kind; `what` names the setting and the value in the message.
    pub(super) fn check(self, value: &str, what: &str) -> Result<()> {
        match self {
            Self::Text => Ok(()),
            Self::Bool => {
                let words = ["0", "1", "true", "false"];
                let known = words.iter().any(|word| word.eq_ignore_ascii_case(value));
                known
                    .then_some(())
                    .ok_or_else(|| bad(ErrorCode::CannotParseBool, what, "0, 1, true or false"))
            }
            Self::Unsigned => unsigned(value, what),
            Self::Signed => unsigned(value.strip_prefix('-').unwrap_or(value), what),
            Self::Float => float(value, what),
            Self::BoolOrAuto | Self::FloatOrAuto | Self::UnsignedOrAuto if value == "auto" => Ok(()),
            Self::BoolOrAuto => Self::Bool.check(value, what),
            Self::FloatOrAuto => float(value, what),
            Self::Char if value.len() <= 1 => Ok(()),
            Self::Char => Err(bad(ErrorCode::SizeOfFixedStringDoesntMatch, what, "one character")),
            Self::Choice(words, code) => {
                let words: Vec<_> = words.split(',').collect();
                one_of(&words, value, code, what)
            }
            Self::Threads if value == "auto" || value.starts_with("auto(") => Ok(()),
            // These take no suffix.
            Self::UnsignedOrAuto | Self::Threads if value.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                Err(bad(ErrorCode::CannotParseInputAssertionFailed, what, "an unsigned number or auto"))
            }
            Self::UnsignedOrAuto | Self::Threads => unsigned(value, what),
            Self::OneOf(words, code) => one_of(words, value, code, what),
            Self::SomeOf(words, code) => {
                value.split(',').try_for_each(|word| one_of(words, word.trim(), code, what))
            }
        }
    }
}

/// ClickHouse tells an empty value, a sign and other letters apart. More than 64 bits it cuts off in silence; here
/// that is refused.
fn unsigned(value: &str, what: &str) -> Result<()> {
    let code = match value.as_bytes() {
        _ if super::size(value).is_some() => return Ok(()),
        [] => ErrorCode::AttemptToReadAfterEof,
        [b'-', ..] => ErrorCode::CannotParseNumber,
        _ if value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<u128>().is_ok()
            && (value.ends_with(|c: char| c.is_ascii_digit()) || is_suffix(value)) =>
        {
            ErrorCode::CannotConvertType
        }
        _ => ErrorCode::CannotParseInputAssertionFailed,
    };
    Err(bad(code, what, "an unsigned number"))
}

/// Whether what stands behind the digits is a suffix of size, so that only the number can be too large.
fn is_suffix(value: &str) -> bool {
    let suffix = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '+');
    super::size(&format!("1{suffix}")).is_some()
}

fn float(value: &str, what: &str) -> Result<()> {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(()),
        _ if value.starts_with(|c: char| c.is_ascii_digit()) && value.parse::<f64>().is_err() => {
            Err(bad(ErrorCode::CannotParseInputAssertionFailed, what, "a number"))
        }
        _ => Err(bad(ErrorCode::CannotParseNumber, what, "a number")),
    }
}

fn one_of(words: &[&str], value: &str, code: ErrorCode, what: &str) -> Result<()> {
    if words.contains(&value) {
        return Ok(());
    }
    let known: Vec<_> = words.iter().filter(|word| !word.is_empty()).copied().collect();
    Err(bad(code, what, &format!("one of {}", known.join(", "))))
}

fn bad(code: ErrorCode, what: &str, wanted: &str) -> Error {
    Error::new(code, format!("Cannot use {what}: it must be {wanted}"))
}
