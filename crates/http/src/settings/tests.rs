use super::*;

fn read(query: &str) -> Result<RequestSettings> {
    RequestSettings::read(&Parameters::parse(query)?, &HeaderMap::new(), &[])
}

#[test]
fn settings_of_real_clients_are_taken() {
    // What clickhouse-connect, the Rust crate, clickhouse-go and Grafana add to their requests.
    let sent = "query=SELECT+1&database=x&default_format=Native&query_id=&session_id=s&session_timeout=60&\
        date_time_input_format=best_effort&cast_string_to_dynamic_use_inference=1&wait_end_of_query=1&\
        cancel_http_readonly_queries_on_client_close=1&send_progress_in_http_headers=1&\
        http_headers_progress_interval_ms=120000&client_protocol_version=54460&describe_include_subcolumns=0&\
        limit=10&output_format_json_quote_64bit_integers=0&output_format_native_write_json_as_string=1&\
        max_execution_time=1.5&async_insert=1&wait_for_async_insert=1&decompress=0&compress=0&readonly=1";
    let settings = read(sent).unwrap();
    assert_eq!(settings.statement, "SELECT 1");
    assert_eq!(settings.database, "x");
    assert_eq!(settings.default_format.as_deref(), Some("Native"));
    assert_eq!(settings.query_id, None);
    assert!(settings.wait_end_of_query && settings.read_only && settings.compression);
    assert_eq!(settings.max_execution_time, Some(Duration::from_millis(1500)));
    assert_eq!(settings.settings["limit"], "10");
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let error = read("max_trheads=1").unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownSetting);
    assert!(error.message.contains("max_trheads"));
    assert_eq!(read("input_format_unheard_of=1").unwrap_err().code, ErrorCode::UnknownSetting);
}

#[test]
fn a_setting_that_is_not_done_is_taken_only_with_its_neutral_value() {
    assert!(read("transform_null_in=0").is_ok());
    assert_eq!(read("input_format_import_nested_json=1").unwrap_err().code, ErrorCode::NotImplemented);
    assert_eq!(read("transform_null_in=1").unwrap_err().code, ErrorCode::NotImplemented);
}

#[test]
fn values_that_cannot_be_are_refused() {
    for query in [
        "wait_end_of_query=maybe",
        "max_execution_time=-1",
        "max_execution_time=1e300",
        "query_id=a%0d%0aSet-Cookie:x",
        &format!("query_id={}", "x".repeat(129)),
    ] {
        assert_eq!(read(query).unwrap_err().code, ErrorCode::BadArguments, "{query}");
    }
    // ClickHouse's own code, where the one above is the door's.
    assert_eq!(read("max_execution_time=nan").unwrap_err().code, ErrorCode::CannotParseNumber);
    assert!(read("decompress=1&compress=1").unwrap().packed);
    assert_eq!(read("max_execution_time=0").unwrap().max_execution_time, None);
    assert_eq!(read("max_execution_time=1e18").unwrap().max_execution_time, Some(TIME_MAX));
}

#[test]
fn parameters_of_the_statement_are_unescaped() {
    // Node writes `\t`, clickhouse-connect a backslash with a literal tab.
    let settings = read("param_a=O%5C%27R%5Ct%5C%5Cx&param_b=%5C%09&param_c=%5CN&param_d=%5C").unwrap();
    assert_eq!(settings.params["a"].as_deref(), Some("O'R\t\\x"));
    assert_eq!(settings.params["b"].as_deref(), Some("\t"));
    assert_eq!(settings.params["c"], None);
    assert_eq!(settings.params["d"].as_deref(), Some("\\"));
}

#[test]
fn headers_name_the_format_and_the_database_below_the_url() {
    let mut headers = HeaderMap::new();
    headers.insert("x-clickhouse-format", "JSON".parse().unwrap());
    headers.insert("x-clickhouse-database", "d".parse().unwrap());
    let from_header = RequestSettings::read(&Parameters::default(), &headers, &[]).unwrap();
    assert_eq!((from_header.default_format.as_deref(), from_header.database.as_str()), (Some("JSON"), "d"));
    let url = Parameters::parse("default_format=CSV&database=e").unwrap();
    let both = RequestSettings::read(&url, &headers, &[]).unwrap();
    assert_eq!((both.default_format.as_deref(), both.database.as_str()), (Some("CSV"), "e"));
}

#[test]
fn a_malformed_value_is_refused_though_the_setting_does_nothing_here() {
    for (query, code) in [
        ("max_threads=abc", 27),
        ("max_threads=-1", 72),
        ("join_use_nulls=maybe", 467),
        ("timeout_overflow_mode=x", 145),
        ("send_progress_in_http_headers=x", 467),
        ("http_headers_progress_interval_ms=x", 27),
        ("cancel_http_readonly_queries_on_client_close=x", 467),
        ("http_write_exception_in_output_format=x", 467),
    ] {
        assert_eq!(read(query).unwrap_err().code.number(), code, "{query}");
    }
}

#[test]
fn every_escape_of_a_parameter_is_undone_as_clickhouse_does() {
    for (sent, value) in [
        (r"\b\f\n\r\t\0\a\v\e", "\u{8}\u{C}\n\r\t\0\u{7}\u{B}\u{1B}"),
        (r#"\\ \' \` \" \/ \="#, "\\ ' ` \" / ="),
        ("\\\t\\\n\\\u{1}", "\t\n\u{1}"),
        (r"\x41\x7a\xc3\xbc", "Azü"),
        // What means nothing keeps its backslash, so that a pattern survives.
        (r"\d+\.\q\ü\_\ ", r"\d+\.\q\ü\_\ "),
        (r"\\N", r"\N"),
        (r"x\Ny", "xy"),
        (r" \N", " "),
        ("", ""),
    ] {
        assert_eq!(escapes::unescape(sent).unwrap().as_deref(), Some(value), "{sent:?}");
    }
    assert_eq!(escapes::unescape(r"\N").unwrap(), None);
    for (sent, code) in [
        (r"\x4", ErrorCode::CannotParseEscapeSequence),
        (r"\x", ErrorCode::CannotParseEscapeSequence),
        (r"\xff", ErrorCode::BadArguments),
    ] {
        assert_eq!(escapes::unescape(sent).unwrap_err().code, code, "{sent:?}");
    }
}

#[test]
fn an_array_keeps_the_escapes_of_its_texts() {
    let settings = read("param_a=['O%5C'R','x%5C%5Cy']&param_s=O%5C'R&param_n=%5CN").unwrap();
    for (statement, a) in [
        ("SELECT {a:Array(String)}, {s:String}", r"['O\'R','x\\y']"),
        ("SELECT { a : Tuple(String, String) }", r"['O\'R','x\\y']"),
        ("SELECT '{' || {a:Map(String, String)}", r"['O\'R','x\\y']"),
        ("SELECT {a:String}", r"['O'R','x\y']"),
        ("SELECT {aa:Array(String)}, {b:Array(String)}", r"['O'R','x\y']"),
        ("{{{", r"['O'R','x\y']"),
    ] {
        let params = settings.params_for(statement);
        assert_eq!(params["a"].as_deref(), Some(a), "{statement}");
        assert_eq!((params["s"].as_deref(), params["n"].as_deref()), (Some("O'R"), None));
    }
}

#[test]
fn what_a_session_remembers_lies_below_the_request() {
    let session: BTreeMap<_, _> =
        [("database", "s"), ("max_threads", "3"), ("max_execution_time", "9"), ("limit", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let over = |query: &str, headers: &HeaderMap| {
        RequestSettings::read_over(&session, &Parameters::parse(query).unwrap(), headers, &[]).unwrap()
    };
    let plain = over("", &HeaderMap::new());
    assert_eq!((plain.database.as_str(), plain.settings["max_threads"].as_str()), ("s", "3"));
    assert_eq!(plain.max_execution_time, Some(Duration::from_secs(9)));
    assert!(!plain.settings.contains_key("database"));
    let url = over("max_threads=5&database=u", &HeaderMap::new());
    assert_eq!((url.database.as_str(), url.settings["max_threads"].as_str()), ("u", "5"));
    let mut headers = HeaderMap::new();
    headers.insert("x-clickhouse-database", "h".parse().unwrap());
    assert_eq!(over("", &headers).database, "h");
}

#[test]
fn progress_is_told_as_often_as_the_client_says() {
    assert_eq!(read("http_headers_progress_interval_ms=5").unwrap().progress_interval, None);
    let interval = |query: &str| read(query).unwrap().progress_interval.unwrap().as_millis();
    assert_eq!(interval("send_progress_in_http_headers=1"), 100);
    assert_eq!(interval("send_progress_in_http_headers=1&http_headers_progress_interval_ms=5"), 5);
}
