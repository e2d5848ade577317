-- types
SELECT 1, 300, 70000, 5000000000, -1, -200, 1.5, 'a', NULL, true;
-- types
SELECT 1 AS a, 'x' AS b;
-- types
SELECT 1, 1, 1;
-- types
SELECT 1/3;
-- types
SELECT 1 + 1, 1 - 1, 2 * 3, 7 % 3, -7 % 3;
-- types
SELECT [1, 2, 3], (1, 'a'), ['a', 'b'];
-- types
SELECT 1 = 1, 1 < 2, 1 != 1, NOT (1 = 1);
-- types
SELECT if(1 = 1, 1, 300), multiIf(1 = 2, 'a', 2 = 2, 'b', 'c');
-- types
SELECT CAST(1 AS Int64), CAST('5' AS UInt16), '7'::Int32, CAST(1, 'String');
-- types
SELECT toTypeName(1), toTypeName(1 + 1), toTypeName('a'), toTypeName(1.5);
SELECT 'it''s', 'tab\there', 'back\\slash', 'new\nline';
SELECT 1e10, 1e21, 1e-7, 0.1 + 0.2, 1e16, -0.0, 1.0, 100.0, 123456.789;
SELECT 1/0, -1/0, 0/0;
SELECT 9223372036854775807, -9223372036854775808, 18446744073709551615;
SELECT 1 WHERE 1;
SELECT 1 WHERE 0;
SELECT 1 WHERE 1 = 2;
SELECT 'abc' = 'abc', 'abc' < 'abd', 'a' != 'b';
SELECT NULL = 1, NULL IS NULL, 1 IS NULL, NULL IS NOT NULL;
SELECT 1 IN (1, 2, 3), 4 IN (1, 2, 3), 1 NOT IN (2, 3), 'a' IN ('a');
SELECT 5 BETWEEN 1 AND 10, 5 NOT BETWEEN 1 AND 3;
SELECT 1 AND 1, 1 AND 0, 0 OR 1, 0 OR 0, NOT 1, NOT 0;
SELECT (1 + 2) * 3, 1 + 2 * 3, 10 - 2 - 3, 2 * 3 % 4;
SELECT toTypeName(toInt8(1) + toInt8(1)), toTypeName(toInt16(1) + toInt8(1)), toTypeName(toInt32(1) + toInt32(1)), toTypeName(toInt64(1) + toInt64(1));
SELECT toTypeName(toUInt8(1) + toUInt8(1)), toTypeName(toUInt8(1) + toInt8(1)), toTypeName(toUInt32(1) * toUInt32(1)), toTypeName(toInt64(1) + toUInt64(1));
SELECT toTypeName(toUInt8(1) - toUInt8(1)), toTypeName(toFloat32(1) + toFloat32(1)), toTypeName(toFloat32(1) + toInt8(1)), toTypeName(toInt32(1) / toInt32(1));
SELECT toTypeName(intDiv(toInt32(7), toUInt8(2))), toTypeName(toInt64(7) % toUInt8(2)), toTypeName(toUInt64(7) % toUInt8(2)), toTypeName(-toUInt8(1)), toTypeName(-toInt32(1));
SELECT toUInt8(200) + toUInt8(100), toUInt8(1) - toUInt8(2), toInt8(100) * toInt8(100);
SELECT 7 / 2, 8 / 2, intDiv(7, 2), intDiv(-7, 2), 7 % 2, -7 % 2;
-- error: ILLEGAL_DIVISION
SELECT intDiv(1, 0);
-- error: ILLEGAL_DIVISION
SELECT 1 % 0;
SELECT DATE '2024-01-02', toDate('2024-01-02'), toDateTime('2024-01-02 03:04:05');
SELECT true, false, 1 AND 0;
-- skip: NOT of Bool is UInt8
SELECT NOT true;
SELECT CASE WHEN 1 = 1 THEN 'x' ELSE 'y' END, CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END, CASE WHEN 1 = 2 THEN 1 END;
SELECT 1 AS x, x + 1 AS y, y * 2 AS z;
SELECT number FROM (SELECT 1 AS number UNION ALL SELECT 2 UNION ALL SELECT 3) ORDER BY number DESC;
SELECT 'a' || 'b' || 'c', concat('a', 1, 2.5);
SELECT '5' = 5, 5 = '5';
