//! CREATE TABLE: what it takes rows from, and what it must not pass over.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn empty_takes_the_columns_of_a_query_and_no_rows() {
    let bench = Bench::new();
    for settings in ["", "SETTINGS replicated_deduplication_window = 0"] {
        bench.rows("DROP TABLE IF EXISTS t").await;
        let text = format!(
            "CREATE TABLE t ENGINE = MergeTree() ORDER BY (n) {settings} EMPTY AS (SELECT number AS n FROM numbers(10))"
        );
        bench.rows(&text).await;
        assert_eq!(bench.rows("SELECT count() FROM t").await, ["0"], "{text}");
        bench.rows("INSERT INTO t SELECT number FROM numbers(3)").await;
        assert_eq!(bench.rows("SELECT count(), toTypeName(any(n)) FROM t").await, ["3 UInt64"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_no_clause_are_refused_and_not_passed_over() {
    let bench = Bench::new();
    for (clauses, code) in [
        ("ORDER BY n rubbish", ErrorCode::SyntaxError),
        ("ORDER BY (n, n rubbish)", ErrorCode::SyntaxError),
        ("PARTITION BY n rubbish words ORDER BY n", ErrorCode::SyntaxError),
        ("SAMPLE BY n rubbish ORDER BY n", ErrorCode::SyntaxError),
        ("ORDER BY n SETTINGS rubbish", ErrorCode::SyntaxError),
        ("ORDER BY n SETTINGS a = 1 rubbish", ErrorCode::SyntaxError),
        ("ORDER BY n EMPTY", ErrorCode::SyntaxError),
    ] {
        let text = format!("CREATE TABLE t (n Int64) ENGINE = MergeTree {clauses}");
        assert_eq!(bench.code(&text).await, code, "{text}");
    }
    for (column, code) in [
        ("n Int64 CODEC(Nosuch)", ErrorCode::UnknownCodec),
        ("n Int64 CODEC(ZSTD rubbish)", ErrorCode::SyntaxError),
        ("n Int64, CONSTRAINT c CHECK n > 0", ErrorCode::NotImplemented),
    ] {
        assert_eq!(
            bench.code(&format!("CREATE TABLE t ({column}) ENGINE = MergeTree ORDER BY n")).await,
            code
        );
    }
    let engine = "CREATE TABLE t (n Int64) ENGINE = MergeTree(rubbish stuff) ORDER BY n";
    assert_eq!(bench.code(engine).await, ErrorCode::SyntaxError);
    // What tools send goes on.
    let whole = "CREATE TABLE t (n Int64 CODEC(Delta(8), ZSTD(3)), d Date, CONSTRAINT c ASSUME n > 0, \
                 INDEX i n TYPE minmax GRANULARITY 1) ENGINE = ReplicatedMergeTree('/clickhouse/t', '{replica}') \
                 PARTITION BY toYYYYMM(d) PRIMARY KEY n ORDER BY (n, d DESC) \
                 SETTINGS index_granularity = 8192, storage_policy = 'x' COMMENT 'c'";
    bench.rows(whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_is_another_value_in_each_row_is_refused_and_a_constant_is_kept() {
    let bench = Bench::new();
    for (ty, default) in [
        ("UUID", "generateUUIDv4()"),
        ("DateTime", "now() + INTERVAL 1 DAY"),
        ("DateTime", "now() - 3600"),
        ("DateTime", "toStartOfHour(now())"),
        ("Date", "today()"),
        ("Date", "toDate(now())"),
        ("String", "toString(now())"),
        ("UInt32", "rand()"),
        ("Map(String, Int32)", "map('a', 1)"),
        ("Array(String)", "['a', 'b']"),
        ("Tuple(Int32, String)", "(1, 'x')"),
    ] {
        let text =
            format!("CREATE TABLE bad (a Int32, x {ty} DEFAULT {default}) ENGINE = MergeTree ORDER BY a");
        assert_eq!(bench.code(&text).await, ErrorCode::NotImplemented, "{text}");
    }
    let columns = "a Int32, n Int64 DEFAULT 6 * 7, s String DEFAULT concat('x', 'y'), l Array(Int32) DEFAULT [], \
                   m Map(String, Int32) DEFAULT map(), at DateTime DEFAULT now(), ms DateTime64(3) DEFAULT now64(3)";
    bench.rows(&format!("CREATE TABLE t ({columns}) ENGINE = MergeTree ORDER BY a")).await;
    bench.rows("INSERT INTO t (a) SELECT 1").await;
    let read =
        bench.rows("SELECT n, s, length(l), length(m), at > '2020-01-01', ms > '2020-01-01' FROM t").await;
    assert_eq!(read, ["42 xy 0 0 true true"]);
    assert_eq!(
        bench.code("ALTER TABLE t ADD COLUMN u UUID DEFAULT generateUUIDv4()").await,
        ErrorCode::NotImplemented
    );
}
