"""One session of Apache Spark over catalogs in memory: statements in, rows or the class of a refusal out."""

import datetime
import decimal
import json
import logging
import os
import struct

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession, functions as F
from pyspark.sql.types import (
    ArrayType, BinaryType, DateType, DoubleType, FloatType, MapType, StructType, TimestampNTZType, TimestampType,
)

CATALOG = "lakefeed.judge.MemoryCatalog"

# Spark's refusals are answers here; its own logging of them says nothing more.
logging.disable(logging.CRITICAL)
LOGGING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "log4j2.properties")


class Refused(Exception):
    """Spark's refusal: its class, such as `PARSE_SYNTAX_ERROR`, and its words."""

    def __init__(self, condition, message):
        super().__init__(message)
        self.condition = condition or "(none)"


class Spark:
    def __init__(self, jar):
        options = {
            "spark.master": "local[1]",
            "spark.driver.extraClassPath": jar,
            "spark.jars": jar,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -Xss16m -XX:TieredStopAtLevel=1 "
                                             f"-Dlog4j2.configurationFile={LOGGING}",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": os.path.join(os.path.dirname(jar), "spark-warehouse"),
        }
        builder = SparkSession.builder.appName("judge")
        for name, value in options.items():
            builder = builder.config(name, value)
        self.session = builder.getOrCreate()
        self.version = self.session.version
        self._memory = getattr(self.session._jvm, "lakefeed").judge.MemoryCatalog
        self._known = set()
        self._place = None

    def begin(self, catalogs):
        """Forgets every table; the catalogs are there, each with its schema `default`."""
        self._memory.reset()
        for catalog in catalogs:
            if catalog not in self._known:
                self.session.conf.set(f"spark.sql.catalog.{catalog}", CATALOG)
                self._known.add(catalog)
            self._memory.makeSchema(catalog, "default")

    def make_schemas(self, names):
        """Makes the schemas that are not there yet, as somebody did who is not judged."""
        for name in names:
            self._memory.makeSchema(*name.split(".", 1))

    def place(self, catalog, schema):
        """Where names of fewer than three parts are looked for."""
        if (catalog, schema) == self._place:
            return
        self._place = (catalog, schema)
        self.session.catalog.setCurrentCatalog(catalog)
        self.session._jsparkSession.sessionState().catalogManager().setCurrentNamespace(
            self._array([schema]))

    def _array(self, texts):
        gateway = self.session.sparkContext._gateway
        array = gateway.new_array(gateway.jvm.java.lang.String, len(texts))
        for at, text in enumerate(texts):
            array[at] = text
        return array

    def parse(self, sql):
        """Reads a statement and resolves nothing."""
        return _asked(lambda: self.session._jsparkSession.sessionState().sqlParser().parsePlan(sql))

    def analyse(self, sql):
        """Reads and resolves a statement, and does not run it."""
        def work():
            state = self.session._jsparkSession.sessionState()
            plan = state.sqlParser().parsePlan(sql)
            java = self.session._jvm
            tracker = java.org.apache.spark.sql.catalyst.QueryPlanningTracker(java.scala.Option.empty())
            state.analyzer().executeAndCheck(plan, tracker)
        return _asked(work)

    def run(self, sql, parameters=()):
        """Reads, resolves and runs a statement; its rows and their types."""
        named = {one["name"]: _parameter(one) for one in parameters if one.get("name")}
        unnamed = [_parameter(one) for one in parameters if not one.get("name")]

        def work():
            frame = self.session.sql(sql, named or unnamed or None)
            return [field.dataType.simpleString() for field in frame.schema.fields], _told(frame)
        return _asked(work)

    def table(self, name):
        """The columns and rows of a table, as the exact values that `collect.rs` describes."""
        def work():
            frame = self.session.table(name)
            columns = [[field.name, field.dataType.simpleString()] for field in frame.schema.fields]
            plain = frame.toDF(*(f"c{at}" for at in range(len(columns))))
            exact = plain.select(*(_exact(F.col(f"c{at}"), field.dataType).alias(f"c{at}")
                                   for at, field in enumerate(frame.schema.fields)))
            return columns, [[_bits(cell) for cell in row] for row in exact.collect()]
        return _asked(work)


def _asked(work):
    try:
        return work()
    except PySparkException as error:
        raise Refused(error.getCondition() or _cause(getattr(error, "_origin", None)), str(error)) from None
    except Exception as error:  # What the bridge to Java does not convert.
        java = getattr(error, "java_exception", None)
        if java is None:
            raise
        raise Refused(_cause(java), str(java.toString())) from None


def _cause(java):
    """The class of the innermost failure that has one."""
    found = None
    while java is not None:
        try:
            found = java.getCondition() or found
        except Exception:  # It has none.
            pass
        java = java.getCause()
    return found


def _parameter(one):
    value, kind = one.get("value"), (one.get("type") or "STRING").upper().split("(")[0]
    if value is None or kind == "STRING":
        return value
    if kind == "DATE":
        return datetime.date.fromisoformat(value)
    if kind.startswith("TIMESTAMP"):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if kind in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        return int(value)
    if kind == "BOOLEAN":
        return value.lower() == "true"
    return float(value) if kind in ("FLOAT", "DOUBLE") else decimal.Decimal(value)


def _told(frame):
    """Rows as the statement API tells them: every value as text."""
    if not frame.columns:
        return []
    types = [field.dataType for field in frame.schema.fields]
    plain = frame.toDF(*(f"c{at}" for at in range(len(types))))
    texts = plain.select(*(_text(F.col(f"c{at}"), kind).alias(f"c{at}") for at, kind in enumerate(types)))
    return [[json.dumps(_leaves(cell), separators=(",", ":"), ensure_ascii=False)
             if isinstance(kind, (ArrayType, MapType, StructType)) and cell is not None else cell
             for cell, kind in zip(row, types)] for row in texts.collect()]


def _text(column, kind):
    if isinstance(kind, TimestampType):
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
    if isinstance(kind, TimestampNTZType):
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss.SSS")
    if isinstance(kind, BinaryType):
        return F.base64(column)
    if isinstance(kind, (ArrayType, MapType, StructType)):
        return column
    return column.cast("string")


def _leaves(value):
    if isinstance(value, dict):
        return {str(key): _leaves(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_leaves(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _exact(column, kind):
    if isinstance(kind, ArrayType):
        return F.transform(column, lambda item: _exact(item, kind.elementType))
    if isinstance(kind, DateType):
        return F.unix_date(column)
    if isinstance(kind, TimestampType):
        return F.unix_micros(column)
    if isinstance(kind, BinaryType):
        return F.hex(column)
    if isinstance(kind, FloatType):
        return column.cast(DoubleType())
    return column


def _bits(cell):
    """A double by its bits, so that `-0.0` is not `0.0`."""
    if isinstance(cell, list):
        return [_bits(item) for item in cell]
    return struct.pack(">d", cell).hex() if isinstance(cell, float) else cell
