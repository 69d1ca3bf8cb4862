"""Answers a query over a Delta table with DuckDB, which shares no code with the writer: [columns, rows] as JSON.

    read_delta.py TABLE [SQL]      the table is called t in the SQL
"""

import json
import sys

import duckdb
from duckdb_extensions import import_extension

place = sys.argv[1]
sql = sys.argv[2] if len(sys.argv) > 2 else "SELECT * FROM t ORDER BY ALL"
import_extension("delta")
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'; LOAD delta")
quoted = place.replace("'", "''")
connection.execute(f"CREATE VIEW t AS SELECT * FROM delta_scan('{quoted}')")
answer = connection.execute(sql)
columns = [[column[0], str(column[1])] for column in answer.description]
rows = [[None if value is None else str(value) for value in row] for row in answer.fetchall()]
json.dump([columns, rows], sys.stdout)
