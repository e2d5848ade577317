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
