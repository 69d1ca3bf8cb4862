"""Records that are right, and records that are wrong on purpose, to show that the judge tells them apart."""

SETUP = ["CREATE TABLE c.s.t (v STRING, d DATE, n DOUBLE) USING DELTA"]
READ = "SELECT v FROM c.s.t"


def _insert(group, literals, row):
    first = {"statement": f"INSERT INTO c.s.t (v, d, n) VALUES ({literals})", "setup": SETUP}
    return [_record(group, first), _record(group, {"table": "c.s.t", "rows": [row]})]


def _outcome(group, sql, outcome):
    return [_record(group, {"statement": sql, "setup": SETUP, "outcome": outcome, "is_administrator": True})]


def _altered(group, changes, then, mode="name"):
    """A table with a row, and changes; `then` is what the table must have, or how the last change must end."""
    setup = [*SETUP, "INSERT INTO c.s.t VALUES ('a', DATE'1970-01-02', 1.0D)"]
    if mode:
        setup.append(f"ALTER TABLE c.s.t SET TBLPROPERTIES ('delta.columnMapping.mode' = '{mode}')")
    records = [_record(group, {"setup": setup}), *(_record(group, {"statement": change}) for change in changes)]
    if "state" in then:
        records[-1].update(outcome=then, is_administrator=True)
        return records
    return [*records, _record(group, {"table": "c.s.t", **then})]


def _table(columns, *rows):
    types = {"v": "string", "d": "date", "n": "double", "day": "date"}
    return {"columns": [[name, types[name]] for name in columns.split()], "rows": list(rows)}


def _record(group, more):
    return {"source": "self-test", "group": group, "catalogs": ["c"], **more}


def _failed(condition):
    return {"state": "FAILED", "class": condition}


def _rows(*rows):
    return {"state": "SUCCEEDED", "types": ["STRING"], "rows": list(rows)}


ONE = "3ff0000000000000"
RENAME = "ALTER TABLE c.s.t RENAME COLUMN d TO day"
DROP = "ALTER TABLE c.s.t DROP COLUMN d"
DROP_TWO = "ALTER TABLE c.s.t DROP COLUMNS (v, d)"
DROP_LAST = "ALTER TABLE c.s.t DROP COLUMN n"
ADD = "ALTER TABLE c.s.t ADD COLUMNS (n DOUBLE)"
UNDER_THE_OLD_NAME = "INSERT INTO c.s.t (d) VALUES (NULL)"
UNDER_THE_NEW_NAME = "INSERT INTO c.s.t (day) VALUES (DATE'1970-01-03')"
NO_RENAME = _failed("DELTA_UNSUPPORTED_RENAME_COLUMN")
NO_DROP = _failed("DELTA_UNSUPPORTED_DROP_COLUMN")
UNRESOLVED = _failed("UNRESOLVED_COLUMN.WITH_SUGGESTION")

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
    *_outcome("right: refused in its class", "SELECT x FROM c.s.t", UNRESOLVED),
    *_outcome("wrong: refused in another class", "SELECT x FROM c.s.t", _failed("TABLE_OR_VIEW_NOT_FOUND")),
    *_outcome("wrong: accepted by Spark", READ, _failed("PARSE_SYNTAX_ERROR")),
    *_outcome("wrong: accepted by us alone", "SELECT v FROM c.s.nosuch", _rows()),
    *_outcome("right: refused when it is run", "DROP SCHEMA c.nosuch", _failed("SCHEMA_NOT_FOUND")),
    *_outcome("right: the same answer", "SELECT 'x' AS v", _rows(["x"])),
    *_outcome("wrong: another answer", "SELECT 'x' AS v", _rows(["y"])),
    *_outcome("wrong: another type", "SELECT 1 AS v", _rows(["1"])),
    *_altered("right: renamed", [RENAME], _table("v day n", ["a", 1, ONE])),
    *_altered("wrong: renamed, and told to keep its name", [RENAME], _table("v d n", ["a", 1, ONE])),
    *_altered("wrong: renamed, and told to lose its values", [RENAME], _table("v day n", ["a", None, ONE])),
    *_altered("right: written under the new name", [RENAME, UNDER_THE_NEW_NAME],
              _table("v day n", ["a", 1, ONE], [None, 2, None])),
    *_altered("right: refused under the old name", [RENAME, UNDER_THE_OLD_NAME], UNRESOLVED),
    *_altered("wrong: written under the old name", [RENAME, UNDER_THE_OLD_NAME],
              _table("v day n", ["a", 1, ONE], [None, None, None])),
    *_altered("right: renamed to a name that is taken", ["ALTER TABLE c.s.t RENAME COLUMN d TO N"],
              _failed("FIELD_ALREADY_EXISTS")),
    *_altered("right: dropped", [DROP], _table("v n", ["a", ONE])),
    *_altered("wrong: dropped, and told to stay", [DROP], _table("v d n", ["a", 1, ONE])),
    *_altered("right: two dropped", [DROP_TWO], _table("n", [ONE])),
    *_altered("wrong: two dropped, and told to lose the third", [DROP_TWO], _table("n", [None])),
    *_altered("right: dropped and added again", [DROP_LAST, ADD], _table("v d n", ["a", 1, None])),
    *_altered("wrong: dropped and added again with its values", [DROP_LAST, ADD], _table("v d n", ["a", 1, ONE])),
    *_altered("right: dropped twice", [DROP, DROP], UNRESOLVED),
    *_altered("wrong: dropped twice and accepted", [DROP, DROP], _table("v n", ["a", ONE])),
    *_altered("right: renamed without mapping", [RENAME], NO_RENAME, mode=None),
    *_altered("wrong: renamed without mapping and accepted", [RENAME], _table("v day n", ["a", 1, ONE]), mode=None),
    *_altered("wrong: refused a name for want of a mapping that is there", [RENAME], NO_RENAME),
    *_altered("right: dropped without mapping", [DROP], NO_DROP, mode=None),
    *_altered("wrong: dropped without mapping and accepted", [DROP], _table("v n", ["a", ONE]), mode=None),
    *_altered("wrong: dropped with the mapping off and accepted", [DROP], _table("v n", ["a", ONE]), mode="none"),
    *_altered("wrong: refused a drop for want of a mapping that is there", [DROP], NO_DROP),
    *_altered("wrong: a drop refused as if it were a new name", [DROP], NO_RENAME, mode=None),
]
