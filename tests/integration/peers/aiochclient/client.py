"""aiochclient against a node: python client.py ADDRESS all|lost (see `tests/clients/main.rs` for what the words mean).

100,000 rows: the client writes each value as text in Python.
"""

import asyncio
import datetime
import sys

from aiochclient import ChClient, ChClientError
from aiohttp import ClientError, ClientSession

ROWS = 100_000
BLOCK = 20_000
START = datetime.datetime(2024, 1, 2, 9, 30)
ENDLESS = "SELECT number, sin(number) FROM numbers(100000000000)"


def row(i):
    note = None if i % 3 else f"'{i}'\tü\n"
    return (f"S{i % 1_000}", START + datetime.timedelta(seconds=i), i * 0.25, i - 50_000, note, [i, -i])


def mark(i, values):
    return hash((i, *(tuple(value) if isinstance(value, list) else value for value in values)))


async def whole(client):
    assert await client.is_alive()
    await client.execute(
        "CREATE TABLE trades (symbol LowCardinality(String), ts DateTime, price Float64, volume Int64, "
        "note Nullable(String), pair Array(Int64)) ENGINE = MergeTree ORDER BY (symbol, ts)"
    )
    assert [r[0] for r in await client.fetch("SHOW TABLES")] == ["trades"]
    assert (await client.fetchval("EXISTS TABLE trades")) == 1
    for start in range(0, ROWS, BLOCK):
        await client.execute("INSERT INTO trades VALUES", *(row(i) for i in range(start, start + BLOCK)))
    want = (ROWS, sum(row(i)[3] for i in range(ROWS)), sum(row(i)[2] for i in range(ROWS)), len(range(0, ROWS, 3)))
    sums = "SELECT count(), sum(volume), sum(price), count(note) FROM trades"
    assert tuple((await client.fetchrow(sums)).values()) == want
    await json(client)
    await selects(client)
    await streams(client)
    await errors(client)
    await client.execute("DROP TABLE trades")


async def json(client):
    await client.execute("CREATE TABLE plain (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    rows = [{"a": i, "b": f'"{i}" \\ \t ü'} for i in range(1_000)]
    await client.execute("INSERT INTO plain FORMAT JSONEachRow", *rows)
    back = await client.fetch("SELECT a, b FROM plain ORDER BY a", json=True)
    assert [dict(r) for r in back] == rows


async def selects(client):
    found = await client.fetchval(
        "SELECT count() FROM trades WHERE symbol = {symbol} AND ts >= {since} AND volume > {volume}",
        params={"symbol": "S7", "since": START + datetime.timedelta(seconds=50_000), "volume": -1},
    )
    assert found == 50, found
    assert await client.fetch("SELECT * FROM trades WHERE symbol = 'nobody'") == []
    one = await client.fetchrow("SELECT ts, note, pair FROM trades WHERE volume = -49999")
    assert tuple(one.values()) == row(1)[1:2] + (None, [1, -1]), tuple(one.values())


async def streams(client):
    read, total = 0, 0
    async for record in client.iterate("SELECT * FROM trades ORDER BY ts"):
        total ^= mark(read, record.values())
        read += 1
    want = 0
    for i in range(ROWS):
        want ^= mark(i, row(i))
    assert (read, total) == (ROWS, want), read


async def errors(client):
    for statement, code in [("SELECT nope FROM trades", 47), ("SELECT * FROM nowhere", 60), ("SELECT nonsense(1)", 46)]:
        try:
            await client.fetch(statement)
        except ChClientError as error:
            assert f"Code: {code}." in str(error), error
        else:
            raise AssertionError(f"{statement} was answered")
    fault = "SELECT toString(intDiv(1, 500000 - number)) FROM numbers(1000000)"
    try:
        async for _ in client.iterate(fault):
            pass
    except ClientError as error:
        print(f"fault: {type(error).__name__}", flush=True)
    else:
        raise AssertionError("an answer that broke off was taken for a whole one")
    assert await client.fetchval("SELECT 1") == 1, "the client goes on"


async def lost(client):
    rows = client.iterate(ENDLESS)
    await rows.__anext__()
    print("reading", flush=True)
    sys.stdin.readline()
    try:
        async for _ in rows:
            pass
    except ClientError as error:
        print(f"lost: {type(error).__name__}", flush=True)
        return
    raise AssertionError("a cut answer was taken for a whole one")


async def main():
    async with ClientSession() as session:
        client = ChClient(session, url=f"http://{sys.argv[1]}/")
        await {"all": whole, "lost": lost}[sys.argv[2]](client)


if __name__ == "__main__":
    asyncio.run(main())
    print("done", flush=True)
