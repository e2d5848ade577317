//! INSERT … SELECT, and expressions as values.

use arrow::array::{Array, AsArray};
use zepto_common::types::ColumnType;

use super::*;

const TABLE: &str = "CREATE TABLE t (k LowCardinality(String), n Int64) ENGINE = MergeTree ORDER BY k";

fn with_token(token: &str) -> RequestContext {
    let mut context = context();
    context.settings.insert("insert_deduplication_token".to_owned(), token.to_owned());
    context
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_repeated_under_its_token_is_stored_once_in_whatever_order_it_runs() {
    let bench = Bench::new();
    bench.rows(TABLE).await;
    bench.rows(&TABLE.replace(" t ", " copy ")).await;
    // Several runs in the store, so that two threads read the source in no fixed order.
    for part in 0..4 {
        let from = part * 50_000;
        let rows = format!("SELECT toString(number % 100), number + {from} FROM numbers(50000)");
        bench.rows(&format!("INSERT INTO t {rows}")).await;
        bench.rows("OPTIMIZE TABLE t").await;
    }
    for _ in 0..4 {
        bench.run_as("INSERT INTO copy SELECT * FROM t", with_token("once")).await.unwrap();
        assert_eq!(bench.rows("SELECT count(), uniqExact(n) FROM copy").await, ["200000 200000"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_that_fails_in_the_middle_says_what_is_stored() {
    let bench = Bench::new();
    bench.rows(TABLE).await;
    // A row that fails behind the first block.
    let insert = "INSERT INTO t SELECT 'k', number + throwIf(number = 150000) FROM numbers(200000)";
    let error = bench.try_rows(insert).await.unwrap_err();
    let stored = bench.rows("SELECT count() FROM t").await;
    assert_ne!(stored, ["0"], "the case needs a block that is stored");
    assert!(error.message.contains(&format!("stored {} rows", stored[0])), "{error}");
    assert!(error.message.contains("stores those rows twice"), "{error}");
    // Under a token the rows are in order before the first is sent, so such a statement stores nothing.
    bench.rows("TRUNCATE TABLE t").await;
    let error = bench.run_as(insert, with_token("a")).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::ThrowIfValueIsNonZero, "{error}");
    assert_eq!(bench.rows("SELECT count() FROM t").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_as_a_value_is_held_by_the_column_or_refused() {
    use zepto_common::types::ColumnType;

    let bench = Bench::new();
    let evaluator = bench.service.evaluator(&context());
    let value = |text: &str, ty: &str| evaluator.evaluate(text, &ty.parse::<ColumnType>().unwrap());
    for (text, ty) in [
        ("1e300", "DateTime64(9, 'UTC')"),
        ("-1e300", "DateTime64(9)"),
        ("nan", "DateTime64(3)"),
        ("9223372036854775807 + 0", "DateTime('UTC')"),
        ("2 - 3", "UInt8"),
        ("1e3", "Int8"),
        ("1e30", "UInt64"),
        ("1 / 2", "Int32"),
        ("1e9 * 1", "Decimal(9, 2)"),
        ("[1, 300]", "Array(UInt8)"),
    ] {
        let error = value(text, ty).unwrap_err();
        assert_eq!(error.code, ErrorCode::ValueIsOutOfRange, "{text} as {ty}: {error}");
    }
    for (text, ty) in [
        ("1e9", "DateTime('UTC')"),
        ("now()", "DateTime64(9, 'Europe/Berlin')"),
        ("1 + 1", "UInt8"),
        ("0.1 + 0.2", "Float32"),
        ("1e3", "Int16"),
        ("1.555 + 0", "Decimal(9, 2)"),
        ("concat('a', 'b')", "LowCardinality(Nullable(String))"),
        ("map('a', 1)", "Map(String, Int64)"),
        ("NULL", "Nullable(Int8)"),
    ] {
        assert!(value(text, ty).is_ok(), "{text} as {ty}: {:?}", value(text, ty));
    }
    assert_eq!(value("NULL", "Int8").unwrap_err().code, ErrorCode::BadArguments);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_would_fill_the_memory_is_refused() {
    let bench = Bench::new();
    for sql in [
        "SELECT sum(length(range(number))) FROM numbers(100000)",
        "SELECT max(length(arrayStringConcat(arrayMap(x -> repeat('a', 1000), range(1000000)))))",
        "SELECT arraySum(arrayMap(x -> length(concat(repeat('a', 1000000), toString(x))), range(1000000)))",
        "SELECT arraySum(arrayMap(x -> length(a), a)) FROM (SELECT range(1000000) AS a)",
        "SELECT length(arrayWithConstant(1000000, range(1000000)))",
        "SELECT sum(length(leftPad(toString(number), 1000000))) FROM numbers(1000)",
        "SELECT range(1000000) FROM numbers(1000)",
        "WITH range(1000000) AS a, [a, a, a, a, a, a, a, a] AS b, [b, b, b, b, b, b, b, b] AS c SELECT length([c, c, c, c])",
        "WITH repeat('a', 10000000) AS a, concat(a, a, a, a, a, a) AS b, concat(b, b, b, b, b, b) AS c SELECT length(c)",
    ] {
        assert_eq!(bench.code(sql).await, ErrorCode::MemoryLimitExceeded, "{sql}");
    }
    for (sql, wanted) in [
        ("SELECT sum(length(range(1000000))) FROM numbers(1000)", "1000000000"),
        ("SELECT length(repeat('a', 10000000)) + number FROM numbers(1)", "10000000"),
        ("WITH range(100000) AS a, [a, a, a, a] AS b SELECT length([b, b, b, b])", "4"),
        ("SELECT count() FROM (SELECT arrayJoin(range(1000000)))", "1000000"),
        ("SELECT countIf(has(range(100000), number)) FROM numbers(200000)", "100000"),
    ] {
        assert_eq!(bench.rows(sql).await, [wanted], "{sql}");
    }
    let large = "SELECT length(replaceRegexpAll(repeat('a', 1000000), 'a', repeat('b', 1000000)))";
    assert_eq!(bench.code(large).await, ErrorCode::TooLargeStringSize);
    assert_eq!(bench.code(&large.replace("Regexp", "")).await, ErrorCode::TooLargeStringSize);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_that_a_join_or_a_window_repeats_is_counted_first() {
    let bench = Bench::new();
    let wide = "(SELECT range(1000000) AS x, 1 AS k, 0 AS t)";
    let many = "(SELECT number, 1 AS k, 1 AS t FROM numbers(100000))";
    for sql in [
        format!("SELECT max(length(x)) FROM (SELECT number, x FROM {many} AS a CROSS JOIN {wide} AS b)"),
        format!("SELECT max(length(x)) FROM (SELECT number, x FROM {many} AS a JOIN {wide} AS b ON a.k = b.k)"),
        format!("SELECT max(length(x)) FROM (SELECT number, x FROM {many} AS a LEFT JOIN {wide} AS b ON a.t > b.t)"),
        format!("SELECT max(length(x)) FROM (SELECT number, x FROM {many} AS a ASOF JOIN {wide} AS b ON a.k = b.k AND a.t >= b.t)"),
        "SELECT max(length(f)) FROM (SELECT first_value(range(100000 + number)) OVER () AS f FROM numbers(2000))".to_owned(),
    ] {
        assert_eq!(bench.code(&sql).await, ErrorCode::MemoryLimitExceeded, "{sql}");
    }
    let narrow = "(SELECT range(1000) AS x, 1 AS k, 0 AS t)";
    for (sql, wanted) in [
        (format!("SELECT sum(length(x)) FROM (SELECT number, x FROM {many} AS a CROSS JOIN {narrow} AS b)"), "100000000"),
        (format!("SELECT sum(length(x)) FROM (SELECT number, x FROM {many} AS a JOIN {narrow} AS b ON a.k = b.k)"), "100000000"),
        (format!("SELECT sum(length(x)) FROM (SELECT number, x FROM {many} AS a ASOF JOIN {narrow} AS b ON a.k = b.k AND a.t >= b.t)"), "100000000"),
        ("SELECT sum(length(f)) FROM (SELECT first_value(range(10 + number)) OVER (ORDER BY number) AS f FROM numbers(2000))".to_owned(), "20000"),
    ] {
        assert_eq!(bench.rows(&sql).await, [wanted], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_at_the_ends_of_their_types_have_the_answers_of_clickhouse() {
    let bench = Bench::new();
    for (sql, wanted) in [
        ("hex(18446744073709551615)", "FFFFFFFFFFFFFFFF"),
        ("hex(toInt8(-128))", "80"),
        ("hex(toInt64(-1))", "FFFFFFFFFFFFFFFF"),
        ("hex(256)", "0100"),
        ("hex(toFloat64(-0.5))", "000000000000E0BF"),
        ("bitCount(18446744073709551615)", "64"),
        ("bitCount(toInt8(-128))", "1"),
        ("intDiv(toDecimal64('7.5', 2), toDecimal64('2.5', 1))", "3"),
        ("intDiv(toDecimal64('-1.25', 2), 3)", "0"),
        ("intDivOrZero(toDecimal64('7.5', 2), 0)", "0"),
        ("toInt8(2 NOT IN (1, NULL))", "1"),
        ("toDate('20240105')", "2024-01-05"),
        ("toInt8('300')", "44"),
        ("toInt8OrNull('300')", "NULL"),
        ("toInt8OrNull('-128')", "-128"),
        ("toInt64OrZero('9223372036854775808')", "0"),
        ("toUInt64OrZero('18446744073709551615')", "18446744073709551615"),
        ("toUInt8OrNull('256')", "NULL"),
        ("toInt8(1 IN (1, NULL))", "1"),
    ] {
        assert_eq!(bench.rows(&format!("SELECT {sql}")).await, [wanted], "{sql}");
    }
    for sql in
        ["intDiv(inf, 3)", "intDiv(nan, 3)", "intDiv(toInt64(-9223372036854775808), -1)", "intDiv(1, 0)"]
    {
        assert_eq!(bench.code(&format!("SELECT {sql}")).await, ErrorCode::IllegalDivision, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_among_values_has_the_requests_parameters() {
    let bench = Bench::new();
    let mut context = context();
    context.params.insert("a".to_owned(), Some("['x','y']".to_owned()));
    context.params.insert("n".to_owned(), None);
    let evaluator = bench.service.evaluator(&context);
    let ty = |name: &str| name.parse::<ColumnType>().unwrap();
    let list = evaluator.evaluate("{a:Array(String)}", &ty("Array(String)")).unwrap();
    assert_eq!(list.as_list::<i32>().value_length(0), 2);
    let null = evaluator.evaluate("{n:Nullable(Int8)}", &ty("Nullable(Int8)")).unwrap();
    assert!(null.is_null(0));
    let missing = evaluator.evaluate("{zz:Int8}", &ty("Int8")).unwrap_err();
    assert_eq!(missing.code, ErrorCode::UnknownQueryParameter);
}
