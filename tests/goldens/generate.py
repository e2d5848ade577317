#!/usr/bin/env python3
"""Writes expressions.tsv, grafana.tsv, errors.tsv, surface.tsv and the list of settings: asks ClickHouse (chdb) and records its answer, never ours.

Usage: python3 -m venv v && v/bin/pip install -r ../slt/requirements.txt && v/bin/python generate.py

A case file holds statements that end with `;` at the end of a line. A line before a statement may be
  -- differs: REASON   ours answers otherwise; REASON is the first cell of a row in docs/deviations.md
  -- section: NAME     for people
CREATE and INSERT at the top run on both sides. Each line of expressions.tsv and grafana.tsv is a case: the statement, the columns'
names, their types, the rows, the reason if ours differs; tabs and line ends within are escaped. A statement with a
FORMAT clause has its whole answer in the place of the rows. errors.tsv has the statement, ClickHouse's code, the
code's name, the reason. surface.tsv lists what ClickHouse has: kind, name, for functions the name it is another of.
crates/common/src/settings/clickhouse.tsv lists its settings: name, type, default, the name it is another of; then for
each type that is a choice its words.
"""

import pathlib
import re

from chdb.session import Session

HERE = pathlib.Path(__file__).parent
SETUP = ("CREATE TABLE", "INSERT INTO")
CODE = re.compile(r"Code: (\d+)\.")
NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*(?:\(|$)")


def cases(text):
    """Yields (reason or None, statement)."""
    reason, lines = None, []
    for line in text.splitlines():
        bare = line.strip()
        if not lines and bare.startswith("--"):
            name, _, value = bare[2:].strip().partition(":")
            if name == "differs":
                reason = value.strip()
            continue
        if not lines and not bare:
            continue
        lines.append(line.rstrip())
        if bare.endswith(";"):
            yield reason, "\n".join(lines)[:-1]
            reason, lines = None, []


def escaped(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def oracle():
    session = Session()
    session.query("SET implicit_select=0")
    session.query("CREATE DATABASE IF NOT EXISTS golden ENGINE=Memory")
    session.query("USE golden")
    return session


def expression(session, sql):
    """Names, types and rows of one answer."""
    sql = sql.replace('"default"', "golden").replace("default.", "golden.").replace("'default'", "'golden'")
    if re.search(r"\bFORMAT \w+", sql):
        return ["", "", session.query(sql).bytes().decode()]
    answer = session.query(sql, "TSVWithNamesAndTypes").bytes().decode()
    names, types, rows = (answer.split("\n", 2) + ["", ""])[:3]
    return [part.replace("golden", "default") for part in (names, types, rows)]


def error(session, sql):
    """Code and name of what the oracle says."""
    try:
        session.query(sql, "TSV").bytes()
    except Exception as refusal:
        text = str(refusal)
        code, names = CODE.search(text), NAME.findall(text)
        if code and names:
            return [code.group(1), names[-1]]
        raise SystemExit(f"no code in: {sql}\n{text}")
    return None


def generate(stem, answer):
    session, lines, differing = oracle(), [], 0
    wrong = []
    setup = True
    for reason, sql in cases((HERE / f"{stem}.sql").read_text()):
        setup = setup and sql.startswith(SETUP)
        if setup:
            session.query(sql)
            continue
        try:
            cells = answer(session, sql)
        except Exception as refusal:
            wrong.append(f"{sql}\n  {str(refusal)[:300]}")
            continue
        if cells is None:
            wrong.append(f"{sql}\n  is not refused")
            continue
        differing += reason is not None
        lines.append("\t".join(escaped(cell) for cell in [sql, *cells, reason or ""]))
    session.close()
    if wrong:
        raise SystemExit("the oracle does not do what the cases ask for:\n" + "\n".join(wrong))
    head = "# Written by generate.py from the oracle's answers; change the case file, not this.\n"
    (HERE / f"{stem}.tsv").write_text(head + "".join(line + "\n" for line in lines))
    print(f"{stem}: {len(lines)} cases, {differing} in which ours differs")


SURFACE = {
    "function": "SELECT name, alias_to FROM system.functions WHERE is_aggregate = 0",
    "aggregate": "SELECT name, alias_to FROM system.functions WHERE is_aggregate = 1",
    "type": "SELECT name, '' FROM system.data_type_families WHERE alias_to = ''",
    "format": "SELECT name, '' FROM system.formats",
    "setting": "SELECT name, '' FROM system.settings WHERE NOT is_obsolete",
    "table function": "SELECT name, '' FROM system.table_functions",
}


def surface():
    session, lines = oracle(), []
    for kind, sql in SURFACE.items():
        rows = session.query(f"{sql} ORDER BY name", "TSV").bytes().decode().splitlines()
        lines.extend(f"{kind}\t{row}\n" for row in rows)
    session.close()
    head = "# Written by generate.py: what ClickHouse has, by its own tables.\n"
    (HERE / "surface.tsv").write_text(head + "".join(lines))
    print(f"surface: {len(lines)} names")


WORDS = re.compile(r"Must be one of \[([^]]*)\]")
# Of these the oracle here has the machine's or its own embedding's value.
OF_THE_MACHINE = re.compile(r"^auto\(.*\)$")


def settings():
    """Every setting's name, type, default; obsolete ones have the type Obsolete."""
    session = oracle()
    sql = (
        "SELECT name, if(is_obsolete AND alias_for = '', 'Obsolete', type), default, alias_for"
        " FROM system.settings ORDER BY name"
    )
    rows = [row.split("\t") for row in session.query(sql, "TSV").bytes().decode().splitlines()]
    lines, choices = [], {}
    for name, kind, default, other in rows:
        lines.append("\t".join([name, kind, OF_THE_MACHINE.sub("auto", default), other]))
        choices.setdefault(kind, name)
    for kind, name in sorted(choices.items()):
        try:
            session.query(f"SELECT 1 SETTINGS {name} = '!'")
        except Exception as refusal:
            code, words = CODE.search(str(refusal)), WORDS.search(str(refusal))
            if words:
                known = ",".join(sorted(re.findall(r"'([^']*)'", words.group(1))))
                lines.append(f"!{kind}\t{code.group(1)}\t{known}\t")
    session.close()
    head = "# Written by tests/goldens/generate.py: ClickHouse's settings, by its own table.\n"
    to = HERE.parents[1] / "crates/common/src/settings/clickhouse.tsv"
    to.write_text(head + "".join(f"{line}\n" for line in lines))
    print(f"settings: {len(rows)} names")


# Tables of `system` that are declared with ClickHouse's columns. The oracle, which is embedded, has no periodic
# measurements and no log of queries: their columns are a server's.
DECLARED = """backups build_options clusters columns current_roles data_skipping_indices data_type_families databases
detached_parts dictionaries disks distribution_queue dropped_tables enabled_roles errors events formats
functions grants keywords licenses macros merge_tree_settings merges moves mutations parts parts_columns
processes projections quotas replicas replication_queue roles row_policies server_settings settings
settings_profiles storage_policies table_engines table_functions tables time_zones user_processes users
view_refreshes warnings""".split()
OF_A_SERVER = {"asynchronous_metrics": [("metric", "String"), ("value", "Float64"), ("description", "String")]}
ENUM = re.compile(r"Enum\d+\([^)]*\)")
# Types that are not here, as text, and elements of tuples without their names.
AS_TEXT = [("IPv6", "String"), ("Tuple(\\n    name String,\\n    type String)", "Tuple(String, String)")]


def here(ty):
    """A type as this database has it."""
    for theirs, ours in AS_TEXT:
        ty = ty.replace(theirs, ours)
    return ENUM.sub("String", ty)


def tables():
    session, found = oracle(), dict(OF_A_SERVER)
    for table in DECLARED:
        rows = session.query(f"DESCRIBE TABLE system.{table}", "TSV").bytes().decode().splitlines()
        columns = [row.split("\t") for row in rows]
        # `SELECT *` has no columns that are others' second names.
        found[table] = [(name, ty) for name, ty, kind, *_ in columns if kind != "ALIAS"]
    session.close()
    head = "# Written by tests/goldens/generate.py: columns of ClickHouse's tables in system.\n"
    lines = [f"{table}\t{name}\t{here(ty)}\n" for table in sorted(found) for name, ty in found[table]]
    (HERE.parents[1] / "crates/query/src/system/declared.tsv").write_text(head + "".join(lines))
    print(f"tables: {len(found)} tables, {len(lines)} columns")


if __name__ == "__main__":
    settings()
    tables()
    surface()
    generate("expressions", expression)
    generate("grafana", expression)
    generate("errors", error)
