CREATE TABLE l (k Int32, a String, x Int64) ENGINE=MergeTree ORDER BY k;
CREATE TABLE r (k Int32, b String, y Nullable(Int64), d Date) ENGINE=MergeTree ORDER BY k;
INSERT INTO l VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30), (3, 'drei', 31);
INSERT INTO r VALUES (2, 'zwei', 200, '2024-01-02'), (3, 'tres', NULL, '2024-01-03'), (4, 'vier', 400, '2024-01-04');
SELECT l.k, a, b FROM l JOIN r ON l.k = r.k ORDER BY l.k, a;
SELECT l.k, a, b, y FROM l LEFT JOIN r ON l.k = r.k ORDER BY l.k, a;
SELECT l.k, r.k, a, b, y, d FROM l RIGHT JOIN r ON l.k = r.k ORDER BY r.k, a;
SELECT l.k, r.k, a, b FROM l FULL JOIN r ON l.k = r.k ORDER BY l.k, r.k, a;
SELECT count() FROM l CROSS JOIN r;
SELECT l.a, r.b FROM l, r WHERE l.k = r.k ORDER BY l.a;
SELECT k, a, b FROM l JOIN r USING (k) ORDER BY k, a;
SELECT k, a, b FROM l LEFT JOIN r USING (k) ORDER BY k, a;
-- types
SELECT l.k, r.k, a, b, y FROM l LEFT JOIN r ON l.k = r.k WHERE l.k = 1;
SELECT a FROM l WHERE k IN (SELECT k FROM r) ORDER BY a;
SELECT a FROM l WHERE k NOT IN (SELECT k FROM r) ORDER BY a;
SELECT a FROM l WHERE EXISTS (SELECT 1 FROM r WHERE r.k = l.k) ORDER BY a;
SELECT a, (SELECT max(x) FROM l) FROM l ORDER BY a;
SELECT a FROM l WHERE x = (SELECT max(x) FROM l);
SELECT t1.a, t2.a FROM l t1 JOIN l t2 ON t1.k = t2.k WHERE t1.a < t2.a ORDER BY t1.a;
SELECT l.k, count(), sum(y) FROM l LEFT JOIN r ON l.k = r.k GROUP BY l.k ORDER BY l.k;
SELECT l.k, max(b) FROM l LEFT JOIN r ON l.k = r.k GROUP BY l.k ORDER BY l.k;
WITH t AS (SELECT k, sum(x) AS s FROM l GROUP BY k) SELECT * FROM t ORDER BY k;
WITH t AS (SELECT k, sum(x) AS s FROM l GROUP BY k), u AS (SELECT max(s) AS m FROM t) SELECT k FROM t, u WHERE s = m;
SELECT k FROM (SELECT k FROM l UNION ALL SELECT k FROM r) ORDER BY k;
-- skip: ORDER BY after UNION sorts the whole, in ClickHouse the last SELECT
SELECT k FROM l UNION ALL SELECT k FROM r ORDER BY k;
SELECT k FROM (SELECT k FROM l UNION DISTINCT SELECT k FROM r) ORDER BY k;
SELECT k FROM l INTERSECT SELECT k FROM r ORDER BY k;
SELECT k FROM (SELECT k FROM l EXCEPT DISTINCT SELECT k FROM r) ORDER BY k;
-- skip: EXCEPT without a word is DISTINCT, in ClickHouse ALL
SELECT k FROM l EXCEPT SELECT k FROM r ORDER BY k;
SELECT * FROM (SELECT k, a FROM l ORDER BY x DESC LIMIT 2) ORDER BY k, a;
SELECT k, a FROM l ORDER BY k DESC, a ASC;
SELECT k, a FROM l ORDER BY 1, 2;
SELECT k, a FROM l ORDER BY x LIMIT 2;
SELECT k, a FROM l ORDER BY x LIMIT 2 OFFSET 1;
SELECT k, a FROM l ORDER BY x LIMIT 1, 2;
SELECT y FROM r ORDER BY y;
SELECT y FROM r ORDER BY y DESC;
SELECT y FROM r ORDER BY y NULLS FIRST;
SELECT y FROM r ORDER BY y DESC NULLS FIRST;
SELECT f FROM (SELECT 1.5 AS f UNION ALL SELECT 0/0 UNION ALL SELECT -1/0 UNION ALL SELECT 1/0 UNION ALL SELECT 2.5) ORDER BY f;
SELECT f FROM (SELECT 1.5 AS f UNION ALL SELECT 0/0 UNION ALL SELECT -1/0 UNION ALL SELECT 1/0 UNION ALL SELECT 2.5) ORDER BY f DESC;
SELECT x + 1 AS x, x * 2 AS z FROM l ORDER BY x;
SELECT x AS y, y + 1 FROM l ORDER BY y;
SELECT k AS key, sum(x) AS total FROM l GROUP BY key HAVING total > 15 ORDER BY total;
SELECT k * 10 AS k, a FROM l WHERE k > 15 ORDER BY k, a;
SELECT upper(a) AS a, length(a) AS n FROM l WHERE a LIKE 'T%' ORDER BY a;
SELECT l.* FROM l JOIN r ON l.k = r.k ORDER BY x;
SELECT * FROM l WHERE x > 15 AND NOT (k = 2) ORDER BY x;
SELECT k, row_number() OVER (ORDER BY x) FROM l ORDER BY x;
SELECT a, row_number() OVER (PARTITION BY k ORDER BY x DESC) FROM l ORDER BY a;
SELECT k, rank() OVER (ORDER BY k), dense_rank() OVER (ORDER BY k) FROM l ORDER BY x;
SELECT x, sum(x) OVER (ORDER BY x) FROM l ORDER BY x;
SELECT x, sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM l ORDER BY x;
SELECT x, avg(x) OVER (PARTITION BY k), count() OVER (PARTITION BY k) FROM l ORDER BY x;
SELECT x, max(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), min(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM l ORDER BY x;
SELECT x, lagInFrame(x) OVER (ORDER BY x), lagInFrame(x, 1, 99) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), leadInFrame(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM l ORDER BY x;
SELECT x, lag(x) OVER (ORDER BY x), lead(x, 2) OVER (ORDER BY x), lag(x, 1, -1) OVER (ORDER BY x) FROM l ORDER BY x;
SELECT x, first_value(x) OVER (ORDER BY x), last_value(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM l ORDER BY x;
SELECT k, sum(x) OVER w, avg(x) OVER w FROM l WINDOW w AS (PARTITION BY k ORDER BY x) ORDER BY x;
SELECT x, argMax(a, x) OVER (ORDER BY x), quantile(0.5)(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM l ORDER BY x;
-- types
SELECT row_number() OVER (ORDER BY x), sum(x) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), rank() OVER w FROM l WINDOW w AS (ORDER BY x) ORDER BY x LIMIT 1;
SELECT k, sum(sum(x)) OVER (ORDER BY k) FROM l GROUP BY k ORDER BY k;
SELECT if((x - lagInFrame(x, 1, x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) = 0, nan, x) FROM l ORDER BY x;
-- types
SELECT l.k AS key, a FROM l WHERE k = 1;
-- error: UNKNOWN_TABLE
SELECT 1 FROM nosuch;
-- error: SYNTAX_ERROR
SELECT FROM WHERE;
SELECT number FROM numbers(5) ORDER BY number;
SELECT sum(number), count(), max(number) FROM numbers(1000);
SELECT number % 3 AS m, count() FROM numbers(10) GROUP BY m ORDER BY m;
SELECT k, groupArray(a) FROM (SELECT k, a FROM l ORDER BY x) GROUP BY k ORDER BY k;
SELECT count() FROM l WHERE a = 'nosuch';
SELECT max(x) FROM l WHERE a = 'nosuch';
SELECT k FROM l GROUP BY k HAVING count() > 1;
SELECT toUInt8(k) + x, concat(a, toString(k)) FROM l ORDER BY x;
SELECT 1 IN [1, 2], 3 IN [1, 2], 'a' IN ['b', 'a'], 1 NOT IN [2];
SELECT a FROM l WHERE k IN [1, 3] ORDER BY a;
SELECT [1] IN [[1], [2]];
SELECT 1 IN [], 1 NOT IN [];

-- Keys of a SELECT DISTINCT that are in its list.
SELECT DISTINCT number % 3 FROM numbers(10) ORDER BY number % 3;
SELECT DISTINCT toString(number % 3) AS t, number % 2 FROM numbers(10) ORDER BY toString(number % 3) DESC, number % 2;
SELECT DISTINCT intDiv(number, 4) FROM numbers(10) ORDER BY intDiv(number, 4) DESC LIMIT 2;
SELECT DISTINCT number AS x FROM numbers(3) ORDER BY number DESC;

-- HAVING that filters rows.
SELECT number FROM numbers(4) HAVING number < 2 ORDER BY number;
SELECT number * 2 AS n FROM numbers(9) WHERE number > 1 HAVING n < 8 ORDER BY n;
SELECT number % 3 AS n FROM numbers(9) HAVING n < (SELECT max(number) FROM numbers(3)) ORDER BY number;
SELECT number AS n FROM numbers(4) HAVING n IN (SELECT number * 2 FROM numbers(2)) ORDER BY n;
SELECT 1 HAVING 0;
SELECT count() FROM numbers(4) HAVING count() > 4;

-- An integer beside a Float32 keeps its digits.
SELECT number, toFloat64(if(number = 1, toInt64(10737418235 + number), toFloat32(0.5))) FROM numbers(3) ORDER BY number;
SELECT toFloat64(multiIf(number = 0, toFloat32(1.5), number = 1, toInt32(2147483647), toInt8(1))) FROM numbers(3) ORDER BY number;
SELECT toFloat64(coalesce(if(number = 0, NULL, toFloat32(1.5)), toInt64(10737418235))) FROM numbers(2) ORDER BY number;
SELECT toTypeName(if(number = 1, toInt8(1), toFloat32(2))) FROM numbers(1);
-- oracle: SELECT x FROM (SELECT toFloat64(10737418235) AS x UNION ALL SELECT toFloat64(0.5)) ORDER BY x
SELECT x FROM (SELECT toInt64(10737418235) AS x UNION ALL SELECT toFloat32(0.5)) ORDER BY x;
SELECT x FROM (SELECT number = 1 AS x FROM numbers(2) UNION ALL SELECT 5) ORDER BY x;
SELECT 1 = 1 = 1, 1 < 2 < 3;
