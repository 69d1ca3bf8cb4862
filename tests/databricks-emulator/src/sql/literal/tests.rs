//! Literals as Spark takes and refuses them.

use arrow::util::display::array_value_to_string;

use super::*;
use crate::types::parse_type;

fn column(sql_type: &str) -> Column {
    Column::new("c", parse_type(sql_type).unwrap())
}

/// The value of a literal in a column of that type, or the class of the refusal.
fn stored(sql_type: &str, literal: &str) -> String {
    let columns = [column(sql_type)];
    let target = Target {
        table: "c.s.t",
        columns: &columns,
        places: vec![0],
        is_listed: true,
    };
    let read = match read_values(&format!("({literal})"), 0, &target) {
        Ok(rows) => {
            let batch = rows.finish().unwrap();
            Ok(array_value_to_string(batch.column(0), 0).unwrap())
        }
        Err(NotRead::Expression) => Ok("expression".to_owned()),
        Err(NotRead::Wrong(error)) => Err(error.class),
    };
    crate::sql::collect::literal(sql_type, literal, read.as_deref());
    read.unwrap_or_else(|class| class)
}

#[test]
fn a_literal_is_stored_or_refused_as_spark_does() {
    for (sql_type, literal, expected) in [
        ("string", "'O\\'Brien'", "O'Brien"),
        ("string", "'a' 'b'", "ab"),
        ("string", "7", "7"),
        ("string", "NULL", ""),
        ("int", "-7", "-7"),
        ("int", "3000000000", "CAST_OVERFLOW_IN_TABLE_INSERT"),
        ("int", "'7'", "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST"),
        ("int", "TRUE", "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("bigint", "12L", "12"),
        ("tinyint", "200", "CAST_OVERFLOW_IN_TABLE_INSERT"),
        ("double", "1.5D", "1.5"),
        ("double", "-1.5", "-1.5"),
        ("double", "3", "3.0"),
        ("double", "1e300D", "1e300"),
        ("decimal(5,2)", "1.555", "1.56"),
        ("decimal(5,2)", "-1.50BD", "-1.50"),
        ("decimal(3,2)", "12.5", "CAST_OVERFLOW_IN_TABLE_INSERT"),
        ("boolean", "true", "true"),
        ("date", "DATE'1990-01-15'", "1990-01-15"),
        ("date", "DATE '1990-13-15'", "INVALID_TYPED_LITERAL"),
        (
            "date",
            "'1990-01-15'",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        ("date", "CAST('1990-01-15' AS DATE)", "1990-01-15"),
        ("date", "CAST('zz' AS DATE)", "CAST_INVALID_INPUT"),
        (
            "timestamp",
            "TIMESTAMP'2024-01-02T03:04:05.123456Z'",
            "2024-01-02T03:04:05.123456Z",
        ),
        (
            "timestamp",
            "TIMESTAMP'2024-01-02 03:04:05+01:00'",
            "2024-01-02T02:04:05Z",
        ),
        (
            "timestamp",
            "TIMESTAMP'2024-01-02 03:04:05'",
            "2024-01-02T03:04:05Z",
        ),
        ("timestamp", "TIMESTAMP'2024-01-02'", "2024-01-02T00:00:00Z"),
        (
            "timestamp",
            "'2024-01-02T03:04:05Z'",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        ("binary", "X'00ff'", "00ff"),
        ("binary", "X'zz'", "INVALID_TYPED_LITERAL"),
        ("array<int>", "array(1, NULL, 3)", "[1, , 3]"),
        ("map<string,int>", "map('a', 1)", "{a: 1}"),
        ("string", "upper('x')", "expression"),
        ("int", "1 + 1", "expression"),
        ("string", "'open", "PARSE_SYNTAX_ERROR"),
        ("string", "", "PARSE_SYNTAX_ERROR"),
    ] {
        assert_eq!(stored(sql_type, literal), expected, "{literal} into {sql_type}");
    }
}

fn read(columns: &[Column], places: &[usize], is_listed: bool, sql: &str) -> Result<usize, String> {
    let target = Target {
        table: "c.s.t",
        columns,
        places: places.to_vec(),
        is_listed,
    };
    match read_values(sql, 0, &target) {
        Ok(rows) => Ok(rows.finish().unwrap().num_rows()),
        Err(NotRead::Expression) => Err("expression".to_owned()),
        Err(NotRead::Wrong(error)) => Err(error.class),
    }
}

#[test]
fn rows_must_agree_in_length_and_kind() {
    let columns = [column("string"), column("timestamp")];
    for (sql, is_listed, expected) in [
        ("('a', NULL), ('b', TIMESTAMP'2024-01-01');", true, Ok(2)),
        (
            "('a')",
            true,
            Err("INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS"),
        ),
        ("('a')", false, Err("DELTA_INSERT_COLUMN_ARITY_MISMATCH")),
        (
            "('a', NULL, 1)",
            false,
            Err("INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS"),
        ),
        (
            "('a', NULL), ('a')",
            true,
            Err("INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH"),
        ),
        (
            "('a', TIMESTAMP'2024-01-01'), ('b', '2024-01-01')",
            true,
            Err("INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE"),
        ),
        ("('a', NULL) ('b', NULL)", true, Err("expression")),
    ] {
        let expected = expected.map_err(str::to_owned);
        assert_eq!(read(&columns, &[0, 1], is_listed, sql), expected, "{sql}");
    }
}

#[test]
fn a_column_that_is_not_listed_is_null_unless_it_may_not_be() {
    let mut columns = [column("string"), column("int")];
    assert_eq!(read(&columns, &[0], true, "('a')"), Ok(1));
    columns[1].nullable = false;
    let refused = Err("DELTA_NOT_NULL_CONSTRAINT_VIOLATED".to_owned());
    assert_eq!(read(&columns, &[0], true, "('a')"), refused);
    assert_eq!(read(&columns, &[0, 1], true, "('a', NULL)"), refused);
}
