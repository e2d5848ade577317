-- Numbers of mixed types, and digits that a column has no room for.
SELECT greatest(toUInt64(18446744073709551615), toInt64(-1)) = 18446744073709551615, least(toUInt64(18446744073709551615), toInt64(-1)) = -1;
SELECT greatest(toUInt64(9007199254740993), toInt64(9007199254740992)) = 9007199254740993;
SELECT least(toUInt64(5), toInt64(7)) = 5, greatest(toInt8(-1), toUInt8(200)) = 200;
SELECT intDiv(7, 0.5), intDiv(-7, 2.0), intDiv(7, -0.3);
CREATE TABLE source (v Float64, d Decimal(18, 6)) ENGINE = MergeTree ORDER BY v;
INSERT INTO source VALUES (1.005, 1.239999), (2.999, -2.999999), (-0.019, 0.999999);
CREATE TABLE target (d Decimal(18, 2)) ENGINE = MergeTree ORDER BY d;
INSERT INTO target SELECT d FROM source;
SELECT d FROM target ORDER BY d;
SELECT uniqExact(number % 3, number % 5), count(DISTINCT number % 3, number % 5) FROM numbers(1000);
SELECT uniqExact(if(number % 2 = 0, NULL, number % 3), number % 5) FROM numbers(100);
