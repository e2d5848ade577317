-- Rows of several columns in the rows of a subquery, and in a list.
CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), v Int64, n Nullable(Int64)) ENGINE = MergeTree ORDER BY (k, ts);
INSERT INTO t VALUES ('a', '2024-01-01 00:00:01', 1, 1), ('a', '2024-01-01 00:00:02', 2, NULL), ('b', '2024-01-01 00:00:01', 3, 3), ('b', '2024-01-01 00:00:03', 4, NULL), ('c', '2024-01-01 00:00:03', 5, 5);
SELECT * FROM t WHERE (k, ts) IN (SELECT k, max(ts) FROM t GROUP BY k) ORDER BY k, ts;
SELECT * FROM t WHERE (k, ts) NOT IN (SELECT k, max(ts) FROM t GROUP BY k) ORDER BY k, ts;
SELECT k, v FROM t WHERE (k, v) IN (('a', 1), ('b', 4), ('z', 9)) ORDER BY k, v;
SELECT k, v FROM t WHERE (k, v) NOT IN (('a', 1), ('b', 4), ('z', 9)) ORDER BY k, v;
SELECT k, n FROM t WHERE (k, n) IN (SELECT k, n FROM t) ORDER BY k, n;
SELECT count() FROM t WHERE (k, v) IN (SELECT k, v + 1 FROM t WHERE v > 1);
SELECT count() FROM t WHERE (k, v, ts) IN (SELECT k, v, ts FROM t WHERE k != 'a') AND v < 5;
SELECT count() FROM t AS x WHERE (x.k, x.v) IN (SELECT y.k, y.v FROM t AS y WHERE y.v % 2 = 0);
SELECT sum(v) FROM t WHERE (k, toStartOfMinute(ts)) IN (SELECT k, toStartOfMinute(ts) FROM t WHERE v = 3);
SELECT v FROM t WHERE (v, v % 2) IN (SELECT number, number % 2 FROM numbers(4)) ORDER BY v;
SELECT count() FROM t WHERE ((k, v) IN (SELECT k, v FROM t WHERE v = 1)) OR v = 5;
