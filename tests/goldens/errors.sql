-- Statements that ClickHouse refuses; generate.py writes the code and its name into errors.tsv.

CREATE TABLE trades (symbol LowCardinality(String), price Float64, volume Int64, quote Nullable(Float64), tags Array(String), ts DateTime64(9), day Date) ENGINE = MergeTree ORDER BY ts;
INSERT INTO trades VALUES ('AAPL', 10, 100, 5, ['a'], '2024-01-02 00:00:00', '2024-01-02');

SELECT nothing;
SELECT nothing FROM trades;
SELECT * FROM missing;
SELECT * FROM nowhere.missing;
SELECT nosuchfunction(1);
SELECT nosuchfunction(price) FROM trades;
SELECT sum(nothing) FROM trades;
SELECT 'a' + 1;
SELECT 'a' * 'b';
SELECT symbol + 1 FROM trades;
SELECT [1] + 1;
-- differs: codes of faults that are told apart otherwise
SELECT 1 = 'a';
SELECT price = 'a' FROM trades;
-- differs: codes of faults that are told apart otherwise
SELECT [1] = 'a';
SELECT [1, 'a'];
SELECT CAST('abc' AS Int32);
SELECT CAST('abc' AS Float64);
SELECT toInt32('abc');
SELECT toInt32('12abc');
SELECT toDate('nope');
SELECT toDateTime('nope');
SELECT toFloat64('x');
SELECT CAST(1 AS NoSuchType);
SELECT toUUID('xyz');
SELECT intDiv(1, 0);
SELECT 1 % 0;
SELECT length(1);
SELECT lower(1);
SELECT lower();
SELECT lower('a', 'b');
-- differs: codes of faults that are told apart otherwise
SELECT substring('a');
SELECT substring(1, 2);
SELECT toStartOfMinute('a');
SELECT toYear('a');
SELECT abs('a');
SELECT sqrt('a');
SELECT sum('a');
-- differs: codes of faults that are told apart otherwise
SELECT avg('a');
SELECT sum();
SELECT sum(price, volume) FROM trades;
SELECT sum(sum(price)) FROM trades;
SELECT symbol, sum(price) FROM trades;
SELECT symbol, sum(price) FROM trades GROUP BY price;
SELECT price FROM trades WHERE sum(price) > 1;
SELECT price FROM trades GROUP BY symbol;
SELECT SELECT;
SELEC 1;
SELECT 1 FROM;
SELECT (1;
SELECT 1 +;
SELECT 'unclosed;
SELECT 1 WHERE;
SELECT * FROM trades ORDER;
SELECT * FROM trades LIMIT 'a';
SELECT * FROM trades LIMIT -1, 'x';
SELECT 1 FORMAT NoSuchFormat;
SELECT 1 SETTINGS no_such_setting = 1;
SET no_such_setting = 1;
USE nowhere;
DROP TABLE missing;
DROP DATABASE nowhere;
CREATE TABLE trades (a Int32) ENGINE = MergeTree ORDER BY a;
CREATE TABLE bad (a NoSuchType) ENGINE = MergeTree ORDER BY a;
-- differs: codes of faults that are told apart otherwise
CREATE TABLE bad (a Int32, a Int32) ENGINE = MergeTree ORDER BY a;
CREATE DATABASE default;
DESCRIBE TABLE missing;
SHOW CREATE TABLE missing;
TRUNCATE TABLE missing;
ALTER TABLE missing ADD COLUMN a Int32;
ALTER TABLE trades DROP COLUMN nothing;
ALTER TABLE trades ADD COLUMN price Float64;
INSERT INTO missing VALUES (1);
INSERT INTO trades (nothing) VALUES (1);
INSERT INTO trades (price) SELECT 1, 2;
SELECT {x:Int32};
SELECT arrayMap(x -> x, 1);
SELECT arrayMap(x -> nothing, [1]);
SELECT arrayMap((x, y) -> x, [1]);
SELECT arrayMap((x, y) -> x, [1], [1, 2]);
SELECT arrayMap([1]);
SELECT arrayFilter(x -> 'a', [1]);
SELECT arrayJoin(1);
SELECT has(1, 2);
SELECT arrayElement(1, 1);
SELECT (1, 2).3;
SELECT 1[1];
-- differs: values that are read where ClickHouse refuses
SELECT quantile(2)(price) FROM trades;
SELECT topK(0)(symbol) FROM trades;
SELECT a.price FROM trades b;
SELECT price FROM trades a JOIN trades b ON a.ts = b.ts WHERE symbol2 = 1;
SELECT row_number() FROM trades;
SELECT sum(price) OVER w FROM trades;
SELECT lower(price) OVER () FROM trades;
SELECT 1 UNION ALL SELECT 1, 2;
-- differs: codes of faults that are told apart otherwise
SELECT (SELECT price, volume FROM trades) + 1;
-- differs: codes of faults that are told apart otherwise
SELECT price IN (SELECT price, volume FROM trades) FROM trades;
SELECT throwIf(1);
SELECT toStartOfInterval(ts, INTERVAL 0 SECOND) FROM trades;
SELECT toStartOfInterval(ts, 5) FROM trades;
SELECT ts + ts FROM trades;
SELECT day + day FROM trades;
SELECT dateDiff('fortnight', ts, ts) FROM trades;
SELECT toTimeZone(ts, 'No/Where') FROM trades;
SELECT toDateTime('2024-01-02 00:00:00', 'No/Where');
SELECT match('a', '(');
-- differs: codes of faults that are told apart otherwise
SELECT replaceRegexpAll('a', '(', 'b');
SELECT -'a';
-- differs: codes of faults that are told apart otherwise
SELECT NOT 'a';
-- differs: codes of faults that are told apart otherwise
SELECT 'a' AND 1;
SELECT price FROM trades WHERE 'a';
SELECT price FROM trades WHERE symbol;
SELECT price LIKE 'a' FROM trades;
SELECT symbol FROM trades ORDER BY 5;
SELECT symbol FROM trades GROUP BY 5;
SELECT number FROM numbers(-1);
SELECT number FROM numbers('a');
SELECT * FROM nosuchtablefunction(1);
SELECT number FROM numbers(5) ORDER BY number WITH FILL STEP 0;
SELECT toString(number) AS s FROM numbers(5) ORDER BY s WITH FILL;
SELECT number FROM numbers(5) LIMIT 1 BY nothing;
SELECT a AS b, b AS a;
-- differs: values that are read where ClickHouse refuses
SELECT 1 AS x, 2 AS x, x;
KILL;
EXPLAIN NOPE SELECT 1;
SELECT count() FROM trades SETTINGS additional_table_filters = {'trades': 'nothing = 1'};
SELECT count() FROM trades SETTINGS additional_table_filters = 'junk';
SELECT getSetting('no_such_setting');
-- differs: codes of faults that are told apart otherwise
SELECT toDecimal32('x', 2);
SELECT range(1, 10, 0);
SELECT repeat('a', 10000000000);
SELECT argMax(price) FROM trades;
SELECT lttb(price, volume) FROM trades;
SELECT uniq() FROM trades;
SELECT toInt32(1, 2, 3);
-- differs: values that are read where ClickHouse refuses
SELECT now('No/Where');
SELECT count(nothing) FROM trades;
SELECT map('a');
SELECT map('a', 1)[1];
SELECT tupleElement((1, 2), 'a');
SELECT COLUMNS('nothing') FROM trades;
SELECT COLUMNS(nothing) FROM trades;
SELECT * EXCEPT STRICT (nothing) FROM trades;
SELECT * REPLACE STRICT (1 AS nothing) FROM trades;
SELECT * APPLY(nosuchfunction) FROM trades;
SELECT COLUMNS('volume|price') + 1 FROM trades;
SELECT COLUMNS('(') FROM trades;
-- differs: codes of faults that are told apart otherwise
SELECT untuple(1);
-- differs: codes of faults that are told apart otherwise
SELECT quantile(0.5)(symbol) FROM trades;
SELECT toDecimal32(999999999, 0) * 3;
SELECT toDecimal64(999999999999999999, 0) * 10;
SELECT toDecimal32(1, 6) * toDecimal32(1, 6);
SELECT toDecimal32(1, 8) / toDecimal32(3, 8);
SELECT 1 / toDecimal32(3, 8);
SELECT toDecimal32(1, 2) / toDecimal32(1, 3);
SELECT toDecimal32(1, 2) / 0;
SELECT toDecimal32(1, 2) % 0;
-- differs: times beyond 64 bits of nanoseconds
SELECT toDateTime64('2299-01-01 00:00:00', 9);
-- differs: times beyond 64 bits of nanoseconds
SELECT count() FROM trades WHERE ts <= '2300-01-01 00:00:00';
-- differs: codes of faults that are told apart otherwise
SELECT count() FROM trades WHERE symbol IN nowhere;
CREATE MATERIALIZED VIEW mv NONSENSE AS SELECT symbol FROM trades;
SELECT 1 SETTINGS output_format_json_nothing = 1;
SELECT 1 SETTINGS output_format_native_nothing = 1;
SELECT * FROM generate_series(1, 5, 0);
SELECT JSON_VALUE('{"a":1}', 'a');
SELECT JSON_VALUE('{"a":1}', '$[');
SELECT JSON_VALUE('{"a":[1]}', '$.a[-1]');
SELECT JSON_VALUE('{"a":1}', symbol) FROM trades;
SELECT JSON_VALUE(1, '$.a');
SELECT extractGroups('abc', 'abc');
SELECT mapUpdate(map('a', 1), map('a', 300));
SELECT symbol.size FROM trades;
SELECT m.nothing FROM (SELECT map('a', 1) AS m);
