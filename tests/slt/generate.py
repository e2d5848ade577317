#!/usr/bin/env python3
"""Writes the .slt files: runs each case on an oracle and records its answer, never ours.

Usage: python3 -m venv v && v/bin/pip install -r requirements.txt && v/bin/python generate.py [case file ...]

A case file (cases/*.sql) holds statements that end with `;` at the end of a line. Lines of directives before a statement:
  -- oracle: SQL    the oracle runs this instead (for functions that ClickHouse does not have)
  -- duckdb: SQL    DuckDB runs this instead and its rows are the answer
  -- types          the answer starts with the columns' names and types
  -- error: NAME    ours must fail with this code; the oracle is not asked
  -- skip: REASON   ours differs on purpose; the case is left out and listed in deviations.md
Statements that give no rows (CREATE, INSERT) run on both sides. Every file starts with empty databases.
The oracle is ClickHouse itself (chdb).
"""

import pathlib
import sys

import duckdb
from chdb.session import Session

HERE = pathlib.Path(__file__).parent
CLASSES = ("CREATE", "INSERT", "DROP", "ALTER", "TRUNCATE", "SET", "USE", "EXCHANGE", "REPLACE", "DELETE", "UPDATE", "RENAME")


def cases(text):
    """Yields (directives, statement)."""
    directives, lines = {}, []
    for line in text.splitlines():
        bare = line.strip()
        if not lines and bare.startswith("--"):
            name, _, value = bare[2:].strip().partition(":")
            if name in ("oracle", "duckdb", "types", "error", "skip"):
                directives[name] = value.strip()
            continue
        if not lines and not bare:
            continue
        lines.append(line.rstrip())
        if bare.endswith(";"):
            yield directives, "\n".join(lines)[:-1]
            directives, lines = {}, []


def cell(value):
    """A value of DuckDB as TabSeparated writes it."""
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        if value != value:
            return "nan"
        return repr(value).removesuffix(".0")
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def rows_of(text):
    """Lines of TabSeparated; an empty cell is written (empty), so that no line is blank."""
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return ["\t".join(part if part else "(empty)" for part in line.split("\t")) for line in lines]


def generate(path):
    session = Session()
    session.query("SET implicit_select=0")
    session.query("CREATE DATABASE IF NOT EXISTS slt ENGINE=Memory")
    session.query("USE slt")
    duck = duckdb.connect()
    out, count, judged = [], 0, 0
    for directives, sql in cases(path.read_text()):
        if "skip" in directives:
            continue
        count += 1
        if "error" in directives:
            out.append(f"statement error {directives['error']}\n{sql}\n")
            continue
        if sql.split(None, 1)[0].upper() in CLASSES or " INSERT INTO " in sql:
            session.query(sql)
            out.append(f"statement ok\n{sql}\n")
            continue
        judged += 1
        typed = "types" in directives
        if "duckdb" in directives:
            answer = ["\t".join(cell(v) or "(empty)" for v in row) for row in duck.execute(directives["duckdb"]).fetchall()]
        else:
            form = "TSVWithNamesAndTypes" if typed else "TSV"
            asked = directives.get("oracle", sql)
            try:
                answer = rows_of(session.query(asked, form).bytes().decode())
            except Exception as error:
                raise SystemExit(f"{path.name}: the oracle refuses\n{asked}\n{error}")
            if typed and "oracle" in directives:
                raise SystemExit(f"{path.name}: names differ between ours and the oracle's: {sql}")
        ours = f"{sql}\nFORMAT TSVWithNamesAndTypes" if typed else sql
        out.append(f"query T\n{ours}\n----\n" + "".join(line + "\n" for line in answer))
    session.close()
    head = "# Written by generate.py from the oracle's answers; change the case file, not this.\n\n"
    (HERE / f"{path.stem}.slt").write_text(head + "\n".join(out))
    print(f"{path.name}: {count} statements, {judged} with an oracle's answer")
    return count, judged


def main():
    paths = [pathlib.Path(arg) for arg in sys.argv[1:]] or sorted((HERE / "cases").glob("*.sql"))
    totals = [generate(path) for path in paths]
    print(f"total: {sum(t[0] for t in totals)} statements, {sum(t[1] for t in totals)} with an oracle's answer")


if __name__ == "__main__":
    main()
