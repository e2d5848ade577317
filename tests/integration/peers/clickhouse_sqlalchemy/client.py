"""clickhouse-sqlalchemy against a node: python client.py ADDRESS all|lost (`tests/clients/main.rs` says what they mean).

100,000 rows: the client writes and reads each value as text in Python.
"""

import datetime
import sys

from clickhouse_sqlalchemy import Table, engines, make_session, types
from clickhouse_sqlalchemy.drivers.http import connector
from clickhouse_sqlalchemy.exceptions import DatabaseException
from requests.exceptions import RequestException
from sqlalchemy import Column, MetaData, create_engine, func, inspect, select, text

ROWS = 100_000
BLOCK = 20_000
START = datetime.datetime(2024, 1, 2, 9, 30)


def trades(metadata):
    return Table(
        "trades",
        metadata,
        Column("symbol", types.LowCardinality(types.String)),
        Column("ts", types.DateTime),
        Column("price", types.Float64),
        Column("volume", types.Int64, primary_key=True),
        Column("note", types.Nullable(types.String)),
        engines.MergeTree(order_by=("symbol", "ts")),
    )


def row(i):
    note = None if i % 3 else f"'{i}'\tü\n\\"
    return (f"S{i % 1_000}", START + datetime.timedelta(seconds=i), i * 0.25, i - 50_000, note)


def whole(address):
    engine = create_engine(f"clickhouse://default:@{address}/default")
    metadata = MetaData()
    table = trades(metadata)
    metadata.create_all(engine)
    metadata.create_all(engine)  # asks whether it is there
    names = [column.name for column in table.columns]
    with engine.connect() as connection:
        for start in range(0, ROWS, BLOCK):
            rows = [dict(zip(names, row(i))) for i in range(start, start + BLOCK)]
            connection.execute(table.insert(), rows)
    session = make_session(engine)
    want = (ROWS, sum(row(i)[3] for i in range(ROWS)), sum(row(i)[2] for i in range(ROWS)), len(range(0, ROWS, 3)))
    sums = select(func.count(), func.sum(table.c.volume), func.sum(table.c.price), func.count(table.c.note))
    assert tuple(session.execute(sums.select_from(table)).one()) == want
    selects(session, table)
    streams(address)
    errors(session, address)
    reflection(engine)
    metadata.drop_all(engine)
    assert inspect(engine).get_table_names() == []


def selects(session, table):
    since = START + datetime.timedelta(seconds=50_000)
    chosen = select(func.count()).where(table.c.symbol == "S7", table.c.ts >= since, table.c.volume.in_([7, 1_007]))
    assert session.execute(chosen).scalar() == 2
    for value in ["it's", "a\tb", "back\\slash", "ü", "", "line\nbreak", "%s", ":x"]:
        found = session.execute(text("SELECT :v AS v"), {"v": value}).scalar()
        assert found == value, (value, found)
    grouped = select(table.c.symbol, func.max(table.c.ts)).group_by(table.c.symbol).order_by(table.c.symbol).limit(2)
    assert session.execute(grouped).all() == [("S0", row(99_000)[1]), ("S1", row(99_001)[1])]
    assert session.execute(select(table).where(table.c.symbol == "nobody")).all() == []
    counted = session.query(table.c.note).filter(table.c.note.isnot(None)).count()
    assert counted == len(range(0, ROWS, 3)), counted


def streamed(address, statement):
    """A cursor that does not fetch everything first; SQLAlchemy itself offers no way to it over HTTP."""
    cursor = connector.connect(f"http://{address}/", "default", "default", "", stream=True).cursor()
    cursor.execute(statement)
    return cursor


def streams(address):
    cursor = streamed(address, "SELECT symbol, ts, price, volume, note FROM trades ORDER BY ts")
    assert [column[0] for column in cursor.description] == ["symbol", "ts", "price", "volume", "note"]
    read, total, want = 0, 0, 0
    while (values := cursor.fetchone()) is not None:
        total ^= hash((read, *values))
        want ^= hash((read, *row(read)))
        read += 1
    assert read == ROWS and total == want, read


def errors(session, address):
    for statement, code in [("SELECT nope FROM trades", 47), ("SELECT * FROM nowhere", 60), ("SELECT nonsense(1)", 46)]:
        try:
            session.execute(text(statement)).all()
        except DatabaseException as error:
            assert f"Code: {code}." in str(error), error
        else:
            raise AssertionError(f"{statement} was answered")
    broken = "SELECT toString(intDiv(1, 500000 - number)) FROM numbers(1000000)"
    try:
        streamed(address, broken).fetchall()
    except RequestException as error:
        print(f"fault: {type(error).__name__}", flush=True)
    else:
        raise AssertionError("an answer that broke off was taken for a whole one")
    assert session.execute(text("SELECT 1")).scalar() == 1, "the client goes on"


def reflection(engine):
    found = inspect(engine)
    assert "default" in found.get_schema_names() and found.get_table_names() == ["trades"]
    assert found.has_table("trades") and not found.has_table("nowhere")
    reflected = Table("trades", MetaData(), autoload_with=engine)
    kinds = [column.type.compile() for column in reflected.columns]
    assert kinds == ["LowCardinality(String)", "DateTime", "Float64", "Int64", "Nullable(String)"], kinds


def lost(address):
    cursor = streamed(address, "SELECT number, sin(number) FROM numbers(100000000000)")
    cursor.fetchone()
    print("reading", flush=True)
    sys.stdin.readline()
    try:
        while cursor.fetchone() is not None:
            pass
    except RequestException as error:
        print(f"lost: {type(error).__name__}", flush=True)
        return
    raise AssertionError("a cut answer was taken for a whole one")


if __name__ == "__main__":
    {"all": whole, "lost": lost}[sys.argv[2]](sys.argv[1])
    print("done", flush=True)
