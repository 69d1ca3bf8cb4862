//! From a view's columns to a table's: which names PostgreSQL takes, which type each column gets, and what the view
//! engine builds for it.

use lakefeed_plugin_api::{ColumnType, MappedColumn, MappedSchema, ScalarType, ViewColumn, ViewSchema};

use super::SqlTableError;

/// The longest name that PostgreSQL keeps whole, in bytes.
const LONGEST: usize = 63;

/// The most columns that a table has room for, whatever their types are, with the one of the key.
const MOST_COLUMNS: usize = 1_599;

/// What every table of PostgreSQL has already.
const SYSTEM: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// The column that says which resource a row is of. No column of a view can have this name.
pub(super) const KEY: &str = "lakefeed.id";

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// How a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    Int4,
    Int8,
    /// Every digit that the resource has.
    Numeric,
    Date,
    /// A moment.
    Timestamp,
    Bytes,
    /// A list, its items as JSON has them.
    Json(Item),
}

/// How an item of a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Text,
    Boolean,
    Integer,
    /// A number, every digit as the resource has it.
    Number,
}

impl Column {
    /// The column's type in SQL.
    pub(super) fn sql(&self) -> &'static str {
        match self.kind {
            Kind::Text => "text",
            Kind::Boolean => "boolean",
            Kind::Int4 => "integer",
            Kind::Int8 => "bigint",
            Kind::Numeric => "numeric",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp with time zone",
            Kind::Bytes => "bytea",
            Kind::Json(_) => "jsonb",
        }
    }

    fn of(column: &ViewColumn) -> Self {
        let scalar = match column.fhir_type.as_str() {
            "boolean" => Kind::Boolean,
            "integer" | "positiveInt" | "unsignedInt" => Kind::Int4,
            "integer64" => Kind::Int8,
            "decimal" => Kind::Numeric,
            "date" => Kind::Date,
            "dateTime" | "instant" => Kind::Timestamp,
            "base64Binary" => Kind::Bytes,
            _ => Kind::Text,
        };
        let kind = match (column.collection, scalar) {
            (false, scalar) => scalar,
            (true, Kind::Boolean) => Kind::Json(Item::Boolean),
            (true, Kind::Int4 | Kind::Int8) => Kind::Json(Item::Integer),
            (true, Kind::Numeric) => Kind::Json(Item::Number),
            // JSON has no dates and no bytes: they stay as the resource has them.
            (true, _) => Kind::Json(Item::Text),
        };
        Self {
            name: column.name.clone(),
            kind,
        }
    }

    /// What the view engine builds for it.
    fn mapped(&self) -> MappedColumn {
        let column_type = match self.kind {
            // A number in its own digits is text until the database reads it.
            Kind::Text | Kind::Numeric => ColumnType::Scalar(ScalarType::Utf8),
            Kind::Boolean => ColumnType::Scalar(ScalarType::Boolean),
            Kind::Int4 => ColumnType::Scalar(ScalarType::Int32),
            Kind::Int8 => ColumnType::Scalar(ScalarType::Int64),
            Kind::Date => ColumnType::Scalar(ScalarType::Date32),
            Kind::Timestamp => ColumnType::Scalar(ScalarType::TimestampMicrosUtc),
            Kind::Bytes => ColumnType::Scalar(ScalarType::Binary),
            Kind::Json(Item::Boolean) => ColumnType::List(ScalarType::Boolean),
            Kind::Json(Item::Integer) => ColumnType::List(ScalarType::Int64),
            Kind::Json(Item::Text | Item::Number) => ColumnType::List(ScalarType::Utf8),
        };
        MappedColumn {
            name: self.name.clone(),
            column_type,
            sql_type: self.sql().to_owned(),
        }
    }
}

/// The table's columns for a view's, if PostgreSQL takes their names.
pub(super) fn of(view: &ViewSchema) -> Result<Vec<Column>, SqlTableError> {
    if view.columns.len() > MOST_COLUMNS {
        return Err(SqlTableError::TooManyColumns {
            view: view.view.clone(),
            most: MOST_COLUMNS,
        });
    }
    for column in &view.columns {
        check_column(&column.name)?;
    }
    Ok(view.columns.iter().map(Column::of).collect())
}

/// What the view engine is to build for the columns.
pub(super) fn mapped(columns: &[Column]) -> MappedSchema {
    MappedSchema {
        columns: columns.iter().map(Column::mapped).collect(),
    }
}

/// Whether a view's name can be the one of a table.
pub(super) fn check_name(name: &str) -> Result<(), SqlTableError> {
    match name.len() {
        1..=LONGEST => Ok(()),
        _ => Err(SqlTableError::LongName {
            what: "view",
            name: name.to_owned(),
            most: LONGEST,
        }),
    }
}

fn check_column(name: &str) -> Result<(), SqlTableError> {
    if name.len() > LONGEST {
        return Err(SqlTableError::LongName {
            what: "column",
            name: name.to_owned(),
            most: LONGEST,
        });
    }
    if SYSTEM.contains(&name) {
        return Err(SqlTableError::SystemColumn {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// A name as SQL quotes it: case and all signs stay as they are.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns' names, quoted, with commas between them.
pub(super) fn list(columns: &[Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(columns: &[(&str, &str, bool)]) -> ViewSchema {
        let column = |(name, fhir_type, collection): &(&str, &str, bool)| ViewColumn {
            name: (*name).to_owned(),
            fhir_type: (*fhir_type).to_owned(),
            collection: *collection,
            ..ViewColumn::default()
        };
        ViewSchema {
            view: "v".to_owned(),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn each_fhir_type_has_its_sql_type_and_lists_are_documents() {
        let check = |fhir_type: &str, collection: bool, expected: &str| {
            let columns = of(&view(&[("c", fhir_type, collection)])).unwrap();
            let mapped = &mapped(&columns).columns[0];
            let found = format!("{} of {}", mapped.sql_type, mapped.column_type);
            assert_eq!(found, expected, "{fhir_type}");
        };
        check("string", false, "text of utf8");
        check("time", false, "text of utf8");
        check("boolean", false, "boolean of boolean");
        check("positiveInt", false, "integer of int32");
        check("integer64", false, "bigint of int64");
        check("decimal", false, "numeric of utf8");
        check("date", false, "date of date32");
        check("dateTime", false, "timestamp with time zone of timestamp-us-utc");
        check("base64Binary", false, "bytea of binary");
        check("string", true, "jsonb of list<utf8>");
        check("decimal", true, "jsonb of list<utf8>");
        check("date", true, "jsonb of list<utf8>");
        check("integer", true, "jsonb of list<int64>");
    }

    #[test]
    fn a_name_that_postgresql_would_cut_or_keeps_for_itself_is_refused() {
        let long = "c".repeat(64);
        let check = |name: &str, expected: &str| {
            let refused = of(&view(&[(name, "string", false)])).map(drop);
            let refused = refused.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(refused.contains(expected), "{name}: {refused}");
        };
        check("Case", "");
        check(&"c".repeat(63), "");
        check(&long, "is longer than 63 bytes");
        check("ctid", "PostgreSQL's own");
        assert!(check_name(&long).unwrap_err().to_string().contains("[SQL-001]"));
        assert!(check_name("patients").is_ok());
        let many: Vec<(&str, &str, bool)> = vec![("c", "string", false); MOST_COLUMNS + 1];
        assert!(
            of(&view(&many))
                .unwrap_err()
                .to_string()
                .contains("more than 1599 columns")
        );
    }

    #[test]
    fn a_quote_in_a_name_ends_no_quotation() {
        assert_eq!(quoted("Ab\"c"), "\"Ab\"\"c\"");
    }
}
