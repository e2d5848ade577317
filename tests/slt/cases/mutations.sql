-- Subqueries in conditions: run on one node, for the doubles of a cluster understand no conditions.
CREATE DATABASE st;
CREATE TABLE st.t (a Int32, b String DEFAULT 'x', c Nullable(Float64)) ENGINE=MergeTree ORDER BY a;
CREATE TABLE st.u (a Int16) ENGINE=MergeTree ORDER BY a;
INSERT INTO st.t (a, b) VALUES (1, 'q'), (2, 'w'), (3, 'e'), (12, 'z'), (13, 'xy');
INSERT INTO st.t (a) SELECT number + 4 FROM numbers(8);
INSERT INTO st.u VALUES (2), (4), (12);
DELETE FROM st.t WHERE a IN (SELECT 1);
DELETE FROM st.t WHERE a IN (SELECT a FROM st.u WHERE a < 4);
DELETE FROM st.t WHERE a = (SELECT max(a) FROM st.u);
DELETE FROM st.t WHERE (a, b) IN (SELECT 13, 'xy' UNION ALL SELECT 11, 'no');
DELETE FROM st.t WHERE b IN (SELECT toString(number) FROM numbers(0));
SELECT a, b FROM st.t ORDER BY a;
ALTER TABLE st.t UPDATE b = 'upd' WHERE a IN (SELECT a FROM st.u WHERE a > 2) SETTINGS mutations_sync = 1;
ALTER TABLE st.t DELETE WHERE a NOT IN (SELECT a + 0 FROM st.u UNION ALL SELECT 5 UNION ALL SELECT NULL) SETTINGS mutations_sync = 1;
SELECT * FROM st.t ORDER BY a;
-- error: INCORRECT_RESULT_OF_SCALAR_SUBQUERY
DELETE FROM st.t WHERE a = (SELECT a FROM st.u);
CREATE TABLE st.d (a Int8, b Nullable(String), ts DateTime('UTC'), u UUID, f Float64, de Decimal(9, 2)) ENGINE=MergeTree ORDER BY a;
INSERT INTO st.d SELECT number, toString(number), toDateTime('2024-01-02 03:04:05', 'UTC') + number, toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'), number / 4, number FROM numbers(8);
DELETE FROM st.d WHERE ts IN (SELECT toDateTime('2024-01-02 03:04:05', 'UTC'));
DELETE FROM st.d WHERE b IN (SELECT 'it\'s' UNION ALL SELECT '1');
DELETE FROM st.d WHERE f IN (SELECT 0.5);
DELETE FROM st.d WHERE de IN (SELECT toDecimal32(3, 2)) AND u IN (SELECT u FROM st.d);
DELETE FROM st.d WHERE (a, ts) IN (SELECT a, ts FROM st.d WHERE a = 4);
DELETE FROM st.d WHERE a NOT IN (SELECT a FROM st.d WHERE a < 7);
SELECT a FROM st.d ORDER BY a;
