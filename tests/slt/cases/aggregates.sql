CREATE TABLE a (g String, i8 Int8, u8 UInt8, i32 Int32, i64 Int64, u64 UInt64, f32 Float32, f Float64, n Nullable(Int64), nf Nullable(Float64), s String, ns Nullable(String), b Bool, ts DateTime64(9), dc Decimal(18, 4)) ENGINE=MergeTree ORDER BY g;
INSERT INTO a VALUES ('x', 1, 10, 100, 1000, 10000, 1.5, 2.5, 7, NULL, 'one', 'p', true, '2024-01-02 00:00:00.000000001', 1.25), ('x', -2, 20, -200, 2000, 20000, 2.5, -3.5, NULL, 1.5, 'two', NULL, false, '2024-01-02 00:00:01', 2.5), ('x', 3, 30, 300, -3000, 30000, 3.5, 4.5, 9, 2.5, 'three', 'q', true, '2024-01-02 00:00:02', -3.75), ('y', 4, 40, 400, 4000, 40000, 4.5, 5.5, NULL, NULL, 'four', NULL, false, '2024-01-02 00:01:00', 4), ('y', 5, 50, 500, 5000, 50000, 5.5, 6.5, NULL, NULL, 'five', NULL, true, '2024-01-02 00:00:30', 5.5), ('z', 127, 255, 2147483647, 9223372036854775807, 18446744073709551615, 0.1, 1e300, 1, 1, '', '', false, '2262-01-01 00:00:00', 99999999.9999);
CREATE TABLE e (g String, i32 Int32, u64 UInt64, f Float64, n Nullable(Int64), s String, ts DateTime64(9), d Date) ENGINE=MergeTree ORDER BY g;
SELECT sum(i8) FROM a WHERE g != 'z';
SELECT sum(u8) FROM a WHERE g != 'z';
SELECT sum(i32) FROM a WHERE g != 'z';
SELECT sum(i64) FROM a WHERE g != 'z';
SELECT sum(u64) FROM a WHERE g != 'z';
SELECT sum(f32) FROM a WHERE g != 'z';
SELECT sum(f) FROM a WHERE g != 'z';
SELECT sum(n) FROM a WHERE g != 'z';
SELECT sum(nf) FROM a WHERE g != 'z';
SELECT avg(i8) FROM a WHERE g != 'z';
SELECT avg(u8) FROM a WHERE g != 'z';
SELECT avg(i32) FROM a WHERE g != 'z';
SELECT avg(i64) FROM a WHERE g != 'z';
SELECT avg(u64) FROM a WHERE g != 'z';
SELECT avg(f32) FROM a WHERE g != 'z';
SELECT avg(f) FROM a WHERE g != 'z';
SELECT avg(n) FROM a WHERE g != 'z';
SELECT avg(nf) FROM a WHERE g != 'z';
SELECT min(i8) FROM a;
SELECT min(u8) FROM a;
SELECT min(i32) FROM a;
SELECT min(i64) FROM a;
SELECT min(u64) FROM a;
SELECT min(f32) FROM a;
SELECT min(f) FROM a;
SELECT min(n) FROM a;
SELECT min(nf) FROM a;
SELECT max(i8) FROM a;
SELECT max(u8) FROM a;
SELECT max(i32) FROM a;
SELECT max(i64) FROM a;
SELECT max(u64) FROM a;
SELECT max(f32) FROM a;
SELECT max(f) FROM a;
SELECT max(n) FROM a;
SELECT max(nf) FROM a;
SELECT count(i8) FROM a;
SELECT count(u8) FROM a;
SELECT count(i32) FROM a;
SELECT count(i64) FROM a;
SELECT count(u64) FROM a;
SELECT count(f32) FROM a;
SELECT count(f) FROM a;
SELECT count(n) FROM a;
SELECT count(nf) FROM a;
SELECT any(i8) FROM a WHERE i8 = 4;
SELECT any(u8) FROM a WHERE i8 = 4;
SELECT any(i32) FROM a WHERE i8 = 4;
SELECT any(i64) FROM a WHERE i8 = 4;
SELECT any(u64) FROM a WHERE i8 = 4;
SELECT any(f32) FROM a WHERE i8 = 4;
SELECT any(f) FROM a WHERE i8 = 4;
SELECT any(n) FROM a WHERE i8 = 4;
SELECT any(nf) FROM a WHERE i8 = 4;
SELECT g, sum(i8), sum(u8), sum(i32), sum(n), sum(nf), sum(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT g, avg(i8), avg(u8), avg(i32), avg(n), avg(nf), avg(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT g, min(i8), min(u8), min(i32), min(n), min(nf), min(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT g, max(i8), max(u8), max(i32), max(n), max(nf), max(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT g, count(i8), count(u8), count(i32), count(n), count(nf), count(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT min(s), max(s), min(ns), max(ns), min(ts), max(ts), min(b), max(b) FROM a;
SELECT g, min(s), max(s), min(ts), max(ts) FROM a GROUP BY g ORDER BY g;
SELECT count(), count(*), count(1), count(n), count(DISTINCT g), count(DISTINCT n) FROM a;
SELECT g, count(), count(n), count(DISTINCT i8) FROM a GROUP BY g ORDER BY g;
-- types
SELECT count(), count(*), sum(i8), sum(u8), sum(f), avg(i32), min(i8), max(s), sum(n), avg(n), min(n), count(n) FROM a WHERE g != 'z';
-- types
SELECT COUNT(*), SUM(i32), Avg(f), count(DISTINCT g) FROM a WHERE g != 'z';
-- types
SELECT min(i32), max(s), avg(i32), sum(i32), any(i32), count(), max(n), avg(n), sum(n), min(ts), median(i32), stddevPop(i32), argMax(s, i32), min(d) FROM e;
SELECT sum(f), sum(u64), min(f), max(u64), uniq(s), groupArray(i32), quantile(0.5)(f) FROM e;
SELECT g, sum(i32) FROM e GROUP BY g;
SELECT count() FROM e WHERE i32 > 5;
SELECT sumIf(i32, i32 > 0), countIf(i32 > 100), avgIf(f, g = 'x'), minIf(i32, g = 'y'), maxIf(i32, g = 'nothing'), anyIf(s, i8 = 4) FROM a WHERE g != 'z';
SELECT g, sumIf(i32, b), countIf(b), countIf(i8 > 0 AND u8 < 40) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT uniqIf(g, i8 > 3), quantileIf(0.5)(f, g != 'z'), argMaxIf(s, i32, g = 'x'), groupArrayIf(i8, i8 = 4) FROM a;
SELECT sumIf(n, n > 5), avgIf(nf, i8 < 0), countIf(n > 5) FROM a;
SELECT argMin(s, i32), argMax(s, i32), argMin(i8, f), argMax(ts, i8) FROM a;
SELECT g, argMin(s, ts), argMax(s, ts), argMax(i32, ts) FROM a GROUP BY g ORDER BY g;
SELECT argMin(g, s), argMax(f, s) FROM a;
SELECT argMin(n, i32), argMax(n, i32), argMax(s, n) FROM a;
-- oracle: SELECT argMin(s, ts), argMax(s, ts) FROM a
SELECT first(s, ts), last(s, ts) FROM a;
-- oracle: SELECT g, argMin(i32, ts), argMax(i32, ts) FROM a GROUP BY g ORDER BY g
SELECT g, first(i32, ts), last(i32, ts) FROM a GROUP BY g ORDER BY g;
-- oracle: SELECT g, argMin(f, ts), argMax(f, ts) FROM a GROUP BY g ORDER BY g
SELECT g, first(f, ts), last(f, ts) FROM a GROUP BY g ORDER BY g;
SELECT median(i32), quantile(0.25)(i32), quantile(0.9)(f), quantile(0)(i8), quantile(1)(i8) FROM a WHERE g != 'z';
SELECT g, median(i32), quantile(0.25)(f), quantile(0.9)(u8) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT quantiles(0.1, 0.5, 0.9)(i32), quantileExact(0.5)(i32), quantileExact(0.25)(i32), quantileExact(0.9)(f) FROM a WHERE g != 'z';
SELECT g, quantileExact(i32), quantiles(0.5, 0.75)(f) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT median(n), quantile(0.5)(nf), median(nf) FROM a;
-- types
SELECT median(i32), quantile(0.9)(i32), quantileExact(i32), quantiles(0.5, 0.9)(i32), median(n) FROM a WHERE g = 'x';
-- duckdb: SELECT quantile_cont(v, 0.95) FROM (VALUES (1.0::double), (2), (3), (4), (10)) t(v)
SELECT percentile(v, 95) FROM (SELECT 1.0 AS v UNION ALL SELECT 2.0 UNION ALL SELECT 3.0 UNION ALL SELECT 4.0 UNION ALL SELECT 10.0);
SELECT round(stddevPop(i32), 6), round(stddevSamp(i32), 6), round(varPop(f), 6), round(varSamp(f), 6) FROM a WHERE g != 'z';
SELECT g, round(stddevPop(i32), 6), round(varSamp(f), 6) FROM a WHERE g = 'x' GROUP BY g;
SELECT round(corr(i32, f), 6), round(covarPop(i32, f), 6), round(covarSamp(i32, f), 6) FROM a WHERE g != 'z';
SELECT uniq(g), uniqExact(g), uniq(s), uniqExact(i8), uniq(n), uniqExact(ns) FROM a;
SELECT g, uniq(i8), uniqExact(b) FROM a GROUP BY g ORDER BY g;
SELECT arraySort(groupArray(i8)), arraySort(groupArray(s)), arraySort(groupArray(n)) FROM a;
SELECT g, arraySort(groupArray(i32)) FROM a GROUP BY g ORDER BY g;
SELECT arraySort(groupUniqArray(g)), length(groupArray(g)) FROM a;
-- types
SELECT arraySort(groupArray(i8)) AS x, arraySort(groupArray(n)) AS y, any(s) AS z, argMax(i8, ts) AS w FROM a WHERE i8 = 4;
SELECT sum(b), avg(b), max(b), count(b) FROM a;
SELECT sum(i8 > 0), avg(i8 > 0), max(i8 > 100), sum(i8 + u8) FROM a WHERE g != 'z';
SELECT sum(dc), avg(dc), min(dc), max(dc) FROM a;
SELECT sumDistinct(u8), countDistinct(g), sum(DISTINCT i8) FROM a WHERE g != 'z';
SELECT sumOrNull(i32), avgOrNull(f), maxOrNull(i32), sumOrNull(n) FROM e;
-- oracle: SELECT sum(f * u8) / sum(u8) FROM a WHERE g != 'z'
SELECT vwap(f, u8) FROM a WHERE g != 'z';
-- oracle: SELECT g, sum(f * u8) / sum(u8) FROM a WHERE g != 'z' GROUP BY g ORDER BY g
SELECT g, vwap(f, u8) FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
-- oracle: SELECT nan
SELECT vwap(f, u64) FROM e;
-- oracle: SELECT sum(f * u8) / sum(u8) FROM a WHERE g != 'z'
SELECT avgWeighted(f, u8) FROM a WHERE g != 'z';
SELECT g, avg(f) AS m FROM a WHERE g != 'z' GROUP BY g HAVING m > 2 ORDER BY m DESC;
SELECT g, sum(i32) AS total, total * 2 AS twice FROM a WHERE g != 'z' GROUP BY g ORDER BY g;
SELECT g, count() FROM a GROUP BY g HAVING count() > 1 ORDER BY count() DESC, g;
SELECT b, count() FROM a GROUP BY b ORDER BY b;
SELECT n, count() FROM a GROUP BY n ORDER BY n;
SELECT ns, count() FROM a GROUP BY ns ORDER BY ns DESC;
SELECT i8 % 2 AS odd, sum(i32) FROM a WHERE g != 'z' GROUP BY odd ORDER BY odd;
SELECT count() FROM a GROUP BY g ORDER BY g;
SELECT max(i32) - min(i32), sum(i32) / count(), sum(f) + avg(f) FROM a WHERE g != 'z';
-- types
SELECT max(i32) - min(i32), sum(i32) / count(), sum(i8) + 1 FROM a WHERE g != 'z';
SELECT g FROM a GROUP BY g ORDER BY sum(i32);
SELECT DISTINCT g FROM a ORDER BY g;
SELECT DISTINCT b, g FROM a ORDER BY g, b;
SELECT count(DISTINCT g, b) FROM a;
SELECT g, b, count() FROM a GROUP BY g, b ORDER BY g, b;
SELECT g, any(u8) FROM a WHERE i8 IN (1, 4) GROUP BY g ORDER BY g;
SELECT min(i64), max(i64), min(u64), max(u64) FROM a;
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT sum(i64) FROM a;
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT sum(u64) FROM a;
SELECT sum(i64) FROM a WHERE g IN ('x', 'y');
SELECT sum(1), max(5), avg(2), count('x') FROM a;
-- types
SELECT sum(1), max(5), avg(2), any('x') FROM a;
SELECT k, min(f), max(f), count() FROM (SELECT 'a' AS k, inf AS f UNION ALL SELECT 'b', -inf UNION ALL SELECT 'c', 1.5 UNION ALL SELECT 'c', nan UNION ALL SELECT 'd', nan) GROUP BY k ORDER BY k;
SELECT min(f), max(f) FROM (SELECT inf AS f UNION ALL SELECT -inf UNION ALL SELECT 1.5);
SELECT min(toFloat32(f)), max(toFloat32(f)) FROM (SELECT inf AS f UNION ALL SELECT 1.5) GROUP BY f > 2 ORDER BY 1;
