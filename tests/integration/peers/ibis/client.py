"""ibis with its ClickHouse backend against a node: python client.py ADDRESS all|lost (see `tests/clients/main.rs`)."""

import sys

import ibis
import numpy
import pandas
from clickhouse_connect.driver.exceptions import ClickHouseError

ROWS = 1_000_000
ENDLESS = "SELECT number, sin(number) AS s FROM numbers(100000000000)"


def frame():
    number = numpy.arange(ROWS, dtype="int64")
    return pandas.DataFrame(
        {
            "symbol": pandas.Series(number % 1_000).map("S{}".format),
            "ts": numpy.datetime64("2024-01-02T09:30:00.000000001") + number * numpy.timedelta64(1_000_000, "ns"),
            "price": number * 0.25,
            "volume": number - 500_000,
        }
    )


def whole(connected):
    schema = ibis.schema({"symbol": "!string", "ts": "!timestamp(9)", "price": "!float64", "volume": "!int64"})
    trades = connected.create_table("trades", schema=schema, engine="MergeTree", order_by=["symbol", "ts"])
    assert connected.list_tables() == ["trades"] and "default" in connected.list_databases()
    data = frame()
    connected.insert("trades", data)
    assert dict(trades.schema()) == dict(schema)
    sums = trades.aggregate(rows=trades.count(), volume=trades.volume.sum(), price=trades.price.sum())
    want = (ROWS, int(data["volume"].sum()), float(data["price"].sum()))
    assert tuple(sums.to_pandas().iloc[0]) == want
    selects(connected, trades, data)
    streams(trades, data)
    errors(connected, trades)
    connected.raw_sql("DROP TABLE trades")  # its own drop_table() leaves the name out
    assert connected.list_tables() == []


def selects(connected, trades, data):
    volume = ibis.param("int64")
    chosen = trades.filter(trades.symbol.isin(["S1", "S2"]) & (trades.volume >= volume)).count()
    assert chosen.to_pandas(params={volume: 400_001}) == 200
    for value in ["it's", "a\tb", "back\\slash", "ü", "", "line\nbreak", "%s"]:
        found = connected.raw_sql("SELECT {v:String}", parameters={"v": value}).result_rows
        assert found == [(value,)], (value, found)
    buckets = trades.group_by(minute=trades.ts.truncate("m")).aggregate(
        rows=trades.count(), high=trades.price.max(), low=trades.price.min()
    )
    first = buckets.order_by("minute").limit(1).to_pandas().iloc[0]
    assert (first["rows"], first["high"], first["low"]) == (60_000, 14_999.75, 0.0), first
    over = ibis.window(group_by="symbol", order_by="ts", preceding=None, following=0)
    running = trades.filter(trades.symbol == "S5").mutate(total=trades.volume.sum().over(over))
    last = running.order_by(ibis.desc("ts")).limit(1).to_pandas().iloc[0]["total"]
    assert last == data["volume"][data["symbol"] == "S5"].sum(), last
    joined = trades.join(buckets.mutate(volume=buckets.rows), "volume").count().to_pandas()
    assert joined == 17, joined
    learnt = connected.sql("SELECT symbol, count() AS n FROM trades GROUP BY symbol")
    assert learnt.schema()["symbol"].is_string() and learnt.count().to_pandas() == 1_000


def streams(trades, data):
    rows, volume, price = 0, 0, 0.0
    for batch in trades.to_pyarrow_batches(chunk_size=50_000):
        rows += batch.num_rows
        volume += sum(batch["volume"].to_pylist())
        price += sum(batch["price"].to_pylist())
    assert (rows, volume, price) == (ROWS, int(data["volume"].sum()), float(data["price"].sum())), (rows, volume, price)
    back = trades.order_by("ts").to_pandas()
    for column in data.columns:
        assert (back[column].to_numpy() == data[column].to_numpy()).all(), column


def errors(connected, trades):
    for statement, code in [("SELECT nope FROM trades", 47), ("SELECT * FROM nowhere", 60), ("SELECT nonsense(1)", 46)]:
        try:
            connected.raw_sql(statement)
        except ClickHouseError as error:
            assert error.code == code, (statement, error)
        else:
            raise AssertionError(f"{statement} was answered")
    assert trades.count().to_pandas() == ROWS, "the client goes on"


def lost(connected):
    endless = connected.sql(ENDLESS, schema=ibis.schema({"number": "!uint64", "s": "!float64"}))
    batches = endless.to_pyarrow_batches()
    next(iter(batches))
    print("reading", flush=True)
    sys.stdin.readline()
    try:
        for _ in batches:
            pass
    except Exception as error:  # pylint: disable=broad-except
        print(f"lost: {type(error).__name__}", flush=True)
        return
    raise AssertionError("a cut answer was taken for a whole one")


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    {"all": whole, "lost": lost}[sys.argv[2]](ibis.clickhouse.connect(host=host, port=int(port)))
    print("done", flush=True)
