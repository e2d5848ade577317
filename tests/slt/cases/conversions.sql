SELECT toInt8(300), toUInt8(-1), toInt8(127), toInt16(70000), toUInt16(-1), toInt32(1.9), toInt32(-1.9), toUInt64(-1);
SELECT toInt32('12'), toInt64('-5'), toUInt8('255'), toFloat64('1.5'), toFloat64('1e3'), toFloat64('nan'), toFloat64('inf');
-- error: CANNOT_PARSE_TEXT
SELECT toInt32('abc');
SELECT toInt32OrZero('abc'), toInt32OrNull('abc'), toInt32OrZero('7'), toInt32OrNull('7'), toFloat64OrZero('x'), toFloat64OrNull('x'), toUInt8OrZero('');
SELECT toString(1), toString(-5), toString(1.5), toString(1e21), toString(toDate('2024-01-02')), toString(toDateTime('2024-01-02 03:04:05')), toString(true);
SELECT toString([1, 2, 3]), toString(['a', 'b']);
SELECT toDate('2024-02-29'), toDate(19000), toDate(toDateTime('2024-01-02 23:59:59'));
SELECT toDateTime('2024-01-02 03:04:05'), toDateTime(1704164645), toDateTime(toDate('2024-01-02'));
SELECT toDateTime64('2024-01-02 03:04:05.123456789', 9), toDateTime64('2024-01-02 03:04:05.123456789', 3), toDateTime64('2024-01-02 03:04:05', 0), toDateTime64(1704164645, 6);
SELECT toDateTime64('2024-01-02 03:04:05.987654321', 2), toDateTime64('2024-01-02 03:04:05.987654321', 5);
SELECT toDateTime('2024-01-02 03:04:05', 'Europe/Berlin'), toUnixTimestamp(toDateTime('2024-01-02 03:04:05', 'Europe/Berlin'));
SELECT toInt64(toDateTime('2024-01-02 03:04:05')), toUInt32(toDateTime64('2024-01-02 03:04:05.5', 3)), toInt32(toDate('2024-01-02'));
SELECT toFloat64(toDateTime64('2024-01-02 03:04:05.5', 3)), toFloat32(1.1), toFloat64(toFloat32(1.1));
SELECT toDecimal32(1.25, 2), toDecimal64('123.456', 3), toDecimal128(5, 10), toDecimal64(10, 2) + toDecimal64(1, 2);
SELECT toBool(1), toBool(0), toBool('true'), CAST(1 AS Bool), toBool(1) = 1;
SELECT toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0');
SELECT CAST('1' AS Int64), CAST(1.9 AS Int32), CAST('2024-01-02' AS Date), CAST('2024-01-02 03:04:05' AS DateTime), CAST(1 AS Float64), CAST('abc' AS String);
SELECT CAST(NULL AS Nullable(Int64)), CAST(5 AS Nullable(String)), CAST('x' AS LowCardinality(String));
SELECT CAST([1, 2] AS Array(Int64)), CAST(['1', '2'] AS Array(UInt8));
SELECT '1'::Int64 + 1, '2024-01-02'::Date, 5::String || 'x';
-- types
SELECT toInt8(1), toUInt8(1), toFloat32(1), toDate('2024-01-02'), toDateTime(0), toDateTime64(0, 3), toString(1), toDecimal64(1, 2);
-- types
SELECT CAST(1 AS Bool), CAST('a' AS LowCardinality(String)), CAST(materialize(1) AS Nullable(Int32)) AS n;
-- skip: a constant that is not NULL loses Nullable
-- types
SELECT toInt32OrNull('1');
-- types
SELECT toInt32OrNull(materialize('1')) AS a, toInt32OrZero('1') AS b, toDateOrNull(materialize('x')) AS c;
SELECT toDateOrNull('not a date'), toDateOrZero('not a date'), toDateTimeOrNull('x'), toDateTimeOrZero('x');
SELECT toInt64('9223372036854775807'), toUInt64('18446744073709551615'), toInt64('-9223372036854775808');
SELECT accurateCastOrNull('abc', 'Int32'), accurateCastOrNull('5', 'Int32');
-- error: CANNOT_PARSE_DATETIME
SELECT toDateTime('garbage');
-- error: UNKNOWN_TYPE
SELECT CAST(1 AS Nonsense);
SELECT toUInt8(3.7), toInt64(1e15), toInt64(-0.5), toUInt32(4294967295), toInt32(4294967295);
SELECT parseDateTimeBestEffort('2024-01-02T03:04:05Z'), parseDateTimeBestEffort('2024-01-02 03:04:05'), parseDateTimeBestEffort('20240102030405'), parseDateTimeBestEffort('2024-01-02T03:04:05+02:00');
SELECT parseDateTimeBestEffort('1704164645'), parseDateTimeBestEffort('2 Jan 2024 03:04:05'), parseDateTimeBestEffortOrNull('nonsense'), parseDateTimeBestEffortOrZero('nonsense');
SELECT parseDateTime64BestEffort('2024-01-02T03:04:05.123456Z', 6), parseDateTime64BestEffort('2024-01-02 03:04:05.123');
