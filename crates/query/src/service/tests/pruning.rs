use super::*;
use std::sync::atomic::Ordering;

/// Rows that the statement read.
async fn read_rows(bench: &Bench, sql: &str) -> u64 {
    let (answer, _) = bench.run_as(sql, context()).await.unwrap();
    answer.progress.read_rows.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_rows_of_the_key_and_the_time_are_read() {
    let bench = Bench::new();
    bench.ticks().await;
    let all = "SELECT sum(price * 2) FROM ticks";
    let key = "SELECT sum(price * 2), count(*) FROM ticks WHERE symbol = 'S1'";
    let keys = "SELECT sum(price * 2), count(*) FROM ticks WHERE symbol IN ('S1', 'S2', 'S9')";
    let none = "SELECT count(*) FROM ticks WHERE symbol = 'S9'";
    let time = "SELECT count(price), min(price), max(price) FROM ticks \
                WHERE symbol = 'S1' AND ts >= toDateTime64('2023-11-14 22:13:21', 9) \
                AND ts < toDateTime64('2023-11-14 22:13:30', 9)";
    let loose =
        [bench.rows(key).await, bench.rows(keys).await, bench.rows(none).await, bench.rows(time).await];
    assert_eq!(loose[0], ["2999000.0 1000"]);
    assert_eq!(loose[2], ["0"]);
    assert_eq!(loose[3], ["3 1.0 7.0"]);
    let id = bench.store.catalog().tables().next().unwrap().id;
    bench.store.checkpoint().await.unwrap();
    bench.store.optimize(id).await.unwrap();
    let sorted =
        [bench.rows(key).await, bench.rows(keys).await, bench.rows(none).await, bench.rows(time).await];
    assert_eq!(loose, sorted);
    assert_eq!(read_rows(&bench, all).await, 3_000);
    assert_eq!(read_rows(&bench, key).await, 1_000);
    assert_eq!(read_rows(&bench, keys).await, 2_000);
    assert_eq!(read_rows(&bench, none).await, 0);
    assert_eq!(read_rows(&bench, time).await, 3);
    // Counts and extremes of the whole table are known without a row.
    assert_eq!(read_rows(&bench, "SELECT count(*) FROM ticks").await, 0);
    assert_eq!(read_rows(&bench, "SELECT min(ts), max(ts), min(size) FROM ticks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_a_scan() {
    let bench = Bench::new();
    bench.ticks().await;
    assert_eq!(bench.rows("SELECT price FROM ticks LIMIT 5").await.len(), 5);
    assert_eq!(bench.rows("SELECT price FROM ticks LIMIT 5 OFFSET 2998").await.len(), 2);
    assert_eq!(bench.rows("SELECT price FROM ticks LIMIT 1, 3").await.len(), 3);
}
