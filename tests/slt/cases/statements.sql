-- Statements that dbt and other tools send; in a database whose tables can change places.
CREATE DATABASE st;
CREATE TABLE st.t (a Int32, b String DEFAULT 'x', c Nullable(Float64)) ENGINE=MergeTree ORDER BY a;
INSERT INTO st.t (a,b) VALUES (1,'q'),(2,'w');
INSERT INTO st.t (* EXCEPT(c)) VALUES (3,'e');
INSERT INTO st.t (* EXCEPT(b, c)) VALUES (4);
INSERT INTO st.t (* EXCEPT b) SELECT 5, 1.5;
WITH 6 AS x INSERT INTO st.t (a) SELECT x;
WITH q AS (SELECT 7 AS a) INSERT INTO st.t (a) SELECT a FROM q;
INSERT INTO st.t (a) WITH 8 AS x SELECT x;
INSERT INTO st.t (a, b) SELECT 9, NULL;
INSERT INTO st.t (a, b) SELECT number + 20, if(number % 2 = 0, NULL, 'odd') FROM numbers(3);
INSERT INTO st.t SELECT 11, $$it's$$, NULL;
INSERT INTO st.t VALUES (12, $tag$a 'b', (c $ \n$tag$, 1), (13, concat($$x$$, 'y'), 1);
SELECT * FROM st.t ORDER BY a;
-- types
SELECT $tag$a'b\n$tag$ AS s, $$x$ $$ AS t;
SELECT 1 AS a, 2 AS `$b`, '$' AS c;
CREATE OR REPLACE TABLE st.u (a Int32, z Int8) ENGINE=MergeTree ORDER BY a;
INSERT INTO st.u VALUES (1,1);
EXCHANGE TABLES st.t AND st.u;
SELECT * FROM st.t;
SELECT count() FROM st.u;
EXCHANGE TABLES st.t AND st.u;
CREATE OR REPLACE TABLE st.u ENGINE=MergeTree ORDER BY a AS SELECT a, b FROM st.t WHERE a < 4;
SELECT * FROM st.u ORDER BY a;
CREATE OR REPLACE TABLE st.u ENGINE=MergeTree ORDER BY a AS SELECT a + 1 AS a, b FROM st.u;
SELECT * FROM st.u ORDER BY a;
REPLACE TABLE st.u (a Int16) ENGINE=MergeTree ORDER BY a;
SELECT count() FROM st.u;
-- error: UNKNOWN_TABLE
REPLACE TABLE st.nope (a Int16) ENGINE=MergeTree ORDER BY a;
-- error: UNKNOWN_TABLE
EXCHANGE TABLES st.t AND st.nope;
SELECT name FROM system.tables WHERE database = 'st' ORDER BY name;
CREATE TABLE st.d (a Int8, b String DEFAULT 'one', ts DateTime('UTC')) ENGINE=MergeTree ORDER BY a;
INSERT INTO st.d VALUES (1, 'x', '2024-01-02 03:04:05'), (2, 'y', '2024-01-03 00:00:00');
INSERT INTO st.d (a, ts) VALUES (3, '2024-01-04 00:00:00');
ALTER TABLE st.d MODIFY COLUMN b String DEFAULT 'two' COMMENT 'said';
INSERT INTO st.d (a, ts) VALUES (4, '2024-01-04 00:00:00');
ALTER TABLE st.d MODIFY COLUMN b REMOVE DEFAULT;
ALTER TABLE st.d MODIFY COLUMN IF EXISTS zz Int8;
INSERT INTO st.d (a, ts) VALUES (5, '2024-01-04 00:00:00');
ALTER TABLE st.d ALTER COLUMN a TYPE Int8;
SELECT a, b FROM st.d ORDER BY a;
DESCRIBE TABLE st.d;
-- error: NOT_FOUND_COLUMN_IN_BLOCK
ALTER TABLE st.d MODIFY COLUMN zz Int8;
-- error: NOT_IMPLEMENTED
ALTER TABLE st.d MODIFY COLUMN b Int64;
-- Accepted: every node has every table.
CREATE TABLE st.s (symbol String, ts DateTime64(3, 'UTC') DEFAULT now64(3), m Map(String, Tuple(Int8, String)), n Int8 DEFAULT -1 COMMENT 'it''s', `o d` Bool DEFAULT true) ENGINE = MergeTree ORDER BY (symbol, ts) TTL ts + INTERVAL 90 DAY COMMENT 'of ticks';
CREATE TABLE st.m (a Int8) ENGINE = Memory;
CREATE VIEW st.v AS SELECT 1 AS a, 'x' AS b;
SHOW CREATE TABLE st.s;
SHOW CREATE TABLE st.m;
SELECT create_table_query, engine_full FROM system.tables WHERE database = 'st' AND name IN ('s', 'm', 'v') ORDER BY name;
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'st' AND table_name IN ('s', 'v') ORDER BY table_name;
SHOW FULL TABLES FROM st LIKE '%';
SHOW TABLES FROM st WHERE name > 'd' LIMIT 2;
SHOW DATABASES LIKE 's_' LIMIT 1;
SHOW COLUMNS FROM st.s WHERE type LIKE '%Int%';
SHOW EXTENDED FULL COLUMNS FROM st.s LIKE 's%';
SHOW COLUMNS FROM st.nope;
SHOW INDEX FROM st.s;
SHOW TEMPORARY TABLES;
SHOW MERGES;
DESCRIBE numbers(1);
EXISTS TEMPORARY TABLE st.s;
SHOW CHANGED SETTINGS LIKE 'extremes';
SELECT name, value, changed FROM system.settings WHERE name IN ('max_result_rows', 'extremes') ORDER BY name SETTINGS max_result_rows = 100;
SELECT name, type FROM system.columns WHERE database = 'system' AND table IN ('one', 'numbers', 'disks', 'formats') ORDER BY table, position;
SELECT count() > 60 FROM system.columns WHERE database = 'system' AND table = 'processes';
SELECT is_initial_query, length(ProfileEvents) >= 0 FROM system.processes;
TRUNCATE TABLE IF EXISTS st.nope;
