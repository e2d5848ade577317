use super::*;

#[test]
fn a_malformed_value_is_refused_with_clickhouses_code_even_where_a_setting_is_only_taken() {
    // Asked of ClickHouse 26.9, value by value; 0 stands for what is taken.
    for (name, value, code) in [
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
    ] {
        let got = check(name, value).err().map_or(0, |error| error.code.number());
        assert_eq!(got, code, "{name}={value}");
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
