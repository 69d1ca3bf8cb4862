// A catalog of Spark's that keeps its tables in memory, so that Spark resolves, checks and runs statements over names of
// three parts without a warehouse, Delta or files. It leaves to Spark what Spark can judge. One thing it refuses itself, in
// Delta's name, for Spark knows nothing of it: to rename or drop a column of a table that does not map its columns by name.
//
// Names are compared without regard to case, as Unity Catalog does. `information_schema` of each catalog shows the
// tables that are there.

package lakefeed.judge;

import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.spark.SparkThrowable;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.analysis.*;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.connector.catalog.*;
import org.apache.spark.sql.connector.read.*;
import org.apache.spark.sql.connector.write.*;
import org.apache.spark.sql.types.*;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;
import org.apache.spark.unsafe.types.UTF8String;

public final class MemoryCatalog implements TableCatalog, SupportsNamespaces {
  /** What all catalogs of a judged group hold, by catalog, schema and table. */
  private static final Map<String, Stored> TABLES = new ConcurrentHashMap<>();
  private static final Map<String, Map<String, String>> SCHEMAS = new ConcurrentHashMap<>();

  /** The property by which Delta gives columns names of their own, apart from those in the files. */
  private static final String MAPPING = "delta.columnMapping.mode";

  private String name;

  /** Forgets everything, so that the next group starts from nothing. */
  public static void reset() {
    TABLES.clear();
    SCHEMAS.clear();
  }

  /** Makes a schema, as somebody did who is not judged. */
  public static void makeSchema(String catalog, String schema) {
    SCHEMAS.putIfAbsent(key(catalog, schema), Map.of());
  }

  private static String key(String... parts) {
    return String.join("\0", parts).toLowerCase(Locale.ROOT);
  }

  private String keyOf(Identifier table) {
    return key(name, String.join("\0", table.namespace()), table.name());
  }

  private String keyOf(String[] schema) {
    return key(name, String.join("\0", schema));
  }

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Identifier[] listTables(String[] schema) {
    return TABLES.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(keyOf(schema) + "\0"))
        .sorted(Map.Entry.comparingByKey())
        .map(entry -> entry.getValue().identifier)
        .toArray(Identifier[]::new);
  }

  @Override
  public Table loadTable(Identifier identifier) throws NoSuchTableException {
    if (identifier.namespace().length == 1 && identifier.namespace()[0].equalsIgnoreCase("information_schema")) {
      return InformationSchema.table(name, identifier);
    }
    Stored table = TABLES.get(keyOf(identifier));
    if (table == null) throw new NoSuchTableException(identifier);
    return table;
  }

  @Override
  public Table createTable(Identifier identifier, TableInfo info) throws TableAlreadyExistsException {
    Stored table = new Stored(name, identifier, info.columns(), info.properties(), new ArrayList<>());
    if (TABLES.putIfAbsent(keyOf(identifier), table) != null) throw new TableAlreadyExistsException(identifier);
    SCHEMAS.putIfAbsent(keyOf(identifier.namespace()), Map.of());
    return table;
  }

  @Override
  public Table alterTable(Identifier identifier, TableChange... changes) throws NoSuchTableException {
    Stored table = (Stored) loadTable(identifier);
    List<Column> columns = new ArrayList<>(List.of(table.columns));
    Map<String, String> properties = new HashMap<>(table.properties);
    List<Object[]> rows = table.rows;
    for (TableChange change : changes) {
      if (change instanceof TableChange.AddColumn add) {
        columns.add(Column.create(add.fieldNames()[0], add.dataType(), add.isNullable(), add.comment(), null));
      } else if (change instanceof TableChange.SetProperty set) {
        properties.put(set.property(), set.value());
      } else if (change instanceof TableChange.DeleteColumn drop) {
        demandMapping(properties, "DELTA_UNSUPPORTED_DROP_COLUMN");
        int place = place(columns, drop);
        columns.remove(place);
        rows = without(place, rows);
      } else if (change instanceof TableChange.ColumnChange one) {
        if (one instanceof TableChange.RenameColumn) demandMapping(properties, "DELTA_UNSUPPORTED_RENAME_COLUMN");
        int place = place(columns, one);
        columns.set(place, changed(columns.get(place), one));
      } else {
        throw new UnsupportedOperationException(change.toString());
      }
    }
    Stored altered = new Stored(name, table.identifier, columns.toArray(Column[]::new), properties, rows);
    TABLES.put(keyOf(identifier), altered);
    return altered;
  }

  private static void demandMapping(Map<String, String> properties, String condition) {
    // Delta reads both the name and the value without regard to case.
    String mode = new CaseInsensitiveStringMap(properties).get(MAPPING);
    if (!"name".equalsIgnoreCase(mode)) throw new RefusedByDelta(condition);
  }

  private static int place(List<Column> columns, TableChange.ColumnChange change) {
    String[] path = change.fieldNames();
    for (int at = 0; at < columns.size() && path.length == 1; at++) {
      if (columns.get(at).name().equals(path[0])) return at;
    }
    throw new UnsupportedOperationException("changing " + String.join(".", path));
  }

  /** The rows without their values at this place. Those from before that column was added end earlier. */
  private static List<Object[]> without(int place, List<Object[]> rows) {
    List<Object[]> kept = new ArrayList<>();
    for (Object[] row : rows) {
      List<Object> values = new ArrayList<>(Arrays.asList(row));
      if (place < row.length) values.remove(place);
      kept.add(values.toArray());
    }
    return kept;
  }

  private static Column changed(Column column, TableChange.ColumnChange change) {
    if (change instanceof TableChange.RenameColumn rename) {
      return Column.create(rename.newName(), column.dataType(), column.nullable(), column.comment(), null);
    }
    if (change instanceof TableChange.UpdateColumnType type) {
      return Column.create(column.name(), type.newDataType(), column.nullable(), column.comment(), null);
    }
    if (change instanceof TableChange.UpdateColumnNullability nullable) {
      return Column.create(column.name(), column.dataType(), nullable.nullable(), column.comment(), null);
    }
    throw new UnsupportedOperationException(change.toString());
  }

  @Override
  public boolean dropTable(Identifier identifier) {
    return TABLES.remove(keyOf(identifier)) != null;
  }

  @Override
  public void renameTable(Identifier from, Identifier to) {
    throw new UnsupportedOperationException("renaming a table");
  }

  @Override
  public String[][] listNamespaces() {
    String prefix = key(name, "");
    return SCHEMAS.keySet().stream()
        .filter(key -> key.startsWith(prefix))
        .sorted()
        .map(key -> new String[] {key.substring(prefix.length())})
        .toArray(String[][]::new);
  }

  @Override
  public String[][] listNamespaces(String[] parent) {
    return parent.length == 0 ? listNamespaces() : new String[][] {};
  }

  @Override
  public boolean namespaceExists(String[] schema) {
    return SCHEMAS.containsKey(keyOf(schema));
  }

  @Override
  public Map<String, String> loadNamespaceMetadata(String[] schema) throws NoSuchNamespaceException {
    Map<String, String> metadata = SCHEMAS.get(keyOf(schema));
    if (metadata == null) throw new NoSuchNamespaceException(schema);
    return metadata;
  }

  @Override
  public void createNamespace(String[] schema, Map<String, String> metadata)
      throws NamespaceAlreadyExistsException {
    if (SCHEMAS.putIfAbsent(keyOf(schema), metadata) != null) throw new NamespaceAlreadyExistsException(schema);
  }

  @Override
  public void alterNamespace(String[] schema, NamespaceChange... changes) {
    throw new UnsupportedOperationException("altering a schema");
  }

  @Override
  public boolean dropNamespace(String[] schema, boolean cascade)
      throws NoSuchNamespaceException, NonEmptyNamespaceException {
    if (!namespaceExists(schema)) throw new NoSuchNamespaceException(schema);
    if (listTables(schema).length > 0 && !cascade) throw new NonEmptyNamespaceException(schema);
    TABLES.keySet().removeIf(key -> key.startsWith(keyOf(schema) + "\0"));
    return SCHEMAS.remove(keyOf(schema)) != null;
  }

  /** What Delta refuses where Spark alone would not; its class is Delta's name for it. */
  public static final class RefusedByDelta extends RuntimeException implements SparkThrowable {
    private final String condition;

    RefusedByDelta(String condition) {
      super("[" + condition + "] The table does not map its columns by name (" + MAPPING + ").");
      this.condition = condition;
    }

    @Override
    public String getCondition() {
      return condition;
    }
  }

  /** A table that is written. It shares its rows with what it was before it was altered, unless a column was dropped. */
  private static final class Stored implements SupportsRead, SupportsWrite, SupportsRowLevelOperations {
    private final String catalog;
    private final Identifier identifier;
    private final Column[] columns;
    private final Map<String, String> properties;
    private final List<Object[]> rows;

    Stored(String catalog, Identifier identifier, Column[] columns, Map<String, String> properties,
        List<Object[]> rows) {
      this.catalog = catalog;
      this.identifier = identifier;
      this.columns = columns;
      this.properties = properties;
      this.rows = rows;
    }

    @Override
    public String name() {
      return catalog + "." + identifier;
    }

    @Override
    public Column[] columns() {
      return columns;
    }

    @Override
    public Map<String, String> properties() {
      return properties;
    }

    @Override
    public Set<TableCapability> capabilities() {
      return Set.of(TableCapability.BATCH_READ, TableCapability.BATCH_WRITE);
    }

    @Override
    public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
      return Reading.builder(columns, () -> rows);
    }

    @Override
    public WriteBuilder newWriteBuilder(LogicalWriteInfo info) {
      return new WriteBuilder() {
        @Override
        public Write build() {
          return new Write() {
            @Override
            public BatchWrite toBatch() {
              return new Writing(Writing.register(rows), info.schema());
            }
          };
        }
      };
    }

    @Override
    public RowLevelOperationBuilder newRowLevelOperationBuilder(RowLevelOperationInfo info) {
      return () -> new RowLevelOperation() {
        @Override
        public Command command() {
          return info.command();
        }

        @Override
        public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
          return Stored.this.newScanBuilder(options);
        }

        @Override
        public WriteBuilder newWriteBuilder(LogicalWriteInfo write) {
          return Stored.this.newWriteBuilder(write);
        }
      };
    }
  }

  /** Rows that are read, in one part and in their order. What travels with a task is a number, not the rows. */
  private record Reading(StructType readSchema, int place, int width) implements Scan, Batch {
    private static final List<Supplier<List<Object[]>>> SOURCES = new ArrayList<>();

    static ScanBuilder builder(Column[] columns, Supplier<List<Object[]>> source) {
      StructType schema = CatalogV2Util.v2ColumnsToStructType(columns);
      int place;
      synchronized (SOURCES) {
        place = SOURCES.size();
        SOURCES.add(source);
      }
      return () -> new Reading(schema, place, columns.length);
    }

    @Override
    public Batch toBatch() {
      return this;
    }

    @Override
    public InputPartition[] planInputPartitions() {
      return new InputPartition[] {new Part()};
    }

    @Override
    public PartitionReaderFactory createReaderFactory() {
      return new Opening(place, width);
    }

    static List<Object[]> rows(int place) {
      synchronized (SOURCES) {
        return new ArrayList<>(SOURCES.get(place).get());
      }
    }
  }

  private record Part() implements InputPartition {}

  private record Opening(int place, int width) implements PartitionReaderFactory {
    @Override
    public PartitionReader<InternalRow> createReader(InputPartition part) {
      Iterator<Object[]> rows = Reading.rows(place).iterator();
      return new PartitionReader<>() {
        private Object[] row;

        @Override
        public boolean next() {
          if (!rows.hasNext()) return false;
          // A column that was added later is null in the rows before.
          row = Arrays.copyOf(rows.next(), width);
          return true;
        }

        @Override
        public InternalRow get() {
          return new GenericInternalRow(row);
        }

        @Override
        public void close() {}
      };
    }
  }

  private record Written(ArrayList<Object[]> rows) implements WriterCommitMessage {}

  /** Rows that are appended when all of them are there. */
  private record Writing(int place, StructType schema) implements BatchWrite {
    private static final List<List<Object[]>> TARGETS = new ArrayList<>();

    static int register(List<Object[]> rows) {
      synchronized (TARGETS) {
        TARGETS.add(rows);
        return TARGETS.size() - 1;
      }
    }

    @Override
    public DataWriterFactory createBatchWriterFactory(PhysicalWriteInfo info) {
      return new Collecting(schema);
    }

    @Override
    public void commit(WriterCommitMessage[] messages) {
      synchronized (TARGETS) {
        for (WriterCommitMessage message : messages) TARGETS.get(place).addAll(((Written) message).rows());
      }
    }

    @Override
    public void abort(WriterCommitMessage[] messages) {}
  }

  private record Collecting(StructType schema) implements DataWriterFactory {
    @Override
    public DataWriter<InternalRow> createWriter(int part, long task) {
      ArrayList<Object[]> rows = new ArrayList<>();
      return new DataWriter<>() {
        @Override
        public void write(InternalRow row) {
          InternalRow kept = row.copy();
          Object[] values = new Object[schema.size()];
          for (int at = 0; at < values.length; at++) {
            values[at] = kept.isNullAt(at) ? null : kept.get(at, schema.fields()[at].dataType());
          }
          rows.add(values);
        }

        @Override
        public WriterCommitMessage commit() {
          return new Written(rows);
        }

        @Override
        public void abort() {}

        @Override
        public void close() {}
      };
    }
  }

  /** A table whose rows are what the catalog holds at the time of reading. */
  private record InformationSchema(String name, Column[] columns, Supplier<List<Object[]>> rows)
      implements Table, SupportsRead {
    static Table table(String catalog, Identifier identifier) throws NoSuchTableException {
      return switch (identifier.name().toLowerCase(Locale.ROOT)) {
        case "columns" -> new InformationSchema("columns",
            columns("table_catalog table_schema table_name column_name ordinal_position:int column_default "
                + "is_nullable full_data_type data_type numeric_precision:int numeric_scale:int comment"),
            () -> tables(catalog).flatMap(InformationSchema::columnsOf).toList());
        case "tables" -> new InformationSchema("tables",
            columns("table_catalog table_schema table_name comment storage_path"),
            () -> tables(catalog).map(InformationSchema::tableOf).toList());
        case "schemata" -> new InformationSchema("schemata", columns("catalog_name schema_name"),
            () -> SCHEMAS.keySet().stream()
                .filter(key -> key.startsWith(key(catalog, "")))
                .map(key -> texts(catalog, key.substring(key(catalog, "").length())))
                .toList());
        default -> throw new NoSuchTableException(identifier);
      };
    }

    private static Column[] columns(String list) {
      return Stream.of(list.split(" "))
          .map(one -> Column.create(one.split(":")[0],
              one.endsWith(":int") ? DataTypes.IntegerType : DataTypes.StringType))
          .toArray(Column[]::new);
    }

    private static Stream<Stored> tables(String catalog) {
      return TABLES.entrySet().stream()
          .filter(entry -> entry.getKey().startsWith(key(catalog, "")))
          .map(Map.Entry::getValue);
    }

    private static Object[] texts(String... texts) {
      return Stream.of(texts).map(UTF8String::fromString).toArray();
    }

    private static Object[] nameOf(Stored table) {
      String schema = String.join(".", table.identifier.namespace());
      return texts(table.catalog.toLowerCase(Locale.ROOT), schema.toLowerCase(Locale.ROOT),
          table.identifier.name().toLowerCase(Locale.ROOT));
    }

    private static Object[] tableOf(Stored table) {
      Object[] row = Arrays.copyOf(nameOf(table), 5);
      row[3] = UTF8String.fromString(table.properties.get(TableCatalog.PROP_COMMENT));
      row[4] = UTF8String.fromString(table.properties.get(TableCatalog.PROP_LOCATION));
      return row;
    }

    private static Stream<Object[]> columnsOf(Stored table) {
      List<Object[]> rows = new ArrayList<>();
      for (Column column : table.columns) {
        Object[] row = Arrays.copyOf(nameOf(table), 12);
        row[3] = UTF8String.fromString(column.name().toLowerCase(Locale.ROOT));
        row[4] = rows.size();
        row[6] = UTF8String.fromString(column.nullable() ? "YES" : "NO");
        row[7] = UTF8String.fromString(column.dataType().catalogString());
        row[8] = UTF8String.fromString(shortName(column.dataType()));
        row[9] = precision(column.dataType());
        if (column.dataType() instanceof DecimalType decimal) row[10] = decimal.scale();
        if (column.comment() != null) row[11] = UTF8String.fromString(column.comment());
        rows.add(row);
      }
      return rows.stream();
    }

    private static String shortName(DataType type) {
      String text = type.catalogString().split("[(<]")[0].toUpperCase(Locale.ROOT);
      return text.equals("BIGINT") ? "LONG" : text;
    }

    private static Integer precision(DataType type) {
      if (type instanceof DecimalType decimal) return decimal.precision();
      if (type.equals(DataTypes.IntegerType)) return 10;
      if (type.equals(DataTypes.LongType)) return 19;
      return type.equals(DataTypes.DoubleType) ? Integer.valueOf(53) : null;
    }

    @Override
    public Set<TableCapability> capabilities() {
      return Set.of(TableCapability.BATCH_READ);
    }

    @Override
    public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
      return Reading.builder(columns, rows);
    }
  }
}
