"""Records that are right, and records that are wrong on purpose, to show that the judge tells them apart."""

SETUP = ["CREATE TABLE c.s.t (v STRING, d DATE, n DOUBLE) USING DELTA"]
READ = "SELECT v FROM c.s.t"


def _insert(group, literals, row):
    first = {"statement": f"INSERT INTO c.s.t (v, d, n) VALUES ({literals})", "setup": SETUP}
    return [_record(group, first), _record(group, {"table": "c.s.t", "rows": [row]})]


def _outcome(group, sql, outcome):
    return [_record(group, {"statement": sql, "setup": SETUP, "outcome": outcome, "is_administrator": True})]


def _record(group, more):
    return {"source": "self-test", "group": group, "catalogs": ["c"], **more}


def _failed(condition):
    return {"state": "FAILED", "class": condition}


def _rows(*rows):
    return {"state": "SUCCEEDED", "types": ["STRING"], "rows": list(rows)}


ONE = "3ff0000000000000"

RECORDS = [
    *_insert("right: escapes", r"'a\\b\'c\u0000', DATE'1970-01-02', 1.0D", ["a\\b'c\0", 1, ONE]),
    *_insert("right: nulls", "NULL, NULL, NULL", [None, None, None]),
    *_insert("wrong: a backslash that is not doubled", r"'a\tb', NULL, NULL", ["a\\tb", None, None]),
    *_insert("wrong: a brace that is replaced before it is read", "'${spark.app.name}', NULL, NULL",
             ["${spark.app.name}", None, None]),
    *_insert("wrong: a quote that ends the text", "'a'b', NULL, NULL", ["a'b", None, None]),
    *_insert("wrong: a day too many", "NULL, DATE'1970-01-03', NULL", [None, 1, None]),
    *_insert("wrong: a zero without its sign", "NULL, NULL, 0.0D", [None, None, "8000000000000000"]),
    *_insert("wrong: a text for a day", "NULL, '1970-01-02', NULL", [None, 1, None]),
    *_insert("wrong: an empty text for null", "'', NULL, NULL", [None, None, None]),
    *_outcome("right: refused in its class", "SELECT x FROM c.s.t", _failed("UNRESOLVED_COLUMN.WITH_SUGGESTION")),
    *_outcome("wrong: refused in another class", "SELECT x FROM c.s.t", _failed("TABLE_OR_VIEW_NOT_FOUND")),
    *_outcome("wrong: accepted by Spark", READ, _failed("PARSE_SYNTAX_ERROR")),
    *_outcome("wrong: accepted by us alone", "SELECT v FROM c.s.nosuch", _rows()),
    *_outcome("right: refused when it is run", "DROP SCHEMA c.nosuch", _failed("SCHEMA_NOT_FOUND")),
    *_outcome("right: the same answer", "SELECT 'x' AS v", _rows(["x"])),
    *_outcome("wrong: another answer", "SELECT 'x' AS v", _rows(["y"])),
    *_outcome("wrong: another type", "SELECT 1 AS v", _rows(["1"])),
]
