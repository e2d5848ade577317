use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_deleted_and_updated_whole() {
    let bench = Bench::new();
    bench.ticks().await;
    bench.rows("DELETE FROM ticks WHERE symbol = 'S0' AND price < 1500").await;
    assert_eq!(bench.rows("SELECT count(*) FROM ticks").await, ["2500"]);
    bench.rows("ALTER TABLE ticks UPDATE size = size + 1, price = 0 WHERE symbol = 'S1'").await;
    let got = bench.rows("SELECT sum(size), max(price) FROM ticks WHERE symbol = 'S1'").await;
    assert_eq!(got, ["1500500 0.0"]);
    bench.rows("ALTER TABLE ticks DELETE WHERE price = 0").await;
    assert_eq!(bench.rows("SELECT DISTINCT symbol FROM ticks ORDER BY symbol").await, ["S0", "S2"]);
    assert_eq!(
        bench.code("ALTER TABLE ticks UPDATE symbol = 'x' WHERE price = 0").await,
        ErrorCode::CannotUpdateColumn
    );
    for value in ["1e300", "-9.3e18", "nan", "price * 1e300"] {
        let sql = format!("ALTER TABLE ticks UPDATE size = {value} WHERE symbol = 'S2'");
        assert_eq!(bench.code(&sql).await, ErrorCode::ValueIsOutOfRange, "{value}");
    }
    // Rows that are not wanted are not looked at.
    bench.rows("ALTER TABLE ticks UPDATE size = intDiv(3000, size - 2) + 0.9 WHERE size > 2").await;
    assert_eq!(bench.rows("SELECT max(size), min(size) FROM ticks").await, ["1000 1"]);
    let subquery = "DELETE FROM ticks WHERE EXISTS (SELECT price FROM ticks)";
    assert_eq!(bench.code(subquery).await, ErrorCode::NotImplemented);
    assert_eq!(bench.code("DELETE FROM ticks WHERE nope = 1").await, ErrorCode::UnknownIdentifier);
    bench.rows("TRUNCATE TABLE ticks").await;
    assert_eq!(bench.rows("SELECT count(*) FROM ticks").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_go_and_are_renamed() {
    let bench = Bench::new();
    bench.ticks().await;
    bench.rows("ALTER TABLE ticks ADD COLUMN venue LowCardinality(String) DEFAULT 'X'").await;
    bench.rows("ALTER TABLE ticks RENAME COLUMN size TO volume").await;
    assert_eq!(bench.rows("SELECT venue, sum(volume) FROM ticks GROUP BY venue").await, ["X 4498500"]);
    bench.rows("ALTER TABLE ticks DROP COLUMN price").await;
    assert_eq!(bench.code("SELECT price FROM ticks").await, ErrorCode::UnknownIdentifier);
    bench.rows("RENAME TABLE ticks TO quotes").await;
    assert_eq!(bench.rows("SELECT count(*) FROM quotes").await, ["3000"]);
    bench.rows("ALTER TABLE quotes SET TTL 9000 DAYS").await;
    assert!(bench.rows("SHOW CREATE TABLE quotes").await[0].contains("TTL ts + toIntervalDay(9000)"));
}
