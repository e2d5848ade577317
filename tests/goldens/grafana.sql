-- What Grafana's ClickHouse data source sends: macros as they are expanded, the builder's queries, ad-hoc filters,
-- annotations, and the editor's own questions.
CREATE TABLE metrics (time DateTime, host LowCardinality(String), region String, cpu Float64, mem Nullable(Float64), requests UInt64) ENGINE = MergeTree ORDER BY (host, time);
INSERT INTO metrics VALUES ('2024-01-02 09:30:00', 'a', 'eu', 0.5, 10, 100), ('2024-01-02 09:30:30', 'a', 'eu', 0.75, NULL, 160), ('2024-01-02 09:31:10', 'a', 'eu', 1, 12, 220), ('2024-01-02 09:30:05', 'b', 'us', 0.25, 20, 10), ('2024-01-02 09:31:05', 'b', 'us', 0.5, 22, 40), ('2024-01-02 09:36:00', 'b', 'us', 2, 24, 35), ('2024-01-03 00:00:00', 'c', 'us', 4, NULL, 1);
CREATE TABLE logs (ts DateTime64(9), level String, message String, attributes Map(String, String)) ENGINE = MergeTree ORDER BY ts;
INSERT INTO logs VALUES ('2024-01-02 09:30:00.123456789', 'info', 'started', {'host':'a','pid':'1'}), ('2024-01-02 09:30:01.5', 'error', 'it\'s broken', {'host':'b'}), ('2024-01-02 09:35:00', 'info', 'stopped', {});

-- section: health
SELECT 1;
SELECT toTypeName(version()), toTypeName(displayName()), toTypeName(revision()), toTypeName(timezone());

-- section: macros
SELECT count() FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400);
SELECT count() FROM logs WHERE ts >= toDateTime(1704187800) AND ts <= toDateTime(1704188400);
SELECT count() FROM logs WHERE ts >= fromUnixTimestamp64Milli(1704187800000) AND ts <= fromUnixTimestamp64Milli(1704187801000);
SELECT count() FROM metrics WHERE time >= fromUnixTimestamp64Milli(1704187800000) AND time <= fromUnixTimestamp64Milli(1704188400000);
SELECT count() FROM metrics WHERE toDate(time) >= toDate('2024-01-02') AND toDate(time) <= toDate('2024-01-02');
SELECT count() FROM metrics WHERE (toDate(time) >= toDate('2024-01-02') AND toDate(time) <= toDate('2024-01-03')) AND (time >= toDateTime(1704187800) AND time <= toDateTime(1704188400));
SELECT toDateTime(1704187800), toDateTime(1704188400), fromUnixTimestamp64Milli(1704187800000), fromUnixTimestamp64Milli(1704188400000);
SELECT count() FROM metrics WHERE time >= toDateTime(1704187800);
SELECT count() FROM metrics WHERE time <= toDateTime(1704187860);
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, avg(cpu) FROM metrics GROUP BY t ORDER BY t;
SELECT toStartOfInterval(toDateTime64(ts, 3), INTERVAL 500 millisecond) AS t, count() FROM logs GROUP BY t ORDER BY t;
SELECT toStartOfInterval(toDateTime(time), INTERVAL 300 second) AS t, max(cpu) FROM metrics GROUP BY t ORDER BY t;
SELECT toStartOfInterval(toDateTime(ts), INTERVAL 60 second) AS t, count() / 60 AS rate FROM logs GROUP BY t ORDER BY t;
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, toString(host) AS host, avg(cpu) AS value FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) GROUP BY t, host ORDER BY t, host;
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, toString(host) AS key, max(requests) AS value FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) AND (region = 'us') GROUP BY t, key ORDER BY t, key;
SELECT t, key, if((t - lagInFrame(t, 1, t) OVER w) = 0, nan, (value - lagInFrame(value, 1, value) OVER w) / (t - lagInFrame(t, 1, t) OVER w)) AS rate FROM (SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, toString(host) AS key, max(requests) AS value FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) GROUP BY t, key ORDER BY t, key) WINDOW w AS (PARTITION BY key ORDER BY t ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY t, key;
SELECT t, key, value - lagInFrame(value, 1, value) OVER w AS increase FROM (SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, toString(host) AS key, max(requests) AS value FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) GROUP BY t, key ORDER BY t, key) WINDOW w AS (PARTITION BY key ORDER BY t ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY t, key;
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS t, toString(host) AS key, if((t - lagInFrame(t, 1, t) OVER w) = 0, nan, max(requests) / (t - lagInFrame(t, 1, t) OVER w)) AS value FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) GROUP BY t, key WINDOW w AS (PARTITION BY key ORDER BY t ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY t, key;
SELECT point.1 AS x, point.2 AS y FROM (SELECT arrayJoin(lttb(4)(toUnixTimestamp(time), cpu)) AS point FROM metrics) ORDER BY x;
SELECT point.1 AS x, point.2 AS y FROM (SELECT arrayJoin(lttb(3)(time, cpu)) AS point FROM metrics WHERE time >= toDateTime(1704187800)) ORDER BY x;

-- section: builder
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) as "time", avg(cpu) as p FROM "default"."metrics" WHERE ( time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) ) AND ( host IN ('a','b') ) GROUP BY time ORDER BY time ASC LIMIT 1000;
SELECT time as "time", cpu, mem FROM "default"."metrics" WHERE ( time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) ) ORDER BY time ASC, cpu ASC LIMIT 1000;
SELECT "host", count(*) as c, sum("requests") as total FROM "default"."metrics" WHERE ( "region" NOT IN ('us') ) GROUP BY "host" ORDER BY c DESC LIMIT 100;
SELECT host, region, max(cpu) FROM "default"."metrics" WHERE ( region LIKE '%u%' ) AND NOT ( host = 'c' ) AND ( mem IS NOT NULL ) GROUP BY host, region ORDER BY host;
SELECT host FROM "default"."metrics" WHERE ( mem IS NULL ) OR ( region NOT LIKE '%eu%' ) GROUP BY host ORDER BY host;
SELECT "time", "host", "cpu" FROM "default"."metrics" WHERE ( "cpu" >= 0.5 ) AND ( "cpu" <= 1 ) AND ( "host" != 'b' ) ORDER BY "time" DESC LIMIT 10;
SELECT count(*) FROM "default"."metrics" LIMIT 100;
SELECT toStartOfInterval("time", INTERVAL 1 DAY) as "time", quantile(0.5)("cpu") as "q", uniq("host") as "hosts" FROM "default"."metrics" GROUP BY "time" ORDER BY "time";
SELECT toStartOfHour(time) as "time", argMax(cpu, time) as last, any(region) FROM metrics WHERE region = 'eu' GROUP BY "time";
SELECT ts as "timestamp", message as "body", level as "level" FROM "default"."logs" WHERE ( timestamp >= fromUnixTimestamp64Milli(1704187800000) AND timestamp <= fromUnixTimestamp64Milli(1704188400000) ) AND ( level = 'error' ) ORDER BY timestamp DESC LIMIT 1000;
SELECT ts as "timestamp", message as "body", level as "level", attributes as "labels" FROM "default"."logs" WHERE ( body LIKE '%sta%' ) ORDER BY timestamp ASC LIMIT 1000;
SELECT toStartOfInterval("ts", INTERVAL 1 minute) as "time", sum(toInt64(multiSearchAny(lower(toString("level")), ['error','err','fatal']))) as "error", sum(toInt64(multiSearchAny(lower(toString("level")), ['info']))) as "info" FROM "default"."logs" GROUP BY "time" ORDER BY "time" ASC;
SELECT multiply(toUnixTimestamp64Nano(ts), 0.000001) AS startTime, arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)) AS tags FROM logs ORDER BY ts;

-- section: labels of a time series
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) AS time, host, region, avg(cpu) AS cpu FROM metrics GROUP BY time, host, region ORDER BY time, host;
SELECT time, cpu AS metric, concat(host, '-', region) AS series FROM metrics ORDER BY time, host LIMIT 3;

-- section: ad-hoc filters
SELECT count() FROM metrics SETTINGS additional_table_filters={'metrics': ' host = \'a\' '};
SELECT host, count() FROM metrics GROUP BY host ORDER BY host SETTINGS additional_table_filters={'metrics': ' host IN (\'a\', \'b\') AND cpu > 0.5 '};
SELECT count() FROM metrics AS m JOIN (SELECT DISTINCT host FROM metrics) AS h ON m.host = h.host SETTINGS additional_table_filters={'metrics': 'region = \'us\''};
SELECT toStartOfInterval(toDateTime(time), INTERVAL 60 second) as "time", avg(cpu) FROM metrics WHERE time >= toDateTime(1704187800) AND time <= toDateTime(1704188400) GROUP BY time ORDER BY time SETTINGS additional_table_filters={'metrics': ' host = \'b\' AND region LIKE \'%u%\' '};

-- section: variables
SELECT DISTINCT host FROM metrics ORDER BY host;
SELECT DISTINCT "host" FROM "default"."metrics" WHERE "host" IS NOT NULL ORDER BY "host" LIMIT 1000;
SELECT DISTINCT region AS __text, upper(region) AS __value FROM metrics ORDER BY __text;
SELECT host FROM metrics WHERE host LIKE '%a%' GROUP BY host;
SELECT DISTINCT arrayJoin(attributes.keys) AS keys FROM logs ORDER BY keys LIMIT 1000;
SELECT DISTINCT arrayJoin(mapKeys(attributes)) AS keys FROM logs ORDER BY keys LIMIT 1000;
SELECT DISTINCT attributes['host'] AS v FROM logs ORDER BY v LIMIT 1000;
SELECT host FROM metrics WHERE host IN ('a') AND (region = 'eu' OR '$__all' = '$__all') ORDER BY time LIMIT 1;

-- section: annotations
SELECT toUnixTimestamp(ts) * 1000 AS time, message AS text, level AS tags FROM logs WHERE ts >= toDateTime(1704187800) AND ts <= toDateTime(1704188400) ORDER BY ts;
SELECT ts AS time, ts + INTERVAL 5 MINUTE AS timeEnd, message AS text, 'deploy' AS tags FROM logs WHERE level = 'info' ORDER BY ts;

-- section: the editor
SELECT name, type FROM system.columns WHERE database = 'default' AND table = 'metrics' ORDER BY position;
SELECT name, type, table FROM system.columns WHERE database IN ('default') AND table = 'logs' ORDER BY position;
SHOW TABLES FROM "default";
EXISTS TABLE "default"."metrics";
DESC TABLE "default"."metrics";
DESC TABLE "default"."logs";
