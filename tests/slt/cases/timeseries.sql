CREATE TABLE t (symbol LowCardinality(String), price Float64, volume Int64, ts DateTime64(9)) ENGINE=MergeTree ORDER BY (symbol, ts);
INSERT INTO t VALUES ('MSFT', 103.95, 25, '2024-01-02 09:30:00.161973069'), ('AAPL', 105.36, 188, '2024-01-02 09:30:08.181836553'), ('GOOG', 109.1, 110, '2024-01-02 09:30:14.662275869'), ('AAPL', 104.34, 36, '2024-01-02 09:30:21.992285142'), ('AAPL', 105.51, 31, '2024-01-02 09:30:29.297402358'), ('GOOG', 109.47, 323, '2024-01-02 09:30:36.632931336'), ('GOOG', 109.48, 296, '2024-01-02 09:30:44.425988156'), ('GOOG', 100.5, 114, '2024-01-02 09:30:51.525932421'), ('AAPL', 108.58, 149, '2024-01-02 09:30:58.997714383'), ('MSFT', 105.41, 293, '2024-01-02 09:31:05.854892713'), ('MSFT', 108.16, 93, '2024-01-02 09:31:13.601571670'), ('AAPL', 105.71, 97, '2024-01-02 09:31:20.924488420'), ('MSFT', 105.48, 33, '2024-01-02 09:31:27.704615284'), ('GOOG', 106.19, 255, '2024-01-02 09:31:34.963996269'), ('GOOG', 104.28, 161, '2024-01-02 09:31:42.770930264'), ('MSFT', 109.23, 186, '2024-01-02 09:31:50.128742260'), ('MSFT', 107.94, 358, '2024-01-02 09:31:57.066746013'), ('AAPL', 105.74, 269, '2024-01-02 09:32:04.187891151'), ('MSFT', 103.43, 230, '2024-01-02 09:32:12.339671729'), ('MSFT', 109.8, 61, '2024-01-02 09:32:19.353864767'), ('GOOG', 101.65, 176, '2024-01-02 09:32:26.448955962'), ('AAPL', 104.22, 493, '2024-01-02 09:32:33.825020128'), ('GOOG', 107.65, 294, '2024-01-02 09:32:40.683344353'), ('MSFT', 106.95, 305, '2024-01-02 09:32:48.265203600'), ('MSFT', 107.97, 36, '2024-01-02 09:32:55.822657734'), ('AAPL', 104.74, 341, '2024-01-02 09:33:02.789845088'), ('AAPL', 107.31, 159, '2024-01-02 09:33:09.865143298'), ('GOOG', 109.93, 421, '2024-01-02 09:33:17.720565036'), ('MSFT', 107.17, 455, '2024-01-02 09:33:24.705582123'), ('GOOG', 100.23, 237, '2024-01-02 09:33:32.072594063'), ('MSFT', 106.11, 253, '2024-01-02 09:33:39.180440569'), ('AAPL', 107.68, 67, '2024-01-02 09:33:46.534298814'), ('GOOG', 103.98, 470, '2024-01-02 09:33:53.865874400'), ('MSFT', 101.66, 206, '2024-01-02 09:34:00.986523513'), ('GOOG', 108.83, 420, '2024-01-02 09:34:08.498327495'), ('MSFT', 105.5, 362, '2024-01-02 09:34:16.427696258'), ('MSFT', 106.83, 195, '2024-01-02 09:34:23.185227600'), ('AAPL', 100.83, 78, '2024-01-02 09:34:30.262050095'), ('AAPL', 102.33, 249, '2024-01-02 09:34:38.107076898'), ('GOOG', 102.63, 3, '2024-01-02 09:34:44.895789171'), ('AAPL', 105.35, 313, '2024-01-02 09:34:52.449840379'), ('GOOG', 109.53, 354, '2024-01-02 09:34:59.642106685'), ('GOOG', 106.55, 379, '2024-01-02 09:35:07.263135165'), ('AAPL', 109.0, 400, '2024-01-02 09:35:14.390317463'), ('GOOG', 105.59, 204, '2024-01-02 09:35:22.056709736'), ('MSFT', 101.04, 325, '2024-01-02 09:35:28.923183147'), ('MSFT', 101.91, 107, '2024-01-02 09:35:35.866838090'), ('MSFT', 101.1, 308, '2024-01-02 09:35:43.274271721'), ('AAPL', 100.0, 78, '2024-01-02 09:35:50.509929256'), ('GOOG', 109.49, 315, '2024-01-02 09:35:57.808946535'), ('AAPL', 108.74, 315, '2024-01-02 09:36:05.075500775'), ('MSFT', 106.34, 490, '2024-01-02 09:36:12.459504871'), ('MSFT', 103.64, 63, '2024-01-02 09:36:20.246692355'), ('AAPL', 104.88, 239, '2024-01-02 09:36:27.811539081'), ('MSFT', 103.12, 74, '2024-01-02 09:36:34.719513506'), ('AAPL', 103.43, 136, '2024-01-02 09:36:42.304956245'), ('MSFT', 106.92, 265, '2024-01-02 09:36:49.689976686'), ('AAPL', 109.51, 271, '2024-01-02 09:36:56.320347933'), ('MSFT', 106.9, 469, '2024-01-02 09:37:03.557413274'), ('AAPL', 105.28, 330, '2024-01-02 09:37:11.514049802');
-- oracle: SELECT intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT toUnixTimestamp64Nano(xbar(ts, 60000000000)) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000) AS b, sum(volume) FROM t GROUP BY b ORDER BY b
SELECT xbar(ts, INTERVAL 1 MINUTE) AS b, sum(volume) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000) AS b, max(price) FROM t GROUP BY b ORDER BY b
SELECT time_bucket(INTERVAL 1 MINUTE, ts) AS b, max(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000) AS b, min(price) FROM t GROUP BY b ORDER BY b
SELECT date_bin(INTERVAL 1 MINUTE, ts) AS b, min(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT symbol, fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000) AS b, argMin(price, ts), max(price), min(price), argMax(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b
SELECT symbol, xbar(ts, INTERVAL 1 MINUTE) AS b, first(price, ts), max(price), min(price), last(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b;
-- oracle: SELECT intDiv(toUnixTimestamp64Nano(ts), 30000000000) * 30000000000 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT toUnixTimestamp64Nano(xbar(ts, 30000000000)) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 30000000000) * 30000000000) AS b, sum(volume) FROM t GROUP BY b ORDER BY b
SELECT xbar(ts, INTERVAL 30 SECOND) AS b, sum(volume) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 30000000000) * 30000000000) AS b, max(price) FROM t GROUP BY b ORDER BY b
SELECT time_bucket(INTERVAL 30 SECOND, ts) AS b, max(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 30000000000) * 30000000000) AS b, min(price) FROM t GROUP BY b ORDER BY b
SELECT date_bin(INTERVAL 30 SECOND, ts) AS b, min(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT symbol, fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 30000000000) * 30000000000) AS b, argMin(price, ts), max(price), min(price), argMax(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b
SELECT symbol, xbar(ts, INTERVAL 30 SECOND) AS b, first(price, ts), max(price), min(price), last(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b;
-- oracle: SELECT intDiv(toUnixTimestamp64Nano(ts), 5000000000) * 5000000000 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT toUnixTimestamp64Nano(xbar(ts, 5000000000)) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 5000000000) * 5000000000) AS b, sum(volume) FROM t GROUP BY b ORDER BY b
SELECT xbar(ts, INTERVAL 5 SECOND) AS b, sum(volume) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 5000000000) * 5000000000) AS b, max(price) FROM t GROUP BY b ORDER BY b
SELECT time_bucket(INTERVAL 5 SECOND, ts) AS b, max(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 5000000000) * 5000000000) AS b, min(price) FROM t GROUP BY b ORDER BY b
SELECT date_bin(INTERVAL 5 SECOND, ts) AS b, min(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT symbol, fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 5000000000) * 5000000000) AS b, argMin(price, ts), max(price), min(price), argMax(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b
SELECT symbol, xbar(ts, INTERVAL 5 SECOND) AS b, first(price, ts), max(price), min(price), last(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b;
-- oracle: SELECT intDiv(toUnixTimestamp64Nano(ts), 3600000000000) * 3600000000000 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT toUnixTimestamp64Nano(xbar(ts, 3600000000000)) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 3600000000000) * 3600000000000) AS b, sum(volume) FROM t GROUP BY b ORDER BY b
SELECT xbar(ts, INTERVAL 1 HOUR) AS b, sum(volume) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 3600000000000) * 3600000000000) AS b, max(price) FROM t GROUP BY b ORDER BY b
SELECT time_bucket(INTERVAL 1 HOUR, ts) AS b, max(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 3600000000000) * 3600000000000) AS b, min(price) FROM t GROUP BY b ORDER BY b
SELECT date_bin(INTERVAL 1 HOUR, ts) AS b, min(price) FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT symbol, fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 3600000000000) * 3600000000000) AS b, argMin(price, ts), max(price), min(price), argMax(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b
SELECT symbol, xbar(ts, INTERVAL 1 HOUR) AS b, first(price, ts), max(price), min(price), last(price, ts), sum(volume) FROM t GROUP BY symbol, b ORDER BY symbol, b;
-- oracle: SELECT intDiv(volume, 100) * 100 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT xbar(volume, 100) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT floor(price / 0.5) * 0.5 AS b, count() FROM t GROUP BY b ORDER BY b
SELECT xbar(price, 0.5) AS b, count() FROM t GROUP BY b ORDER BY b;
-- oracle: SELECT 5, -10, 10
SELECT xbar(7, 5), xbar(-7, 5), xbar(10, 5);
-- oracle: SELECT round(sum(price * volume) / sum(volume), 9) FROM t
SELECT round(vwap(price, volume), 9) FROM t;
-- oracle: SELECT symbol, round(sum(price * volume) / sum(volume), 9) FROM t GROUP BY symbol ORDER BY symbol
SELECT symbol, round(vwap(price, volume), 9) FROM t GROUP BY symbol ORDER BY symbol;
-- oracle: SELECT symbol, fromUnixTimestamp64Nano(intDiv(toUnixTimestamp64Nano(ts), 60000000000) * 60000000000) AS b, round(sum(price * volume) / sum(volume), 9) FROM t GROUP BY symbol, b ORDER BY symbol, b
SELECT symbol, xbar(ts, INTERVAL 1 MINUTE) AS b, round(vwap(price, volume), 9) FROM t GROUP BY symbol, b ORDER BY symbol, b;
-- oracle: SELECT symbol, round(sum(price * (n - o)) / (max(n) - min(o)), 6) FROM (SELECT symbol, price, toUnixTimestamp64Nano(ts) AS o, leadInFrame(toUnixTimestamp64Nano(ts), 1, toUnixTimestamp64Nano(ts)) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS n FROM t) GROUP BY symbol ORDER BY symbol
SELECT symbol, round(twap(price, ts), 6) FROM t GROUP BY symbol ORDER BY symbol;
-- oracle: SELECT symbol, tuple(argMin(price, ts), max(price), min(price), argMax(price, ts)) FROM t GROUP BY symbol ORDER BY symbol
SELECT symbol, ohlc(price, ts) FROM t GROUP BY symbol ORDER BY symbol;
-- oracle: SELECT symbol, ts, round(avg(price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 6) FROM t ORDER BY symbol, ts
SELECT symbol, ts, round(mavg(price, 3) OVER (PARTITION BY symbol ORDER BY ts), 6) FROM t ORDER BY symbol, ts;
-- oracle: SELECT ts, avg(volume) OVER (ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) FROM t ORDER BY ts
SELECT ts, mavg(volume, 5) OVER (ORDER BY ts) FROM t ORDER BY ts;
-- oracle: SELECT symbol, ts, round(sum(price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 6) FROM t ORDER BY symbol, ts
SELECT symbol, ts, round(msum(price, 3) OVER (PARTITION BY symbol ORDER BY ts), 6) FROM t ORDER BY symbol, ts;
-- oracle: SELECT ts, sum(volume) OVER (ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) FROM t ORDER BY ts
SELECT ts, msum(volume, 5) OVER (ORDER BY ts) FROM t ORDER BY ts;
-- oracle: SELECT symbol, ts, round(min(price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 6) FROM t ORDER BY symbol, ts
SELECT symbol, ts, round(mmin(price, 3) OVER (PARTITION BY symbol ORDER BY ts), 6) FROM t ORDER BY symbol, ts;
-- oracle: SELECT ts, min(volume) OVER (ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) FROM t ORDER BY ts
SELECT ts, mmin(volume, 5) OVER (ORDER BY ts) FROM t ORDER BY ts;
-- oracle: SELECT symbol, ts, round(max(price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 6) FROM t ORDER BY symbol, ts
SELECT symbol, ts, round(mmax(price, 3) OVER (PARTITION BY symbol ORDER BY ts), 6) FROM t ORDER BY symbol, ts;
-- oracle: SELECT ts, max(volume) OVER (ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) FROM t ORDER BY ts
SELECT ts, mmax(volume, 5) OVER (ORDER BY ts) FROM t ORDER BY ts;
-- oracle: SELECT ts, round(stddevPop(price) OVER (ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW), 4) FROM t ORDER BY ts
SELECT ts, round(mdev(price, 4) OVER (ORDER BY ts), 4) FROM t ORDER BY ts;
-- oracle: SELECT ts, toNullable(volume) - lagInFrame(toNullable(volume), 1, NULL) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t ORDER BY ts
SELECT ts, delta(volume) OVER (PARTITION BY symbol ORDER BY ts) FROM t ORDER BY ts;
-- oracle: SELECT ts, round(price / lagInFrame(toNullable(price), 1, NULL) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), 9) FROM t ORDER BY ts
SELECT ts, round(ratio(price) OVER (ORDER BY ts), 9) FROM t ORDER BY ts;
-- oracle: SELECT arrayMap(i -> round(arrayFold((acc, x) -> acc + 0.2 * (x - acc), arraySlice(p, 2, i - 1), p[1]), 6), arrayEnumerate(p)) FROM (SELECT groupArray(price) AS p FROM (SELECT price FROM t WHERE symbol = 'AAPL' ORDER BY ts))
SELECT groupArray(round(m, 6)) FROM (SELECT ema(price, 9) OVER (ORDER BY ts) AS m FROM t WHERE symbol = 'AAPL' ORDER BY ts);
-- oracle: SELECT arrayMap(i -> round(arrayFold((acc, x) -> acc + 0.5 * (x - acc), arraySlice(p, 2, i - 1), p[1]), 6), arrayEnumerate(p)) FROM (SELECT groupArray(price) AS p FROM (SELECT price FROM t ORDER BY ts))
SELECT groupArray(round(m, 6)) FROM (SELECT ema(price, 0.5) OVER (ORDER BY ts) AS m FROM t ORDER BY ts);
CREATE TABLE g (ts DateTime64(9), v Nullable(Float64)) ENGINE=MergeTree ORDER BY ts;
INSERT INTO g VALUES ('2024-01-02 00:00:00', NULL), ('2024-01-02 00:00:01', 1.5), ('2024-01-02 00:00:02', NULL), ('2024-01-02 00:00:03', NULL), ('2024-01-02 00:00:04', 4), ('2024-01-02 00:00:05', NULL);
-- oracle: SELECT ts, last_value(v) IGNORE NULLS OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM g ORDER BY ts
SELECT ts, fills(v) OVER (ORDER BY ts) FROM g ORDER BY ts;
SELECT symbol, count(), sum(volume), max(price), min(price), round(avg(price), 9) FROM t GROUP BY symbol ORDER BY symbol;
SELECT symbol, round(sum(price * volume) / sum(volume), 9) FROM t GROUP BY symbol ORDER BY symbol;
SELECT toStartOfInterval(ts, INTERVAL 60 second) AS time, round(avg(price), 9) AS p FROM t WHERE ts >= toDateTime(1704187800) AND ts <= toDateTime(1704188400) AND symbol IN ('AAPL', 'MSFT') GROUP BY time ORDER BY time ASC LIMIT 1000;
SELECT symbol, argMax(price, ts), max(ts) FROM t GROUP BY symbol ORDER BY symbol;
SELECT ts, price, price - lagInFrame(price, 1, price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WHERE symbol = 'AAPL' ORDER BY ts;
SELECT symbol, quantile(0.5)(price), quantile(0.9)(volume), quantileExact(0.5)(price) FROM t GROUP BY symbol ORDER BY symbol;
SELECT count() FROM t WHERE price > 105 AND volume < 300;
SELECT * FROM t ORDER BY ts DESC LIMIT 5;
SELECT symbol, ts FROM t WHERE symbol = 'MSFT' ORDER BY ts LIMIT 3;
SELECT min(ts), max(ts), dateDiff('second', min(ts), max(ts)) FROM t;
SELECT multiply(toUnixTimestamp64Nano(ts), 0.000001) FROM t ORDER BY ts LIMIT 3;
SELECT DISTINCT symbol FROM t WHERE symbol IS NOT NULL ORDER BY symbol LIMIT 1000;
CREATE TABLE al (k String, ts DateTime, x Int64) ENGINE = MergeTree ORDER BY (k, ts);
CREATE TABLE ar (k String, ts DateTime, bid Float64, n Nullable(Int64), s String) ENGINE = MergeTree ORDER BY (k, ts);
INSERT INTO al VALUES ('a', 10, 1), ('b', 5, 2), ('a', 1, 3);
INSERT INTO ar VALUES ('a', 5, 1.5, 7, 'q');
SELECT al.k, al.x, ar.k, ar.ts, ar.bid, ar.n, ar.s FROM al ASOF LEFT JOIN ar ON al.k = ar.k AND al.ts >= ar.ts ORDER BY al.x;
SELECT count(*), count(ar.bid), count(ar.n) FROM al ASOF LEFT JOIN ar ON al.k = ar.k AND al.ts >= ar.ts;
SELECT al.x, ar.bid, ar.n FROM al ASOF LEFT JOIN ar ON al.k = ar.k AND al.ts >= ar.ts ORDER BY al.x SETTINGS join_use_nulls = 1;
SELECT al.x, ar.bid FROM al ASOF JOIN ar ON al.k = ar.k AND al.ts >= ar.ts ORDER BY al.x;
