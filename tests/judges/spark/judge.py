"""Lets Apache Spark judge statements that tests have collected: `python judge.py JAR FILE...`

Every statement that was accepted must be accepted by Spark, every one that was refused for its SQL must be refused
by Spark in the same class, and what the statements wrote must be read back equal. README.md says what is compared.
"""

import collections
import json
import re
import sys
import time

from self_test import RECORDS as SELF_TEST
from spark import Refused, Spark

# Statements that Apache Spark has no grammar for.
NOT_SPARKS = re.compile(
    r"\s*(GRANT|REVOKE|SHOW\s+GRANTS?|CREATE\s+CATALOG|DROP\s+CATALOG|DESC(RIBE)?\s+(DETAIL|HISTORY)|OPTIMIZE|VACUUM|"
    r"COPY\s+INTO)\b", re.IGNORECASE)

# What Delta calls in its own way, and what Spark calls it where the table is not Delta's.
SPARKS_NAME = {
    "DELTA_INSERT_COLUMN_ARITY_MISMATCH": ["INSERT_COLUMN_ARITY_MISMATCH"],
    "DELTA_NOT_NULL_CONSTRAINT_VIOLATED": ["NOT_NULL_ASSERT_VIOLATION", "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_FIND_DATA"],
    "DELTA_DUPLICATE_COLUMNS_FOUND": ["COLUMN_ALREADY_EXISTS"],
    "DELTA_MERGE_UNRESOLVED_EXPRESSION": ["UNRESOLVED_COLUMN"],
    # A bad literal is this at Databricks, also among VALUES; Spark names the table of values instead.
    "CAST_INVALID_INPUT": ["INVALID_INLINE_TABLE.FAILED_SQL_EXPRESSION_EVALUATION"],
}

# Refusals for what a workspace knows and Spark does not: rights, places, what the emulator does not support.
OF_THE_WORKSPACE = {
    "INSUFFICIENT_PERMISSIONS",
    "INVALID_PARAMETER_VALUE.LOCATION_OVERLAP",
    "NO_PARENT_EXTERNAL_LOCATION_FOR_PATH",
    "NO_SUCH_CATALOG_EXCEPTION",
    "DELTA_CREATE_TABLE_SCHEME_MISMATCH",
    "UNITY_CATALOG_SCHEMA_LOCATION_NOT_SUPPORTED",
    "UNSUPPORTED_FEATURE.EMULATOR",
    "RESULT_TOO_LARGE",
}

# Delta's refusals of what Spark would do. The judge's own catalog makes them, so they show less than those of Spark.
OF_THE_MAPPING = {"DELTA_UNSUPPORTED_DROP_COLUMN", "DELTA_UNSUPPORTED_RENAME_COLUMN"}

# Where a caller may not see something, the workspace says that it is not there.
HIDES = {"TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"}

OUTCOMES = ("accepted", "refused as told", "columns unmapped", "not Spark's", "of the workspace")


class Different(Exception):
    """Spark says something else than was expected."""


class Judge:
    def __init__(self, spark):
        self.spark = spark
        self.counts = collections.defaultdict(collections.Counter)
        self.rows_read_back = self.tables_read_back = self.answers_compared = self.repeated = 0

    def group(self, records):
        """Judges what was run in one workspace, in its order; what is wrong, as texts."""
        self.spark.begin({"workspace", *(catalog for record in records for catalog in record.get("catalogs", ()))})
        wrong, has_other_rows, before = [], False, None
        for record in records:
            # A test that waits asks again and again.
            if record == before and kind_of(record.get("statement", "")) == "SELECT":
                self.repeated += 1
                continue
            before = record
            has_other_rows |= record.get("other_rows", False)
            subject = record.get("statement") or f"the rows of {record.get('table')}"
            try:
                if not subject.upper().startswith("CREATE SCHEMA"):
                    # Those that exist by now, also without a statement.
                    self.spark.make_schemas(record.get("schemas", ()))
                self.spark.place(record.get("catalog") or "workspace", record.get("schema") or "default")
                for sql in record.get("setup", ()):
                    self.spark.run(sql)
                if "table" in record:
                    self.table(record)
                elif "statement" in record:
                    self.statement(record, has_other_rows)
            except Refused as refused:
                wrong.append((record, subject, f"refused as {refused.condition}: {head(str(refused))}"))
            except Different as different:
                wrong.append((record, subject, str(different)))
        return wrong

    def statement(self, record, has_other_rows):
        sql, told = record["statement"], record.get("outcome")
        kind = kind_of(sql)
        if NOT_SPARKS.match(sql):
            self.counts[kind]["not Spark's"] += 1
        elif told and told["state"] == "FAILED":
            self.counts[kind][self.refusal(record, told["class"])] += 1
        else:
            types, rows = self.spark.run(sql, record.get("parameters") or ())
            self.counts[kind]["accepted"] += 1
            if told and kind == "SELECT" and not has_other_rows and not shows_what_is_granted(record):
                self.answer(types, rows, told)

    def refusal(self, record, told):
        sql = record["statement"]
        may_hide = told in HIDES and not record.get("is_administrator")
        if told in OF_THE_WORKSPACE:
            self.spark.parse(sql)
            return "of the workspace"
        try:
            if may_hide:  # It must not be run: nothing was changed.
                self.spark.analyse(sql)
            else:
                self.spark.run(sql, record.get("parameters") or ())
        except Refused as refused:
            if is_same(told, refused.condition):
                return "columns unmapped" if told in OF_THE_MAPPING else "refused as told"
            raise Different(f"told to be refused as {told}, refused as {refused.condition}: {head(str(refused))}")
        if may_hide:
            return "of the workspace"
        raise Different(f"told to be refused as {told}, and Spark accepts it")

    def answer(self, types, rows, told):
        self.answers_compared += 1
        expected = [name.lower().replace(", ", ",") for name in told["types"]]
        if types != expected:
            raise Different(f"the columns have the types {types}, told were {expected}")

        def order(row):
            return [(cell is not None, cell or "") for cell in row]
        compare(sorted(rows, key=order), sorted(told["rows"], key=order))

    def table(self, record):
        columns, rows = self.spark.table(record["table"])
        if "columns" in record and columns != record["columns"]:
            raise Different(f"the columns are {columns}, expected were {record['columns']}")
        compare(rows, record["rows"])
        self.tables_read_back += 1
        self.rows_read_back += len(rows)


def compare(rows, expected):
    if len(rows) != len(expected):
        raise Different(f"{len(rows)} rows, expected were {len(expected)}")
    for number, (row, want) in enumerate(zip(rows, expected)):
        if len(row) != len(want):
            raise Different(f"row {number} has {len(row)} values, expected were {len(want)}")
        for at, (cell, wanted) in enumerate(zip(row, want)):
            if cell != wanted or type(cell) is not type(wanted):
                raise Different(f"row {number}, value {at}: {head(repr(cell))}, expected was {head(repr(wanted))}")


def shows_what_is_granted(record):
    return "is_administrator" in record and "information_schema" in record["statement"].lower()


def is_same(told, spark):
    names = (told, *SPARKS_NAME.get(told, ()))
    return any(spark == name or spark.startswith(name + ".") for name in names)


def kind_of(sql):
    text = re.sub(r"^(\s|--[^\n]*\n)+", "", sql)
    words = [word.upper() for word in re.findall(r"[A-Za-z]+", text[:60])[:2]]
    if not words:
        return "(empty)"
    if words[0] == "WITH":
        return "SELECT"
    pairs = ("CREATE", "ALTER", "DROP", "SHOW")
    return " ".join(words) if words[0] in pairs else words[0]


def head(text, length=200):
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length] + " …"


def grouped(records):
    groups = {}
    for record in records:
        groups.setdefault((record["source"], record["group"]), []).append(record)
    return groups


def check_the_judge(spark):
    """Each of these is wrong on purpose, or right; a judge that does not tell them apart judges nothing."""
    for (_, name), records in grouped(SELF_TEST).items():
        is_wrong = bool(Judge(spark).group(records))
        if is_wrong != name.startswith("wrong"):
            give_up(f"the judge itself fails: `{name}` was found to be {'wrong' if is_wrong else 'right'}")
    return len(grouped(SELF_TEST))


def give_up(why):
    print(why, flush=True)
    sys.exit(2)


def main(jar, files):
    start = time.monotonic()
    records = [json.loads(line) for file in files for line in open(file, encoding="utf-8")]
    if not records:
        give_up("no statement was collected")
    spark = Spark(jar)
    print(f"Apache Spark {spark.version} after {time.monotonic() - start:.0f} s; "
          f"the judge tells right from wrong in {check_the_judge(spark)} cases", flush=True)
    judge, wrong = Judge(spark), []
    seen = set()
    for group in grouped(records).values():
        text = json.dumps([{name: value for name, value in record.items() if name != "group"} for record in group])
        if text in seen:
            judge.repeated += sum("statement" in record for record in group)
        else:
            seen.add(text)
            wrong += judge.group(group)
    report(judge, records, wrong)
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if wrong else 0)


def report(judge, records, wrong):
    print(f"\n{'statement':<16}" + "".join(f"{outcome:>18}" for outcome in OUTCOMES))
    for kind, counts in sorted(judge.counts.items()):
        print(f"{kind:<16}" + "".join(f"{counts[outcome] or '-':>18}" for outcome in OUTCOMES))
    sources = collections.Counter(record["source"] for record in records if "statement" in record)
    print("\nstatements of " + ", ".join(f"{source}: {count}" for source, count in sorted(sources.items()))
          + f"; {judge.repeated} of them the same again in the same state, judged once")
    print(f"read back equal: {judge.rows_read_back} rows of {judge.tables_read_back} tables; "
          f"answers compared: {judge.answers_compared}")
    for record, subject, problem in wrong:
        print(f"\nWRONG ({record['source']}): {head(subject)}\n  {problem}")
    print(f"\n{len(wrong)} of them wrong" if wrong else "\nall of them right")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
