CREATE TABLE z (a String, k Int32) ENGINE=MergeTree ORDER BY k;
CREATE TABLE b (d Nullable(String), k Int32, e Int8) ENGINE=MergeTree ORDER BY k;
CREATE TABLE c (f String, k Int64) ENGINE=MergeTree ORDER BY k;
CREATE TABLE m (k Nullable(Int32), g String) ENGINE=MergeTree ORDER BY g;
CREATE TABLE p (k LowCardinality(String), i Int32, x Int32) ENGINE=MergeTree ORDER BY i;
CREATE TABLE q (k LowCardinality(String), i Int32, y Int32) ENGINE=MergeTree ORDER BY i;
INSERT INTO z VALUES ('x', 1), ('y', 2);
INSERT INTO b VALUES ('Y', 2, 7), ('Z', 3, 8);
INSERT INTO c VALUES ('f2', 2), ('f3', 3), ('f4', 4);
INSERT INTO m VALUES (1, 'm1'), (NULL, 'mn'), (5, 'm5');
INSERT INTO p VALUES ('a', 1, 10), ('b', 2, 20);
INSERT INTO q VALUES ('b', 2, 200), ('c', 3, 300);
SELECT k, a, d FROM z RIGHT JOIN b USING (k) ORDER BY k;
SELECT k, a, d FROM z FULL JOIN b USING (k) ORDER BY k;
SELECT k, z.k AS zk, b.k AS bk, a, d FROM z RIGHT JOIN b USING (k) ORDER BY k;
SELECT k, z.k AS zk, b.k AS bk, a, d FROM z FULL JOIN b USING (k) ORDER BY k;
-- types
SELECT * FROM z RIGHT JOIN b USING (k) ORDER BY k;
-- types
SELECT * FROM z FULL JOIN b USING (k) ORDER BY k;
-- types
SELECT * FROM z LEFT JOIN b USING (k) ORDER BY k;
SELECT * FROM z JOIN b USING (k) ORDER BY k;
SELECT * FROM b RIGHT JOIN z USING (k) ORDER BY k;
SELECT * FROM b LEFT JOIN z USING (k) ORDER BY k;
SELECT * FROM z FULL JOIN b USING (k) FULL JOIN c USING (k) ORDER BY k;
SELECT * FROM z FULL JOIN b USING (k) LEFT JOIN c USING (k) ORDER BY k;
SELECT * FROM z RIGHT JOIN b USING (k) JOIN c USING (k) ORDER BY k;
SELECT * FROM z RIGHT JOIN b USING (k) RIGHT JOIN c USING (k) ORDER BY k;
SELECT k, count() FROM z FULL JOIN c USING (k) GROUP BY k ORDER BY k;
-- types
SELECT k AS x, x + 1, toTypeName(k) FROM z FULL JOIN c USING (k) WHERE k > 1 ORDER BY k DESC;
SELECT * FROM (SELECT * FROM z FULL JOIN b USING (k)) WHERE k = 3;
SELECT DISTINCT k FROM z FULL JOIN c USING k ORDER BY k;
SELECT sum(k), max(k), uniqExact(k) FROM z FULL JOIN c USING (k);
SELECT k, row_number() OVER (ORDER BY k DESC) r FROM z FULL JOIN c USING (k) ORDER BY k LIMIT 2;
SELECT k, a, f FROM z FULL JOIN c USING (k) ORDER BY k + 1 DESC;
SELECT k, i, x, y FROM p FULL JOIN q USING (k, i) ORDER BY k, i;
SELECT k, i, x, y FROM p RIGHT JOIN q USING (k, i) ORDER BY k, i;
SELECT * FROM p FULL JOIN q USING (k, i) ORDER BY k, i;
SELECT k, g, a FROM m FULL JOIN z USING (k) ORDER BY k, g;
SELECT k, g, a FROM z FULL JOIN m USING (k) ORDER BY k, g;
SELECT k, arrayMap(k -> k + 1, [k]) FROM z RIGHT JOIN b USING (k) ORDER BY k;
SELECT k, (SELECT max(k) FROM z) FROM z RIGHT JOIN b USING (k) ORDER BY k;
