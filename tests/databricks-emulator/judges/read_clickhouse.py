"""Answers a query over a Delta table with ClickHouse's own reader of Delta logs and of Parquet, both in C++: the kernel that
other readers are built on is switched off. [columns, rows] as JSON, as `read_delta.py` of the other judges has it.

    read_clickhouse.py TABLE SQL      the table is called t in the SQL
"""

import json
import os
import sys

import chdb

place, sql = os.path.abspath(sys.argv[1]), sys.argv[2]
# Only files below the working folder may be read.
os.chdir(place)
quoted = place.replace("\\", "\\\\").replace("'", "\\'")
settings = {
    "allow_delta_kernel_rs": "0",
    "session_timezone": "'UTC'",
    "output_format_decimal_trailing_zeros": "1",
    "output_format_json_quote_64bit_integers": "1",
    "output_format_json_quote_decimals": "1",
}
told = chdb.query(
    f"WITH t AS (SELECT * FROM deltaLakeLocal('{quoted}')) {sql} SETTINGS "
    + ", ".join(f"{name} = {value}" for name, value in settings.items()),
    "JSONCompact",
)
answer = json.loads(str(told))
columns = [[column["name"], column["type"]] for column in answer["meta"]]
rows = [[None if value is None else str(value) for value in row] for row in answer["data"]]
json.dump([columns, rows], sys.stdout)
