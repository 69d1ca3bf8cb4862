"""Answers a query over a Delta table in a bucket with DuckDB, which shares no code with the writer: the rows as JSON.

    read_s3.py LOCATION SQL      the table is called t in the SQL

The server and the keys are those of AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
AWS_SESSION_TOKEN.
"""

import json
import os
import sys
from urllib.parse import urlsplit

import duckdb
from duckdb_extensions import import_extension


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


location, sql = sys.argv[1:]
server = urlsplit(os.environ["AWS_ENDPOINT_URL"])
secret = {
    "TYPE": "s3",
    "ENDPOINT": quoted(server.netloc),
    "USE_SSL": str(server.scheme == "https").lower(),
    "URL_STYLE": "'path'",
    "REGION": quoted(os.environ["AWS_REGION"]),
    "KEY_ID": quoted(os.environ["AWS_ACCESS_KEY_ID"]),
    "SECRET": quoted(os.environ["AWS_SECRET_ACCESS_KEY"]),
}
if os.environ.get("AWS_SESSION_TOKEN"):
    secret["SESSION_TOKEN"] = quoted(os.environ["AWS_SESSION_TOKEN"])
for extension in ("httpfs", "delta"):
    import_extension(extension)
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'; LOAD httpfs; LOAD delta")
connection.execute(f"CREATE SECRET ({', '.join(f'{name} {value}' for name, value in secret.items())})")
connection.execute(f"CREATE VIEW t AS SELECT * FROM delta_scan({quoted(location)})")
rows = connection.execute(sql).fetchall()
json.dump([[None if value is None else str(value) for value in row] for row in rows], sys.stdout)
