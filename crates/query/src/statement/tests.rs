mod damage;

use super::*;
use zepto_common::types::ColumnType;

fn parse_ok(sql: &str) -> Statement {
    parse(sql, &Params::new()).unwrap().statement
}

fn code(sql: &str) -> ErrorCode {
    parse(sql, &Params::new()).unwrap_err().code
}

fn query_text(sql: &str) -> String {
    match parse_ok(sql) {
        Statement::Query(tokens) => query(tokens).unwrap().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn clauses_behind_a_statement_are_cut_off() {
    let parsed = parse("SELECT 1 SETTINGS max_threads = 2, a = 'x' FORMAT JSON", &Params::new()).unwrap();
    assert_eq!(parsed.clauses.format.as_deref(), Some("JSON"));
    assert_eq!(parsed.clauses.settings["max_threads"], "2");
    assert_eq!(parsed.clauses.settings["a"], "x");
    let parsed = parse("SELECT 1 FORMAT JSON SETTINGS a = 1;", &Params::new()).unwrap();
    assert_eq!(parsed.clauses.format.as_deref(), Some("JSON"));
    assert_eq!(parsed.clauses.settings["a"], "1");
}

#[test]
fn a_parameter_is_a_value_and_never_sql() {
    let params = Params::from([
        ("s".to_owned(), Some("x' OR 1=1 --".to_owned())),
        ("n".to_owned(), Some("5".to_owned())),
        ("t".to_owned(), Some("odd name".to_owned())),
    ]);
    let text = |sql: &str| match parse(sql, &params).unwrap().statement {
        Statement::Query(tokens) => query(tokens).unwrap().to_string(),
        other => panic!("{other:?}"),
    };
    let got = text("SELECT * FROM {t:Identifier} WHERE a = {s:String} LIMIT {n:UInt32}");
    assert!(got.contains("\"odd name\"") && got.contains("LIMIT 5"), "{got}");
    assert!(got.contains("OR 1=1 --'"), "{got}");
    let error = |sql: &str| parse(sql, &params).unwrap_err().code;
    assert_eq!(error("SELECT {missing:String}"), ErrorCode::UnknownQueryParameter);
    assert_eq!(error("SELECT {s:UInt8}"), ErrorCode::BadQueryParameter);
}

#[test]
fn a_parameter_that_its_type_cannot_hold_is_refused_and_its_bounds_are_taken() {
    let taken = |value: &str, ty: &str| {
        let params = Params::from([("x".to_owned(), Some(value.to_owned()))]);
        parse(&format!("SELECT {{x:{ty}}}"), &params).map(drop).map_err(|error| error.code)
    };
    for (ty, lowest, highest, below, above) in [
        ("UInt8", "0", "255", "-1", "256"),
        ("Int8", "-128", "127", "-129", "128"),
        ("UInt16", "0", "65535", "-1", "65536"),
        ("Int32", "-2147483648", "2147483647", "-2147483649", "2147483648"),
        ("UInt64", "0", "18446744073709551615", "-1", "18446744073709551616"),
        (
            "Int64",
            "-9223372036854775808",
            "9223372036854775807",
            "-9223372036854775809",
            "9223372036854775808",
        ),
    ] {
        for good in [lowest, highest] {
            assert_eq!(taken(good, ty), Ok(()), "{good} as {ty}");
            assert_eq!(taken(&format!("[{good}]"), &format!("Array({ty})")), Ok(()), "[{good}] as {ty}");
        }
        for bad in [below, above, "1.5", "", "x", "1 2", "1; SELECT 2"] {
            assert_eq!(taken(bad, ty), Err(ErrorCode::BadQueryParameter), "{bad} as {ty}");
        }
        for bad in [below, above] {
            let list = taken(&format!("[1, {bad}]"), &format!("Array({ty})"));
            assert_eq!(list, Err(ErrorCode::BadQueryParameter), "[1, {bad}] as {ty}");
        }
    }
    for (bad, ty) in [
        ("maybe", "Bool"),
        ("x", "Float64"),
        ("[1", "Array(UInt8)"),
        ("1]", "Array(UInt8)"),
        ("[f()]", "Array(UInt8)"),
    ] {
        assert_eq!(taken(bad, ty), Err(ErrorCode::BadQueryParameter), "{bad} as {ty}");
    }
}

#[test]
fn an_asof_join_becomes_a_marked_join() {
    let got = query_text("SELECT * FROM a ASOF LEFT JOIN b ON a.k = b.k AND a.ts >= b.ts WHERE x = 1");
    assert!(got.contains("LEFT JOIN b ON __asof_join() AND a.k = b.k AND a.ts >= b.ts WHERE"), "{got}");
    let got = query_text("SELECT * FROM a ASOF JOIN b USING (k, ts)");
    assert!(got.contains("JOIN b ON __asof_join() AND a.k = b.k AND a.ts >= b.ts"), "{got}");
}

#[test]
fn latest_on_becomes_a_condition_on_a_row_number() {
    let got = query_text("SELECT * FROM t WHERE a = 1 LATEST ON ts PARTITION BY sym ORDER BY sym");
    assert!(
        got.contains("QUALIFY __latest(row_number() OVER (PARTITION BY sym ORDER BY ts DESC)) ORDER BY"),
        "{got}"
    );
}

#[test]
fn words_that_say_nothing_go() {
    let got = query_text("SELECT * FROM t FINAL WHERE a GLOBAL IN (SELECT 1)");
    assert!(!got.contains("FINAL") && !got.contains("GLOBAL"), "{got}");
    assert_eq!(query_text("SELECT final FROM t"), "SELECT final FROM t");
}

#[test]
fn clickhouse_ddl_is_read_and_what_is_ignored_is_said() {
    let sql = "CREATE TABLE IF NOT EXISTS db.trades (symbol LowCardinality(String), price Float64 CODEC(Gorilla), \
               ts DateTime64(9, 'UTC') DEFAULT now64(9), n Nullable(Int32) COMMENT 'count') ENGINE = MergeTree() \
               PARTITION BY toYYYYMM(ts) ORDER BY (symbol, ts) TTL ts + INTERVAL 90 DAY SETTINGS index_granularity = 1";
    let Statement::CreateTable(create) = parse_ok(sql) else { panic!() };
    assert_eq!(create.columns.len(), 4);
    assert_eq!(create.columns[0].ty, ColumnType::Symbol);
    assert_eq!(create.columns[2].ty.to_string(), "DateTime64(9, 'UTC')");
    assert!(create.columns[2].default.is_some());
    assert_eq!(create.columns[3].comment, "count");
    assert_eq!(create.order_by, ["symbol", "ts"]);
    assert_eq!(create.ttl, Some(("ts".to_owned(), 90 * 86_400)));
    assert_eq!(create.warnings.len(), 3, "{:?}", create.warnings);
    assert!(create.if_not_exists);
}

#[test]
fn alter_reads_ttl_columns_and_mutations() {
    let Statement::Alter { actions, .. } = parse_ok("ALTER TABLE t SET TTL 90 DAYS") else { panic!() };
    assert!(matches!(actions[0], AlterAction::Ttl(Some(seconds)) if seconds == 90 * 86_400));
    let sql =
        "ALTER TABLE t ADD COLUMN a Int32 DEFAULT 5 AFTER b, DROP COLUMN IF EXISTS c, RENAME COLUMN d TO e";
    let Statement::Alter { actions, .. } = parse_ok(sql) else { panic!() };
    assert_eq!(actions.len(), 3);
    let Statement::Alter { actions, .. } = parse_ok("ALTER TABLE t UPDATE a = a + 1 WHERE b > 2") else {
        panic!()
    };
    assert!(matches!(&actions[0], AlterAction::Update { assignments, .. } if assignments.len() == 1));
}

#[test]
fn texts_that_are_too_large_or_too_deep_are_refused() {
    assert_eq!(code(&"x".repeat(2 << 20)), ErrorCode::QueryIsTooLarge);
    assert_eq!(code(&format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000))), ErrorCode::TooDeepAst);
    assert_eq!(code(&format!("SELECT 1{}", "+1".repeat(100_000))), ErrorCode::TooDeepAst);
    assert_eq!(code(&format!("SELECT {}1", "NOT ".repeat(200))), ErrorCode::TooDeepAst);
    let cases = format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(200), " END".repeat(200));
    assert_eq!(code(&cases), ErrorCode::TooDeepAst);
    assert!(parse(&format!("SELECT {}1", "CASE WHEN 1 THEN 2 END, ".repeat(200)), &Params::new()).is_ok());
    assert_eq!(code(""), ErrorCode::SyntaxError);
    assert_eq!(code("SELECT 1; SELECT 2"), ErrorCode::SyntaxError);
    assert_eq!(code("SELEC 1"), ErrorCode::SyntaxError);
    assert_eq!(code("ATTACH TABLE t"), ErrorCode::NotImplemented);
    // A long list is not deep.
    let list: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
    assert!(parse(&format!("SELECT 1 IN ({})", list.join(",")), &Params::new()).is_ok());
}

#[test]
fn a_statement_about_feeds_is_refused_with_where_they_stand() {
    for sql in ["CREATE FEED f (a Int8)", "DROP FEED f", "PAUSE FEED f", "RESUME FEED f", "SHOW FEEDS"] {
        let error = parse(sql, &Params::new()).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotImplemented, "{sql}");
        assert!(error.message.contains("configuration of ingest nodes"), "{error}");
    }
}

/// Views, conditions and fragments of a statement are kept and sent as such texts.
#[test]
fn a_text_made_of_tokens_has_the_same_tokens() {
    let plain = |sql: &str| tokenize(sql).unwrap().into_iter().map(|token| token.token).collect::<Vec<_>>();
    for sql in [
        r"SELECT 'it''s', 'it\'s', '^\d+$', '50\%', 'a\\nb', 'a\nb', '\x41', '\\', ''",
        r#"SELECT "a""b", `c``d`, `e"f` FROM "t`u""#,
        "SELECT 0x41, x'41', -1.5e3, a ? b : c",
    ] {
        let tokens = tokenize(sql).unwrap();
        assert_eq!(plain(&cursor::text_of(&tokens)), plain(sql), "{sql}");
    }
}

#[test]
fn literals_in_lists_of_parameters_are_read_like_others() {
    let params = Params::from([("a".to_owned(), Some(r"['\d', 'it\'s', '\x41']".to_owned()))]);
    let tokens = params::substitute(tokenize("SELECT {a:Array(String)}").unwrap(), &params).unwrap();
    let texts: Vec<String> = tokens
        .into_iter()
        .filter_map(|token| match token.token {
            Token::SingleQuotedString(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(texts[..3], [r"\d", "it's", "A"]);
}

#[test]
fn a_container_is_a_literal_of_its_type_and_nothing_else() {
    let plain = |text: &str| text.replace(' ', "");
    let sql = |value: &str, ty: &str| {
        let params = Params::from([("x".to_owned(), Some(value.to_owned()))]);
        parametrized(&format!("SELECT {{x:{ty}}}"), &params)
            .map(|tokens| plain(&cursor::text_of(&tokens)))
            .map_err(|error| error.code)
    };
    let taken = |value: &str, ty: &str, text: &str| {
        assert_eq!(sql(value, ty), Ok(plain(&format!("SELECT CAST({text} AS {ty})"))), "{value} as {ty}");
    };
    taken("(1, 'x')", "Tuple(Int32, String)", "tuple(1, 'x')");
    taken("(1,)", "Tuple(Int32)", "tuple(1)");
    taken("{'k': -1, 'l': 2}", "Map(String, Int8)", "map('k', -1, 'l', 2)");
    taken("{}", "Map(String, Int8)", "map()");
    taken("[(1, [NULL, 'a'])]", "Array(Tuple(Int8, Array(Nullable(String))))", "[tuple(1, [NULL, 'a'])]");
    taken("[-inf]", "Array(Float64)", "[CAST('-inf' AS Float64)]");
    for (value, ty) in [
        ("(1)", "Tuple(Int32, String)"),
        ("(1, 'x', 2)", "Tuple(Int32, String)"),
        ("{'k': 300}", "Map(String, Int8)"),
        ("{'k'}", "Map(String, Int8)"),
        ("[1] OR 1", "Array(Int8)"),
        ("[now()]", "Array(DateTime)"),
        ("[1", "Array(Int8)"),
        ("(1, (SELECT 1))", "Tuple(Int32, Int32)"),
    ] {
        assert_eq!(sql(value, ty), Err(ErrorCode::BadQueryParameter), "{value} as {ty}");
    }
}

#[test]
fn a_script_is_cut_at_its_semicolons() {
    let cut = split_statements("SELECT ';'; -- a;b\nCREATE TABLE t (a Int8);\n;SELECT 'é'; SELECT 2");
    assert_eq!(cut.len(), 4);
    assert_eq!(cut[0], "SELECT ';'");
    assert!(cut[1].ends_with("(a Int8)"));
    assert_eq!(cut[3], "SELECT 2");
}
