-- error: MEMORY_LIMIT_EXCEEDED
SELECT max(length(a)) FROM (SELECT groupArray(number) OVER (ORDER BY number) AS a FROM numbers(50000)) SETTINGS max_memory_usage = 32000000;
-- error: MEMORY_LIMIT_EXCEEDED
SELECT max(length(a)) FROM (SELECT groupArray(number) OVER () AS a FROM numbers(50000)) SETTINGS max_memory_usage = 32000000;
-- error: MEMORY_LIMIT_EXCEEDED
SELECT max(length(a)) FROM (SELECT groupArray(number) OVER (PARTITION BY number % 100) AS a FROM numbers(50000)) SETTINGS max_memory_usage = 32000000;
-- error: MEMORY_LIMIT_EXCEEDED
SELECT max(s) FROM (SELECT sum(number) OVER (ORDER BY number ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS s FROM numbers(3000000)) SETTINGS max_memory_usage = 16000000;
-- oracle: SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER (ORDER BY number) AS a FROM numbers(1000))
SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER (ORDER BY number) AS a FROM numbers(1000)) SETTINGS max_memory_usage = 32000000;
-- oracle: SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER () AS a FROM numbers(1000))
SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER () AS a FROM numbers(1000)) SETTINGS max_memory_usage = 32000000;
-- oracle: SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER (ORDER BY number ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS a FROM numbers(300000))
SELECT sum(length(a)) FROM (SELECT groupArray(number) OVER (ORDER BY number ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS a FROM numbers(300000)) SETTINGS max_memory_usage = 32000000;
-- oracle: SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY number) AS n FROM numbers(2000000))
SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY number) AS n FROM numbers(2000000)) SETTINGS max_memory_usage = 32000000;
-- oracle: SELECT max(length(a) + n) FROM (SELECT a, row_number() OVER (ORDER BY k) AS n FROM (SELECT number % 2 AS k, groupArray(number) AS a FROM numbers(100000) GROUP BY k))
SELECT max(length(a) + n) FROM (SELECT a, row_number() OVER (ORDER BY k) AS n FROM (SELECT number % 2 AS k, groupArray(number) AS a FROM numbers(100000) GROUP BY k)) SETTINGS max_memory_usage = 64000000;
-- error: TIMEOUT_EXCEEDED
SELECT max(q) FROM (SELECT quantile(0.5)(number) OVER (ORDER BY number RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS q, sum(number) OVER (ORDER BY number ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM numbers(1000000)) SETTINGS max_execution_time = 0.5;
-- oracle: SELECT '1677-09-21 00:00:00', '1677-09-21 00:00:00', '1677-09-21 00:00:00', '1677-09-21 00:12:30'
SELECT toStartOfHour(t), toStartOfFifteenMinutes(t), toStartOfDay(t), toStartOfInterval(t, INTERVAL 30 SECOND) FROM (SELECT materialize(fromUnixTimestamp64Nano(-9223372036854775807)) AS t);
SELECT toStartOfHour(t), toStartOfFifteenMinutes(t), toStartOfInterval(t, INTERVAL 30 SECOND) FROM (SELECT materialize(fromUnixTimestamp64Nano(1711850399999999999)) AS t);
-- error: VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
SELECT xbar(t, INTERVAL 1 HOUR) FROM (SELECT materialize(fromUnixTimestamp64Nano(-9223372036854775807)) AS t);
