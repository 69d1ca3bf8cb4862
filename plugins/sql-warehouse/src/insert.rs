//! Arrow rows as the text of INSERT statements, one statement where they fit, cut between changes where they do not.
//!
//! Each statement names its columns and writes each value as a typed literal, so that what the table does with it
//! depends on no setting of the session and on no order of columns.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use lakefeed_databricks_client::literal;
use lakefeed_plugin_api::Refusal;

use crate::SqlError;

/// Statements for a batch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inserts {
    /// The statements; none if no change is left to be written.
    pub statements: Vec<Insert>,
    /// The changes that cannot be written, ascending; they are in no statement.
    pub refused: Vec<Refusal>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// Its text.
    pub sql: String,
    /// The changes that it settles, refused ones among them included.
    pub changes: Range<usize>,
    /// How many rows it writes.
    pub rows: usize,
}

/// Why a value has no literal.
struct NoLiteral {
    column: usize,
    problem: &'static str,
}

/// The statements that write these rows to the table, none longer than `limit` bytes. `starts` is the row that each
/// change begins with.
pub fn statements(
    table: &str,
    batch: &RecordBatch,
    starts: &[u64],
    limit: usize,
) -> Result<Inserts, SqlError> {
    let columns = Cells::of(batch)?;
    let head = head(table, batch);
    let mut inserts = Inserts::default();
    let mut open = Insert::begin(&head, 0);
    let mut values = String::new();
    for (change, rows) in changes(starts, batch.num_rows()).enumerate() {
        values.clear();
        let refusal = match push_rows(&mut values, &columns, rows.clone()) {
            Ok(()) if head.len() + values.len() <= limit => None,
            Ok(()) => Some(too_long(change, rows.start, head.len() + values.len(), limit)),
            Err((row, no_literal)) => Some(refused(batch, change, row, &no_literal)),
        };
        if let Some(refusal) = refusal {
            inserts.refused.push(refusal);
            open.changes.end = change + 1;
            continue;
        }
        if open.rows > 0 && open.sql.len() + 1 + values.len() > limit {
            inserts
                .statements
                .push(std::mem::replace(&mut open, Insert::begin(&head, change)));
        }
        if open.rows > 0 {
            open.sql.push(',');
        }
        open.sql.push_str(&values);
        open.rows += rows.len();
        open.changes.end = change + 1;
    }
    if open.rows > 0 {
        inserts.statements.push(open);
    }
    Ok(inserts)
}

impl Insert {
    fn begin(head: &str, change: usize) -> Self {
        Self {
            sql: head.to_owned(),
            changes: change..change,
            rows: 0,
        }
    }
}

fn head(table: &str, batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| literal::identifier(field.name()))
        .collect();
    format!("INSERT INTO {table} ({}) VALUES ", names.join(", "))
}

/// The rows of each change.
fn changes(starts: &[u64], rows: usize) -> impl Iterator<Item = Range<usize>> {
    let row = move |start: u64| usize::try_from(start).unwrap_or(usize::MAX).min(rows);
    let ends = starts
        .iter()
        .skip(1)
        .copied()
        .map(row)
        .chain(std::iter::once(rows));
    starts
        .iter()
        .copied()
        .map(row)
        .zip(ends)
        .map(|(start, end)| start..end)
}

fn push_rows(sql: &mut String, columns: &[Cells<'_>], rows: Range<usize>) -> Result<(), (usize, NoLiteral)> {
    for row in rows.clone() {
        sql.push_str(if row == rows.start { "(" } else { ",(" });
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                sql.push_str(", ");
            }
            column.push(sql, row).map_err(|problem| {
                (
                    row,
                    NoLiteral {
                        column: index,
                        problem,
                    },
                )
            })?;
        }
        sql.push(')');
    }
    Ok(())
}

fn refused(batch: &RecordBatch, change: usize, row: usize, no_literal: &NoLiteral) -> Refusal {
    let column = batch.schema().field(no_literal.column).name().clone();
    Refusal {
        change: change as u64,
        row: Some(row as u64),
        message: format!("column `{column}` {}", no_literal.problem),
        column,
        code: "SQLW-003".to_owned(),
    }
}

fn too_long(change: usize, row: usize, bytes: usize, limit: usize) -> Refusal {
    Refusal {
        change: change as u64,
        row: Some(row as u64),
        column: String::new(),
        code: "SQLW-002".to_owned(),
        message: format!(
            "the change alone takes a statement of {bytes} bytes, and the service takes {limit}"
        ),
    }
}

/// A column of the closed set.
enum Cells<'a> {
    Text(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a TimestampMicrosecondArray),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    Double(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Binary(&'a BinaryArray),
    List(&'a ListArray, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Vec<Self>, SqlError> {
        batch
            .columns()
            .iter()
            .map(|column| Self::of_array(column.as_ref()))
            .collect()
    }

    fn of_array(array: &'a dyn Array) -> Result<Self, SqlError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Time(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Long(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Binary => Self::Binary(array.as_binary::<i32>()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List(list, Box::new(Self::of_array(list.values().as_ref())?))
            }
            _ => {
                return Err(SqlError::Contract {
                    what: "a column has a type outside the closed set",
                });
            }
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Text(array) => array,
            Self::Date(array) => array,
            Self::Time(array) => array,
            Self::Int(array) => array,
            Self::Long(array) => array,
            Self::Double(array) => array,
            Self::Boolean(array) => array,
            Self::Binary(array) => array,
            Self::List(array, _) => array,
        }
    }

    fn push(&self, sql: &mut String, row: usize) -> Result<(), &'static str> {
        const YEARS: &str = "lies outside the years 1 to 9999";
        if self.array().is_null(row) {
            sql.push_str("NULL");
            return Ok(());
        }
        match self {
            Self::Text(array) => literal::push_text(sql, array.value(row)),
            Self::Date(array) => literal::push_date(sql, array.value(row)).map_err(|_| YEARS)?,
            Self::Time(array) => literal::push_timestamp(sql, array.value(row)).map_err(|_| YEARS)?,
            Self::Int(array) => literal::push_integer(sql, i64::from(array.value(row))),
            Self::Long(array) => literal::push_integer(sql, array.value(row)),
            Self::Double(array) if literal::push_double(sql, array.value(row)) => {}
            Self::Double(_) => return Err("is not a finite number"),
            Self::Boolean(array) => sql.push_str(if array.value(row) { "TRUE" } else { "FALSE" }),
            Self::Binary(array) => literal::push_binary(sql, array.value(row)),
            Self::List(array, items) => {
                let offsets = array.value_offsets();
                let [start, end] =
                    [offsets[row], offsets[row + 1]].map(|at| usize::try_from(at).unwrap_or(0));
                sql.push_str("array(");
                for item in start..end {
                    if item > start {
                        sql.push_str(", ");
                    }
                    items.push(sql, item)?;
                }
                sql.push(')');
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
    use lakefeed_plugin_testkit::sample;

    use super::*;

    fn texts(values: &[&str]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        RecordBatch::try_from_iter([("v", column)]).unwrap()
    }

    fn all(batch: &RecordBatch, starts: &[u64], limit: usize) -> Inserts {
        statements("`c`.`s`.`t`", batch, starts, limit).unwrap()
    }

    #[test]
    fn every_type_is_a_typed_literal_in_a_named_column() {
        let inserts = all(&sample(1, 3), &[0, 1, 2], usize::MAX);
        let expect = "INSERT INTO `c`.`s`.`t` (`id`, `day`, `time`, `small`, `large`, `real`, `flag`, `bytes`) VALUES \
            ('row-1', DATE'1970-01-02', TIMESTAMP'1970-01-01T00:00:01.000001Z', 1, 1099511627776, 0.25D, FALSE, \
            X'0000000000000001'),\
            ('row-2', DATE'1970-01-03', TIMESTAMP'1970-01-01T00:00:02.000002Z', 2, 2199023255552, 0.5D, TRUE, \
            X'0000000000000002'),\
            ('row-3', NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
        assert_eq!(inserts.statements.len(), 1);
        assert_eq!(inserts.statements[0].sql, expect);
        assert_eq!(inserts.statements[0].changes, 0..3);
    }

    #[test]
    fn lists_are_arrays_also_within_a_slice() {
        let mut builder = ListBuilder::new(StringBuilder::new());
        builder.append_value([Some("x")]);
        builder.append_value([Some("a"), None]);
        builder.append_value([] as [Option<&str>; 0]);
        builder.append_null();
        let column: ArrayRef = Arc::new(builder.finish());
        let batch = RecordBatch::try_from_iter([("l", column)]).unwrap().slice(1, 3);
        let inserts = all(&batch, &[0, 1, 2], usize::MAX);
        assert!(
            inserts.statements[0]
                .sql
                .ends_with("VALUES (array('a', NULL)),(array()),(NULL)")
        );
    }

    #[test]
    fn a_statement_that_would_be_too_long_is_cut_between_changes() {
        let head = "INSERT INTO `c`.`s`.`t` (`v`) VALUES ".len();
        // Changes of one, two and one rows; each row takes seven bytes and a comma.
        let inserts = all(
            &texts(&["aaaa1", "bbbb1", "bbbb2", "cccc1"]),
            &[0, 1, 3],
            head + 29,
        );
        let cut: Vec<(Range<usize>, usize)> = inserts
            .statements
            .iter()
            .map(|insert| (insert.changes.clone(), insert.rows))
            .collect();
        assert_eq!(cut, [(0..2, 3), (2..3, 1)]);
        assert!(
            inserts
                .statements
                .iter()
                .all(|insert| insert.sql.len() <= head + 29)
        );
        assert!(inserts.refused.is_empty());
    }

    #[test]
    fn a_change_that_alone_is_too_long_is_refused_and_the_rest_is_written() {
        let head = "INSERT INTO `c`.`s`.`t` (`v`) VALUES ".len();
        let inserts = all(&texts(&["a", &"x".repeat(100), "c"]), &[0, 1, 2], head + 50);
        assert_eq!(inserts.refused.len(), 1);
        assert_eq!(
            (inserts.refused[0].change, inserts.refused[0].code.as_str()),
            (1, "SQLW-002")
        );
        assert!(inserts.statements[0].sql.ends_with("('a'),('c')"));
        assert_eq!(inserts.statements[0].changes, 0..3);
    }

    #[test]
    fn a_value_without_a_literal_refuses_its_change_by_row_and_column() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 0, -719_529]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("d", days)]).unwrap();
        let inserts = all(&batch, &[0, 1, 2], usize::MAX);
        let refused: Vec<(u64, &str, &str)> = inserts
            .refused
            .iter()
            .map(|refusal| (refusal.change, refusal.column.as_str(), refusal.code.as_str()))
            .collect();
        assert_eq!(refused, [(1, "n", "SQLW-003"), (2, "d", "SQLW-003")]);
        assert_eq!(
            (inserts.statements[0].rows, inserts.statements[0].changes.clone()),
            (1, 0..3)
        );
    }
}
