-- Expressions whose column names, types and values ClickHouse decides; generate.py writes expressions.tsv from them.

CREATE TABLE trades (symbol LowCardinality(String), exchange String, price Float64, volume Int64, quote Nullable(Float64), flags UInt8, tags Array(String), ts DateTime64(9), day Date, ok Bool) ENGINE = MergeTree ORDER BY ts;
INSERT INTO trades VALUES ('AAPL', 'N', 10, 100, 5, 1, ['a', 'b'], '2024-01-02 00:00:00', '2024-01-02', true), ('AAPL', 'N', 11.5, 200, NULL, 2, [], '2024-01-02 00:00:01.5', '2024-01-02', false), ('MSFT', 'Q', 10.5, 300, 7, 3, ['b'], '2024-01-02 00:01:02', '2024-01-02', true), ('MSFT', 'N', 12, 400, NULL, 0, ['c', 'a', 'b'], '2024-01-02 00:02:04.000000001', '2024-01-03', false), ('TSLA', 'Q', 9.25, 50, 9.5, 7, ['x'], '2024-01-02 00:03:30', '2024-01-03', true);
CREATE TABLE narrow (i8 Int8, i16 Int16, i32 Int32, u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, f32 Float32, d Decimal(10, 2), s String, n Nullable(Int32), dt DateTime, dtz DateTime('Europe/Berlin'), ms DateTime64(3), id UUID, m Map(String, Int64)) ENGINE = MergeTree ORDER BY i8;
INSERT INTO narrow VALUES (-1, 300, 70000, 200, 60000, 4000000000, 18446744073709551615, 1.5, 12.34, 'one', NULL, '2024-03-01 12:34:56', '2024-03-01 12:34:56', '2024-03-01 12:34:56.789', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', {'a': 1, 'b': 2}), (5, -7, 3, 4, 5, 6, 7, -0.25, -1.5, 'two', 9, '1999-12-31 23:59:59', '1999-12-31 23:59:59', '1999-12-31 23:59:59.001', '00000000-0000-0000-0000-000000000001', {});

-- section: literals
SELECT 0;
SELECT 255;
SELECT 256;
SELECT 65536;
SELECT 4294967296;
SELECT 18446744073709551615;
SELECT -1;
SELECT -129;
SELECT -2147483649;
SELECT 1.5;
SELECT 1e3;
SELECT -0.0;
SELECT 1e-7;
SELECT 'text';
SELECT 'it''s';
SELECT 'a\tb\\c';
SELECT '';
SELECT NULL;
SELECT true;
SELECT false;
SELECT nan;
SELECT inf;
SELECT -inf;
SELECT [1, 2, 3];
SELECT [1, -1];
SELECT [1, 300];
SELECT [1, 2.5];
SELECT ['a', 'b'];
SELECT [1, NULL];
SELECT [];
SELECT [[1], [2, 3]];
SELECT (1, 'a');
SELECT (1, 'a', 2.5);
-- differs: text of a tuple of one
SELECT tuple(1);
SELECT 0x1F;
SELECT 0b101;
SELECT 1_000_000;
SELECT map('a', 1, 'b', 2);
SELECT 1 AS x;
SELECT 1 AS `a b`;
SELECT 1 AS "quoted";
SELECT 1, 2, 3;
SELECT 1, 1;
SELECT DATE '2024-01-02';
SELECT TIMESTAMP '2024-01-02 03:04:05';

-- section: arithmetic
SELECT 1 + 1;
SELECT 1 - 2;
SELECT 200 + 100;
SELECT 2 * 3;
SELECT 1 / 3;
SELECT 7 % 3;
SELECT -7 % 3;
SELECT 1 + 1.5;
SELECT 1 + -1;
SELECT -(5);
SELECT -(-5);
SELECT 1 + 2 * 3;
SELECT (1 + 2) * 3;
SELECT 7 DIV 2;
SELECT 7 MOD 2;
SELECT intDiv(7, 2);
SELECT intDiv(-7, 2);
SELECT intDivOrZero(7, 0);
SELECT modulo(7, 3);
SELECT plus(1, 2);
SELECT minus(1, 2);
SELECT multiply(3, 4);
SELECT divide(1, 2);
SELECT negate(3);
SELECT abs(-5);
SELECT sign(-5);
-- differs: Nullable of constants
SELECT 1 + NULL;
SELECT true + 1;
SELECT i8 + u8 FROM narrow ORDER BY i8;
SELECT i8 + i16, i16 + i32, i32 + i32, u8 + u8, u16 + u32, u32 + u32 FROM narrow ORDER BY i8;
SELECT i8 - u8, u8 - u8, u32 - u16 FROM narrow ORDER BY i8;
SELECT i8 * i8, i32 * i16, u8 * u16 FROM narrow ORDER BY i8;
SELECT i32 / i16 FROM narrow ORDER BY i8;
SELECT i32 % 10, u32 % 7, i8 % 3 FROM narrow ORDER BY i8;
SELECT intDiv(i32, 7), intDiv(u8, 3), intDiv(i16, u8) FROM narrow ORDER BY i8;
SELECT f32 + 1, f32 * 2.5, f32 + f32 FROM narrow ORDER BY i8;
SELECT f32 / 2 FROM narrow ORDER BY i8;
SELECT d + d, d - 1 FROM narrow ORDER BY i8;
SELECT d * d FROM narrow ORDER BY i8;
SELECT d + 1 FROM narrow ORDER BY i8;
SELECT -i8, -u8, -i16, -f32 FROM narrow ORDER BY i8;
SELECT abs(i8), abs(i32), abs(f32) FROM narrow ORDER BY i8;
SELECT n + 1, n * 2 FROM narrow ORDER BY i8;
SELECT u64 + 1 FROM narrow ORDER BY i8;
SELECT price * volume FROM trades ORDER BY ts;
SELECT sum(price * volume) / sum(volume) FROM trades;
SELECT round(price / 3, 4) FROM trades ORDER BY ts;
SELECT round(2.5), round(3.5), round(-2.5);
SELECT round(1234.567, 2), round(1234.567, -2);
SELECT floor(2.7), ceil(2.1), trunc(-2.7);
SELECT floor(1234.567, 1);
SELECT sqrt(2), exp(1), ln(2), log2(8), log10(1000);
SELECT pow(2, 10), power(2, 0.5);
SELECT pi(), e();
-- differs: last digits of floats
SELECT sin(1), cos(1), tan(1), asin(0.5), acos(0.5), atan(0.5);
SELECT greatest(1, 2, 3), least(1, 2, 3);
SELECT greatest(1, 2.5), least(1, -1);
SELECT bitAnd(6, 3), bitOr(6, 3), bitXor(6, 3);
SELECT bitShiftLeft(1, 4), bitShiftRight(16, 2);
SELECT bitNot(5);
SELECT gcd(12, 18), lcm(4, 6);
SELECT isNaN(nan), isInfinite(inf), isFinite(1.5);

-- section: comparison
SELECT 1 = 1;
SELECT 1 != 2;
SELECT 1 <> 2;
SELECT 1 < 2, 1 <= 2, 1 > 2, 1 >= 2;
SELECT 1 == 1;
SELECT 'a' = 'b';
SELECT 'a' < 'b';
SELECT 1 = 1.0;
-- differs: Nullable of constants
SELECT NULL = 1;
SELECT NULL IS NULL;
SELECT 1 IS NOT NULL;
SELECT 1 AND 0;
SELECT 1 OR 0;
SELECT NOT 1;
SELECT 1 AND 2 AND 3;
SELECT xor(1, 0);
SELECT 5 BETWEEN 1 AND 10;
SELECT 5 NOT BETWEEN 1 AND 10;
SELECT 2 IN (1, 2, 3);
SELECT 2 NOT IN (1, 2, 3);
SELECT 'a' IN ('a');
SELECT 'hello' LIKE 'h%';
SELECT 'hello' NOT LIKE 'h%';
SELECT 'Hello' ILIKE 'h%';
-- differs: LowCardinality of results
SELECT symbol = 'AAPL' FROM trades ORDER BY ts;
SELECT price > 10 AND volume < 400 FROM trades ORDER BY ts;
SELECT quote > 6 FROM trades ORDER BY ts;
SELECT quote IS NULL FROM trades ORDER BY ts;
SELECT ok = true FROM trades ORDER BY ts;
-- differs: `NOT`, `AND`, `OR`, `=` of Bool
SELECT NOT ok FROM trades ORDER BY ts;
SELECT ts >= toDateTime(1704153660) FROM trades ORDER BY ts;
SELECT ts >= '2024-01-02 00:01:00' FROM trades ORDER BY ts;
SELECT day = '2024-01-02' FROM trades ORDER BY ts;
SELECT ts > fromUnixTimestamp64Milli(1704153660000) FROM trades ORDER BY ts;
SELECT day >= toDate('2024-01-03') FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT symbol IN ('AAPL', 'TSLA') FROM trades ORDER BY ts;
SELECT (symbol, exchange) IN (('AAPL', 'N'), ('MSFT', 'Q')) FROM trades ORDER BY ts;
SELECT volume IN (SELECT max(volume) FROM trades) FROM trades ORDER BY ts;
SELECT i8 = u64, i8 < u8 FROM narrow ORDER BY i8;
SELECT (1, 2) = (1, 2);
SELECT [1, 2] = [1, 2];

-- section: conditions
SELECT if(1, 'a', 'b');
SELECT if(0, 1, 300);
SELECT if(1, 1, -1);
SELECT if(1, 1, 2.5);
SELECT if(NULL, 1, 2);
SELECT if(1, NULL, 2);
SELECT 1 ? 'yes' : 'no';
SELECT multiIf(0, 'a', 1, 'b', 'c');
SELECT multiIf(price > 11, 'high', price > 10, 'mid', 'low') FROM trades ORDER BY ts;
SELECT CASE WHEN price > 11 THEN 1 ELSE 0 END FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT CASE symbol WHEN 'AAPL' THEN 'apple' WHEN 'MSFT' THEN 'microsoft' ELSE 'other' END FROM trades ORDER BY ts;
SELECT CASE WHEN price > 11 THEN 'x' END FROM trades ORDER BY ts;
SELECT coalesce(NULL, 1);
SELECT coalesce(NULL, NULL);
-- differs: values of types without a common one
SELECT if(1, 'a', 1);
-- differs: values of types without a common one
SELECT multiIf(1, 'a', 2);
SELECT coalesce('a', 1);
SELECT coalesce(quote, price) FROM trades ORDER BY ts;
SELECT coalesce(quote, 0) FROM trades ORDER BY ts;
SELECT ifNull(quote, 0) FROM trades ORDER BY ts;
SELECT ifNull(NULL, 'x');
SELECT nullIf(1, 1);
SELECT nullIf(volume, 100) FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT nullIf(symbol, 'AAPL') FROM trades ORDER BY ts;
SELECT isNull(quote), isNotNull(quote) FROM trades ORDER BY ts;
SELECT assumeNotNull(quote) FROM trades ORDER BY ts;
SELECT toNullable(volume) FROM trades ORDER BY ts;
SELECT if(quote > 6, quote, 0) FROM trades ORDER BY ts;
SELECT if(ok, symbol, 'none') FROM trades ORDER BY ts;
SELECT if(isNaN(price), 0, price) FROM trades ORDER BY ts;

-- section: casts
SELECT CAST(1 AS Int64);
SELECT CAST(1, 'String');
SELECT CAST('1.5' AS Float64);
SELECT 1::Int64;
SELECT '1'::Int32;
SELECT '2024-01-02'::Date;
SELECT price::Int32 FROM trades ORDER BY ts;
SELECT CAST(volume AS String) FROM trades ORDER BY ts;
SELECT CAST(quote AS Nullable(Int32)) FROM trades ORDER BY ts;
SELECT CAST([1, 2] AS Array(Int64));
SELECT toInt8(1), toInt16(1), toInt32(1), toInt64(1);
SELECT toUInt8(1), toUInt16(1), toUInt32(1), toUInt64(1);
SELECT toInt32('42');
SELECT toInt32(3.9);
SELECT toUInt8(257);
SELECT toInt8(200);
SELECT toFloat32(1.1), toFloat64(1.1), toFloat64('1e3');
SELECT toString(1), toString(1.5), toString(true), toString([1, 2]);
SELECT toString(ts) FROM trades ORDER BY ts;
SELECT toString(day), toString(quote) FROM trades ORDER BY ts;
SELECT toInt32OrZero('x'), toInt32OrZero('7');
SELECT toInt32OrNull('x');
SELECT toInt32OrNull(exchange) FROM trades ORDER BY ts;
SELECT toFloat64OrZero('1.5x'), toFloat64OrNull('abc');
SELECT toInt64OrDefault('x', toInt64(5));
SELECT toDecimal32('1.234', 2), toDecimal64(5, 3), toDecimal128('1.5', 4);
SELECT toBool(1), toBool('true');
SELECT toDate('2024-01-02'), toDate(1), toDate(1704153600);
SELECT toDate(ts) FROM trades ORDER BY ts;
SELECT toDateTime('2024-01-02 03:04:05'), toDateTime(1704153600);
SELECT toDateTime('2024-01-02 03:04:05', 'Europe/Berlin');
SELECT toDateTime(day) FROM trades ORDER BY ts;
SELECT toDateTime(ts) FROM trades ORDER BY ts;
SELECT toDateTime64('2024-01-02 03:04:05.678', 3), toDateTime64('2024-01-02 03:04:05.678', 3, 'America/New_York');
SELECT toDateTime64(ts, 3) FROM trades ORDER BY ts;
SELECT toDateTimeOrNull('nope'), toDateOrZero('nope');
SELECT toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0');
SELECT toTypeName(1), toTypeName('a'), toTypeName([1]), toTypeName(NULL);
SELECT toTypeName(price), toTypeName(symbol), toTypeName(ts), toTypeName(quote) FROM trades LIMIT 1;
-- differs: functions that are not there
SELECT reinterpretAsInt64(reinterpretAsString(toInt64(5)));
SELECT accurateCastOrNull(300, 'UInt8');
SELECT accurateCast(5, 'UInt8');
SELECT parseDateTimeBestEffort('2024-01-02T03:04:05Z');
SELECT parseDateTime64BestEffort('2024-01-02 03:04:05.678');
SELECT parseDateTimeBestEffortOrNull('nope');
SELECT toLowCardinality('a');
SELECT CAST('a' AS LowCardinality(String));

-- section: dates
SELECT toYear(ts), toMonth(ts), toDayOfMonth(ts), toHour(ts), toMinute(ts), toSecond(ts) FROM trades ORDER BY ts LIMIT 1;
SELECT toDayOfWeek(day), toDayOfYear(day), toQuarter(day), toISOWeek(day) FROM trades ORDER BY ts LIMIT 1;
SELECT toYYYYMM(day), toYYYYMMDD(day), toYYYYMMDDhhmmss(ts) FROM trades ORDER BY ts LIMIT 1;
SELECT toStartOfSecond(ts), toStartOfMinute(ts), toStartOfHour(ts), toStartOfDay(ts) FROM trades ORDER BY ts LIMIT 2;
SELECT toStartOfFiveMinutes(ts), toStartOfTenMinutes(ts), toStartOfFifteenMinutes(ts) FROM trades ORDER BY ts LIMIT 2;
SELECT toMonday(ts), toStartOfWeek(ts), toStartOfMonth(ts), toStartOfQuarter(ts), toStartOfYear(ts) FROM trades ORDER BY ts LIMIT 1;
SELECT toStartOfInterval(ts, INTERVAL 1 MINUTE) FROM trades ORDER BY ts;
SELECT toStartOfInterval(toDateTime(ts), INTERVAL 60 second) FROM trades ORDER BY ts;
SELECT toStartOfInterval(toDateTime64(ts, 3), INTERVAL 500 millisecond) FROM trades ORDER BY ts;
SELECT toStartOfInterval(ts, toIntervalMinute(2)) FROM trades ORDER BY ts;
SELECT toStartOfInterval(day, INTERVAL 1 MONTH) FROM trades ORDER BY ts LIMIT 1;
SELECT dateTrunc('minute', ts) FROM trades ORDER BY ts;
SELECT date_trunc('hour', ts) FROM trades ORDER BY ts LIMIT 1;
SELECT dateTrunc('month', day) FROM trades ORDER BY ts LIMIT 1;
SELECT dateTrunc('MINUTE', ts) FROM trades ORDER BY ts LIMIT 1;
SELECT ts + INTERVAL 1 SECOND FROM trades ORDER BY ts LIMIT 1;
SELECT ts - INTERVAL 1 DAY FROM trades ORDER BY ts LIMIT 1;
SELECT day + INTERVAL 1 MONTH FROM trades ORDER BY ts LIMIT 1;
SELECT day + 1, day - 1 FROM trades ORDER BY ts LIMIT 1;
SELECT dt + 60, dt - 60 FROM narrow ORDER BY i8;
SELECT dt + INTERVAL 5 MINUTE, dtz + INTERVAL 1 HOUR FROM narrow ORDER BY i8;
SELECT dt + toIntervalDay(1) FROM narrow ORDER BY i8;
SELECT addSeconds(dt, 1), addMinutes(dt, 1), addHours(dt, 1), addDays(dt, 1), addWeeks(dt, 1), addMonths(dt, 1), addYears(dt, 1) FROM narrow ORDER BY i8;
SELECT subtractDays(day, 1), subtractMonths(day, 1) FROM trades ORDER BY ts LIMIT 1;
SELECT dateAdd(day, 1, toDate('2024-01-31'));
SELECT date_add(MONTH, 1, toDate('2024-01-31'));
SELECT dateSub(HOUR, 2, toDateTime('2024-01-31 00:00:00'));
SELECT dateDiff('second', toDateTime('2024-01-02 00:00:00'), toDateTime('2024-01-02 00:01:00'));
SELECT dateDiff('day', day, toDate('2024-02-01')) FROM trades ORDER BY ts LIMIT 1;
-- differs: `dateDiff` of times in two zones
SELECT date_diff('hour', dt, dtz) FROM narrow ORDER BY i8;
SELECT age('month', toDate('2023-01-15'), toDate('2024-01-02'));
SELECT day - toDate('2024-01-01') FROM trades ORDER BY ts LIMIT 1;
SELECT dt - toDateTime(0) FROM narrow ORDER BY i8;
SELECT toUnixTimestamp(dt), toUnixTimestamp('2024-01-02 00:00:00') FROM narrow ORDER BY i8;
SELECT toUnixTimestamp64Milli(ts), toUnixTimestamp64Micro(ts), toUnixTimestamp64Nano(ts) FROM trades ORDER BY ts LIMIT 2;
SELECT fromUnixTimestamp(1704153600);
SELECT fromUnixTimestamp64Milli(1704153600123), fromUnixTimestamp64Micro(1704153600123456), fromUnixTimestamp64Nano(1704153600123456789);
SELECT formatDateTime(dt, '%Y-%m-%d %H:%i:%S') FROM narrow ORDER BY i8;
SELECT formatDateTime(dt, '%d/%m/%y %j %a %b') FROM narrow ORDER BY i8;
SELECT toTimeZone(dt, 'Asia/Tokyo') FROM narrow ORDER BY i8;
SELECT toDateTime(dt, 'Asia/Tokyo') FROM narrow ORDER BY i8;
SELECT timeZoneOf(dtz) FROM narrow ORDER BY i8;
SELECT toHour(dtz), toHour(dt, 'Europe/Berlin') FROM narrow ORDER BY i8;
SELECT dateName('month', day), dateName('weekday', day) FROM trades ORDER BY ts LIMIT 1;
SELECT monthName(day) FROM trades ORDER BY ts LIMIT 1;
SELECT toLastDayOfMonth(day) FROM trades ORDER BY ts LIMIT 1;
SELECT makeDate(2024, 2, 29), makeDateTime(2024, 1, 2, 3, 4, 5);
SELECT EXTRACT(YEAR FROM day), EXTRACT(MINUTE FROM ts) FROM trades ORDER BY ts LIMIT 1;
SELECT YEAR(day), MONTH(day), DAY(day) FROM trades ORDER BY ts LIMIT 1;
SELECT toRelativeDayNum(day) FROM trades ORDER BY ts LIMIT 1;
SELECT timeSlot(toDateTime('2024-01-02 03:44:05'));
SELECT toDateTime('2024-01-02 00:00:00') + INTERVAL '1 hour';
SELECT toDate('2024-01-31') + INTERVAL 1 MONTH;
SELECT toTypeName(now()), toTypeName(now64()), toTypeName(now64(9)), toTypeName(today()), toTypeName(yesterday());
SELECT toTypeName(now64(9) - now64(9));
SELECT today() - yesterday();
SELECT toISOYear(day), toWeek(day), toYearWeek(day) FROM trades ORDER BY ts LIMIT 1;
SELECT min(ts), max(ts) FROM trades;
SELECT max(ts) - min(ts) FROM trades;

-- section: strings
SELECT length('hello'), lengthUTF8('äöü'), char_length('äöü');
SELECT lower('ABC'), upper('abc'), lowerUTF8('ÄÖ');
SELECT concat('a', 'b', 'c');
SELECT 'a' || 'b' || 'c';
SELECT concat(symbol, '-', exchange) FROM trades ORDER BY ts;
SELECT substring('hello', 2, 3), substr('hello', 2), substring('hello', -3, 2);
SELECT substring('hello' FROM 2 FOR 3);
SELECT left('hello', 2), right('hello', 2);
SELECT position('hello', 'l'), positionCaseInsensitive('HELLO', 'l');
SELECT position('l' IN 'hello');
SELECT replaceAll('aXbX', 'X', '-'), replaceOne('aXbX', 'X', '-'), replace('aXbX', 'X', '-');
SELECT replaceRegexpAll('hello', '[aeiou]', '*'), replaceRegexpOne('hello', 'l', 'L');
SELECT trim('  a  '), trimLeft('  a'), trimRight('a  '), trimBoth(' a ');
SELECT trim(BOTH 'x' FROM 'xxaxx');
SELECT trim(LEADING ' ' FROM '  a');
SELECT splitByChar(',', 'a,b,,c');
SELECT splitByString('--', 'a--b');
SELECT splitByRegexp('[0-9]', 'a1b2c');
SELECT splitByWhitespace(' a b  c ');
SELECT arrayStringConcat(['a', 'b'], ','), arrayStringConcat(['a', 'b']);
SELECT startsWith('hello', 'he'), endsWith('hello', 'lo');
SELECT match('hello', 'l+'), extract('a1b22', '[0-9]+'), extractAll('a1b22', '[0-9]+');
SELECT countSubstrings('abcabc', 'bc');
SELECT like('abc', 'a%'), notLike('abc', 'a%');
SELECT reverse('abc'), reverseUTF8('äöü');
SELECT repeat('ab', 3), space(2);
SELECT leftPad('7', 3, '0'), rightPad('7', 3, '0'), lpad('7', 3, '0');
SELECT empty(''), notEmpty('a');
SELECT hex('abc'), unhex('616263'), hex(255);
SELECT base64Encode('abc'), base64Decode('YWJj');
SELECT lower(hex(MD5('abc')));
SELECT lower(hex(SHA256('abc')));
SELECT cityHash64('abc');
SELECT xxHash64('abc');
SELECT sipHash64('abc');
SELECT format('{} {}', 'a', 'b');
SELECT ascii('A'), char(72, 105);
SELECT toString(123) || 'x';
SELECT symbol || '/' || toString(volume) FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT upper(symbol), lower(symbol), length(symbol) FROM trades ORDER BY ts LIMIT 1;
SELECT multiSearchAny('hello', ['x', 'l']);
SELECT domain('https://example.com/a?b=c'), path('https://example.com/a?b=c');
SELECT JSONExtractString('{"a":"b"}', 'a'), JSONExtractInt('{"a":5}', 'a'), JSONExtractFloat('{"a":1.5}', 'a');
SELECT JSONExtractBool('{"a":true}', 'a'), JSONHas('{"a":1}', 'b'), JSONLength('[1,2,3]');
SELECT JSONExtractRaw('{"a":{"b":1}}', 'a');
SELECT JSONExtract('{"a":5}', 'a', 'Int64');
SELECT simpleJSONExtractInt('{"a":5}', 'a');
SELECT initcap('hello world');
SELECT formatReadableSize(1536), formatReadableQuantity(1234567);
SELECT toValidUTF8('abc');
SELECT encodeURLComponent('a b&c'), decodeURLComponent('a%20b');
SELECT substringIndex('a.b.c', '.', 2);
SELECT soundex('Robert'), levenshteinDistance('abc', 'abd');
SELECT concatWithSeparator('-', 'a', 'b');
SELECT isValidUTF8('abc');
SELECT translate('hello', 'el', 'ip');
SELECT ngrams('abcd', 2);
SELECT alphaTokens('ab1cd');

-- section: arrays
SELECT arrayMap(x -> x * 2, [1, 2, 3]);
SELECT arrayMap(x -> x + 1, [1, -2]);
SELECT arrayMap((x, y) -> x + y, [1, 2], [10, 20]);
SELECT arrayMap(x -> toString(x), [1, 2]);
SELECT arrayMap(x -> x * volume, [1, 2]) FROM trades ORDER BY ts;
SELECT arrayMap(x -> concat(x, '!'), tags) FROM trades ORDER BY ts;
SELECT arrayMap(x -> arrayMap(y -> x * y, [1, 2]), [3, 4]);
SELECT arrayMap(x -> if(x > 1, 'big', 'small'), [1, 2]);
SELECT arrayMap(x -> (x, x * x), [1, 2]);
SELECT arrayMap(x -> x.1, [(1, 'a'), (2, 'b')]);
SELECT arrayFilter(x -> x > 1, [1, 2, 3]);
SELECT arrayFilter(x -> x LIKE 'a%', ['abc', 'xyz']);
SELECT arrayFilter((x, y) -> y > 1, ['a', 'b'], [1, 2]);
SELECT arrayFilter(x -> x != 'b', tags) FROM trades ORDER BY ts;
SELECT arrayExists(x -> x = 2, [1, 2, 3]);
SELECT arrayAll(x -> x > 0, [1, 2, 3]);
SELECT arrayCount(x -> x > 1, [1, 2, 3]);
SELECT arrayCount([0, 1, 2]);
SELECT arrayFirst(x -> x > 1, [1, 2, 3]), arrayLast(x -> x > 1, [1, 2, 3]);
SELECT arrayFirstIndex(x -> x > 1, [1, 2, 3]), arrayLastIndex(x -> x > 1, [1, 2, 3]);
SELECT arraySum(x -> x * x, [1, 2, 3]);
SELECT arrayMin(x -> -x, [1, 2, 3]), arrayMax(x -> -x, [1, 2, 3]), arrayAvg(x -> x * 2, [1, 2, 3]);
SELECT arraySort(x -> -x, [1, 3, 2]);
SELECT arraySort((x, y) -> y, ['a', 'b', 'c'], [3, 1, 2]);
SELECT arrayReverseSort(x -> -x, [1, 3, 2]);
SELECT arraySort([3, 1, 2]), arrayReverseSort([3, 1, 2]);
SELECT arrayZip([1, 2], ['a', 'b']);
SELECT arrayEnumerate(['a', 'b', 'c']);
SELECT arraySum([1, 2, 3]), arrayAvg([1, 2, 3]), arrayMin([3, 1, 2]), arrayMax([3, 1, 2]);
SELECT arraySum([1.5, 2]), arraySum([-1, 2]);
SELECT arrayProduct([1, 2, 3]);
SELECT has([1, 2, 3], 2), has(['a'], 'b');
SELECT hasAll([1, 2, 3], [1, 2]), hasAny([1, 2, 3], [5, 3]);
SELECT indexOf([1, 2, 3], 2), countEqual([1, 2, 2], 2);
SELECT length([1, 2, 3]), empty([]), notEmpty([1]);
SELECT [1, 2, 3][1], [1, 2, 3][-1], [1, 2, 3][9];
SELECT arrayElement(['a', 'b'], 2);
SELECT arrayElementOrNull([1, 2], 5);
SELECT tags[1], length(tags), has(tags, 'a') FROM trades ORDER BY ts;
SELECT arrayConcat([1, 2], [3]), arrayPushBack([1], 2), arrayPushFront([1], 2);
SELECT arrayPopBack([1, 2, 3]), arrayPopFront([1, 2, 3]);
SELECT arraySlice([1, 2, 3, 4], 2, 2), arrayReverse([1, 2, 3]);
SELECT arrayDistinct([1, 1, 2]), arrayUniq([1, 1, 2]), arrayCompact([1, 1, 2, 1]);
SELECT arrayFlatten([[1], [2, 3]]), flatten([[1], [2]]);
SELECT arrayIntersect([1, 2, 3], [2, 3, 4]);
SELECT arrayCumSum([1, 2, 3]), arrayDifference([1, 3, 6]);
SELECT arrayResize([1, 2], 4), arrayResize([1, 2], 4, 9);
SELECT arrayWithConstant(3, 'a'), replicate(1, [1, 2, 3]);
SELECT range(5), range(1, 5), range(0, 10, 3);
SELECT arrayJoin([1, 2, 3]);
SELECT arrayJoin([1, 2]) AS x, x * 10;
SELECT arrayJoin(tags) AS tag, count() FROM trades GROUP BY tag ORDER BY tag;
SELECT symbol, tag FROM trades ARRAY JOIN tags AS tag ORDER BY ts, tag;
SELECT arrayStringConcat(arrayMap(x -> toString(x), [1, 2, 3]), '-');
SELECT arrayReduce('sum', [1, 2, 3]), arrayReduce('max', [1, 2, 3]);
-- differs: functions that are not there
SELECT arrayFold((acc, x) -> acc + x, [1, 2, 3], toInt64(0));
SELECT arrayFill(x -> x > 0, [1, 0, 3, 0]);
SELECT arraySplit(x -> x = 0, [1, 0, 2]);
SELECT array(1, 2), emptyArrayUInt8();
SELECT arrayExists(x -> x IN ('a', 'c'), tags) FROM trades ORDER BY ts;
SELECT groupArray(price) FROM (SELECT price FROM trades ORDER BY ts);
SELECT arrayMap(x -> round(x, 1), groupArray(price)) FROM (SELECT price FROM trades ORDER BY ts);
SELECT count() FROM trades WHERE has(tags, 'b');
SELECT arrayPartialSort(2, [3, 1, 2]);
SELECT arrayRotateLeft([1, 2, 3], 1), arrayShiftLeft([1, 2, 3], 1);
SELECT arrayEnumerateUniq(['a', 'b', 'a']);
SELECT arrayMap(x -> x, []);
SELECT arrayFilter(x -> isNotNull(x), [1, NULL, 2]);

-- section: tuples and maps
SELECT (1, 'a').1, (1, 'a').2;
SELECT tupleElement((1, 'a'), 2);
SELECT tuple(1, 'a') AS t, t.1, t.2;
SELECT untuple((1, 'a'));
SELECT m FROM narrow ORDER BY i8;
SELECT m['a'], m['zz'] FROM narrow ORDER BY i8;
SELECT mapKeys(m), mapValues(m) FROM narrow ORDER BY i8;
SELECT mapContains(m, 'a') FROM narrow ORDER BY i8;
SELECT length(m), empty(m) FROM narrow ORDER BY i8;
SELECT map('a', 1)['a'];
SELECT mapKeys(map('a', 1, 'b', 2)), mapValues(map('a', 1, 'b', 2));
SELECT mapFromArrays(['a', 'b'], [1, 2]);
-- differs: functions that are not there
SELECT mapAdd(map('a', 1), map('a', 2));
SELECT mapApply((k, v) -> (k, v * 2), map('a', 1));
SELECT mapFilter((k, v) -> v > 1, map('a', 1, 'b', 2));
SELECT arrayMap(k -> upper(k), mapKeys(m)) FROM narrow ORDER BY i8;
-- differs: functions that are not there
SELECT tupleToNameValuePairs(tuple(1, 2));
SELECT dotProduct((1, 2), (3, 4));

-- section: aggregates
SELECT count(), count(*), count(1), count(quote) FROM trades;
SELECT sum(volume), sum(price), sum(flags), sum(quote) FROM trades;
SELECT avg(price), avg(volume), avg(quote) FROM trades;
SELECT min(price), max(price), min(symbol), max(day), min(quote) FROM trades;
SELECT any(symbol), anyLast(symbol) FROM (SELECT symbol FROM trades ORDER BY ts);
SELECT argMin(symbol, price), argMax(symbol, price), argMax(ts, volume) FROM trades;
SELECT argMax(symbol, (flags, volume)) FROM trades;
SELECT countIf(price > 10), sumIf(volume, price > 10), avgIf(price, symbol = 'AAPL') FROM trades;
SELECT minIf(price, volume > 100), maxIf(price, volume > 100) FROM trades;
SELECT anyIf(symbol, price > 11.9), argMaxIf(symbol, price, exchange = 'Q') FROM trades;
SELECT uniq(symbol), uniqExact(symbol), uniqIf(symbol, price > 10) FROM trades;
SELECT uniqCombined(symbol), uniqHLL12(symbol) FROM trades;
SELECT count(DISTINCT symbol) FROM trades;
SELECT uniqExact(symbol, exchange) FROM trades;
SELECT quantile(price), quantile(0.25)(price), quantiles(0.25, 0.75)(price) FROM trades;
-- differs: functions that are not there
SELECT quantileExact(0.5)(volume), quantileExact(price), quantilesExact(0.5, 0.9)(volume) FROM trades;
SELECT median(price), medianExact(volume) FROM trades;
SELECT quantileIf(0.5)(price, volume > 100) FROM trades;
-- differs: type of `quantileTDigest`
SELECT quantileTDigest(0.5)(price) FROM trades;
SELECT groupArray(symbol) FROM (SELECT symbol FROM trades ORDER BY ts);
SELECT groupArray(2)(symbol) FROM (SELECT symbol FROM trades ORDER BY ts);
SELECT arraySort(groupUniqArray(symbol)) FROM trades;
SELECT groupArrayIf(volume, price > 10) FROM (SELECT * FROM trades ORDER BY ts);
SELECT arraySort(groupArrayDistinct(exchange)) FROM trades;
SELECT groupArraySorted(2)(price) FROM trades;
SELECT groupBitOr(flags), groupBitAnd(flags), groupBitXor(flags) FROM trades;
SELECT topK(1)(symbol) FROM (SELECT symbol FROM trades WHERE symbol != 'TSLA' AND price < 11.9);
SELECT length(topK(2)(symbol)) FROM trades;
SELECT topKWeighted(1)(symbol, volume) FROM trades;
SELECT sumMap(map('a', 1)), sumOrNull(price) FROM trades WHERE price > 1000;
-- differs: functions that are not there
SELECT sumWithOverflow(flags) FROM trades;
-- differs: last digits of floats
SELECT stddevPop(price), stddevSamp(price), varPop(price), varSamp(price) FROM trades;
SELECT corr(price, volume), covarPop(price, volume) FROM trades;
SELECT round(skewPop(price), 6), round(kurtPop(price), 6) FROM trades;
-- differs: `avgWeighted(x, weight)` with a whole weight
SELECT avgWeighted(price, volume) FROM trades;
SELECT count(), sum(price), avg(price), min(price), max(symbol) FROM trades WHERE price > 1000;
SELECT sum(quote), avg(quote), max(quote), any(quote) FROM trades WHERE price > 1000;
SELECT symbol, count(), sum(volume) FROM trades GROUP BY symbol ORDER BY symbol;
SELECT symbol, count() AS c FROM trades GROUP BY symbol HAVING c > 1 ORDER BY symbol;
SELECT symbol, exchange, sum(volume) FROM trades GROUP BY symbol, exchange ORDER BY symbol, exchange;
SELECT symbol, max(price) - min(price) AS spread FROM trades GROUP BY symbol ORDER BY spread, symbol;
SELECT sum(volume) / count() FROM trades;
SELECT count() * 2, -count(), count() + 0.5 FROM trades;
SELECT sum(i8), sum(i32), sum(u8), sum(u64 % 10), sum(f32), sum(d), sum(n) FROM narrow;
SELECT avg(i8), avg(d), avg(n) FROM narrow;
SELECT min(i8), max(u16), min(f32), max(d), max(n), max(s), min(dt), max(ms) FROM narrow;
SELECT maxOrNull(price), minOrDefault(price), countOrNull(price) FROM trades WHERE price > 1000;
-- differs: functions that are not there
SELECT simpleLinearRegression(price, volume) FROM trades WHERE symbol = 'MSFT';
SELECT exponentialMovingAverage(60)(price, toUnixTimestamp(ts)) FROM trades WHERE symbol = 'AAPL';
SELECT deltaSum(volume) FROM (SELECT volume FROM trades ORDER BY ts);
SELECT boundingRatio(volume, price) FROM trades WHERE symbol = 'AAPL';
SELECT first_value(price), last_value(price) FROM (SELECT price FROM trades ORDER BY ts);
SELECT groupConcat(',')(symbol) FROM (SELECT symbol FROM trades ORDER BY ts);
-- differs: functions that are not there
SELECT histogram(2)(price) FROM trades WHERE symbol = 'AAPL';
SELECT maxMap(map('a', volume)) FROM trades;
-- differs: functions that are not there
SELECT windowFunnel(10)(toDateTime(ts), price = 10, price = 11.5) FROM trades;
-- differs: functions that are not there
SELECT retention(price > 9, price > 11) FROM trades;
SELECT entropy(symbol) > 1 FROM trades;
SELECT symbol, count() FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol;
SELECT symbol, count() FROM trades GROUP BY ROLLUP(symbol) ORDER BY symbol;
SELECT count() FROM trades GROUP BY ALL;
SELECT symbol, sum(volume) FROM trades GROUP BY ALL ORDER BY symbol;
SELECT countDistinct(symbol), sumDistinct(flags) FROM trades;
-- differs: functions that are not there
SELECT sumForEach([1, 2]) FROM trades;
SELECT sumArray([1, 2]), maxArray(tags) FROM trades;
SELECT largestTriangleThreeBuckets(2)(volume, price) FROM trades;
SELECT point.1 AS x, point.2 AS y FROM (SELECT arrayJoin(lttb(3)(volume, price)) AS point FROM trades) ORDER BY x;
SELECT lttb(3)(toUnixTimestamp(ts), price) FROM trades;
SELECT lttb(10)(ts, price) FROM trades;

-- section: aliases
SELECT price * 2 AS double, double + 1 FROM trades ORDER BY ts;
SELECT price AS p, p * 2 AS q, q + p FROM trades ORDER BY ts;
SELECT volume AS price FROM trades ORDER BY price;
SELECT toStartOfMinute(ts) AS ts, sum(volume) FROM trades GROUP BY ts ORDER BY ts;
SELECT toStartOfInterval(toDateTime(ts), INTERVAL 60 second) AS "time", avg(price) AS p FROM "default"."trades" WHERE ( ts >= toDateTime(1704153600) AND ts <= toDateTime(1704153900) ) AND ( symbol IN ('AAPL', 'MSFT') ) GROUP BY time ORDER BY time ASC LIMIT 1000;
SELECT upper(symbol) AS symbol FROM trades WHERE symbol = 'AAPL' ORDER BY ts;
SELECT 1 AS a, a + 1 AS b, b + 1 AS c;
SELECT symbol AS s FROM trades WHERE s LIKE 'T%';
SELECT sum(volume) AS v FROM trades HAVING v > 10;
SELECT count() AS c, c / 2 FROM trades;
WITH 10 AS x SELECT x + 1;
WITH (SELECT max(price) FROM trades) AS top SELECT symbol FROM trades WHERE price = top;
WITH toDate('2024-01-02') AS d SELECT count() FROM trades WHERE day = d;
WITH x AS (SELECT symbol FROM trades WHERE price > 11) SELECT count() FROM x;
SELECT t.price FROM trades AS t ORDER BY t.ts LIMIT 1;
SELECT trades.price, symbol FROM trades ORDER BY ts LIMIT 1;
SELECT toString(symbol) AS symbol, max(price) AS price FROM trades WHERE ts >= toDateTime(0) GROUP BY symbol ORDER BY symbol;
SELECT (price + 1) AS x FROM trades ORDER BY x LIMIT 1;
SELECT * EXCEPT (tags, ts) FROM trades ORDER BY ts LIMIT 1;
SELECT * EXCEPT (tags) REPLACE (price * 2 AS price) FROM trades ORDER BY ts LIMIT 1;
SELECT COLUMNS('^(price|volume)$') FROM trades ORDER BY ts LIMIT 1;
SELECT price AS "p.q" FROM trades ORDER BY ts LIMIT 1;

-- section: windows
SELECT row_number() OVER (ORDER BY ts) FROM trades ORDER BY ts;
SELECT rank() OVER (ORDER BY symbol), dense_rank() OVER (ORDER BY symbol) FROM trades ORDER BY ts;
SELECT sum(volume) OVER (PARTITION BY symbol ORDER BY ts) FROM trades ORDER BY ts;
SELECT avg(price) OVER (PARTITION BY symbol) FROM trades ORDER BY ts;
SELECT lagInFrame(price) OVER (ORDER BY ts) FROM trades ORDER BY ts;
SELECT lagInFrame(price, 1, price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM trades ORDER BY ts;
SELECT leadInFrame(price) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM trades ORDER BY ts;
SELECT leadInFrame(price) OVER (ORDER BY ts) FROM trades ORDER BY ts;
SELECT lagInFrame(volume, 2, 7) OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM trades ORDER BY ts;
SELECT lagInFrame(ts, 1, ts) OVER w FROM trades WINDOW w AS (PARTITION BY symbol ORDER BY ts ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY ts;
SELECT if((volume - lagInFrame(volume, 1, volume) OVER w) = 0, nan, (price - lagInFrame(price, 1, price) OVER w) / (volume - lagInFrame(volume, 1, volume) OVER w)) AS r FROM trades WINDOW w AS (PARTITION BY symbol ORDER BY ts ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY ts;
SELECT toStartOfInterval(toDateTime(ts), INTERVAL 60 second) AS t, toString(symbol) AS symbol, max(price) AS price, if((t - lagInFrame(t, 1, t) OVER w) = 0, nan, price - lagInFrame(price, 1, price) OVER w) AS d FROM trades WHERE ts >= toDateTime(1704153600) GROUP BY t, symbol WINDOW w AS (PARTITION BY symbol ORDER BY t ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY t, symbol;
SELECT first_value(price) OVER (PARTITION BY symbol ORDER BY ts), last_value(price) OVER (PARTITION BY symbol ORDER BY ts) FROM trades ORDER BY ts;
SELECT sum(volume) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM trades ORDER BY ts;
SELECT max(price) OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM trades ORDER BY ts;
SELECT count() OVER () FROM trades ORDER BY ts;
SELECT ntile(2) OVER (ORDER BY ts) FROM trades ORDER BY ts;
SELECT percent_rank() OVER (ORDER BY ts) FROM trades ORDER BY ts;
SELECT nth_value(price, 2) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM trades ORDER BY ts;
SELECT sum(volume) OVER w AS s, avg(price) OVER w AS a FROM trades WINDOW w AS (PARTITION BY symbol) ORDER BY ts;
SELECT symbol, price FROM (SELECT symbol, price, row_number() OVER (PARTITION BY symbol ORDER BY price DESC) AS n FROM trades) WHERE n = 1 ORDER BY symbol;
SELECT symbol FROM trades QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY ts) = 1 ORDER BY symbol;
-- differs: functions that are not there
SELECT nonNegativeDerivative(price, ts) OVER (ORDER BY ts) FROM trades WHERE symbol = 'AAPL' ORDER BY ts;
SELECT sum(sum(volume)) OVER (ORDER BY symbol) FROM trades GROUP BY symbol ORDER BY symbol;

-- section: clauses
SELECT number FROM numbers(3);
SELECT number FROM numbers(2, 3);
SELECT number FROM system.numbers LIMIT 2;
SELECT sum(number) FROM numbers(10);
SELECT number * 2 AS d, toTypeName(number) FROM numbers(2);
SELECT number FROM numbers(10) WHERE number % 3 = 0;
SELECT symbol, price FROM trades ORDER BY symbol, price LIMIT 1 BY symbol;
SELECT symbol, price FROM trades ORDER BY ts DESC LIMIT 1 BY symbol LIMIT 2;
SELECT symbol, price FROM trades ORDER BY ts LIMIT 1 OFFSET 1 BY symbol;
SELECT symbol, exchange, price FROM trades ORDER BY ts LIMIT 1 BY symbol, exchange;
SELECT * EXCEPT (tags) FROM trades ORDER BY symbol, ts LIMIT 1 BY symbol;
SELECT symbol AS s, sum(volume) FROM trades GROUP BY s, exchange ORDER BY s, sum(volume) LIMIT 1 BY s;
SELECT number FROM numbers(5) ORDER BY number LIMIT 1, 2;
SELECT number FROM numbers(5) ORDER BY number LIMIT 2 OFFSET 1;
SELECT number FROM numbers(5) ORDER BY number DESC LIMIT 2;
SELECT number % 2 AS n FROM numbers(5) ORDER BY n LIMIT 2 WITH TIES;
SELECT number * 2 AS n FROM numbers(3) ORDER BY n WITH FILL;
SELECT number * 2 AS n FROM numbers(3) ORDER BY n WITH FILL FROM 0 TO 8;
SELECT number * 4 AS n, number AS v FROM numbers(3) ORDER BY n WITH FILL STEP 2;
SELECT number * 4 AS n, toString(number) AS v FROM numbers(3) ORDER BY n DESC WITH FILL STEP -2;
SELECT toStartOfMinute(ts) AS t, count() AS c FROM trades WHERE symbol != 'MSFT' GROUP BY t ORDER BY t WITH FILL STEP INTERVAL 1 MINUTE;
SELECT toStartOfMinute(ts) AS t, count() AS c FROM trades GROUP BY t ORDER BY t WITH FILL FROM toDateTime('2024-01-01 23:59:00') TO toDateTime('2024-01-02 00:06:00') STEP 60;
SELECT toStartOfMinute(ts) AS t, sum(quote) AS q FROM trades GROUP BY t ORDER BY t WITH FILL FROM toDateTime('2024-01-02 00:00:00') TO toDateTime('2024-01-02 00:06:00') STEP toIntervalMinute(1);
SELECT day AS d, count() AS c FROM trades GROUP BY d ORDER BY d WITH FILL FROM toDate('2024-01-01') TO toDate('2024-01-05');
-- differs: syntax that is not there
SELECT number * 3 AS n, number AS v FROM numbers(3) ORDER BY n WITH FILL INTERPOLATE (v AS v + 10);
SELECT number * 3 AS n, number AS v FROM numbers(3) ORDER BY n WITH FILL INTERPOLATE (v);
SELECT DISTINCT symbol FROM trades ORDER BY symbol;
SELECT symbol FROM trades WHERE price > 10 SETTINGS max_threads = 1, max_block_size = 100;
SELECT 1 AS x FORMAT JSONEachRow;
SELECT 1 AS x, 'a' AS y SETTINGS max_threads = 1 FORMAT JSONCompactEachRow;
SELECT 1 AS x FORMAT CSV SETTINGS max_threads = 1;
SELECT count() FROM trades SETTINGS additional_table_filters = {'trades': 'symbol = \'AAPL\''};
SELECT count() FROM trades settings additional_table_filters={'default.trades': ' symbol = \'AAPL\' AND price > 10 '};
SELECT count() FROM trades AS t settings additional_table_filters={'trades': 'price > 11'};
SELECT sum(volume) FROM trades PREWHERE price > 10 WHERE symbol = 'MSFT';
SELECT symbol, price FROM trades ORDER BY ALL LIMIT 2;
SELECT a.symbol, b.price FROM trades a JOIN trades b ON a.ts = b.ts WHERE a.price > 11 ORDER BY a.ts;
SELECT 1 UNION ALL SELECT 1;
SELECT * FROM (SELECT 1 AS x UNION ALL SELECT 2) ORDER BY x;
SELECT x FROM VALUES('x Int32, y String', (1, 'a'), (2, 'b')) ORDER BY x;
SELECT dummy FROM system.one;
SELECT * FROM (SELECT arrayJoin([3, 1, 2]) AS n) ORDER BY n;
SELECT EXISTS(SELECT 1 FROM trades WHERE price > 11);
SELECT symbol FROM trades WHERE ts > (SELECT min(ts) FROM trades) ORDER BY ts LIMIT 1;
-- differs: Nullable of constants
SELECT (SELECT count() FROM trades);
SELECT generate_series FROM generate_series(1, 5, 2);
-- differs: `EXPLAIN SYNTAX`
EXPLAIN SYNTAX SELECT 1;
DESCRIBE TABLE trades;
EXISTS TABLE trades;
EXISTS TABLE nothing_here;
SHOW TABLES LIKE 'tra%';
DESCRIBE (SELECT 1 AS a, 'x' AS b);

-- section: others
SELECT currentDatabase(), database();
SELECT toTypeName(version()), toTypeName(uptime()), toTypeName(hostName()), toTypeName(rand()), toTypeName(generateUUIDv4());
SELECT ignore(1, 2), identity(5), materialize(1);
-- differs: values of `getSetting`
SELECT getSetting('max_threads') > 0;
SELECT toTypeName(currentUser());
SELECT isConstant(1);
SELECT bar(5, 0, 10, 10);
SELECT transform(2, [1, 2], ['a', 'b'], 'c');
SELECT transform(volume, [100, 200], ['low', 'mid'], 'high') FROM trades ORDER BY ts;
-- differs: functions that are not there
SELECT toIPv4('1.2.3.4');
-- differs: functions that are not there
SELECT sleep(0);
SELECT throwIf(0);
SELECT rowNumberInAllBlocks() FROM numbers(2);
-- differs: functions that are not there
SELECT blockNumber() FROM numbers(1);
SELECT widthBucket(5, 0, 10, 5);
SELECT roundToExp2(100), roundDown(7, [0, 5, 10]);
SELECT multiply(toUnixTimestamp64Nano(ts), 0.000001) FROM trades ORDER BY ts LIMIT 1;
SELECT tupleElement(argMax((price, volume), ts), 1) FROM trades;
SELECT toFloat64(count()) / 2 FROM trades;
SELECT intDiv(toUInt32(toDateTime('2024-01-02 00:01:02')), 60) * 60;
SELECT (intDiv(toUInt32(ts), 60) * 60) * 1000 AS t, count() FROM trades GROUP BY t ORDER BY t;
SELECT toUnixTimestamp(toStartOfMinute(ts)) * 1000 AS time, symbol AS text FROM trades ORDER BY ts LIMIT 1;
SELECT toInt64(ts) FROM trades ORDER BY ts LIMIT 1;
SELECT toUInt32(ts), toFloat64(ts) FROM trades ORDER BY ts LIMIT 2;
SELECT toFloat64(price), toString(price) FROM trades ORDER BY ts LIMIT 1;
SELECT count() FROM trades WHERE symbol = 'AAPL' AND (price > 10 OR volume > 50);
SELECT s, id FROM narrow ORDER BY i8;
SELECT i8, i16, i32, u8, u16, u32, u64, f32, d, n, dt, dtz, ms FROM narrow ORDER BY i8;

-- section: hashes
SELECT cityHash64(''), cityHash64('abc'), cityHash64('twelve bytes'), cityHash64('a text of twenty-one'), cityHash64('a text that is longer than thirty-two bytes but not than sixty-four'), cityHash64(repeat('0123456789', 20));
SELECT cityHash64(symbol, price, volume, day), cityHash64(tags), cityHash64((symbol, day)), cityHash64(quote), cityHash64(ok) FROM trades ORDER BY ts;
SELECT cityHash64(i8), cityHash64(i16), cityHash64(i32), cityHash64(u8), cityHash64(u64), cityHash64(f32), cityHash64(dt), cityHash64(dtz) FROM narrow ORDER BY i8;
SELECT sipHash64('abc', 1, 2.5), sipHash64(''), sipHash64([1, 2, 3]), sipHash64(toInt64(-1));
SELECT xxHash64(''), xxHash64(repeat('abcdefgh', 9)), xxHash64('a', 'b', 3), xxHash32(repeat('abcdefg', 7)), xxHash32('a', 1), xxh3('abc');
SELECT murmurHash2_32('abcde', 1), murmurHash2_64('abcdefghi', 1), murmurHash3_32('abcdef'), murmurHash3_64('0123456789abcdefXYZ', 'b'), gccMurmurHash('abcdefghijk');
SELECT farmHash64('abc'), farmHash64(repeat('xyz', 30)), farmHash64('a', 1), farmFingerprint64(repeat('xyz', 300));
SELECT javaHash('abc'), javaHash('ü'), hiveHash('a longer text'), CRC32('abc'), CRC32IEEE('abc'), intHash32(5), intHash64(toInt32(-5)), halfMD5('abc');
SELECT hex(MD5('abc')), lower(hex(SHA1(''))), hex(SHA224('abc')), hex(SHA256(symbol)), hex(SHA384('abc')), hex(SHA512('abc')), hex(SHA512_256('abc')), base64Encode(MD5('a')) FROM trades ORDER BY ts LIMIT 1;
-- differs: LowCardinality of results
SELECT cityHash64(symbol) % 4 AS shard, count() FROM trades GROUP BY shard ORDER BY shard;

-- section: encodings
SELECT base64Encode(''), base64Encode('a'), base64Encode('ab'), base64Decode('YWJjZA=='), tryBase64Decode('?'), base64URLEncode('a?b>c'), base64URLDecode('YT9iPmM'), TO_BASE64('x'), FROM_BASE64('eA==');
SELECT base58Encode('Hello world'), base58Decode('2NEpo7TZRRrLZSi2U'), tryBase58Decode('0'), bin('ab'), bin(5), bin(toInt8(-1)), bin(256), unbin('0110000101100010'), hex(255), hex('ü'), unhex('6162');

-- section: groupings
SELECT symbol, exchange, count(), sum(volume) FROM trades GROUP BY symbol, exchange WITH ROLLUP ORDER BY symbol, exchange, count();
SELECT symbol, exchange, count() FROM trades GROUP BY symbol, exchange WITH CUBE ORDER BY symbol, exchange, count();
SELECT symbol, exchange, grouping(symbol), grouping(symbol, exchange) AS g, count() FROM trades GROUP BY GROUPING SETS ((symbol), (exchange), ()) ORDER BY g, symbol, exchange;
SELECT day, quote, count() FROM trades GROUP BY ROLLUP(day, quote) ORDER BY day, quote, count();
SELECT toStartOfMinute(ts) AS minute, max(price) FROM trades GROUP BY minute WITH ROLLUP ORDER BY minute;
SELECT symbol, count() FROM trades GROUP BY symbol WITH ROLLUP ORDER BY symbol SETTINGS group_by_use_nulls = 1;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol LIMIT 1 OFFSET 1;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY c DESC, symbol LIMIT 2;
SELECT exchange, sum(volume), max(ts), min(day) FROM trades GROUP BY exchange WITH TOTALS ORDER BY ALL;
SELECT quote, count() FROM trades GROUP BY 1 WITH TOTALS ORDER BY quote;
-- differs: totals of nothing
SELECT symbol, count() FROM trades WHERE price > 1000 GROUP BY symbol WITH TOTALS;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT CSVWithNames;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT TSVRaw;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT PrettyCompact;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT PrettyNoEscapes;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT PrettySpace;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT Vertical;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT JSONEachRow;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT Markdown;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol FORMAT JSONColumns;
SELECT symbol, price, quote, day, ok FROM trades ORDER BY ts SETTINGS extremes = 1;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1 FORMAT PrettyCompact;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1 FORMAT Vertical;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1 FORMAT CSV;
SELECT price FROM trades WHERE price > 1000 SETTINGS extremes = 1;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1, output_format_write_statistics = 0 FORMAT JSON;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1, output_format_write_statistics = 0 FORMAT JSONCompact;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1, output_format_write_statistics = 0 FORMAT JSONStrings;
SELECT symbol, count() AS c FROM trades GROUP BY symbol WITH TOTALS ORDER BY symbol SETTINGS extremes = 1, output_format_write_statistics = 0 FORMAT JSONColumnsWithMetadata;

-- section: forms of queries
SELECT price > 10 ? 'high' : 'low' FROM trades ORDER BY ts;
SELECT (number OR 0) ? 1 : 2 FROM numbers(2);
SELECT 7 DIV 2 + 1, 10 DIV 3 * 2;
SELECT symbol FROM trades ORDER BY symbol LIMIT 1 WITH TIES;
SELECT symbol, price FROM trades ORDER BY exchange LIMIT 1, 1 WITH TIES FORMAT Null;
SELECT exchange, count() AS c FROM trades GROUP BY exchange ORDER BY c DESC LIMIT 1 WITH TIES;
SELECT number DIV 2 AS n FROM numbers(7) ORDER BY n LIMIT 2 OFFSET 1 WITH TIES;
SELECT CAST('2024-01-02 03:04:05' AS DateTime('Europe/Berlin')), '2024-01-02 03:04:05.5'::DateTime64(1, 'UTC'), CAST(quote AS Nullable(DateTime('UTC'))) FROM trades ORDER BY ts LIMIT 1;
SELECT getSetting('join_use_nulls'), getSetting('extremes');
SELECT toUInt8(getSetting('max_result_rows')) SETTINGS max_result_rows = 7;

-- section: more functions
SELECT mapApply((k, v) -> (k, v * 2), m), mapFilter((k, v) -> v > 1, m), mapExists((k, v) -> v > 1, m), mapAll((k, v) -> v > 0, m), mapContainsValue(m, 2) FROM narrow ORDER BY i8;
SELECT concatWithSeparator('-', 'a', 1, price), concat_ws(',', symbol, exchange) FROM trades ORDER BY ts LIMIT 1;
SELECT age('second', ts, toDateTime('2024-01-02 00:01:00')), age('day', day, toDate('2024-03-01')), age('month', day, toDate('2024-03-01')), age('year', toDate('2020-02-29'), toDate('2024-02-28')), age('week', toDate('2024-01-01'), toDate('2024-02-01')), age('quarter', toDate('2024-01-01'), toDate('2023-02-01')) FROM trades ORDER BY ts LIMIT 1;
SELECT dateName('year', day), dateName('quarter', day), dateName('dayofyear', day), dateName('day', day), dateName('week', day), dateName('hour', ts), dateName('minute', ts), dateName('second', ts) FROM trades ORDER BY ts LIMIT 1;
SELECT toWeek(d, 0), toWeek(d, 1), toWeek(d, 2), toWeek(d, 3), toWeek(d, 4), toWeek(d, 5), toWeek(d, 6), toWeek(d, 7), toWeek(d, 8), toWeek(d, 9) FROM (SELECT toDate('2020-12-20') + number * 3 AS d FROM numbers(20)) ORDER BY d;
SELECT toYearWeek(d), toYearWeek(d, 1), toYearWeek(d, 3), toYearWeek(d, 4), yearweek(d, 9) FROM (SELECT toDate('2023-12-24') + number * 2 AS d FROM numbers(12)) ORDER BY d;
SELECT makeDateTime(2024, 1, 2, 3, 4, 5, 'Europe/Berlin'), makeDateTime(2024, 13, 2, 3, 4, 5), toDaysInMonth(toDate('2024-02-02')), YYYYMMDDToDate(20240102), YYYYMMDDhhmmssToDateTime(20240102030405), toDateTime32('2024-01-02 03:04:05'), timeDiff(toDateTime('2024-01-01 00:00:00'), toDateTime('2024-01-01 00:01:00'));
SELECT toRelativeYearNum(day), toRelativeQuarterNum(day), toRelativeMonthNum(day) FROM trades ORDER BY ts LIMIT 1;
SELECT roundToExp2(100), roundToExp2(0), roundToExp2(toInt32(-5)), roundDown(7, [0, 5, 10]), roundDown(volume, [0, 100, 250]) FROM trades ORDER BY ts LIMIT 1;
SELECT bar(5, 0, 10, 10), bar(1.5, 0, 10, 10), bar(100, 0, 10, 4), bar(-1, 0, 10, 4), bar(3.3, 0, 10);
SELECT alphaTokens('ab1cd'), splitByNonAlpha('a b,c1'), tokens('ab1 cd'), ngrams('abcd', 3), soundex('Ashcraft'), soundex(''), editDistance('kitten', 'sitting'), editDistanceUTF8('ä', 'a'), translate('abc', 'ab', 'xy'), regexpQuoteMeta('a.b');
SELECT instr('abc', 'b'), leftUTF8('äb', 1), rightUTF8('äb', 1), countMatches('abab', 'a'), matchCaseInsensitive('ABC', 'b'), notMatch('a', 'b'), startsWithCaseInsensitive('Abc', 'a'), endsWithCaseInsensitive('abC', 'c'), countSubstringsCaseInsensitive('aAb', 'A');
SELECT protocol('http://www.a.b/c?d=1#e'), domainWithoutWWW('http://www.a.b/c'), topLevelDomain('http://www.a.co.uk/c'), queryString('http://a/b?c=1#d'), fragment('http://a/b?c=1#d'), cutQueryString('http://a/b?c=1#d'), cutFragment('http://a/b?c=1#d'), cutQueryStringAndFragment('http://a/b?c=1#d'), extractURLParameter('http://a/b?c=1&d=2', 'd');
SELECT clamp(5, 1, 3), divideOrNull(1, volume - 100), isDistinctFrom(quote, 5), isNotDistinctFrom(1, 1), min2(1, 2), max2(1, 2), bitHammingDistance(5, 2), round(sigmoid(0.5), 12), round(asinh(1), 12), round(acosh(2), 12), round(atanh(0.5), 12) FROM trades ORDER BY ts LIMIT 1;
SELECT isConstant(1), isConstant(price), isNullable(quote), isNullable(price), toLowCardinality('a'), defaultValueOfArgumentType(price) FROM trades LIMIT 1;
SELECT JSONExtract('{"a":5}', 'a', 'Int8'), JSONExtract('{"a":"x"}', 'a', 'String'), JSONExtract('{"a":1.5}', 'a', 'Float64'), JSONExtract('{"a":true}', 'a', 'Bool');
SELECT arrayFirstOrNull(x -> x > 5, [1, 2]), toInt8OrDefault('x', 5::Int8), toUInt16OrDefault('7', 5::UInt16);
SELECT deltaSum(volume), sumKahan(price), round(skewSamp(price), 6), round(kurtSamp(price), 6), uniqUpTo(3)(symbol), uniqUpTo(1)(symbol) FROM (SELECT * FROM trades ORDER BY ts);
SELECT quantileExactLow(0.5)(volume), quantileExactHigh(0.5)(volume), medianExactLow(volume), medianExactHigh(volume), groupArrayLast(2)(volume), groupArrayMovingSum(volume) FROM (SELECT * FROM trades WHERE volume != 50 ORDER BY ts);
SELECT round(entropy(exchange), 10), boundingRatio(volume, price), regr_slope(price, volume), regr_intercept(price, volume), round(regr_r2(price, volume), 10) FROM trades WHERE symbol = 'AAPL';
SELECT round(stddevPopStable(price), 10), round(varSampStable(price), 10), round(corrStable(price, volume), 10) FROM trades;

-- section: columns that only the table tells
SELECT COLUMNS('^(price|volume)$') APPLY(x -> x * 2) FROM trades ORDER BY ts LIMIT 1;
SELECT COLUMNS(volume, price) APPLY(sum) FROM trades;
SELECT trades.COLUMNS('v|ice') EXCEPT(volume) REPLACE(price + 1 AS price) APPLY(toString) FROM trades ORDER BY ts LIMIT 1;
SELECT * EXCEPT(quote, tags, ts, day, ok) APPLY max FROM trades;
SELECT * EXCEPT('^[a-df-z]') APPLY(uniq) APPLY(x -> x + 1) FROM trades;
SELECT COLUMNS('price') APPLY(quantile(0.9)), COLUMNS('price|volume') APPLY(x -> sum(x) / 2) FROM trades;
SELECT * REPLACE(price * 2 AS price) EXCEPT(tags) FROM trades ORDER BY ts LIMIT 1;
SELECT * REPLACE volume + 1 AS volume FROM trades ORDER BY ts LIMIT 1;
SELECT * EXCEPT(ts), volume FROM trades ORDER BY price LIMIT 1;
SELECT *, * FROM trades ORDER BY price LIMIT 1;
SELECT trades.*, price, price FROM trades ORDER BY price LIMIT 1;
SELECT *, volume FROM (SELECT volume, volume FROM trades) ORDER BY volume;
SELECT *, price * 2 AS price FROM trades WHERE price > 21 ORDER BY ts;
SELECT *, 1 AS volume FROM trades WHERE volume = 1 ORDER BY ts;
SELECT tuple(* EXCEPT(tags, ts)) FROM trades ORDER BY ts LIMIT 1;
SELECT plus(COLUMNS('^(price|volume)$')), COLUMNS('price') + COLUMNS('volume') AS s FROM trades ORDER BY ts LIMIT 1;
SELECT uniq(*), count(*) FROM (SELECT symbol, price FROM trades);
SELECT untuple((1, 'a')) AS t, 3;
SELECT untuple(x), count() FROM (SELECT (symbol, exchange) AS x FROM trades) GROUP BY x ORDER BY x;
-- differs: LowCardinality of results
SELECT count(), untuple(argMax((symbol, price), volume)) FROM trades;
WITH t AS (SELECT *, price AS p FROM trades) SELECT *, p FROM t ORDER BY ts LIMIT 1;
SELECT price FROM (SELECT *, symbol FROM trades WHERE price IN (SELECT * EXCEPT(volume) FROM (SELECT price, volume FROM trades))) ORDER BY ts LIMIT 1;
SELECT DISTINCT ON (symbol) symbol, price FROM trades ORDER BY symbol, price DESC;
SELECT DISTINCT ON (exchange, flags) exchange, flags, volume FROM trades ORDER BY exchange, flags, volume;

-- section: names of joins
SELECT * FROM trades a JOIN trades b ON a.ts = b.ts ORDER BY a.ts LIMIT 1;
SELECT a.symbol, b.symbol, b.price + 1, sum(b.volume) OVER () FROM trades a JOIN trades b ON a.ts = b.ts ORDER BY a.ts LIMIT 1;
SELECT b.symbol, a.price, n.i8 FROM trades a JOIN trades b ON a.ts = b.ts JOIN narrow n ON n.i8 = 5 ORDER BY a.ts LIMIT 1;
SELECT * FROM trades a JOIN (SELECT symbol, max(price) AS top FROM trades GROUP BY symbol) q ON a.symbol = q.symbol ORDER BY a.ts LIMIT 1;
SELECT * FROM (SELECT symbol, price FROM trades) a JOIN (SELECT symbol, volume, price FROM trades) b USING (symbol, price) ORDER BY volume LIMIT 1;
SELECT * FROM (SELECT 1 AS k, 3 AS z) a JOIN (SELECT 1 AS k) b ON a.k = b.k JOIN (SELECT 1 AS k, 2 AS z) c ON c.k = b.k;
SELECT * FROM (SELECT 1 AS k, 3 AS z) a, (SELECT 1 AS k) b WHERE a.k = b.k;
SELECT a.* EXCEPT(ts), b.* EXCEPT(ts) FROM trades a JOIN trades b ON a.ts = b.ts ORDER BY a.ts LIMIT 1;
SELECT COLUMNS('price'), b.COLUMNS('price|volume') FROM trades a JOIN trades b ON a.ts = b.ts ORDER BY a.ts LIMIT 1;
SELECT symbol, price, highest FROM trades a JOIN (SELECT symbol, max(price) AS highest, 1 AS price FROM trades GROUP BY symbol) q ON a.symbol = q.symbol WHERE price > 10 ORDER BY ts, price;
SELECT symbol, count(), max(price) FROM trades a JOIN trades b ON a.ts = b.ts GROUP BY symbol HAVING min(price) > 1 ORDER BY symbol;
SELECT `b.price` FROM (SELECT a.symbol, b.price FROM trades a JOIN trades b ON a.ts = b.ts) ORDER BY 1 LIMIT 1;

-- section: membership
SELECT 'a' IN (['a']), 1 IN [1, 2], 'x' NOT IN ['a', 'b'], [1, 2] IN [[1, 2], [3]], 1 IN 1, 'a' IN 'b', -1 IN -1, 1 IN tuple(1, 2), 1 IN ();
-- differs: LowCardinality of results
SELECT symbol IN ['AAPL'], day IN ['2024-01-02'], volume IN range(200) FROM trades ORDER BY ts LIMIT 1;
-- differs: a name alone behind IN
SELECT count() FROM trades WHERE 'a' IN tags;
SELECT count() FROM trades WHERE 'a' IN (tags);
SELECT count() FROM trades WHERE 'b' NOT IN (tags);
WITH ['AAPL', 'TSLA'] AS names SELECT count() FROM trades WHERE symbol IN names;
WITH names AS (SELECT symbol FROM trades WHERE price > 11) SELECT count() FROM trades WHERE symbol IN names;
SELECT (symbol, exchange) IN (('AAPL', 'N'), ('X', 'Y')), in(volume, [100, 200]), notIn(volume, (100, 200)) FROM trades ORDER BY ts LIMIT 1;
SELECT position('b' IN 'abc'), 3 IN (1, NULL, 3);

-- section: quantiles of times and decimals
SELECT quantile(0.31)(day), quantile(0.77)(toDateTime(ts)), quantile(0.66)(ts), median(day) FROM trades;
SELECT quantiles(0.25, 0.9)(day), quantiles(0.1)(toDateTime(ts)), quantiles(0.5, 0.66)(ts) FROM trades;
SELECT quantile(0.33)(toDecimal32(price, 2)), median(toDecimal64(price, 3)), quantiles(0.1, 0.7)(toDecimal128(price, 10)), quantile(d) FROM trades, narrow;
-- differs: last digits of floats
SELECT quantile(0.7)(toDateTime64(ts, 3)), quantile(0.7)(toDateTime(ts, 'Europe/Berlin')), quantile(0.5)(toNullable(day)), quantileIf(0.5)(day, volume > 200) FROM trades;
SELECT quantile(0.5)(day), quantile(0.5)(ts), quantiles(0.5)(toDecimal64(price, 3)), quantileOrNull(0.5)(day) FROM trades WHERE price > 1000;
SELECT symbol, quantile(0.5)(day), quantile(0.5)(price) FROM trades GROUP BY symbol ORDER BY symbol;
SELECT quantile(0.5)(day) OVER (PARTITION BY symbol) FROM trades ORDER BY ts;
SELECT quantile(0.5)(ok), quantileTDigest(0.5)(day) FROM trades;

-- section: arithmetic of decimals
SELECT d / 2, d * 2, d + 1, 1 - d, d / d, d * d, d - toDecimal64(1, 4), 1 / d, d / n FROM narrow ORDER BY i8;
SELECT toDecimal64(1, 3) / toDecimal32(3, 2), toDecimal32(1, 2) * toDecimal64(2, 3), toDecimal128(1, 20) / toDecimal64(3, 17), toDecimal64(1, 17) / toDecimal64(3, 1);
SELECT toDecimal32(999999999, 0) * 2, toDecimal64(999999999999999999, 0) * 9, toDecimal32(9999999, 2) + toDecimal32(9999999, 2);
SELECT toTypeName(CAST(1, 'Decimal(5,3)') + 1), toTypeName(CAST(1, 'Decimal(12,3)') / 2), toTypeName(CAST(1, 'Decimal(12,3)') * CAST(1, 'Decimal(5,1)')), toTypeName(CAST(1, 'Decimal(30,3)') / 2);
SELECT sum(d) / count(), sum(d * i16) / sum(i16), d > 2, d + true FROM narrow GROUP BY d ORDER BY d;
SELECT intDiv(toDecimal32(7.5, 2), 2), intDiv(toDecimal64(7.5, 2), 2), intDiv(7, toDecimal64(2, 2)), intDivOrZero(toDecimal32(7.5, 2), 0);
SELECT toDecimal32(1, 2) / 0.5, toDecimal32(1, 2) % 0.5, toDecimal64(9, 2) % toDecimal64(2, 2), positiveModulo(toDecimal64(-7, 2), toDecimal64(3, 2));
-- differs: remainders of decimals of two scales
SELECT d % 2, d % toDecimal64(0.5, 1), 7 % d FROM narrow ORDER BY i8;

-- section: more forms
SELECT max(volume) FILTER (WHERE price > 10), count() FILTER (WHERE ok), quantile(0.5)(price) FILTER (WHERE volume > 100 AND ok), sumOrNull(volume) FILTER (WHERE price > 1000) FROM trades;
SELECT 18446744073709551616, 123456789012345678901234567890;
SELECT lag(i16, 1, 0) OVER (ORDER BY i8), lead(i16, 1, -1) OVER (ORDER BY i8), leadInFrame(i16, 1, 7) OVER (ORDER BY i8 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM narrow ORDER BY i8;
SELECT toString(m), toString([map('a', 'b\'c')]), concat('m: ', m) FROM narrow ORDER BY i8;
SELECT * FROM values('a Int32, b Array(String)', (1, ['x']), (2, ['y', 'z'])) ORDER BY a;
SELECT * FROM values('a Nullable(DateTime64(3, \'UTC\'))', '2024-01-02 03:04:05.678', NULL);
-- differs: types of values without a structure
SELECT * FROM values((1, 'x'), (300, 'y')) AS v ORDER BY c1;
SELECT * FROM generateSeries(1, 10, 4);
SELECT number FROM numbers_mt(3);
SELECT number FROM numbers(2, 7, 3);
SHOW COLUMNS FROM trades LIKE 't%';
SHOW FULL COLUMNS FROM narrow LIKE 'n';

-- section: how JSON is written
SELECT price, quote, toFloat32(1.5) AS f, toDecimal64(1.5, 3) AS d, [1.5, nan] AS a, map('a', toDecimal32(1, 1)) AS m, (1, 'x') AS t FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_quote_64bit_floats = 1, output_format_json_quote_decimals = 1 FORMAT JSONEachRow;
SELECT price, toDecimal64(1.5, 3) AS d, nan AS z FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_quote_64bit_floats = 1, output_format_json_quote_decimals = 1, output_format_json_quote_denormals = 1 FORMAT JSONCompactEachRow;
SELECT price, quote, nan AS z FROM trades WHERE symbol = 'AAPL' ORDER BY ts SETTINGS output_format_json_quote_64bit_floats = 1, output_format_write_statistics = 0 FORMAT JSON;
SELECT price, quote, nan AS z, toDecimal64(1.5, 3) AS d FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_quote_64bit_floats = 1, output_format_json_quote_decimals = 1 FORMAT JSONStringsEachRow;
SELECT symbol, price FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_array_of_rows = 1 FORMAT JSONEachRow;
SELECT symbol, price FROM trades WHERE price > 1000 SETTINGS output_format_json_array_of_rows = 1 FORMAT JSONEachRow;
SELECT symbol, price FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_array_of_rows = 1 FORMAT JSONStringsEachRow;
SELECT symbol, price FROM trades ORDER BY ts LIMIT 2 SETTINGS output_format_json_array_of_rows = 1 FORMAT JSONCompactEachRow;
SELECT (1, 'x') AS t, map('a', 1) AS m, [(1, 2)] AS a, tags FROM trades WHERE symbol = 'AAPL' ORDER BY ts SETTINGS output_format_json_pretty_print = 0, output_format_write_statistics = 0 FORMAT JSON;
SELECT (1, 'x') AS t, map('a', 1) AS m FROM trades LIMIT 1 SETTINGS output_format_json_named_tuples_as_objects = 0, output_format_json_skip_null_value_in_named_tuples = 1, output_format_json_validate_utf8 = 1 FORMAT JSONEachRow;

-- section: JSON texts
SELECT JSONExtractRaw('{"b":1.50,"a":[2, 3]}'), JSONExtractRaw('{"b":{"z":1,"a":2}}', 'b'), JSONExtractRaw('{"a/b":1e5,"c":1e30,"e":12345678901234567890,"f":1.0,"g":"x/y\n\"q"}'), JSONExtractString('{"b":"1","a":"x"}', 1);
SELECT JSONExtractString('{"a":1}', 'a'), JSONExtractString('{"a":{"x":1.50}}', 'a'), JSONExtractString('{"a":true}', 'a'), JSONExtractString('{"a":null}', 'a'), JSONExtractString('{"a":[1, 2]}', 'a'), simpleJSONExtractString('{"a":1}', 'a'), visitParamExtractString('{"a":"x"}', 'a');
SELECT JSONExtractInt('{"a":"5"}', 'a'), JSONExtractInt('{"a":"5.7"}', 'a'), JSONExtractInt('{"a":"x"}', 'a'), JSONExtractInt('{"a":true}', 'a'), JSONExtractInt('{"a":1e3}', 'a'), JSONExtractInt('{"a":9223372036854775808}', 'a'), JSONExtractUInt('{"a":"7"}', 'a'), JSONExtractUInt('{"a":1.5}', 'a'), JSONExtractFloat('{"a":"5.5"}', 'a'), JSONExtractFloat('{"a":true}', 'a'), JSONExtractUInt('{"a":-1}', 'a');
SELECT JSONExtractBool('{"a":true}', 'a'), JSONExtractBool('{"a":"true"}', 'a'), JSONExtractBool('{"a":2}', 'a'), JSONExtractBool('{"a":0.5}', 'a'), JSONExtractBool('{"a":0}', 'a'), simpleJSONExtractBool('{"a":1}', 'a'), simpleJSONExtractBool('{"a":true}', 'a');
SELECT JSONExtractKeys('{"b":1,"a":2}'), JSONExtractKeys('[1]'), JSONExtractArrayRaw('[1, "x", {"a": 1.0}]'), JSONExtractArrayRaw('{"a":[1]}', 'a'), JSONExtractArrayRaw('1');
SELECT JSONExtract('{"a":[1,"2",null,"x"]}', 'a', 'Array(Int32)'), JSONExtract('{"a":["p",1]}', 'a', 'Array(String)'), JSONExtract('{"a":[1.5,2]}', 'a', 'Array(Float64)'), JSONExtract('{}', 'a', 'Array(Int32)'), JSONExtract('[{"x":1},{"x":2}]', 'Array(String)');
SELECT toJSONString(map('a', [1, 2])), toJSONString([NULL, 1]), toJSONString((1, 'a')), toJSONString('x"y/z'), toJSONString(1.5), toJSONString(nan), toJSONString(true), toJSONString(toDecimal64(1.5, 2)), toJSONString(day), toJSONString(ts), toJSONString(tags) FROM trades ORDER BY ts LIMIT 1;

-- section: first rows
SELECT symbol, price FROM trades ORDER BY price FETCH FIRST 2 ROWS ONLY;
SELECT symbol, price FROM trades ORDER BY price OFFSET 1 ROW FETCH NEXT 1 ROW ONLY;
SELECT TOP 2 price FROM trades ORDER BY price;
SELECT tags, arrayJoin(tags) FROM trades ORDER BY ts, 2;
SELECT toStartOfInterval(ts, INTERVAL 15 MINUTE, toDateTime64('2023-12-31 00:05:00', 9)), toStartOfInterval(toDateTime(ts), INTERVAL 1 DAY, toDateTime('2023-12-05 05:05:00')), toStartOfInterval(toDateTime(ts), INTERVAL 1 WEEK, toDateTime('2023-12-05 05:05:00')), toStartOfInterval(ts, INTERVAL 1 DAY, 'Europe/Berlin') FROM trades ORDER BY ts LIMIT 1;
SELECT ltrim(' x'), rtrim('x ');
SELECT sumArray([volume, 1]), avgArray([volume, 1]), minArray([volume, 1]), maxArray([price]), sumArrayIf([volume], price > 11) FROM trades;
SELECT symbol, sumArray([price, 1]) FROM trades GROUP BY symbol ORDER BY symbol;
SELECT sumArray([volume]), maxArray([volume]), avgArray([volume]) FROM trades WHERE price > 1000;
SELECT column_name, data_type, is_nullable, ordinal_position, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision FROM information_schema.columns WHERE table_schema = 'default' AND table_name = 'narrow' ORDER BY ordinal_position;
SELECT TABLE_NAME, TABLE_TYPE, TABLE_COLLATION, TABLE_COMMENT, ENGINE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'default' AND table_name IN ('trades', 'narrow') ORDER BY 1;
SELECT schema_name, schema_owner, sql_path, default_encryption FROM information_schema.schemata WHERE schema_name IN ('default', 'system', 'information_schema') ORDER BY schema_name;
SELECT table_name, column_name, ordinal_position, constraint_name FROM information_schema.key_column_usage WHERE table_schema = 'default' AND table_name = 'trades' ORDER BY column_name;
SELECT count() FROM information_schema.referential_constraints;
SELECT count(), any(index_name) FROM INFORMATION_SCHEMA.STATISTICS;
SELECT name FROM system.tables WHERE database = 'information_schema' AND name IN ('tables', 'TABLES', 'columns', 'views') ORDER BY name;

-- section: subqueries in the list of columns
-- differs: LowCardinality of results
SELECT price, symbol IN (SELECT symbol FROM trades WHERE exchange = 'Q') AS q FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT symbol NOT IN (SELECT symbol FROM trades WHERE exchange = 'Q') FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT NOT symbol IN (SELECT symbol FROM trades WHERE exchange = 'Q') FROM trades ORDER BY ts;
SELECT quote IN (SELECT 5) FROM trades ORDER BY ts;
SELECT quote NOT IN (SELECT 5) FROM trades ORDER BY ts;
SELECT quote IN (SELECT quote FROM trades) FROM trades ORDER BY ts;
SELECT price IN (SELECT quote FROM trades) FROM trades ORDER BY ts;
SELECT price NOT IN (SELECT quote FROM trades) FROM trades ORDER BY ts;
-- differs: Nullable of constants
SELECT NULL IN (SELECT 1);
SELECT 1 IN (SELECT NULL);
SELECT toTypeName(quote IN (SELECT 5)) FROM trades LIMIT 1;
-- differs: subqueries in the list of columns
SELECT EXISTS(SELECT 1 FROM trades WHERE price > 100);
-- differs: subqueries in the list of columns
SELECT NOT EXISTS(SELECT 1 FROM trades WHERE price > 100);
SELECT NOT EXISTS(SELECT 1 FROM trades WHERE price > 10);
SELECT price, EXISTS(SELECT 1 FROM trades WHERE price > 11) FROM trades ORDER BY ts;
SELECT price, EXISTS(SELECT 1 FROM trades WHERE price > 11) AS e FROM trades ORDER BY ts;
SELECT countIf(symbol IN (SELECT symbol FROM trades WHERE exchange = 'Q')) FROM trades;
SELECT sumIf(volume, symbol NOT IN (SELECT symbol FROM trades WHERE exchange = 'Q')) AS s FROM trades;
SELECT symbol, sum(volume IN (SELECT volume FROM trades WHERE price > 10.4)) AS n FROM trades GROUP BY symbol ORDER BY symbol;
SELECT if(symbol IN (SELECT symbol FROM trades WHERE exchange = 'Q'), 'yes', 'no') AS w FROM trades ORDER BY ts;
SELECT CASE WHEN volume IN (SELECT 100) THEN 1 WHEN volume IN (SELECT 200) THEN 2 ELSE 3 END AS c FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT symbol IN (SELECT symbol FROM trades WHERE exchange = 'Q') AS q, count() FROM trades GROUP BY q ORDER BY q;
SELECT symbol FROM trades ORDER BY volume IN (SELECT 300) DESC, ts;
SELECT 1 IN (SELECT 1);
SELECT (symbol, exchange) IN (SELECT symbol, exchange FROM trades WHERE price > 10.4) FROM trades ORDER BY ts;
SELECT volume IN (SELECT number * 100 FROM numbers(3)) AND price > 5 FROM trades ORDER BY ts;
-- differs: subqueries in the list of columns
SELECT arrayFilter(x -> x IN (SELECT 'a'), tags) FROM trades ORDER BY ts;
-- differs: Nullable of constants
SELECT symbol, (SELECT count() FROM trades) AS n, volume IN (SELECT volume FROM trades WHERE volume > 200) AS v FROM trades ORDER BY ts;
SELECT sum(volume) OVER (PARTITION BY symbol IN (SELECT 'AAPL') ORDER BY ts) AS s FROM trades ORDER BY ts;
SELECT count() FROM trades WHERE (symbol IN (SELECT 'AAPL')) = 0;
SELECT day IN (SELECT '2024-01-02') FROM trades ORDER BY ts;
SELECT t.symbol, EXISTS(SELECT 1 FROM narrow WHERE i8 = t.flags) AS e FROM trades t ORDER BY ts;
SELECT x IN (SELECT 2) AS a, x IN (SELECT 3) AS b, a OR b AS c FROM (SELECT arrayJoin([1, 2, 3]) AS x) ORDER BY x;
SELECT toUInt8(volume IN (SELECT 100)) + 1 AS p FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT symbol GLOBAL IN (SELECT 'AAPL') AS g FROM trades ORDER BY ts;
SELECT uniq(symbol) FILTER (WHERE symbol IN (SELECT 'AAPL')) AS u FROM trades;
-- differs: LowCardinality of results
SELECT DISTINCT symbol IN (SELECT 'AAPL') AS d FROM trades ORDER BY d;
SELECT max(x) FROM (SELECT symbol IN (SELECT 'AAPL') AS x FROM trades);
SELECT avg(price) FROM trades GROUP BY exchange HAVING max(volume) IN (SELECT 300) ORDER BY 1;
SELECT count() > 0 AND max(volume) IN (SELECT 400) AS h FROM trades;
SELECT argMaxIf(symbol, price, exchange IN (SELECT 'N')) AS a FROM trades;
-- differs: Nullable of constants
SELECT 1 IN (SELECT 1), 2 IN (SELECT 2), (SELECT 3);
-- differs: Nullable of constants
SELECT (SELECT 3), 1 IN (SELECT 1), (SELECT 4);
SELECT price IN (SELECT 1), price IN (SELECT 1) FROM trades WHERE price IN (SELECT 10);
SELECT price IN (SELECT 10) FROM (SELECT price, volume IN (SELECT 1) FROM trades) ORDER BY price;
SELECT price IN (SELECT price FROM trades WHERE volume IN (SELECT 1)), price IN (SELECT 2) FROM trades ORDER BY ts;
SELECT 1 IN (SELECT 1) AS a, 2 IN (SELECT 2);
SELECT max(price) FILTER (WHERE volume NOT IN (SELECT 400)) AS m FROM trades;
SELECT symbol, countIf(volume IN (SELECT volume FROM trades WHERE price > 10.4)) AS c, sumIf(volume, exchange IN (SELECT 'Q')) AS s FROM trades GROUP BY symbol ORDER BY symbol;
SELECT quantileIf(0.5)(price, symbol IN (SELECT 'AAPL')) AS q FROM trades;
SELECT multiIf(symbol IN (SELECT 'AAPL'), 1, symbol IN (SELECT 'MSFT'), 2, 3) AS k, count() AS c FROM trades GROUP BY k ORDER BY k;
SELECT symbol, price FROM trades ORDER BY symbol IN (SELECT 'MSFT') DESC, price LIMIT 2;
SELECT symbol, price FROM trades ORDER BY symbol IN (SELECT 'MSFT') DESC, price LIMIT 2 OFFSET 1;
SELECT exchange IN (SELECT 'Q') AS e, sum(volume) FROM trades GROUP BY e ORDER BY e;
SELECT exchange IN (SELECT 'Q'), sum(volume) FROM trades GROUP BY exchange IN (SELECT 'Q') ORDER BY 2;
SELECT sum(if(quote IN (SELECT 5), 1, 2)) AS s FROM trades;
SELECT sum(quote IN (SELECT 5)) AS s, countIf(quote NOT IN (SELECT 5)) AS c, count(quote IN (SELECT 5)) AS n FROM trades;
SELECT coalesce(quote IN (SELECT 5), 7) AS c FROM trades ORDER BY ts;
-- differs: LowCardinality of results
SELECT a.symbol IN (SELECT 'AAPL') AS x, b.i8 IN (SELECT 5) AS y FROM trades a CROSS JOIN narrow b ORDER BY a.ts, b.i8;
SELECT DISTINCT exchange IN (SELECT 'Q') AS x FROM trades ORDER BY x;
SELECT 1 IN (SELECT number FROM numbers(3)) AS a, 5 IN (SELECT number FROM numbers(3)) AS b;
SELECT number, number IN (SELECT number * 2 FROM numbers(5)) AS even FROM numbers(5) ORDER BY number;
SELECT number IN (SELECT number FROM numbers(100000)) AS a, count() FROM numbers(200000) GROUP BY a ORDER BY a;
-- differs: LowCardinality of results
WITH big AS (SELECT symbol FROM trades WHERE volume > 200) SELECT symbol, symbol IN big AS b FROM trades ORDER BY ts;
-- differs: Nullable of constants
WITH (SELECT max(volume) FROM trades) AS m SELECT volume = m, volume IN (SELECT 400) AS x FROM trades ORDER BY ts;
SELECT arrayJoin([1, 2, 3]) AS x, x IN (SELECT 2) AS y ORDER BY x;
SELECT x, x IN (SELECT 2) OR x IN (SELECT 3) AS y FROM (SELECT arrayJoin([1, 2, 3]) AS x) WHERE x IN (SELECT 1) OR x IN (SELECT 3) ORDER BY x;
SELECT toString(volume) IN (SELECT '100') AS x FROM trades ORDER BY ts;
SELECT count() FROM (SELECT volume IN (SELECT 100) AS x FROM trades) WHERE x;
SELECT count() FROM (SELECT volume IN (SELECT 100) AS x FROM trades) WHERE x = 0;
SELECT day, count() AS c FROM trades GROUP BY day HAVING day IN (SELECT max(day) FROM trades) OR c IN (SELECT 2) ORDER BY day;
SELECT row_number() OVER (ORDER BY volume IN (SELECT 100) DESC, ts) AS r, volume FROM trades ORDER BY ts;
SELECT sum(volume IN (SELECT 100)) OVER (ORDER BY ts) AS r FROM trades ORDER BY ts;
SELECT if(EXISTS(SELECT 1 FROM trades WHERE price > 11), 'some', 'none') AS w;
SELECT symbol, EXISTS(SELECT 1 FROM trades b WHERE b.symbol = a.symbol AND b.ts > a.ts) AS later FROM trades a ORDER BY ts;
SELECT symbol, NOT EXISTS(SELECT 1 FROM trades b WHERE b.symbol = a.symbol AND b.ts > a.ts) AS newest FROM trades a ORDER BY ts;
SELECT d IN (SELECT 12.34) AS x, u64 IN (SELECT 7) AS y, i8 IN (SELECT 5) AS z, n IN (SELECT 9) AS w FROM narrow ORDER BY i8;
SELECT ts IN (SELECT max(ts) FROM trades) AS last FROM trades ORDER BY ts;
SELECT price FROM trades WHERE (price IN (SELECT 10)) OR (price > 11.6) ORDER BY ts;
SELECT tags IN (SELECT ['b']) AS x FROM trades ORDER BY ts;
SELECT (volume, exchange) NOT IN (SELECT 100, 'N') AS x FROM trades ORDER BY ts;
SELECT avg(price) AS a FROM trades WHERE symbol IN (SELECT symbol FROM trades GROUP BY symbol HAVING count() > 1);
SELECT volume IN (SELECT volume FROM trades WHERE 0) AS x FROM trades ORDER BY ts;
SELECT volume NOT IN (SELECT volume FROM trades WHERE 0) AS x, quote NOT IN (SELECT volume FROM trades WHERE 0) AS y FROM trades ORDER BY ts;
SELECT price IN (SELECT toNullable(10)) AS x FROM trades ORDER BY ts;
SELECT count() FROM trades WHERE (price IN (SELECT toNullable(10))) = 1;
SELECT count() FROM trades WHERE price IN (SELECT NULL) OR price > 11;
SELECT price IN (SELECT nullIf(volume, 10) FROM trades) AS x FROM trades ORDER BY ts;
SELECT price IN (SELECT toNullable(10) AS q) AS x FROM trades ORDER BY ts;
SELECT price IN (SELECT b FROM (SELECT price AS b FROM trades WHERE volume > 200)) AS x FROM trades ORDER BY ts;
SELECT count() FROM trades WHERE price IN (SELECT nullIf(price, 12) FROM trades);
SELECT count() FROM trades WHERE price NOT IN (SELECT nullIf(price, 12) FROM trades);

-- section: paths of JSON, subcolumns, joins to the right, what ibis sends
SELECT JSON_VALUE('{"a":{"b":[1,2,"x"]}}', '$.a.b[2]'), JSON_VALUE('{"a":1}', '$.a'), JSON_VALUE('{"a":1}', '$.b'), JSON_VALUE('{"a":{"c":1}}', '$.a'), JSON_VALUE('{"a":null}', '$.a'), JSON_VALUE('not json', '$.a');
SELECT JSON_VALUE('{"a":true}', '$.a'), JSON_VALUE('{"a":"x\\"y"}', '$.a'), JSON_VALUE('{"a":[{"c":5},{"c":6}]}', '$.a[*].c'), JSON_VALUE('{"a":1.50}', '$.a'), JSON_VALUE('{"a b":1}', '$."a b"'), JSON_VALUE('{"a":1}', '$'), JSON_VALUE('5', '$');
SELECT JSON_QUERY('{"a":{"b":[1,2,"x"]}}', '$.a'), JSON_QUERY('{"a":1}', '$.a'), JSON_QUERY('{"a":1}', '$.b'), JSON_QUERY('{"a":[1, 2]}', '$.a[*]'), JSON_QUERY('{"hello":"world"}', '$'), JSON_QUERY('{"a":[0,1,4,0,-1]}', '$.a'), JSON_QUERY('x', '$');
SELECT JSON_EXISTS('{"a":{"b":[1,2,"x"]}}', '$.a.b[2]'), JSON_EXISTS('{"a":1}', '$.b'), JSON_EXISTS('{"a":[{"w":1}]}', '$.a[*].w'), JSON_EXISTS('{"a":null}', '$.a'), JSON_EXISTS('', '$'), JSON_EXISTS('{"a":["x"]}', '$.a[0]');
SELECT toTypeName(JSON_VALUE('{}', '$.a')), toTypeName(JSON_QUERY('{}', '$.a')), toTypeName(JSON_EXISTS('{}', '$.a'));
SELECT JSON_VALUE(concat('{"s":"', symbol, '","v":', toString(volume), '}'), '$.v') FROM trades ORDER BY ts;
SELECT m.keys, m.values FROM narrow ORDER BY i8;
SELECT m.size0 FROM narrow ORDER BY i8;
SELECT tags.size0 FROM trades ORDER BY ts;
SELECT t.tags.size0 FROM trades t ORDER BY ts;
SELECT count() FROM trades WHERE tags.size0 > 1;
SELECT x.size0 FROM (SELECT [1, 2] AS x);
SELECT x.keys FROM (SELECT map('a', 1) AS x);
SELECT arrayJoin(m.keys) AS k FROM narrow GROUP BY k ORDER BY k;
SELECT sum(tags.size0) FROM trades GROUP BY tags.size0 ORDER BY tags.size0;
SELECT JSON_QUERY('{"a":[1,2,3,4]}', '$.a[1 to 2]');
SELECT JSON_QUERY('{"a":[1,2,3,4]}', '$.a[0,2]');
SELECT JSON_QUERY('{"a":[1,2,3,4]}', '$.a[0 to 2, 3]');
SELECT JSON_VALUE('{"a":{"b":1}}', '$["a"]["b"]');
SELECT JSON_VALUE('{"a":{"b":1}}', '$["a"].b');
SELECT JSON_VALUE('{"a_1":5,"b-c":6}', '$.a_1');
SELECT JSON_VALUE('{"a_1":5,"b-c":6}', '$."b-c"');
SELECT JSON_VALUE('{"a":5}', '$.a ');
SELECT JSON_VALUE('{"a":5}', ' $.a');
SELECT JSON_VALUE('{"a":[[1,2],[3,4]]}', '$.a[1][0]');
SELECT JSON_VALUE('{"a":[[1,2],[3,4]]}', '$.a[*][0]'), JSON_QUERY('{"a":[[1,2],[3,4]]}', '$.a[*][0]');
SELECT JSON_QUERY('{"a":[[1,2],[3,4]]}', '$.a[*]');
SELECT JSON_VALUE('[1,2]', '$[1]'), JSON_VALUE('[1,2]', '$[5]'), JSON_VALUE('[1,2]', '$[*]');
SELECT JSON_VALUE('{"a":{"b":1},"c":[{"b":{"x":1}},{"b":3}]}', '$.c[*].b');
SELECT JSON_EXISTS('{"a":5}', '$.a.b'), JSON_EXISTS('{"a":[1]}', '$.a[1]'), JSON_EXISTS('[]', '$'), JSON_EXISTS('{}', '$');
SELECT JSON_QUERY('{"a":"x"}', '$.a'), JSON_QUERY('{"a":{"b":"ü/\\"q"}}', '$.a'), JSON_VALUE('{"a":"\\u00fc/"}', '$.a');
SELECT JSON_VALUE('{"a":1e3}', '$.a'), JSON_VALUE('{"a":12345678901234567890}', '$.a'), JSON_VALUE('{"a":-0.0}', '$.a'), JSON_VALUE('{"a":0.1}', '$.a');
SELECT JSON_VALUE('{"$x":1}', '$.$x');
SELECT JSON_VALUE('{"a":{"1":5}}', '$.a.1');
SELECT a.symbol, b.i8 FROM trades a ANY RIGHT JOIN narrow b ON a.flags = b.i8 ORDER BY b.i8;
SELECT a.symbol, b.i8 FROM trades a RIGHT ANY JOIN narrow b ON a.flags = b.i8 ORDER BY b.i8;
SELECT a.exchange, b.symbol, b.volume FROM (SELECT * FROM trades WHERE exchange = 'N') a ANY RIGHT JOIN trades b ON a.symbol = b.symbol ORDER BY b.ts;
SELECT b.symbol, b.volume FROM (SELECT * FROM trades WHERE exchange = 'N') a SEMI RIGHT JOIN trades b ON a.symbol = b.symbol ORDER BY b.ts;
SELECT a.exchange, b.symbol, b.volume FROM (SELECT * FROM trades WHERE exchange = 'N') a RIGHT SEMI JOIN trades b ON a.symbol = b.symbol ORDER BY b.ts;
SELECT b.symbol, b.volume FROM (SELECT * FROM trades WHERE exchange = 'N') a ANTI RIGHT JOIN trades b ON a.symbol = b.symbol ORDER BY b.ts;
SELECT symbol, b.volume FROM (SELECT * FROM trades WHERE exchange = 'N') a ANY RIGHT JOIN trades b USING (symbol) ORDER BY b.ts;
SELECT * FROM (SELECT 1 AS k, 2 AS x) a SEMI RIGHT JOIN (SELECT arrayJoin([1, 2]) AS k, 5 AS y) b USING (k);
SELECT * FROM (SELECT 1 AS k, 2 AS x) a ANY RIGHT JOIN (SELECT arrayJoin([1, 2]) AS k, 5 AS y) b ON a.k = b.k ORDER BY b.k;
SELECT m.key_a FROM narrow ORDER BY i8;
-- differs: subcolumns
SELECT quote.null FROM trades ORDER BY ts;
-- differs: subcolumns
SELECT a.size0, a.size1 FROM (SELECT [[1, 2], [3]] AS a);
SELECT leftPadUTF8('äb', 4), leftPadUTF8('äb', 5, 'xy'), rightPadUTF8('äb', 4, 'ü'), leftPadUTF8('äbc', 2), rightPadUTF8('äb', 5, 'xy');
SELECT netloc('http://paul@www.example.com:80/'), netloc('example.com/x'), netloc('//h:1/a'), netloc('');
SELECT pathFull('https://clickhouse.com/docs/?a=b#c'), pathFull('http://h'), pathFull('http://h/'), pathFull('/a/b?c'), pathFull('h/x'), pathFull('http://h?a=1');
SELECT extractGroups('hello abc=111 world', '(\\w+)=(\\w+)'), extractGroups('x', '(y)'), extractGroups('abc', '(a)(x)?(b)');
SELECT extractGroups(symbol, '^(.)(.*)$') FROM trades ORDER BY ts;
SELECT toRelativeSecondNum(toDateTime('2024-01-02 03:04:05')), toRelativeSecondNum(toDateTime64('2024-01-02 03:04:05.678', 3)), toRelativeSecondNum(toDate('2024-01-02'));
SELECT toRelativeSecondNum(ts), toRelativeMinuteNum(ts) FROM trades ORDER BY ts;
SELECT mapUpdate(map('a', 1, 'b', 2), map('b', 20, 'c', 3)), mapUpdate(map('z', 1, 'a', 2), map('c', 3, 'b', 4, 'a', 9)), mapUpdate(map('a', 1, 'a', 2), map('a', 3)), mapUpdate(map('a', 1), map('b', 2, 'b', 3));
SELECT mapUpdate(m, map('a', toInt64(5))), mapUpdate(map('z', toInt64(9)), m) FROM narrow ORDER BY i8;
SELECT netloc('https://example.com/a'), netloc('https://example.com'), netloc('https://example.com?x=1'), netloc('http://u:p@h:8/#f');
SELECT toRelativeMinuteNum(dtz), toRelativeSecondNum(dtz), toRelativeMinuteNum(toDate('2024-01-02')) FROM narrow ORDER BY i8;

-- section: tables of system that tools read when they start
SELECT * FROM system.build_options LIMIT 0;
SELECT * FROM system.clusters LIMIT 0;
SELECT * FROM system.data_type_families LIMIT 0;
SELECT * FROM system.detached_parts LIMIT 0;
SELECT * FROM system.disks LIMIT 0;
SELECT * FROM system.errors LIMIT 0;
SELECT * FROM system.events LIMIT 0;
SELECT * FROM system.formats LIMIT 0;
SELECT * FROM system.keywords LIMIT 0;
SELECT * FROM system.macros LIMIT 0;
SELECT * FROM system.merges LIMIT 0;
SELECT * FROM system.table_engines LIMIT 0;
SELECT * FROM system.table_functions LIMIT 0;
SELECT * FROM system.time_zones LIMIT 0;
SELECT engine, support, ENGINE FROM information_schema.engines WHERE engine = 'MergeTree';
SELECT name, is_input, is_output FROM system.formats WHERE name IN ('CSV', 'Null', 'Native') ORDER BY name;
SELECT name FROM system.data_type_families WHERE name IN ('UInt64', 'DateTime64', 'Map') ORDER BY name;
SELECT time_zone FROM system.time_zones WHERE time_zone = 'Europe/Berlin';
SHOW CLUSTERS;
SHOW DICTIONARIES;

-- section: a table under an alias is still called by its own name
SELECT system.databases.name FROM system.databases AS d WHERE system.databases.name = 'system' ORDER BY system.databases.name;
SELECT databases.name FROM system.databases AS d WHERE databases.name = 'system';
SELECT t.name, d.name FROM system.tables AS t JOIN system.databases AS d ON system.tables.database = system.databases.name WHERE system.tables.name = 'one' AND d.name = 'system';
SELECT d.name FROM system.databases AS d WHERE d.name IN (SELECT databases.name FROM system.databases) AND databases.name = 'system';

-- section: several arrayJoin
SELECT arrayJoin([1, 2]) AS a, arrayJoin([3, 4]) AS b;
SELECT arrayJoin([1, 2]), arrayJoin([3, 4, 5]);
SELECT arrayJoin([1, 2]) AS a, arrayJoin([1, 2]) AS b;
SELECT arrayJoin([1, 2]) + arrayJoin([10, 20]), arrayJoin([1, 2]) * 2;
SELECT symbol, arrayJoin(tags) AS t, arrayJoin([1, 2]) AS n FROM trades ORDER BY ts, t, n;
SELECT arrayJoin(tags) AS t, arrayJoin(tags) AS u FROM trades ORDER BY ts, t, u;
SELECT sum(arrayJoin([1, 2]) * arrayJoin([3, 4]));
SELECT arrayJoin([1, 2]) AS a, arrayJoin([3, 4]) AS b WHERE a > 1 AND b > 3;
SELECT arrayJoin([1, 2]) AS a, arrayJoin([3, 4]) AS b, count() GROUP BY a, b ORDER BY a, b;

-- section: CASE has the type of all its values
SELECT if(0, 1, 2.5) + 1;
SELECT CASE WHEN quote IS NULL THEN 0 ELSE quote END * 2 FROM trades ORDER BY ts;
SELECT q + 1 FROM (SELECT if(quote IS NULL, 0, quote) AS q FROM trades ORDER BY ts);
SELECT CASE flags WHEN 1 THEN 0 ELSE price END + 1 FROM trades ORDER BY ts;
SELECT if(flags > 1, 1, 1000) + 1, multiIf(flags > 1, 1, flags > 0, 300, -1) * 2, if(ok, 1, NULL) + 1 FROM trades ORDER BY ts;
SELECT toTypeName(if(quote IS NULL, 0, quote)), toTypeName(if(1, toFloat32(1), 1)), toTypeName(if(1, toFloat32(1), toInt32(1))) FROM trades LIMIT 1;
SELECT multiIf(1, toDate('2024-01-01'), toDateTime('2024-01-02 03:04:05')), if(0, toDate('2024-01-01'), toDateTime('2024-01-02 03:04:05'));
SELECT if(i8 > 0, toDate(dt), dt), multiIf(i8 > 0, toDate(dt), i8 < -5, ms, dt) FROM narrow ORDER BY i8;
SELECT x FROM (SELECT toDate('2024-01-01') AS x UNION ALL SELECT toDateTime('2024-01-02 03:04:05')) ORDER BY x;
SELECT coalesce(toDate('2024-01-01'), toDateTime('2024-01-02 03:04:05')), ifNull(toDate('2024-01-01'), toDateTime('2024-01-02 03:04:05'));
SELECT coalesce(quote, 1), ifNull(quote, coalesce(quote, 2)), coalesce(quote, NULL), if(quote > 1, quote, 1) FROM trades ORDER BY ts;
SELECT toTypeName(coalesce(quote, ifNull(quote, 1))), toTypeName(coalesce(ifNull(quote, 1), quote)) FROM trades LIMIT 1;
SELECT toNullable(1), nullIf(1, 2), ifNull(toNullable(1), toNullable(2)), CASE 1 WHEN 1 THEN 'x' END, NULL AND 0, NULL OR 1;
SELECT if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, if(1, 1, 2), 2), 2), 2), 2), 2), 2), 2), 2), 2), 2), 2), 2), 2), 2);

-- section: NaN in comparisons
SELECT toFloat64(nan) > 1, toFloat64(nan) < 1, toFloat64(nan) = toFloat64(nan), toFloat64(nan) != 1, toFloat64(nan) >= toFloat64(nan), toFloat64(nan) != toFloat64(nan), toFloat32(nan) > 1;
SELECT (0 / 0) < 1, (0 / 0) > 1, nan NOT BETWEEN 1 AND 2, if(nan > 1, 'a', 'b'), nullIf(nan, nan);
SELECT x FROM (SELECT arrayJoin([nan, 1., 2., -1 / 0, 0 / 0]) AS x) WHERE x > 1;
SELECT x FROM (SELECT arrayJoin([nan, 1., 2., -1 / 0, 0 / 0]) AS x) WHERE x < 1.5;
SELECT countIf(x > 0), countIf(x = x), countIf(x != x), countIf(NOT (x > 0)), max(x) FROM (SELECT arrayJoin([nan, 1., 0 / 0]) AS x);

-- section: functions that answered otherwise
SELECT toDayOfWeek(toDate('2024-01-07'), 0), toDayOfWeek(toDate('2024-01-07'), 1), toDayOfWeek(toDate('2024-01-07'), 2), toDayOfWeek(toDate('2024-01-07'), 3), toDayOfWeek(toDateTime('2024-01-07 23:30:00'), 1, 'Asia/Tokyo');
SELECT toWeek(toDate('2024-01-07'), 3, 'UTC'), toYearWeek(toDate('2024-01-07'), 3, 'UTC'), toWeek(toDateTime('2024-01-06 23:30:00'), 0, 'Asia/Tokyo'), toWeek(toDate('2024-01-07'), 10), toWeek(toDate('2024-01-07'), 255);
SELECT toLastDayOfMonth(toDateTime('2024-01-31 23:30:00'), 'Asia/Tokyo');
SELECT avg(ts), avg(day), avg(toDateTime(ts)), avgIf(ts, flags > 1), avgOrNull(day) FROM trades;
SELECT exchange, avg(ts) FROM trades GROUP BY exchange ORDER BY exchange;
SELECT avg(ts) OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM trades ORDER BY ts;
SELECT avg(dtz), avg(ms) FROM narrow WHERE i8 > 100;
SELECT reverse([1, 2, 3]), reverse('abc'), reverse(tags) FROM trades ORDER BY ts;
SELECT hex(toDateTime('2024-01-01 00:00:00')), hex(toDate('2024-01-01')), hex(toDate('1970-01-01')), hex(1.5), hex(toFloat32(1.5)), hex(toDecimal32(1.5, 2)), hex(toDecimal64(-1.5, 2)), hex(toDecimal128(1.5, 2));
SELECT bin(toDateTime('2024-01-01 00:00:00')), bin(toDate('1970-01-02')), bin(1.5), bin(toDecimal32(1.5, 2)), bin(-1), bin('a');
SELECT hex(d), hex(dt), hex(f32), hex(id), bin(i8) FROM narrow ORDER BY i8;
SELECT roundBankers(toDecimal64(2.5, 1)), roundBankers(toDecimal64(3.5, 1)), roundBankers(toDecimal64(2.45, 2), 1), roundBankers(toDecimal64(-2.5, 1)), roundBankers(toDecimal64(2.7, 1)), roundBankers(toDecimal64(-3.5, 1)), roundBankers(35, -1), roundBankers(-25, -1);
SELECT clamp(quote, 6, 8) FROM trades ORDER BY ts;
SELECT clamp(1, 2.5, 3), clamp('b', 'a', 'c'), clamp(toDate('2024-01-05'), toDate('2024-01-01'), toDate('2024-01-03')), clamp(-1, 0, 300);
SELECT countMatches('aXbX', 'X'), countMatches('', ''), countMatches('abc', ''), countMatches('baab', 'a*'), countMatches('a\nb', '.');
SELECT arrayAvg(emptyArrayUInt8()), arrayProduct(emptyArrayUInt8()), arraySum(emptyArrayFloat64()), arrayReduce('avg', emptyArrayUInt8()), arrayAvg(x -> x, emptyArrayUInt8());
SELECT arraySum([toDecimal64(1.1, 2), toDecimal64(2.2, 2)]), arrayAvg([toDecimal64(1.1, 2), toDecimal64(2.2, 2)]), arrayCumSum([toDecimal64(1.1, 2), toDecimal64(2.2, 2)]), arrayDifference([toDecimal64(1.1, 2), toDecimal64(2.2, 2)]);
SELECT arrayMin([nan, 1]), arrayMax([nan, 1]), arrayCumSum([1.5, 2]), arrayDifference([1, 3, 6]);
SELECT groupBitAnd(x), groupBitOr(x), groupBitXor(x) FROM (SELECT 1 AS x WHERE 0);
SELECT groupBitAnd(i32), groupBitAnd(u64), groupBitAnd(n), groupBitOr(i8) FROM narrow WHERE 0;
SELECT topK(symbol), topK(2)(symbol) FROM trades;
SELECT domain('http://www.example.com:80/x'), domain('//h/x'), domain('http://user:pw@h.com/x'), domain('a'), domain('svn+ssh://some.svn-hosting.com:80/repo'), domain('a@b.c'), domain('http://a b.com'), domain('http://h.com.'), domain('abcdefghijklmnopqrst://x.y/z');
SELECT topLevelDomain('http://a.b.co.uk/x'), topLevelDomain('http://1.2.3.4'), domainWithoutWWW('www.a.b'), protocol('mailto:x@y'), protocol('1a://b'), path('h/a'), path('a//b'), path('http://h#x/y'), pathFull('a/b?c'), netloc('h;x');
SELECT extractURLParameter('x?a=1#b=2', 'b'), extractURLParameter('x#a=1&b=2', 'b');
SELECT match('ü', '\\w'), match('aü', 'a\\b'), match('٣', '\\d'), replaceRegexpAll('äb', '\\w', 'x'), match('[', '[[]'), match('ü', '[^\\w]'), length(extractAll('a\nb', '.'));
SELECT extractAll('abxc', 'x*'), extractAll('aab', 'a?'), splitByRegexp('', 'abc'), splitByRegexp('x*', 'xab'), replaceRegexpAll('abc', '', 'x');
SELECT CAST(300.5 AS UInt8), CAST(-1.5 AS UInt8), CAST(1e20 AS Int64), CAST(1e20 AS UInt64), CAST(3e9 AS Int32), toUInt32(-1.);
SELECT transform(NULL, [1], [2], 3), transform(1, [1], ['a'], NULL), transform(2, [1], ['a'], NULL);
SELECT greatest(quote, 1), least(quote, price) FROM trades ORDER BY ts;
SELECT argMin(symbol, quote), argMax(price, quote), argMaxIf(symbol, quote, 0) FROM trades;
SELECT startsWith([1, 2], [1]), endsWith([1, 2], [2]), hasSubstr([1, 2, 3], [2, 3]), hasSubstr([1, 2, 3], [1, 3]);
SELECT JSONExtract('{"a":300}', 'a', 'UInt8'), JSONExtract('{"a":-1}', 'a', 'UInt8'), JSONExtract('{"a":7}', 'a', 'UInt8');
SELECT EXTRACT(DOW FROM toDate('2024-01-07')), EXTRACT(WEEK FROM toDate('2024-01-07')), EXTRACT(DAY FROM toDate('2024-01-07')), EXTRACT(EPOCH FROM toDateTime('2024-01-07 00:00:00'));
SELECT makeDate(2023, 2, 31), makeDate(2024, 4, 31), makeDate(1969, 1, 1), makeDate(2150, 1, 1), makeDate(2024, 2, 32);
SELECT formatReadableSize(nan), formatReadableSize(1e30), formatReadableQuantity(1e18), formatReadableQuantity(1e40);
SELECT empty(toUUID('00000000-0000-0000-0000-000000000000')), notEmpty(id) FROM narrow ORDER BY i8;
SELECT avgOrDefault(price), quantileOrDefault(0.5)(price), stddevPopOrDefault(price), groupBitAndOrDefault(flags), avgOrDefault(quote) FROM trades WHERE 0;
SELECT avgIfOrNull(price, 0), avgOrNullIf(price, 0), avgOrDefaultIf(price, 0), sumDistinctIf(flags, 1), sumIfDistinct(flags, 1) FROM trades;
SELECT 1 IN (NULL), toTypeName(1 IN (NULL));

SELECT toDateTime(5000000000), toDateTime(-1), toDateTime(-5.5), toDateTime(5e9), toDate(-1), toDate(5000000000), CAST(-1 AS DateTime), CAST(-1 AS Date), fromUnixTimestamp(5000000000);
SELECT regr_r2(price, volume) FROM trades WHERE 0;
SELECT parseDateTimeBestEffort('13:04:05 2024-01-07');

-- section: forms
SELECT '[1,2]'::Array(UInt8), CAST('[''a'',''b c'', \'d\']' AS Array(String)), CAST('[[1],[2,3]]' AS Array(Array(UInt8))), CAST('[1,NULL]' AS Array(Nullable(UInt8))), CAST('[]' AS Array(String));
SELECT CAST('(1,''a'')' AS Tuple(UInt8, String));
SELECT dateDiff(day, toDate('2024-01-01'), toDate('2024-02-01')), DATEDIFF(month, toDate('2024-01-01'), toDate('2024-02-01'));
SELECT DATE_ADD(toDate('2024-01-01'), INTERVAL 1 DAY), date_sub(toDate('2024-01-01'), INTERVAL 2 MONTH);
SELECT exchange REGEXP '^N' FROM trades ORDER BY ts;
SELECT [1, -2.5], [nan, 1], [1, NULL, 2.5], ltrim('xxa', 'x'), 1 <=> 2;
SELECT sum(volume) OVER (ORDER BY ts ROWS 1 PRECEDING) FROM trades ORDER BY ts;
SELECT * FROM (SELECT 1 AS a) x JOIN (SELECT 2 AS b) y ON 1;

-- section: two arguments of all kinds
SELECT ceil(toFloat32(1.1), 1), round(toFloat32(2.675), 2), floor(toFloat32(0.3), 1), trunc(toFloat32(1.9999), 3), round(true, 1), round(true, -1);
SELECT round(u16, -5), round(i8, -3), ceil(u8, -3), floor(u32, -10), round(d, -20) FROM narrow ORDER BY i8;
SELECT bitShiftRight(i8, 8), bitShiftRight(i8, u16), bitShiftLeft(u8, toUInt16(4)), bitShiftLeft(true, 3) FROM narrow WHERE i8 < 0 AND u16 < 100 OR i8 < 0 ORDER BY i8;
SELECT bitAnd(true, 3), bitOr(ok, flags), bitXor(-1, true), bitNot(ok), bitNot(1.5), bitNot(toFloat32(1)), bitCount(price), bitCount(toFloat32(1.5)), bitCount(ok) FROM trades ORDER BY ts;
SELECT bitHammingDistance(u32, i16), bitHammingDistance(i8, toUInt8(1)) FROM narrow ORDER BY i8;
SELECT 12345.678 % 0.1, 7 % inf, -100000 % 2.5, positiveModulo(-5.5, 2.2), price % 0.05 FROM trades ORDER BY ts;
SELECT greatest(nan, 0), greatest(0, nan), greatest(1, nan, 3), least(1, nan), least(nan, 1, 0.5), max2(nan, 1), min2(1, nan), max2(n, 1) FROM narrow ORDER BY i8;
SELECT arrayResize([1, NULL], 3), arrayResize([1, 2, 3], -5), arrayResize([1, 2], -3, 9), arrayShiftLeft([1, NULL, 3], 1), arrayShiftRight([1, NULL, 3], 1), arrayElementOrNull([1, 2], -1);
SELECT range(-5, 1), range(toInt8(0), toInt64(2)), range(0, 5, toInt8(2)), range(1, toUInt16(4));
SELECT toDateTime('2024-01-01 00:00:00.123', 3), toDateTime(1.5, 2, 'UTC'), parseDateTimeBestEffort('2024-01-01 00:00:00.25', 3), toDateTime('2024-01-01 00:00:00', '');
SELECT toUInt8OrDefault('300', 7), toUInt8OrDefault(2.5, 7), toUInt8OrDefault(n, 3), toInt64OrDefault(u64, toInt64(-1)), toInt8OrDefault(u16, i8), toFloat32OrDefault(16777217, toFloat32(1)) FROM narrow ORDER BY i8;
SELECT toDateTime64(-5, 0), toDateTime64(12345678901, 0), toDateTime64(1e10, 0), fromUnixTimestamp64Second(-300);
SELECT toStartOfSecond(ms, 'Asia/Tokyo'), toStartOfMillisecond(toDateTime64('2024-01-01 00:00:00.123456', 6)), toStartOfMicrosecond(toDateTime64('2024-01-01 00:00:00.123456789', 9)) FROM narrow ORDER BY i8;
SELECT toStartOfInterval(day, INTERVAL 1 DAY), toStartOfInterval(day, INTERVAL 2 DAY), dateTrunc('day', day), dateTrunc('week', day), toStartOfInterval(day, INTERVAL 1 MONTH) FROM trades ORDER BY ts;
SELECT fromUnixTimestamp(1706706855, '%Y-%m-%d'), fromUnixTimestamp(1706706855, '%H:%i', 'Asia/Tokyo'), timeSlot(toDateTime('2024-01-31 13:44:15'), 'Asia/Tokyo');
SELECT has(m, 'a'), has(m, 'z') FROM narrow ORDER BY i8;
SELECT JSONExtract('{"a":true}', 'a', 'Int64'), JSONExtract('{"a":true}', 'a', 'Float64'), JSONExtract('{"a":true}', 'a', 'UInt8'), JSONExtractInt('{"a":true}', 'a'), JSONExtractFloat('{"a":true}', 'a');

-- section: aggregates of Nullable values
SELECT entropy(quote), skewPop(quote), skewSamp(quote), kurtPop(quote), kurtSamp(quote) FROM trades WHERE quote IS NULL;
SELECT medianExactLow(quote), medianExactHigh(quote), quantileExactLow(0.5)(quote), quantileExactHigh(0.9)(quote), uniqCombined(quote), uniqCombined64(quote), groupConcat(quote) FROM (SELECT * FROM trades ORDER BY ts);
SELECT medianExactLow(quote), medianExactHigh(price), uniqCombined(quote), uniqCombined(price), groupConcat(quote), groupConcat(symbol), skewPop(price) FROM trades WHERE 0;
SELECT regr_slope(price, quote), boundingRatio(price, quote) FROM trades WHERE 0;
SELECT entropyOrNull(exchange), groupConcatOrNull(exchange) FROM trades WHERE 0;
SELECT symbol, kurtPop(quote), medianExactLow(quote) FROM trades GROUP BY symbol ORDER BY symbol;
SELECT medianExactLow(quote) OVER (PARTITION BY exchange) FROM trades ORDER BY ts;
SELECT lttb(2)(quote, price), lttb(10)(quote, price) FROM trades;
SELECT anyHeavy(exchange), anyHeavy(flags), anyHeavy(quote), anyHeavyIf(symbol, price > 100) FROM (SELECT * FROM trades ORDER BY ts);
SELECT entropy(DISTINCT exchange), kurtPop(DISTINCT volume % 3), length(groupConcat(DISTINCT exchange)), sumKahan(DISTINCT flags % 2), medianExactLow(DISTINCT flags % 3) FROM trades;
SELECT deltaSum(price) FROM trades WHERE 0;
SELECT positiveModulo(i32, toUInt8(3)), positiveModulo(i8, i16) FROM narrow ORDER BY i8;
SELECT toDateTime(u64), toDate(u64) FROM narrow ORDER BY i8;
SELECT greatest(n, nan), least(n, nan, 100) FROM narrow ORDER BY i8;
SELECT timestamp('2024-01-31 10:00:00.5'), toDateTime('2024-01-01 00:00:00', 0);
-- differs: whole quotient of a number without sign and a negative one
SELECT intDiv(200, -5);
-- differs: NaN beside NULL in a comparison, NaN beside NaN in `<=>`
SELECT nan <=> nan;
-- differs: intervals as values
SELECT INTERVAL 1 DAY;
-- differs: bits, variance and sums of Float32
SELECT varPop(f32) FROM narrow;
-- differs: bytes of results that are no text
SELECT hex(substring('é', 1, 1));
-- differs: common items of whole numbers and fractions
SELECT arrayIntersect([1, 2], [1.5]);
-- differs: `nullIf` of Bool
SELECT nullIf(ok, 5) FROM trades ORDER BY ts;

-- section: numbers that are no times, digits cut from times before 1970
SELECT toDateTimeOrNull(-5), toDateTimeOrNull(18446744073709551615), toDateTimeOrNull(300);
SELECT toDateOrNull(-5), toDateOrNull(70000), toDateOrNull(5000000000), toDateOrNull(300);
SELECT toDateTime64OrNull(toInt64(-9223372036854775808)), toDateTime64OrNull(-5);
SELECT accurateCastOrNull(-5, 'DateTime'), accurateCastOrNull(-5, 'Date'), accurateCastOrNull(5000000000, 'DateTime');
SELECT toDateTime64(-1.5, 0), toDateTime64(-1.55, 1), toDateTime64(toDecimal64(-1.55, 2), 1);
SELECT toDateTime64(toDateTime64('1960-05-06 01:02:03.456', 3, 'UTC'), 0), toDateTime64(toDateTime64('1960-05-06 01:02:03.456', 6, 'UTC'), 2);
SELECT toDateTime64('1960-05-06 01:02:03.456', 1, 'UTC'), toDateTime64('1960-05-06 01:02:03.456', 2, 'UTC');
SELECT toDecimal64(toDateTime64('1960-05-06 01:02:03.456', 3, 'UTC'), 1), toDecimal64(toDateTime64('2024-05-06 01:02:03.567', 3, 'UTC'), 0);
SELECT toUnixTimestamp(-5), toUnixTimestamp(-2.5), toUnixTimestamp(5000000000), toUnixTimestamp(toDate('1970-01-02'));
SELECT toUnixTimestamp64Milli(toDateTime64('1960-05-06 01:02:03.456', 6, 'UTC')), toUnixTimestamp64Second(toDateTime64('1960-05-06 01:02:03.456', 6, 'UTC'));

-- section: beginnings and ends of arrays
SELECT startsWith([1, 2, 3], [1, 2]), endsWith([1, 2, 3], [2, 3]), startsWith([], [1]), startsWith([1.0, 2], [1]);
SELECT startsWithCaseInsensitive(['a'], ['A']), endsWithCaseInsensitive(['a', 'B'], ['b']), startsWithCaseInsensitive(['a', 'B'], ['a']);
SELECT startsWithCaseInsensitive('ABC', 'ab'), endsWithCaseInsensitive('ABC', 'bc'), endsWithCaseInsensitive('C', 'bc');

-- section: aggregates of nothing, and of different values
SELECT deltaSumOrNull(volume), uniqOrNull(volume), uniqCombinedOrNull(volume), countOrNull(), countOrNull(quote) FROM trades WHERE volume < 0;
SELECT deltaSumOrNull(volume), uniqOrNull(symbol), countOrNull(), countOrNull(quote) FROM (SELECT * FROM trades ORDER BY ts);
SELECT symbol, countOrNull(quote), uniqOrNull(quote) FROM trades GROUP BY symbol ORDER BY symbol;
SELECT groupConcat(',')(DISTINCT exchange), groupArray(DISTINCT symbol), groupConcat(DISTINCT flags) FROM (SELECT * FROM trades ORDER BY ts);
SELECT arraySort(groupUniqArray(symbol)), groupArray(DISTINCT quote) FROM (SELECT * FROM trades ORDER BY ts DESC);

-- section: a bare NULL
SELECT toYear(NULL), CRC32(NULL), addDays(toDate('2024-02-29'), NULL), base64Encode(NULL), range(2, NULL);
SELECT CAST(NULL, 'Nullable(Int32)'), toBool(NULL), accurateCastOrNull(NULL, 'Int8');
SELECT round(NULL), bitAnd(1, NULL), negate(NULL), toStartOfHour(NULL);

-- section: values by key
SELECT sumMap(map('a', toInt8(1), 'b', 2)), minMap(map('a', 1)), maxMap(map('b', 1.5, 'a', 1));
SELECT sumMap([1, 2, 1], [3, 0, 4]), minMap([2, 1], [toInt8(3), 4]), maxMap(([1, 2], ['a', 'b'], [1, 2]));
SELECT exchange, sumMap(map(symbol, volume)) AS m, maxMap(map(symbol, price)) FROM trades GROUP BY exchange ORDER BY exchange;
SELECT sumMap([symbol], [volume], [price]) FROM trades;
SELECT sumMapIf(map('a', 1), 0), sumMapIf([1], [2], 0), sumMap(map('z', 1, 'a', 0, 'k', -1));
SELECT minMap(map(symbol, day)), maxMap([flags], [exchange]) FROM trades;

-- section: values at the ends of frames, of some rows
SELECT first_valueIf(number, number > 2), last_valueIf(number, number < 5), first_valueIf(number, number > 100) FROM numbers(10);
SELECT number, first_valueIf(number, number > 2) OVER (ORDER BY number ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS f FROM numbers(5);
SELECT number, last_valueIf(toNullable(number), number > 2) OVER (ORDER BY number) AS f FROM numbers(5);

-- section: brackets around columns, aliases of each other
SELECT (* EXCEPT (tags, ts)) FROM trades ORDER BY ALL;
SELECT (* EXCEPT a), 1 FROM (SELECT 1 AS a, 2 AS b, 3 AS c);
SELECT (*) FROM (SELECT 1 AS a, 2 AS b, 3 AS c);
SELECT a AS b, b AS a FROM (SELECT 1 AS a, 2 AS b);

-- section: constants in aggregates, calls back in time, sums of large numbers
SELECT groupUniqArray(1), topK(300), anyHeavy(-5), deltaSum(1), groupConcat(true);
-- differs: Nullable of constants
SELECT sumOrNull(1), anyOrNull(toNullable(300));
SELECT uniqUpTo(3)(symbol), uniqUpTo(1)(symbol), uniqUpTo(symbol), uniqUpTo(symbol, exchange) FROM trades;
SELECT ifNotFinite(1, -5), ifNotFinite(nan, 3), ifNotFinite(inf, toFloat32(2));
-- differs: values of types without a common one
SELECT ifNotFinite(price, volume) FROM trades ORDER BY ts LIMIT 1;
SELECT 1 || true, 'a' || 1 || true, concat([1, 2, 3]), concat([1], [2]);
SELECT subtractDays(toDate('2024-02-29'), toInt8(-128)), subtractMonths(toDateTime('2024-02-29 12:34:56', 'UTC'), toInt8(-128)), subtractSeconds(toDate('2024-02-29'), 5);
SELECT substring('abc', nan);
SELECT toInt64(toDateTime64('1960-05-06 01:02:03.456', 3, 'UTC')), toInt32(toDateTime64('1969-12-31 23:59:58.456', 3, 'UTC'));
SELECT groupArrayMovingSum(18446744073709551615), deltaSum(u64) FROM narrow WHERE i8 = -1;
SELECT alphaTokens(CAST(NULL, 'Nullable(String)')), splitByWhitespace(CAST(NULL, 'Nullable(String)'));
SELECT regr_r2(price, 1), regr_r2(1, volume), regr_r2(price, volume) IS NULL FROM trades;
