#!/usr/bin/env python3
"""How fast a real ClickHouse writes and reads each format, on one thread: to set beside the `rates` tests.

    oracle/bin/python crates/formats/tests/rates.py
"""
import os
import tempfile
import time

from chdb import session

ROWS = 1_000_000
SESSION = session.Session()
FORMATS = ["TabSeparated", "TabSeparatedRaw", "CSV", "Values", "JSON", "JSONCompact", "JSONColumns", "JSONCompactColumns", "JSONEachRow",
           "JSONCompactEachRow", "JSONStringsEachRow", "JSONCompactStringsEachRow", "RowBinary", "Native", "Arrow", "ArrowStream", "Parquet",
           "MsgPack", "Markdown"]
WRITE_ONLY = ["Markdown"]
COLUMNS = "symbol LowCardinality(String), ts DateTime64(9), price Float64, volume Int64"
ONE = ("SETTINGS max_threads = 1, max_insert_threads = 1, output_format_parallel_formatting = 0, input_format_parallel_parsing = 0, "
       "engine_file_truncate_on_insert = 1, output_format_parquet_parallel_encoding = 0")


def best(sql):
    """Seconds of processor time of the whole process: the work is on one thread, whichever it is."""
    times = []
    for _ in range(5):
        start = time.process_time()
        SESSION.query(sql)
        times.append(time.process_time() - start)
    return min(times)


def main():
    SESSION.query(f"CREATE TABLE trades ({COLUMNS}) ENGINE = Memory")
    SESSION.query(f"INSERT INTO trades SELECT concat('S', toString(number % 500)), fromUnixTimestamp64Nano(toInt64(1767000000000000000 + number * 1000)), "
                  f"100 + number % 900 + number % 100 / 100, number % 10000 FROM numbers({ROWS})")
    scan = best(f"SELECT * FROM trades FORMAT Null {ONE}")
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            path = os.path.join(folder, form)
            wrote = best(f"INSERT INTO FUNCTION file('{path}', '{form}', '{COLUMNS}') SELECT * FROM trades {ONE}") - scan
            line = f"{form:26} write {ROWS / max(wrote, 1e-9) / 1e6:7.1f}"
            if form not in WRITE_ONLY:
                read = best(f"SELECT * FROM file('{path}', '{form}', '{COLUMNS}') FORMAT Null {ONE}")
                line += f", read {ROWS / read / 1e6:7.1f}"
            print(line, "M rows/s of processor time")


if __name__ == "__main__":
    main()
