use super::*;

/// Asked of ClickHouse 26.9, value by value; 0 stands for what is taken.
const ASKED: &[(&str, &str, u32)] = &[
    ("max_threads", "abc", 27),
    ("max_threads", "-1", 72),
    ("max_threads", "", 32),
    ("max_threads", "1.5", 27),
    ("max_threads", "1K", 27),
    ("max_threads", " 1", 27),
    ("max_threads", "auto", 0),
    ("max_threads", "auto(4)", 0),
    ("max_threads", "0", 0),
    ("join_use_nulls", "abc", 467),
    ("join_use_nulls", "yes", 467),
    ("join_use_nulls", "", 467),
    ("join_use_nulls", "TRUE", 0),
    ("join_use_nulls", "False", 0),
    ("replace_running_query", "2", 467),
    ("max_execution_time", "abc", 72),
    ("max_execution_time", "", 72),
    ("max_execution_time", "1x", 27),
    ("max_execution_time", "nan", 72),
    ("max_execution_time", "inf", 72),
    ("max_execution_time", "1.5", 0),
    ("max_execution_time", "1e3", 0),
    ("max_execution_time", "-1", 0),
    ("readonly", "abc", 27),
    ("readonly", "-1", 72),
    ("max_block_size", "abc", 27),
    ("max_block_size", "", 32),
    ("max_memory_usage", "1x", 27),
    ("mutations_sync", "1K", 0),
    ("insert_quorum", "auto", 0),
    ("insert_quorum", "AUTO", 27),
    ("output_format_pretty_color", "true", 27),
    ("output_format_pretty_color", "1", 0),
    ("http_zlib_compression_level", "-1", 0),
    ("http_zlib_compression_level", "", 32),
    ("http_zlib_compression_level", "abc", 27),
    ("network_zstd_compression_level", "3", 0),
    ("network_zstd_compression_level", "abc", 27),
    ("timeout_overflow_mode", "THROW", 145),
    ("timeout_overflow_mode", "throw", 0),
    ("union_default_mode", "abc", 557),
    ("union_default_mode", "", 0),
    ("union_default_mode", "DISTINCT", 0),
    ("union_default_mode", "ALL", 48),
    ("transform_null_in", "1", 48),
    ("transform_null_in", "False", 0),
    ("additional_result_filter", "x = 1", 48),
    ("output_format_json_quote_decimals", "1", 0),
    ("output_format_json_quote_decimals", "yes", 467),
    ("output_format_json_named_tuples_as_objects", "0", 0),
    ("output_format_json_map_as_array_of_tuples", "1", 48),
    ("output_format_native_encode_types_in_binary_format", "1", 48),
    ("join_algorithm", "hash,abc", 418),
    ("join_algorithm", "hash,direct", 0),
    ("date_time_input_format", "abc", 36),
    ("output_format_arrow_compression_method", "abc", 36),
    ("output_format_parquet_compression_method", "abc", 36),
    ("input_format_allow_errors_ratio", "abc", 72),
    ("connect_timeout", "abc", 72),
    ("log_comment", "abc", 0),
    ("max_insert_threads", "abc", 27),
    ("max_insert_threads", "8", 0),
    ("enable_analyzer", "0", 0),
    ("enable_analyzer", "2", 467),
    ("load_balancing", "x", 212),
    ("load_balancing", "in_order", 0),
    ("totals_mode", "x", 213),
    ("distributed_product_mode", "x", 283),
    ("send_logs_level", "x", 36),
    ("send_logs_level", "trace", 0),
    ("stream_flush_interval_ms", "1.5", 27),
    ("stream_flush_interval_ms", "-1", 72),
    ("lock_acquire_timeout", "x", 72),
    ("replication_wait_for_inactive_replica_timeout", "-1", 0),
    ("opentelemetry_start_keeper_trace_probability", "auto", 0),
    ("opentelemetry_start_keeper_trace_probability", "x", 72),
    ("query_plan_join_swap_table", "auto", 0),
    ("query_plan_join_swap_table", "x", 467),
    ("format_custom_field_delimiter", "\t", 0),
    ("format_csv_delimiter", "|", 0),
];

#[test]
fn a_malformed_value_is_refused_with_clickhouses_code_even_where_a_setting_is_only_taken() {
    for (name, value, code) in ASKED {
        let got = check(name, value).err().map_or(0, |error| error.code.number());
        assert_eq!(got, *code, "{name}={value}");
    }
}

#[test]
fn every_kind_names_a_setting_that_is_known() {
    for name in ["max_threads", "insert_quorum", "join_algorithm", "union_default_mode", "readonly"] {
        assert!(is_known(name) && kinds::of(name) != kinds::Kind::Text, "{name}");
    }
    let long = "x".repeat(1 << 20);
    assert!(check("max_threads", &long).unwrap_err().message.len() < 1_024);
}

#[test]
fn sizes_are_read_as_clickhouse_reads_them() {
    for (text, value) in [
        ("0", 0),
        ("+5", 5),
        ("10k", 10_000),
        ("10K", 10_000),
        ("10ki", 10_240),
        ("10M", 10_000_000),
        ("10Mi", 10 << 20),
        ("10G", 10_000_000_000),
        ("10Gi", 10 << 30),
        ("10T", 10_000_000_000_000),
        ("10Ti", 10 << 40),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(size(text), Some(value), "{text}");
        assert!(check("max_memory_usage", text).is_ok(), "{text}");
    }
    for text in
        ["", "k", "10m", "10P", "10i", "10 M", " 10", "10MB", "10Mib", "-1", "1e3", "0x10", "10.5", "1_000"]
    {
        assert_eq!(size(text), None, "{text}");
    }
    for text in ["18446744073709551616", "18446744073709551615k", "99999999999T"] {
        assert_eq!(check("max_memory_usage", text).unwrap_err().code, ErrorCode::CannotConvertType, "{text}");
    }
    assert!(check("limit", "10").is_ok() && check("limit", "10K").is_err(), "no size");
}

#[test]
fn no_setting_stands_in_two_lists() {
    let mut names: Vec<_> = [SETTINGS, UNSIGNED, SIZES, FORMATS, DOOR].concat();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(names.iter().all(|name| is_known(name)) && !is_known("max_memory"));
}

#[test]
fn every_setting_is_listed_once_and_its_default_is_taken() {
    let mut known: Vec<&str> = [SETTINGS, UNSIGNED, SIZES, FORMATS, DOOR].concat();
    known.sort_unstable();
    let listed: Vec<&str> = all().map(|setting| setting.name).collect();
    assert_eq!(listed, known);
    for Setting { name, default, effect, .. } in all() {
        if !default.is_empty() {
            check(name, default).unwrap_or_else(|error| panic!("{name} = {default}: {error}"));
        }
        assert_eq!(effect == Effect::Fixed, is_neutral(name), "{name}");
    }
}

#[test]
fn what_a_client_sends_in_vain_is_taken_and_what_would_change_an_answer_is_refused() {
    // 0 is taken. ClickHouse takes all of these; what is refused with 48 is not done here.
    for (name, value, code) in [
        // dbt-clickhouse, when it connects.
        ("lightweight_deletes_sync", "3", 0),
        ("insert_distributed_sync", "1", 0),
        ("mutations_sync", "3", 0),
        // Without anything to do.
        ("optimize_read_in_order", "0", 0),
        ("distributed_ddl_task_timeout", "-1", 0),
        ("select_sequential_consistency", "1", 0),
        ("replication_alter_partitions_sync", "2", 0),
        ("allow_experimental_window_functions", "1", 0),
        ("output_format_parquet_row_group_size", "1000", 0),
        // Their defaults, however they are written.
        ("final", "0", 0),
        ("final", "FALSE", 0),
        ("final", "1", 48),
        ("compatibility", "", 0),
        ("compatibility", "22.3", 48),
        ("optimize_throw_if_noop", "0", 0),
        ("optimize_throw_if_noop", "1", 48),
        ("throw_if_no_data_to_insert", "1", 0),
        ("throw_if_no_data_to_insert", "0", 48),
        ("max_rows_in_set", "0", 0),
        ("max_rows_in_set", "10", 48),
        ("input_format_csv_trim_whitespaces", "1", 0),
        ("input_format_csv_trim_whitespaces", "0", 48),
        ("function_range_max_elements_in_block", "500M", 0),
        ("totals_auto_threshold", "0.50", 0),
        ("totals_auto_threshold", "0.6", 48),
        ("totals_mode", "before_having", 48),
        ("enable_positional_arguments", "0", 48),
        // Bounds: only a wider one keeps its promise.
        ("max_partitions_per_insert_block", "0", 0),
        ("max_partitions_per_insert_block", "1000", 0),
        ("max_partitions_per_insert_block", "99", 48),
        ("max_query_size", "1M", 0),
        ("max_query_size", "10", 48),
        ("max_ast_depth", "999", 48),
        // Once taken without effect.
        ("prefer_column_name_to_alias", "1", 48),
        ("input_format_import_nested_json", "1", 48),
        ("output_format_pretty_grid_charset", "ASCII", 48),
        ("output_format_pretty_max_column_pad_width", "3", 48),
        ("output_format_arrow_string_as_string", "0", 48),
        ("input_format_column_name_matching_mode", "any", 36),
        ("input_format_with_names_use_header", "0", 0),
        ("input_format_defaults_for_omitted_fields", "0", 48),
        ("format_csv_allow_single_quotes", "1", 48),
        ("format_csv_allow_double_quotes", "0", 48),
        ("date_time_input_format", "best_effort_us", 48),
        ("date_time_input_format", "basic", 0),
        ("input_format_json_read_bools_as_numbers", "0", 48),
        ("input_format_json_read_numbers_as_strings", "0", 48),
        ("describe_compact_output", "1", 48),
        ("describe_include_subcolumns", "0", 0),
        ("replace_running_query", "1", 48),
        ("max_insert_thread", "1", 115),
    ] {
        let got = check(name, value).err().map_or(0, |error| error.code.number());
        assert_eq!(got, code, "{name}={value}");
    }
}

#[test]
fn every_setting_of_clickhouse_takes_its_default() {
    let all: Vec<_> = clickhouse::all().collect();
    assert!(all.len() > 1_800, "{}", all.len());
    for (name, default, other_of) in all {
        assert!(exists(name));
        // Those that this database lists have its own defaults.
        if !is_known(name) && !is_known(other_of) {
            check(name, default).unwrap_or_else(|error| panic!("{name} = {default}: {error}"));
        }
        let obeyed = super::all().any(|it| it.name == other_of && it.effect == Effect::Obeyed);
        assert!(!obeyed, "{name} would be taken and {other_of} not be obeyed");
    }
}

#[test]
fn every_harmless_name_and_prefix_is_of_a_setting() {
    let known = |name: &str| clickhouse::all().any(|(known, ..)| known == name);
    for name in harmless::names() {
        assert!(known(name), "{name}");
    }
    for prefix in harmless::prefixes() {
        assert!(clickhouse::all().any(|(known, ..)| known.starts_with(prefix)), "{prefix}");
    }
}
