CREATE TABLE t (k Int32, ts DateTime, v Float64, n Nullable(Int32)) ENGINE=MergeTree ORDER BY (k, ts);
CREATE TABLE u (k Int32, w String) ENGINE=MergeTree ORDER BY k;
INSERT INTO t VALUES (1, '2024-01-01 00:00:00', 1.5, 7), (1, '2024-01-01 00:00:05', 2.5, NULL), (2, '2024-01-01 00:00:01', 3.5, 8), (2, '2024-01-01 00:00:03', 4.5, NULL), (3, '2024-01-01 00:00:02', 5.5, 9);
INSERT INTO u VALUES (1, 'a'), (1, 'a'), (3, 'c'), (4, 'd');

-- Tuples in sets.
SELECT k, ts, v FROM t WHERE (k, ts) IN (SELECT k, max(ts) FROM t GROUP BY k) ORDER BY k;
SELECT k, ts, v FROM t WHERE (k, ts) NOT IN (SELECT k, max(ts) FROM t GROUP BY k) ORDER BY k;
SELECT k, v FROM t WHERE (k, n) IN (SELECT k, n FROM t) ORDER BY k;
SELECT k, v FROM t WHERE (k, n) NOT IN (SELECT k, n FROM t) ORDER BY k;
SELECT k, v FROM t WHERE (k, v) IN (SELECT 1, 2.5) OR v > 5 ORDER BY k;
SELECT k, v AS x FROM t WHERE (k, x) IN (SELECT toUInt8(2), toFloat32(4.5)) ORDER BY k;
SELECT k, v FROM t WHERE (k, v, n) IN (SELECT * FROM (SELECT k, v, n FROM t)) ORDER BY k;
SELECT k FROM t WHERE (k, v) IN (SELECT (2, 3.5)) ORDER BY k;
SELECT count() FROM t WHERE (k, toSecond(ts)) IN ((1, 5), (2, 1), (3, 3));
SELECT count() FROM t WHERE (k, toSecond(ts)) NOT IN ((1, 5), (2, 1), (3, 3));
SELECT count() FROM t WHERE (k, toSecond(ts)) IN (1, 5);
SELECT count() FROM t WHERE tuple(k, v) IN (SELECT k, v FROM t WHERE k > 1);
-- error: NUMBER_OF_COLUMNS_DOESNT_MATCH
SELECT k FROM t WHERE (k, v, n) IN (SELECT 1, 2);

-- Kinds of joins.
SELECT k, v, w FROM t JOIN u USING k ORDER BY k, v, w;
SELECT t.k, v, x.v FROM t JOIN t AS x USING k, v ORDER BY t.k, v;
SELECT k, v, w FROM t ANY LEFT JOIN u USING (k) ORDER BY k, v;
SELECT k, v, w FROM t LEFT ANY JOIN u USING k ORDER BY k, v;
SELECT t.k, v, w FROM t ANY LEFT JOIN u ON t.k = u.k ORDER BY t.k, v;
SELECT k, w FROM t ANY INNER JOIN u USING (k) ORDER BY k;
SELECT t.k, w FROM t ANY JOIN u ON u.k = t.k ORDER BY t.k;
SELECT k, v FROM t SEMI LEFT JOIN u USING k ORDER BY k, v;
SELECT k, v, w FROM t LEFT SEMI JOIN u USING k ORDER BY k, v;
SELECT t.k, v, w FROM t SEMI JOIN u ON t.k = u.k ORDER BY t.k, v;
SELECT k, v FROM t ANTI LEFT JOIN u USING k ORDER BY k, v;
SELECT t.k, v FROM t LEFT ANTI JOIN u ON t.k = u.k ORDER BY t.k, v;
SELECT a.k, v FROM t AS a GLOBAL ANTI JOIN u AS b ON a.k = b.k ORDER BY a.k, v;
SELECT w, sum(v) FROM t ANY LEFT JOIN (SELECT k, w FROM u) AS s USING k WHERE v > 1 GROUP BY w ORDER BY w;
SELECT t.k, v, x.w, y.w FROM t ANY LEFT JOIN u AS x ON t.k = x.k ANY LEFT JOIN u AS y ON t.k = y.k ORDER BY t.k, v;
-- error: NOT_IMPLEMENTED
SELECT * FROM t ANTI LEFT JOIN u USING k;
-- error: NOT_IMPLEMENTED
SELECT * FROM t ANTI RIGHT JOIN u USING k;
-- error: NOT_IMPLEMENTED
SELECT k FROM t ANY FULL JOIN u USING k;
-- error: NOT_IMPLEMENTED
SELECT t.k FROM t SEMI LEFT JOIN u ON t.k = u.k AND u.w > 'a';

-- Arrays as rows.
CREATE TABLE s (k Int32, a Array(Int32), b Array(String)) ENGINE=MergeTree ORDER BY k;
INSERT INTO s VALUES (1, [10, 20], ['x', 'y']), (2, [], []), (3, [30], ['z']);
SELECT k, x FROM s ARRAY JOIN a AS x ORDER BY k, x;
SELECT * FROM s ARRAY JOIN a AS x ORDER BY k, x;
SELECT k, x FROM s LEFT ARRAY JOIN a AS x ORDER BY k, x;
SELECT k, x, n FROM s ARRAY JOIN a AS x, arrayEnumerate(a) AS n ORDER BY k, n;
SELECT k, x, y FROM s LEFT ARRAY JOIN a AS x, b AS y ORDER BY k, x;
SELECT * FROM s ARRAY JOIN a, b ORDER BY k, a;
SELECT k, s.a FROM s ARRAY JOIN a WHERE a > 10 ORDER BY k;
SELECT k, x FROM s ARRAY JOIN [1, 2] AS x WHERE x > 1 ORDER BY k;
SELECT x, count() FROM s ARRAY JOIN arrayMap(i -> i % 20, a) AS x GROUP BY x ORDER BY x;
SELECT k FROM s WHERE arrayJoin(a) > 15 ORDER BY k;
SELECT k, arrayJoin(a) AS x FROM s WHERE x > 10 ORDER BY x DESC;
SELECT k, arrayJoin(a) AS x FROM s ORDER BY -x;
SELECT arrayJoin([1, 2, 3]) AS x WHERE x > 1 ORDER BY x;
SELECT sum(arrayJoin(a)) FROM s;
SELECT arrayJoin(a) AS x, count() FROM s GROUP BY x ORDER BY x;
SELECT k, arrayJoin(a) FROM s WHERE arrayJoin(a) < 25 ORDER BY k, arrayJoin(a);
SELECT arrayJoin(a) % 20 AS r, sum(k) AS n FROM s GROUP BY r HAVING r > 5 ORDER BY r;
SELECT *, arrayJoin(a) AS x FROM s WHERE x = 20;
SELECT count() FROM (SELECT arrayJoin(range(k)) AS x FROM s WHERE x >= 1);

-- The order of a subquery reaches what has none of its own.
SELECT groupArray(n) FROM (SELECT number AS n FROM numbers(10) ORDER BY n % 3, n DESC);
SELECT n % 2 AS k, groupArray(n), any(n), anyLast(n) FROM (SELECT number AS n FROM numbers(9) ORDER BY n % 4 DESC, n) GROUP BY k ORDER BY k;
SELECT groupArray(n) FROM (SELECT number AS n FROM numbers(10) ORDER BY n DESC LIMIT 4) WHERE n != 8;
SELECT arrayStringConcat(groupArray(toString(x)), '-') FROM (SELECT a.n AS x FROM (SELECT number AS n FROM numbers(6) ORDER BY n DESC) AS a ORDER BY x % 2, x);
SELECT n, rowNumberInAllBlocks() FROM (SELECT number AS n FROM numbers(5) ORDER BY n DESC);
SELECT count(), sum(n) FROM (SELECT number AS n FROM numbers(5) ORDER BY n DESC);
SELECT * FROM (SELECT number AS n FROM numbers(50) ORDER BY n % 7, n DESC) LIMIT 3;
