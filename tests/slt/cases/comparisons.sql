CREATE TABLE c (id UUID, d Decimal(18, 3), b DateTime('Europe/Berlin'), b9 DateTime64(9, 'America/New_York'), u UInt64, i Int64, n Nullable(Int32)) ENGINE=MergeTree ORDER BY i;
INSERT INTO c VALUES ('61f0c404-5cb3-11e7-907b-a6006ad3dba0', 123456789012.345, '2024-01-01 00:00:00', '2024-01-01 00:00:00.000000001', 18446744073709551615, 1, NULL), ('00000000-0000-0000-0000-000000000001', 0.1, '2024-03-31 03:30:00', '2024-03-10 01:30:00', 9223372036854775808, -2, 1), ('ffffffff-ffff-ffff-ffff-ffffffffffff', -1.5, '2024-10-27 12:00:00', '2024-11-03 12:00:00', 0, 3, 2);
SELECT i FROM c WHERE id = '61f0c404-5cb3-11e7-907b-a6006ad3dba0';
SELECT i FROM c WHERE '61f0c404-5cb3-11e7-907b-a6006ad3dba0' != id ORDER BY i;
SELECT i FROM c WHERE id IN ('61f0c404-5cb3-11e7-907b-a6006ad3dba0', 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY i;
SELECT i FROM c WHERE id NOT IN ('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AND u <= (SELECT max(u) FROM c) ORDER BY i;
-- error: CANNOT_PARSE_UUID
SELECT i FROM c WHERE id = 'nonsense';
SELECT i FROM c WHERE d = 123456789012.345;
SELECT i FROM c WHERE d >= 123456789012.345;
SELECT i FROM c WHERE d != 123456789012.345 ORDER BY i;
SELECT i FROM c WHERE d IN (123456789012.345, 0.1) ORDER BY i;
SELECT i FROM c WHERE d NOT IN (123456789012.345, 5) ORDER BY i;
SELECT i FROM c WHERE d BETWEEN -1.5 AND 0.1 ORDER BY i;
SELECT i FROM c WHERE d NOT BETWEEN -1.4999 AND 123456789012.345 ORDER BY i;
SELECT i FROM c WHERE d < 1e300 AND d > -1e300 AND d != 0.10000001 ORDER BY i;
SELECT i FROM c WHERE 0.1 < d ORDER BY i;
SELECT i FROM c WHERE d > toFloat64(0.05) ORDER BY i;
SELECT i FROM c WHERE d = i * 0.1 - 0.2 ORDER BY i;
SELECT i FROM c WHERE b BETWEEN toDateTime('2023-12-31 23:00:00') AND toDateTime('2023-12-31 23:00:00');
SELECT i FROM c WHERE b BETWEEN toDateTime64('2024-01-01 00:00:00', 3) AND toDateTime64('2025-01-01 00:00:00', 3) ORDER BY i;
SELECT i FROM c WHERE b NOT BETWEEN toDateTime('2024-01-01 00:00:00') AND toDateTime('2024-06-01 00:00:00') ORDER BY i;
SELECT i FROM c WHERE b BETWEEN '2024-01-01 00:00:00' AND toDateTime('2024-03-31 01:30:00') ORDER BY i;
SELECT i FROM c WHERE b IN (toDateTime('2024-03-31 01:30:00'), toDateTime('2024-01-01 00:00:00'));
SELECT i FROM c WHERE b NOT IN (toDateTime('2024-03-31 01:30:00')) ORDER BY i;
SELECT i FROM c WHERE b9 BETWEEN toDateTime64('2024-01-01 05:00:00.000000001', 9) AND toDateTime64('2024-01-01 05:00:00.000000001', 9);
SELECT i FROM c WHERE b9 BETWEEN b AND b + INTERVAL 6 HOUR ORDER BY i;
SELECT i FROM c WHERE i NOT IN (NULL) ORDER BY i;
SELECT i FROM c WHERE i IN (NULL);
SELECT i FROM c WHERE n NOT IN (NULL) ORDER BY i;
SELECT i FROM c WHERE i NOT IN (1, NULL) ORDER BY i;
SELECT u - 1, u + i, u + 1, i - u, u * i FROM c ORDER BY i;
SELECT sum(u - 1), max(u + i) FROM c;
SELECT quantileExact(u), quantileExact(0.9)(i), quantileExact(d), quantileExact(b), quantileExact(b9), quantileExact(n) FROM c;
SELECT quantileExact(x), quantileExact(toUInt64(x)) FROM (SELECT arrayJoin([9007199254740993, 9007199254740995, 9007199254740997]) AS x);
SELECT quantileExact(u), quantileExact(i), quantileExact(b9), quantileExact(n) FROM c WHERE i = 77;
SELECT k, quantileExact(x) OVER (PARTITION BY k ORDER BY x) FROM (SELECT number % 2 AS k, toUInt64(9007199254740993) + number AS x FROM numbers(6)) ORDER BY k, x;
SELECT dateDiff('hour', toDateTime('2024-03-31 00:00:00', 'Europe/Berlin'), toDateTime('2024-04-01 00:00:00', 'Europe/Berlin')), dateDiff('minute', toDateTime('2024-03-31 00:00:00', 'Europe/Berlin'), toDateTime('2024-04-01 00:00:00', 'Europe/Berlin')), dateDiff('day', toDateTime('2024-03-31 00:00:00', 'Europe/Berlin'), toDateTime('2024-04-01 00:00:00', 'Europe/Berlin'));
SELECT dateDiff('hour', toDateTime('2024-10-27 00:30:00', 'Europe/Berlin'), toDateTime('2024-10-27 06:30:00', 'Europe/Berlin')), dateDiff('hour', toDateTime('2024-01-01 00:30:00', 'Asia/Kolkata'), toDateTime('2024-01-01 01:00:00', 'Asia/Kolkata')), dateDiff('hour', toDateTime('2024-01-01 00:20:00', 'Asia/Kolkata'), toDateTime('2024-01-01 00:40:00', 'Asia/Kolkata'));
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1729980000 + number * 1800, 'Europe/Berlin'), INTERVAL 2 HOUR)) FROM numbers(24);
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1729980000 + number * 1800, 'Europe/Berlin'), INTERVAL 6 HOUR)) FROM numbers(50);
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1711839600 + number * 1800, 'Europe/Berlin'), INTERVAL 2 HOUR)) FROM numbers(24);
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1711839600 + number * 1800, 'Europe/Berlin'), INTERVAL 6 HOUR)) FROM numbers(48);
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1711839600 + number * 1800, 'Europe/Berlin'), INTERVAL 3 HOUR)) FROM numbers(24);
SELECT toUnixTimestamp(toStartOfInterval(toDateTime(1711839600 + number * 1800, 'Europe/Berlin'), INTERVAL 1 HOUR)) FROM numbers(12);
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT toDateTime('2024-01-01 00:00:00') + INTERVAL 9223372036854775807 DAY;
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT addMonths(toDate('2024-01-01'), 9223372036854775807);
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT toDate('2024-01-01') + INTERVAL 3000000000 DAY;
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT addWeeks(toDateTime('2024-01-01 00:00:00'), -9223372036854775808);
CREATE TABLE g (k Bool, s DateTime, m DateTime64(3), z DateTime('Asia/Tokyo'), v Int64) ENGINE=MergeTree ORDER BY (k, s);
INSERT INTO g VALUES (true, '2024-03-10 07:00:00', '2024-03-10 07:00:00.500', '2024-03-10 16:00:00', 1), (false, '2024-03-10 07:00:01', '2024-03-10 07:00:01', '2024-03-10 16:00:01', 2), (true, '1970-01-01 00:00:00', '1960-01-01 00:00:00.5', '2024-03-10 16:00:02', 3);
SELECT v FROM g WHERE k IN (true) ORDER BY v;
SELECT v FROM g WHERE k NOT IN (true) ORDER BY v;
SELECT v FROM g WHERE k AND v < 3 ORDER BY v;
SELECT v FROM g WHERE NOT k AND v < 3 ORDER BY v;
SELECT v FROM g WHERE k IN (true, false) AND k = false ORDER BY v;
SELECT v FROM g WHERE s = toDateTime64('2024-03-10 07:00:00.5', 3);
SELECT v FROM g WHERE s != toDateTime64('2024-03-10 07:00:00.5', 3) AND v < 3 ORDER BY v;
SELECT v FROM g WHERE s >= toDateTime64('2024-03-10 07:00:00.000001', 9) ORDER BY v;
SELECT v FROM g WHERE s > toDateTime64('2024-03-10 07:00:00.5', 3) ORDER BY v;
SELECT v FROM g WHERE s <= toDateTime64('2024-03-10 07:00:00.5', 3) AND v < 3 ORDER BY v;
SELECT v FROM g WHERE s < toDateTime64('2024-03-10 07:00:00.5', 3) AND v < 3 ORDER BY v;
SELECT v FROM g WHERE s BETWEEN toDateTime64('2024-03-10 07:00:00.5', 3) AND toDateTime64('2024-03-10 07:00:01.5', 3) ORDER BY v;
SELECT v FROM g WHERE m = toDateTime64('2024-03-10 07:00:01.000000001', 9);
SELECT v FROM g WHERE toStartOfHour(m) >= toDateTime64('2024-03-10 07:00:00.000001', 9) ORDER BY v;
SELECT v FROM g WHERE toDateTime64('2024-03-10 07:00:00.5', 3) < s ORDER BY v;
SELECT v FROM g WHERE z >= toDateTime64('2024-03-10 07:00:00.5', 3) ORDER BY v;
SELECT v FROM g WHERE s < m ORDER BY v;
SELECT v FROM g WHERE s = m AND v < 3 ORDER BY v;
-- error: NOT_IMPLEMENTED
CREATE TABLE f (k String, ts DateTime) ENGINE=MergeTree ORDER BY (k, ts) DEDUP UPSERT KEYS (k, ts);
-- error: SYNTAX_ERROR
CREATE TABLE f (k String, ts DateTime) ENGINE=MergeTree ORDER BY (k, ts) NONSENSE;
-- error: ARGUMENT_OUT_OF_BOUND
SELECT toStartOfInterval(toDateTime('2024-01-01 00:00:00'), INTERVAL 9223372036854775807 HOUR);

-- Whole numbers that a Float32 cannot hold.
SELECT 16777217 = toFloat32(16777216), 16777217 > toFloat32(16777216), toInt32(16777217) IN (toFloat32(16777216)), 3 = toFloat32(3);
SELECT count() FROM (SELECT toInt64(number + 16777216) AS n, toFloat32(16777216) AS f FROM numbers(2)) WHERE n = f;
SELECT count() FROM (SELECT toFloat32(number) AS f FROM numbers(10)) WHERE f BETWEEN 3 AND toInt64(5);
