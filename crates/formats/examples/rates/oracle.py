#!/usr/bin/env python3
"""How fast a real ClickHouse writes and reads each format: the other half of `cargo xtask bench formats`.

    python oracle.py FOLDER COLUMNS FORMAT...

FOLDER has one file per format, written by us. The rows are loaded from `Native` into memory; every other file must hold
the same rows. Prints `format, seconds of writing, seconds of reading`, separated by tabs: processor time of this process,
medians of five turns or more (as `main.rs` beside this file), on one thread. What reading the rows from memory costs is
taken off the writing (`FORMAT Null`), what a statement without rows costs off the reading. It writes to /dev/null, and
reads from FOLDER with read calls, as ours does and a ClickHouse server would (this package by itself maps the file).
"""
import os
import statistics
import sys
import time

from chdb import session

TURNS, TURNS_MAX, TURNS_SECONDS = 5, 41, 0.5
ONE = ("SETTINGS max_threads = 1, max_insert_threads = 1, output_format_parallel_formatting = 0, input_format_parallel_parsing = 0, "
       "output_format_parquet_parallel_encoding = 0, engine_file_truncate_on_insert = 1, storage_file_read_method = 'pread'")


def seconds(clickhouse, sql):
    """The median of the processor time of the whole process, whichever thread works; the first turn is not counted."""
    times = []
    clickhouse.query(sql)
    while len(times) < TURNS or (len(times) < TURNS_MAX and sum(times) < TURNS_SECONDS):
        start = time.process_time()
        clickhouse.query(sql)
        times.append(time.process_time() - start)
    return statistics.median(times)


def checksum(clickhouse, source):
    answer = clickhouse.query(f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {source} FORMAT TSV")
    return str(answer).strip()


def main():
    folder, columns, formats = sys.argv[1], sys.argv[2], sys.argv[3:]
    clickhouse = session.Session()

    def file(form, path=None):
        return f"file('{path or os.path.join(folder, form)}', '{form}', '{columns}')"

    clickhouse.query(f"CREATE TABLE rows ({columns}) ENGINE = Memory")
    clickhouse.query(f"INSERT INTO rows SELECT * FROM {file('Native')}")
    wanted = checksum(clickhouse, "rows")
    scan = seconds(clickhouse, f"SELECT * FROM rows FORMAT Null {ONE}")
    nothing = seconds(clickhouse, f"SELECT 1 FORMAT Null {ONE}")
    for form in formats:
        write = seconds(clickhouse, f"INSERT INTO FUNCTION {file(form, '/dev/null')} SELECT * FROM rows {ONE}") - scan
        read = float("nan")
        if os.path.exists(os.path.join(folder, form)):
            found = checksum(clickhouse, file(form))
            if found != wanted:
                sys.exit(f"{form}: ClickHouse reads {found}, not {wanted}")
            read = seconds(clickhouse, f"SELECT * FROM {file(form)} FORMAT Null {ONE}") - nothing
        print(f"{form}\t{write}\t{read}", flush=True)


if __name__ == "__main__":
    main()
