"""Reads a Delta table with DuckDB, which shares no code with the writer, and prints it as one JSON object.

    judge.py TABLE [S3-ENDPOINT-HOST:PORT KEY SECRET]
"""
import json
import sys

import duckdb
from duckdb_extensions import import_extension

place, s3 = sys.argv[1], sys.argv[2:]
import_extension("delta")
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'; LOAD delta")
if s3:
    import_extension("httpfs")
    connection.execute("LOAD httpfs")
    endpoint, key, secret = s3
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', ENDPOINT '{endpoint}',"
        " REGION 'us-east-1', USE_SSL false, URL_STYLE 'path')"
    )
table = connection.execute("SELECT * FROM delta_scan(?) ORDER BY ALL", [place])
columns = [[column[0], str(column[1])] for column in table.description]
rows = [[None if value is None else str(value) for value in row] for row in table.fetchall()]
print(json.dumps({"columns": columns, "rows": rows}))
