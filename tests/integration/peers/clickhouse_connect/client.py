"""The official Python client against a node: python client.py ADDRESS all|lost.

`all` connects, creates, inserts a million rows, selects with parameters, streams them back by rows, pandas and Arrow,
compares checksums and meets errors. `lost` begins to read an endless answer, prints a line, waits for one on stdin (the
server is killed meanwhile) and must then fail.
"""

import datetime
import sys

import clickhouse_connect
import numpy
import pandas
import pyarrow
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.external import ExternalData

ROWS = 1_000_000
COLUMNS = ["symbol", "ts", "price", "volume", "note", "tags"]
SUMS = "SELECT count(), sum(volume), sum(price), uniq(symbol), count(note), sum(length(tags)) FROM {}"


def frame(rows):
    number = numpy.arange(rows, dtype="int64")
    start = numpy.datetime64("2024-01-02T09:30:00.000000001")
    return pandas.DataFrame(
        {
            "symbol": pandas.Series((number % 1_000)).map("S{}".format),
            "ts": start + number * numpy.timedelta64(1_000, "ns"),
            "price": number * 0.25,
            "volume": number - 500_000,
            "note": [None if i % 3 else f"'{i}'\t\\ü" for i in range(rows)],
            "tags": [[]] * rows,
        }
    )


def whole(client):
    assert client.ping()
    client.command(
        "CREATE TABLE trades (symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64, "
        "note Nullable(String), tags Array(String)) ENGINE = MergeTree ORDER BY (symbol, ts)"
    )
    data = frame(ROWS)
    assert client.insert_df("trades", data).written_rows == ROWS
    rows = [["ROW", datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999), -0.5, 2**63 - 1, None, ["a", "ü", ""]]]
    assert client.insert("trades", rows, column_names=COLUMNS).written_rows == 1
    arrow = pyarrow.table(
        {
            "symbol": ["ARROW"],
            "ts": pyarrow.array([-1], pyarrow.timestamp("ns")),
            "price": [1.5],
            "volume": pyarrow.array([-(2**63)], pyarrow.int64()),
            "note": pyarrow.array(["n"], pyarrow.string()),
            "tags": pyarrow.array([["x"]], pyarrow.list_(pyarrow.string())),
        }
    )
    assert client.insert_arrow("trades", arrow).written_rows == 1
    volume = int(data["volume"].sum()) - 1
    want = (ROWS + 2, volume, float(data["price"].sum()) + 1.0, 1_002, int(data["note"].count()) + 1, 4)
    assert client.query(SUMS.format("trades")).result_rows == [want], (client.query(SUMS.format("trades")), want)
    selects(client)
    streams(client, data)
    errors(client)
    client.command("DROP TABLE trades")


def selects(client):
    odd = client.query("SELECT * FROM trades WHERE symbol IN ['ROW', 'ARROW'] ORDER BY symbol").result_rows
    assert [row[0] for row in odd] == ["ARROW", "ROW"] and odd[1][3] == 2**63 - 1 and odd[1][5] == ["a", "ü", ""], odd
    for value in ["it's", "a\tb", "back\\slash", "ü", "", "line\nbreak", "{x:String}", "%s"]:
        found = client.query("SELECT {v:String}", parameters={"v": value}).result_rows
        assert found == [(value,)], (value, found)
    count = "SELECT count() FROM trades WHERE symbol IN {s:Array(String)} AND ts >= {t:DateTime64(6)}"
    bound = {"s": ["S1", "S2"], "t": datetime.datetime(2024, 1, 2, 9, 30, 0, 500_000)}
    assert client.query(count, parameters=bound).result_rows == [(1_000,)]
    listed = client.query("SELECT count() FROM trades WHERE symbol IN %(s)s", parameters={"s": ["S1", "S2"]})
    assert listed.result_rows == [(2_000,)]
    assert client.query("SELECT * FROM trades LIMIT 0").column_names == tuple(COLUMNS)
    types = client.query("SELECT name, type FROM system.columns WHERE table = 'trades' ORDER BY position").result_rows
    assert types[0] == ("symbol", "LowCardinality(String)") and types[5] == ("tags", "Array(String)"), types
    given = ExternalData(file_name="ext", fmt="CSV", structure=["s String", "n UInt32"], data=b'"S1",2\n"S2",3\n')
    joined = "SELECT sum(n) FROM trades JOIN ext ON trades.symbol = ext.s"
    assert client.query(joined, external_data=given).result_rows == [(5_000,)]
    assert client.command("SELECT 42") == 42


def streams(client, data):
    by_row = 0
    with client.query_row_block_stream("SELECT volume FROM trades WHERE symbol LIKE 'S%'") as blocks:
        for block in blocks:
            by_row += sum(row[0] for row in block)
    assert by_row == int(data["volume"].sum()), by_row
    back = client.query_df("SELECT * FROM trades WHERE symbol LIKE 'S%' ORDER BY ts")
    for column in ["symbol", "price", "volume"]:
        assert (back[column].to_numpy() == data[column].to_numpy()).all(), column
    assert (back["ts"].to_numpy().astype("datetime64[ns]") == data["ts"].to_numpy().astype("datetime64[ns]")).all()
    assert back["note"].isna().sum() == data["note"].isna().sum() and back["note"][3] == data["note"][3]
    table = client.query_arrow("SELECT symbol, volume FROM trades")
    assert table.num_rows == ROWS + 2 and len(set(table["symbol"].to_pylist())) == 1_002


def errors(client):
    for statement, code in [
        ("SELECT nope FROM trades", 47),
        ("SELECT * FROM nowhere", 60),
        ("SELEC 1", 62),
        ("SELECT nonsense(1)", 46),
        ("SELECT CAST('x' AS Int64)", 6),
    ]:
        try:
            client.query(statement)
        except ClickHouseError as error:
            assert f"Code: {code}." in str(error), (statement, error)
        else:
            raise AssertionError(f"{statement} was answered")
    assert client.query("SELECT 1").result_rows == [(1,)], "the client goes on"


def lost(client):
    with client.query_row_block_stream("SELECT number, sin(number) FROM numbers(100000000000)") as blocks:
        next(iter(blocks))
        print("reading", flush=True)
        sys.stdin.readline()
        try:
            for _ in blocks:
                pass
        except Exception as error:  # pylint: disable=broad-except
            print(f"lost: {type(error).__name__}", flush=True)
            return
    raise AssertionError("a cut answer was taken for a whole one")


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    connected = clickhouse_connect.get_client(host=host, port=int(port))
    {"all": whole, "lost": lost}[sys.argv[2]](connected)
    print("done", flush=True)
