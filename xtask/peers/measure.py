#!/usr/bin/env python3
"""Runs the queries of `zepto bench query` on other engines in this process and prints a line of JSON per query.

Usage: measure.py FOLDER KEYS RUNS ENGINE ...   (FOLDER has trades.parquet and quotes.parquet; ENGINE: duckdb, chdb, polars)

Each engine has the rows in its own tables or frames before the clock starts, two threads, and the same parameters in the
same run as ours. A line: engine, version, query, median of the runs in milliseconds, the last run's answer as numbers.
"""

import json
import os
import statistics
import sys
import time

THREADS = 2
os.environ["POLARS_MAX_THREADS"] = str(THREADS)


def symbol(run, keys):
    return f"S{run * 7 % keys:05}"


def bars(bucket, first, last):
    return f"{bucket} AS b, {first} AS o, max(price) AS h, min(price) AS l, {last} AS c, sum(volume) AS v"


def statements(bucket, first, last, latest):
    """The queries in SQL as DuckDB and ClickHouse have in common; what differs comes as a parameter."""
    def bar(minutes):
        return bars(bucket(minutes), first("price"), last("price"))

    return {
        "Q1": lambda run, keys: f"SELECT count(*) AS n{run} FROM trades",
        "Q2": lambda run, keys: "SELECT sum(price * volume) / sum(volume) FROM trades "
        f"WHERE symbol = '{symbol(run, keys)}'",
        "Q3": lambda run, keys: "SELECT count(*), sum(o), sum(h), sum(l), sum(c), sum(v) FROM (SELECT "
        f"{bar(5)} FROM trades WHERE symbol = '{symbol(run, keys)}' GROUP BY b) AS t",
        "Q4": lambda run, keys: f"SELECT count(*), sum(v), sum(p) AS s{run} FROM (SELECT symbol, sum(volume) AS v, "
        "avg(price) AS p FROM trades GROUP BY symbol) AS t",
        "Q5": lambda run, keys: f"SELECT count(*) FROM trades WHERE price > {100 + run}",
        "Q6": lambda run, keys: f"SELECT count(*), sum(o), sum(h), sum(l), sum(c), sum(v) AS s{run} FROM (SELECT symbol, "
        f"{bar(1)} FROM trades GROUP BY symbol, b) AS t",
        "Q7": lambda run, keys: f"SELECT count(*), sum(t.price - q.bid) AS s{run} FROM trades AS t ASOF JOIN quotes AS q "
        "ON t.symbol = q.symbol AND t.ts >= q.ts",
        "Q8": lambda run, keys: f"SELECT count(*), sum(m) FROM (SELECT avg(price) OVER (PARTITION BY symbol ORDER BY ts "
        f"ROWS BETWEEN {19 + run % 3} PRECEDING AND CURRENT ROW) AS m FROM trades) AS t",
        "Q9": lambda run, keys: f"SELECT count(*), sum(p), sum(v) AS s{run} FROM (SELECT symbol, {latest('price')} AS p, "
        f"{latest('volume')} AS v FROM trades GROUP BY symbol) AS t",
        "Q10": lambda run, keys: f"SELECT count(*), sum(s) AS s{run} FROM (SELECT id, sum(volume) AS s FROM trades "
        "GROUP BY id) AS t",
    }


def duckdb_engine(folder):
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET threads = {THREADS}")
    for table in ("trades", "quotes"):
        db.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet('{folder}/{table}.parquet')")
    queries = statements(
        lambda minutes: f"time_bucket(INTERVAL '{minutes} minutes', ts)",
        lambda x: f"arg_min({x}, ts)",
        lambda x: f"arg_max({x}, ts)",
        lambda x: f"arg_max({x}, ts)",
    )
    return duckdb.__version__, queries, lambda sql: [float(x) for x in db.execute(sql).fetchone()]


def chdb_engine(folder):
    import chdb
    from chdb.session import Session

    session = Session()
    types = {
        "trades": "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64, id UInt32",
        "quotes": "symbol LowCardinality(String), ts DateTime64(9), bid Float64, ask Float64",
    }
    for table, columns in types.items():
        session.query(f"CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY (symbol, ts)")
        session.query(f"INSERT INTO {table} SELECT * FROM file('{folder}/{table}.parquet', Parquet)")
        session.query(f"OPTIMIZE TABLE {table} FINAL")
    session.query(f"SET max_threads = {THREADS}")
    queries = statements(
        lambda minutes: f"toStartOfInterval(ts, INTERVAL {minutes} MINUTE)",
        lambda x: f"argMin({x}, ts)",
        lambda x: f"argMax({x}, ts)",
        lambda x: f"argMax({x}, ts)",
    )

    def run(sql):
        return [float(x) for x in str(session.query(sql, "TabSeparated")).strip().split("\t")]

    return chdb.__version__, queries, run


def polars_engine(folder):
    import polars as pl

    trades = pl.read_parquet(f"{folder}/trades.parquet").with_columns(pl.col("symbol").cast(pl.Categorical)).sort("ts")
    quotes = pl.read_parquet(f"{folder}/quotes.parquet").with_columns(pl.col("symbol").cast(pl.Categorical)).sort("ts")
    price, volume = pl.col("price"), pl.col("volume")

    def of(frame, run, keys):
        return frame.lazy().filter(pl.col("symbol") == symbol(run, keys))

    def bar(frame, by):
        made = [price.first().alias("o"), price.max().alias("h"), price.min().alias("l"), price.last().alias("c"), volume.sum().alias("v")]
        return frame.group_by(by).agg(made).select(pl.len(), "o", "h", "l", "c", "v").select(
            pl.col("len").first(), pl.col("o").sum(), pl.col("h").sum(), pl.col("l").sum(), pl.col("c").sum(), pl.col("v").sum())

    queries = {
        "Q1": lambda run, keys: trades.lazy().select(pl.len()),
        "Q2": lambda run, keys: of(trades, run, keys).select((price * volume).sum() / volume.sum()),
        "Q3": lambda run, keys: bar(of(trades, run, keys), [pl.col("ts").dt.truncate("5m")]),
        "Q4": lambda run, keys: trades.lazy().group_by("symbol").agg(volume.sum(), price.mean()).select(
            pl.len(), volume.sum(), price.sum()),
        "Q5": lambda run, keys: trades.lazy().filter(price > 100 + run).select(pl.len()),
        "Q6": lambda run, keys: bar(trades.lazy(), ["symbol", pl.col("ts").dt.truncate("1m")]),
        "Q7": lambda run, keys: trades.lazy().join_asof(quotes.lazy(), on="ts", by="symbol").filter(
            pl.col("bid").is_not_null()).select(pl.len(), (price - pl.col("bid")).sum()),
        "Q8": lambda run, keys: trades.lazy().select(
            price.rolling_mean(20 + run % 3, min_samples=1).over("symbol").alias("m")).select(pl.len(), pl.col("m").sum()),
        "Q9": lambda run, keys: trades.lazy().group_by("symbol").agg(price.last(), volume.last()).select(
            pl.len(), price.sum(), volume.sum()),
        "Q10": lambda run, keys: trades.lazy().group_by("id").agg(volume.sum()).select(pl.len(), volume.sum()),
    }
    return pl.__version__, queries, lambda query: [float(x) for x in query.collect().row(0)]


ENGINES = {"duckdb": duckdb_engine, "chdb": chdb_engine, "polars": polars_engine}
WARM_UP = 2


def main():
    folder, keys, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for name in sys.argv[4:]:
        version, queries, ask = ENGINES[name](folder)
        for query, make in queries.items():
            times, answer = [], []
            for run in range(runs + WARM_UP):
                question = make(run, keys)
                start = time.perf_counter()
                answer = ask(question)
                if run >= WARM_UP:
                    times.append((time.perf_counter() - start) * 1e3)
            line = {"engine": name, "version": version, "query": query, "ms": statistics.median(times), "answer": answer}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
