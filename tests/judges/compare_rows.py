"""Compares the rows of a Delta table, read by DuckDB, with the rows that another engine made of the same view.

    compare_rows.py TABLE ROWS.ndjson [COLUMN ...]      columns that are left out

The other engine's values are JSON; each is brought to the type of the table's column: a dateTime becomes the moment it
names, a partial date the start of its period, a decimal the nearest double. `is_deleted` is ours alone and left out.
Prints {"table": rows, "engine": rows, "columns": [...], "only_in_table": [...], "only_in_engine": [...]}; the lists hold
what is there more often than on the other side, at most ten of each.
"""

import json
import sys
from collections import Counter
from datetime import date, datetime, timezone

import duckdb
from duckdb_extensions import import_extension


def moment(text):
    """A dateTime of any precision; one without a time of day is midnight UTC."""
    padded = text + "-01" * (2 - text.count("-")) if "T" not in text else text
    parsed = datetime.fromisoformat(padded)
    return parsed.astimezone(timezone.utc) if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def converter(kind):
    """From the other engine's JSON to what DuckDB gives for a column of this type."""
    if kind.startswith("TIMESTAMP"):
        return moment
    if kind == "DATE":
        return lambda text: date.fromisoformat(text + "-01" * (2 - text.count("-")))
    if kind == "DOUBLE":
        return float
    if kind.endswith("[]"):
        return tuple
    return lambda value: value


def ours(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    return tuple(value) if isinstance(value, list) else value


def main():
    place, rows_file, left_out = sys.argv[1], sys.argv[2], {"is_deleted", *sys.argv[3:]}
    import_extension("delta")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; LOAD delta")
    answer = connection.execute("SELECT * FROM delta_scan(?)", [place])
    described = [(column[0], str(column[1])) for column in answer.description]
    kept = [(place, name, converter(kind)) for place, (name, kind) in enumerate(described) if name not in left_out]
    table = Counter(tuple(ours(row[place]) for place, _, _ in kept) for row in answer.fetchall())
    engine = Counter()
    with open(rows_file, encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            values = ((row.get(name), convert) for _, name, convert in kept)
            engine[tuple(None if value is None else convert(value) for value, convert in values)] += 1
    show = lambda counter: [[str(value) for value in row] for row in list(counter)[:10]]
    report = {
        "table": sum(table.values()),
        "engine": sum(engine.values()),
        "columns": [name for _, name, _ in kept],
        "only_in_table": show(table - engine),
        "only_in_engine": show(engine - table),
    }
    json.dump(report, sys.stdout)


main()
