CREATE TABLE w (k Int32, g Int32, ts DateTime('UTC'), v Float64, n Nullable(Int32), d Decimal(9, 2)) ENGINE=MergeTree ORDER BY k;
INSERT INTO w VALUES (1, 1, '2024-01-01 00:00:00', 1, 1, 1.5), (2, 1, '2024-01-01 00:00:30', 2, NULL, 2.25), (3, 1, '2024-01-01 00:01:00', nan, 3, 3), (4, 1, '2024-01-01 00:02:01', 4, 4, 0.5), (5, 2, '2024-01-01 00:03:00', 0.5, 5, 0.25), (6, 2, '2024-01-01 00:03:30', inf, NULL, 1), (7, 2, '2024-01-01 00:04:00', 0.25, NULL, 2), (8, 2, '2024-01-01 00:05:00', 0.125, 8, 3), (9, 2, '2024-01-01 00:06:00', 1e300, 9, 4), (10, 2, '2024-01-01 00:07:00', 1, 10, 5), (11, 2, '2024-01-01 00:08:00', 3, 11, 6), (12, 2, '2024-01-01 00:09:00', 5, 12, 7);
SELECT k, sum(v) OVER (ORDER BY k ROWS 1 PRECEDING), avg(v) OVER (ORDER BY k ROWS 1 PRECEDING), min(v) OVER (ORDER BY k ROWS 1 PRECEDING), max(v) OVER (ORDER BY k ROWS 1 PRECEDING) FROM w ORDER BY k;
SELECT k, stddevPop(v) OVER s, varPop(v) OVER s, stddevSamp(v) OVER s, varSamp(v) OVER s, covarPop(v, k) OVER s, covarSamp(v, k) OVER s, corr(v, k) OVER s FROM w WHERE k IN (4, 5, 7, 8, 10, 11, 12) WINDOW s AS (ORDER BY k ROWS 1 PRECEDING) ORDER BY k;
-- oracle: SELECT k, sum(v) OVER s, avg(v) OVER s FROM w WINDOW s AS (ORDER BY k ROWS 1 PRECEDING) ORDER BY k
SELECT k, msum(v, 2) OVER (ORDER BY k), mavg(v, 2) OVER (ORDER BY k) FROM w ORDER BY k;
-- oracle: SELECT k, stddevPop(v) OVER (ORDER BY k ROWS 1 PRECEDING) FROM w WHERE k >= 10 ORDER BY k
SELECT k, mdev(v, 2) OVER (ORDER BY k) FROM w WHERE k >= 10 ORDER BY k;
SELECT k, sum(d) OVER s, sum(k) OVER s, sum(n) OVER s, count(n) OVER s, count() OVER s FROM w WINDOW s AS (ORDER BY k ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) ORDER BY k;
-- types
SELECT k, sum(v) OVER s AS a, avg(v) OVER s AS b, count() OVER s AS c, min(v) OVER s AS dd, sum(n) OVER s AS e, sum(k) OVER s AS f, sum(d) OVER s AS g, any(n) OVER s AS h, groupArray(k) OVER s AS i, max(toString(k)) OVER s AS j, min(ts) OVER s AS l, quantile(v) OVER s AS m, argMin(k, v) OVER s AS o, round(stddevPop(k) OVER s, 9) AS p, avg(n) OVER s AS q, last_value(n) OVER s AS r, first_value(v) OVER s AS t FROM w WHERE k NOT IN (3, 6) WINDOW s AS (ORDER BY k ROWS BETWEEN 5 PRECEDING AND 3 PRECEDING) ORDER BY k;
SELECT k, sum(k) OVER (ORDER BY k ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING), avg(k) OVER (PARTITION BY g ORDER BY k ROWS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING), max(k) OVER (ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) FROM w ORDER BY k;
SELECT k, sum(k) OVER (ORDER BY ts RANGE BETWEEN 60 PRECEDING AND CURRENT ROW), count() OVER (ORDER BY ts RANGE BETWEEN 60 PRECEDING AND 30 FOLLOWING), count() OVER (ORDER BY ts DESC RANGE BETWEEN 60 PRECEDING AND CURRENT ROW), count() OVER (PARTITION BY g ORDER BY ts RANGE BETWEEN 90 PRECEDING AND 60 PRECEDING) FROM w ORDER BY k;
SELECT k, sum(k) OVER (ORDER BY toDate(ts) + k RANGE BETWEEN 2 PRECEDING AND CURRENT ROW), count() OVER (ORDER BY toDate(ts) + k RANGE BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM w ORDER BY k;
-- error: NOT_IMPLEMENTED
SELECT sum(k) OVER (ORDER BY toDateTime64(ts, 3) RANGE BETWEEN 60 PRECEDING AND CURRENT ROW) FROM w;
-- error: BAD_ARGUMENTS
SELECT sum(k) OVER (ORDER BY ts RANGE BETWEEN 0.5 PRECEDING AND CURRENT ROW) FROM w;
SELECT r FROM (SELECT row_number() OVER (ORDER BY rand64()) AS r FROM w) ORDER BY r;
SELECT row_number() OVER (ORDER BY rand()) AS r FROM w ORDER BY r;
SELECT g, count(), max(r) FROM (SELECT g, row_number() OVER (PARTITION BY g ORDER BY randCanonical() DESC) AS r FROM w) GROUP BY g ORDER BY g;
SELECT k, r >= 1 FROM (SELECT k, rank() OVER (ORDER BY rand64(), k) AS r FROM w) ORDER BY k;
SELECT k, ts, count() OVER (PARTITION BY g ORDER BY ts) AS c FROM w WHERE toStartOfMinute(ts) = ts ORDER BY k, ts;
SELECT g, ts, sum(k) OVER (PARTITION BY g ORDER BY ts) AS c FROM w WHERE toStartOfMinute(ts) = ts ORDER BY g, ts;
SELECT k, row_number() OVER (ORDER BY ts) AS c FROM w WHERE k = abs(k) ORDER BY k, ts;
SELECT k, first_value(n) OVER (ORDER BY k DESC), last_value(n) OVER (ORDER BY k), nth_value(n, 2) OVER (ORDER BY k), first_value(n) OVER (ORDER BY k ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), last_value(n) IGNORE NULLS OVER (ORDER BY k), last_value(n) RESPECT NULLS OVER (ORDER BY k), first_value(n) RESPECT NULLS OVER (ORDER BY k ROWS 1 PRECEDING) FROM w ORDER BY k;
SELECT k, uniqExact(g, n) OVER (ORDER BY k), uniqExact(n) OVER (ORDER BY k ROWS 1 PRECEDING) FROM w ORDER BY k;
SELECT k, row_number() OVER (ORDER BY v DESC, k) AS a, row_number() OVER (ORDER BY v, k) AS b, sum(k) OVER (ORDER BY v DESC) AS c FROM w ORDER BY k;

-- Frames told in values, with ties, and frames without the current row.
SELECT n, lagInFrame(n) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS l, leadInFrame(n) OVER (ORDER BY n RANGE BETWEEN CURRENT ROW AND 1 FOLLOWING) AS m FROM (SELECT arrayJoin([1, 2, 5, 6]) AS n) ORDER BY n;
SELECT n, lagInFrame(n, 2, 99) OVER (ORDER BY n RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS l, leadInFrame(n, 2, 99) OVER (ORDER BY n RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING) AS m FROM (SELECT arrayJoin([1, 2, 3, 5, 9, 10]) AS n) ORDER BY n;
SELECT n, lagInFrame(n) OVER (ORDER BY n) AS l, leadInFrame(n) OVER (ORDER BY n) AS m FROM (SELECT arrayJoin([1, 1, 2, 2, 3]) AS n) ORDER BY n, l, m;
SELECT n, lagInFrame(n, 1, 99) OVER (ORDER BY n ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING) AS l, lagInFrame(n, 2, 99) OVER (ORDER BY n ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING) AS m FROM (SELECT arrayJoin([1, 2, 3, 4, 5]) AS n) ORDER BY n;
SELECT n, leadInFrame(n, 1, 99) OVER (ORDER BY n ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) AS l, leadInFrame(n, 2, 99) OVER (ORDER BY n ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) AS m FROM (SELECT arrayJoin([1, 2, 3, 4, 5]) AS n) ORDER BY n;
SELECT k, n, leadInFrame(n) OVER (PARTITION BY k ORDER BY n RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS m FROM (SELECT number % 2 AS k, number * number AS n FROM numbers(6)) ORDER BY k, n;
