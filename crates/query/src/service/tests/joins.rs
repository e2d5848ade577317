use super::*;

async fn quotes(bench: &Bench) {
    bench.rows("CREATE TABLE trades (sym String, ts DateTime64(3), px Float64) ORDER BY (sym, ts)").await;
    bench
        .rows("CREATE TABLE quotes (sym String, ts DateTime64(3), bid Nullable(Float64)) ORDER BY (sym, ts)")
        .await;
    bench
        .rows(
            "INSERT INTO trades SELECT * FROM (VALUES ('A', '2024-01-01 00:00:05', 1.0), \
             ('A', '2024-01-01 00:00:00', 2.0), ('B', '2024-01-01 00:00:09', 3.0), \
             ('C', '2024-01-01 00:00:09', 4.0)) AS v(a, b, c)",
        )
        .await;
    bench
        .rows(
            "INSERT INTO quotes SELECT * FROM (VALUES ('A', '2024-01-01 00:00:01', 10.0), \
             ('A', '2024-01-01 00:00:05', 11.0), ('A', '2024-01-01 00:00:06', 12.0), \
             ('B', '2024-01-01 00:00:01', NULL)) AS v(a, b, c)",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asof_join_takes_the_nearest_row() {
    let bench = Bench::new();
    quotes(&bench).await;
    let sql = "SELECT t.sym, t.px, q.bid FROM trades AS t ASOF LEFT JOIN quotes AS q \
               ON t.sym = q.sym AND t.ts >= q.ts ORDER BY t.px";
    assert_eq!(bench.rows(sql).await, ["A 1.0 11.0", "A 2.0 NULL", "B 3.0 NULL", "C 4.0 NULL"]);
    let sql = "SELECT t.sym, t.px, q.bid FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts > q.ts \
               ORDER BY t.px";
    assert_eq!(bench.rows(sql).await, ["A 1.0 10.0", "B 3.0 NULL"]);
    let sql = "SELECT t.px, q.bid FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts <= q.ts \
               WHERE t.px < 2 ORDER BY t.px";
    assert_eq!(bench.rows(sql).await, ["1.0 11.0"]);
    let sql = "SELECT t.px FROM trades t ASOF JOIN quotes q USING (sym, ts) WHERE q.bid > 0 ORDER BY t.px";
    assert_eq!(bench.rows(sql).await, ["1.0"]);
    let sql = "SELECT count(*) FROM trades t ASOF JOIN quotes q ON t.sym = q.sym";
    assert_eq!(bench.code(sql).await, ErrorCode::InvalidJoinOnExpression);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_row_of_each_key_is_found() {
    let bench = Bench::new();
    quotes(&bench).await;
    let sql = "SELECT sym, bid FROM quotes LATEST ON ts PARTITION BY sym ORDER BY sym";
    assert_eq!(bench.rows(sql).await, ["A 12.0", "B NULL"]);
    let sql = "SELECT sym, bid FROM quotes WHERE bid < 12 LATEST ON ts PARTITION BY sym";
    assert_eq!(bench.rows(sql).await, ["A 11.0"]);
    let sql = "SELECT count(*) FROM quotes LATEST ON ts PARTITION BY sym";
    assert_eq!(bench.rows(sql).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asof_join_equals_the_definition_on_many_rows() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE l (k Int64, ts DateTime64(3), id Int64) ORDER BY (k, ts)").await;
    bench.rows("CREATE TABLE r (k Int64, ts DateTime64(3), id Int64) ORDER BY (k, ts)").await;
    let fill = |table: &str, rows: u32, a: u32, b: u32| {
        format!(
            "INSERT INTO {table} SELECT CAST(number * {a} % 13 AS Int64), \
             fromUnixTimestamp64Milli(CAST(number * {b} % 10007 AS Int64)), CAST(number AS Int64) FROM numbers({rows})"
        )
    };
    bench.rows(&fill("l", 3_000, 7, 7919)).await;
    bench.rows(&fill("r", 500, 5, 6101)).await;
    let sql = "SELECT sum(l.id), sum(r.id), count(*) FROM l ASOF JOIN r ON l.k = r.k AND l.ts >= r.ts";
    let naive = "SELECT sum(lid), sum(rid), count(*) FROM (SELECT l.id AS lid, r.id AS rid, row_number() OVER \
                 (PARTITION BY l.id ORDER BY r.ts DESC) AS n FROM l JOIN r ON l.k = r.k AND l.ts >= r.ts) WHERE n = 1";
    assert_eq!(bench.rows(sql).await, bench.rows(naive).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_asof_left_join_keeps_every_left_row() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE l (k Int64, ts DateTime64(3), id Int64) ORDER BY (k, ts)").await;
    bench.rows("CREATE TABLE r (k Int64, ts DateTime64(3), id Int64) ORDER BY (k, ts)").await;
    let fill = |table: &str, rows: u32| {
        format!(
            "INSERT INTO {table} SELECT CAST(number % 3 AS Int64), \
             fromUnixTimestamp64Milli(CAST(number * 7919 % 1000003 AS Int64)), CAST(number AS Int64) \
             FROM numbers({rows})"
        )
    };
    bench.rows(&fill("l", 336_776)).await;
    bench.rows(&fill("r", 26_115)).await;
    // Cells without a match are zero, not NULL.
    let sql = "SELECT count(*), count(r.id) FROM l ASOF LEFT JOIN r ON l.k = r.k AND l.ts >= r.ts";
    assert_eq!(bench.rows(sql).await, ["336776 336776"]);
}

/// Rows of equal times, in sorted runs and in memory: the last to arrive is the latest.
#[tokio::test(flavor = "multi_thread")]
async fn of_rows_with_the_same_time_the_last_to_arrive_is_the_latest() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE tied (k String, n Int64, ts DateTime64(9)) ORDER BY (k, ts)").await;
    let mut last = 0;
    for round in 0..12_i64 {
        last = (round + 1) * 20_000 - 1;
        let insert = format!(
            "INSERT INTO tied SELECT if(number % 2 = 0, 'A', 'B'), number, '2024-01-01 00:00:00' \
             FROM numbers({}, 20000) ORDER BY number",
            round * 20_000
        );
        bench.rows(&insert).await;
        if round % 5 == 4 {
            bench.store.checkpoint().await.unwrap();
        }
        for _ in 0..6 {
            for (sql, wanted) in [
                ("SELECT last(n, ts) FROM tied WHERE k = 'B'", format!("{last}")),
                ("SELECT last(n, ts) FROM tied WHERE k = 'B' AND n % 4 = 1", format!("{}", last - 2)),
                ("SELECT first(n, ts) FROM tied WHERE k = 'A'", "0".to_owned()),
                (
                    "SELECT last(m, t) FROM (SELECT k, n AS m, ts AS t FROM tied WHERE k = 'B')",
                    format!("{last}"),
                ),
                ("SELECT argMax(n, ts) FROM tied WHERE k = 'B'", "1".to_owned()),
                (
                    "SELECT n FROM tied LATEST ON ts PARTITION BY k ORDER BY n LIMIT 1",
                    format!("{}", last - 1),
                ),
                ("SELECT sum(n) FROM tied WHERE k = 'B' LATEST ON ts PARTITION BY k, n % 10", {
                    (0..5).map(|at| last - 2 * at).sum::<i64>().to_string()
                }),
                ("SELECT k, last(n, ts) FROM tied GROUP BY k ORDER BY k LIMIT 1", format!("A {}", last - 1)),
            ] {
                assert_eq!(bench.rows(sql).await, [wanted], "{sql}, round {round}");
            }
        }
    }
    assert_eq!(last, 239_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_number_that_must_be_one_is_the_latest_row_however_it_is_written() {
    let bench = Bench::new();
    bench
        .rows("CREATE TABLE e (k Nullable(String), g Int32, n Int64, t Nullable(DateTime64(3))) ORDER BY k")
        .await;
    bench
        .rows(
            "INSERT INTO e SELECT if(number % 7 = 0, NULL, toString(number % 7)), number % 3, number, \
             if(number % 11 = 5 AND number % 7 < 3, NULL, toDateTime64((number * 7919) % 1000, 3)) \
             FROM numbers(5000) ORDER BY number",
        )
        .await;
    let over = "row_number() OVER (PARTITION BY k, g ORDER BY t DESC)";
    let statements = [
        "SELECT k, g, n, t FROM e LATEST ON t PARTITION BY k, g".to_owned(),
        format!("SELECT k, g, n, t FROM e QUALIFY {over} = 1"),
        format!("SELECT k, g, n, t FROM (SELECT *, {over} AS rn FROM e) WHERE rn = 1"),
        format!("SELECT k, g, n, t FROM (SELECT *, {over} AS rn FROM e WHERE n >= 0) AS s WHERE s.rn = 1"),
    ];
    // The definition: no row of the key is later, and of those as late none came after it. NULL is earlier than all times.
    let defined = "SELECT k, g, max(n) AS n, any(t) AS t FROM (SELECT k, g, n, t, \
                   dense_rank() OVER (PARTITION BY k, g ORDER BY t DESC) AS d FROM e) WHERE d = 1 GROUP BY k, g";
    let defined = bench.sorted(defined).await;
    assert_eq!(defined.len(), 21);
    for sql in statements {
        let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(plan.contains("LatestExec") && !plan.contains("SortExec"), "{plan}");
        assert_eq!(bench.sorted(&sql).await, defined, "{sql}");
    }
    let numbered =
        format!("SELECT DISTINCT rn, toTypeName(rn) FROM (SELECT {over} AS rn FROM e) WHERE rn = 1");
    assert_eq!(bench.rows(&numbered).await, ["1 UInt64"]);
    assert_eq!(bench.rows("SELECT count() FROM e WHERE n < 0 LATEST ON t PARTITION BY k").await, ["0"]);
    let first = "SELECT count() FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS rn FROM e) WHERE rn = 1";
    assert_eq!(bench.rows(first).await, ["7"]);
}
