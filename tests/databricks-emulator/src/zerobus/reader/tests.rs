//! What is read, and what is refused with which words.

use arrow::util::display::array_value_to_string;

use super::*;
use crate::types::parse_type;

fn columns(text: &str) -> Vec<Column> {
    text.split("; ")
        .map(|column| {
            let (name, rest) = column.split_once(' ').unwrap();
            let is_required = rest.ends_with(" NOT NULL");
            let mut column = Column::new(name, parse_type(rest.trim_end_matches(" NOT NULL")).unwrap());
            column.nullable = !is_required;
            column
        })
        .collect()
}

/// The rows as text, a row a line.
fn read(table: &str, body: &str) -> Result<String, String> {
    let batch =
        read_rows(body.as_bytes(), &columns(table), false).map_err(|error| error.located(body.as_bytes()))?;
    let row = |row: usize| {
        let cells: Vec<String> = batch
            .columns()
            .iter()
            .map(|column| array_value_to_string(column, row).unwrap())
            .collect();
        cells.join("|")
    };
    Ok((0..batch.num_rows()).map(row).collect::<Vec<_>>().join("\n"))
}

const ALL: &str = "s string; b boolean; i int; l bigint; t tinyint; d double; n decimal(10,2); day date; ts timestamp; \
                   bin binary; a array<int>; r struct<x:int,y:string>";

#[test]
fn every_type_is_read() {
    let body = r#"[{"s":"a\"\u00e9\ud83d\ude00","b":true,"i":-1,"l":9007199254740993,"t":127,"d":1.5e2,"n":"19.99",
        "day":7319,"ts":1775037600000000,"bin":"AQI=","a":[1,null,3],"r":{"y":"z"}}]"#;
    assert_eq!(
        read(ALL, body).unwrap(),
        "a\"é😀|true|-1|9007199254740993|127|150.0|19.99|1990-01-15|2026-04-01T10:00:00Z|0102|[1, , 3]|{x: , y: z}"
    );
}

#[test]
fn fields_are_matched_by_name_in_any_order_and_absent_ones_are_null() {
    assert_eq!(
        read("a int; b string; c int", r#"[{"c":3,"a":1},{"b":"x"},{}]"#).unwrap(),
        "1||3\n|x|\n||"
    );
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let mut other = Vec::new();
    for (table, body, expected) in [
        (
            "id string",
            r#"[{"id":"p","ip":1}]"#,
            "unrecognized field name 'ip' at line 1 column 15",
        ),
        (
            "id string",
            r#"[{"ID":"p"}]"#,
            "unrecognized field name 'ID' at line 1 column 6",
        ),
        (
            "ts timestamp",
            r#"[{"ts":"2026-04-01T10:00:00Z"}]"#,
            "invalid digit found in string at line 1 column 29",
        ),
        (
            "day date",
            r#"[{"day":"1990-01-15"}]"#,
            "invalid digit found in string at line 1 column 20",
        ),
        (
            "day date",
            r#"[{"day":"7319"}]"#,
            "invalid type: string \"7319\", expected i32 at line 1 column 14",
        ),
        (
            "ts timestamp",
            r#"[{"ts":1.7e15}]"#,
            "invalid type: floating point `1.7e15`, expected i64 at line 1 column 13",
        ),
        (
            "i int",
            r#"[{"i":3000000000}]"#,
            "invalid value: integer `3000000000`, expected i32 at line 1 column 16",
        ),
        (
            "i int",
            r#"[{"i":true}]"#,
            "invalid type: boolean `true`, expected i32 at line 1 column 10",
        ),
        (
            "s string",
            r#"[{"s":7}]"#,
            "invalid type: integer `7`, expected a string at line 1 column 7",
        ),
        (
            "b boolean",
            r#"[{"b":"true"}]"#,
            "invalid type: string \"true\", expected a boolean at line 1 column 12",
        ),
        (
            "n decimal(5,2)",
            r#"[{"n":1.5}]"#,
            "invalid type: floating point `1.5`, expected a decimal string at line 1 column 9",
        ),
        (
            "n decimal(5,2)",
            r#"[{"n":"1.555"}]"#,
            "invalid value: string \"1.555\", expected DECIMAL(5,2) at line 1 column 13",
        ),
        (
            "id string NOT NULL",
            r#"[{}]"#,
            "missing required field 'id' at line 1 column 3",
        ),
        (
            "id string NOT NULL",
            r#"[{"id":null}]"#,
            "null value for non-nullable field 'id' at line 1 column 11",
        ),
        (
            "id string",
            r#"{"id":"p"}"#,
            "invalid type: map, expected a sequence at line 1 column 1",
        ),
        (
            "id string",
            r#"[["p"]]"#,
            "invalid type: sequence, expected a record at line 1 column 2",
        ),
        (
            "id string",
            r#"[{"id":"p"},]"#,
            "expected a value at line 1 column 13",
        ),
        (
            "id string",
            "[{\"id\":\n\"p\"} x]",
            "expected `,` or `]` at line 2 column 6",
        ),
        (
            "id string",
            r#"[{"id":"p"}] x"#,
            "trailing characters at line 1 column 14",
        ),
        (
            "id string",
            r#"[{"id":"p"#,
            "EOF while parsing a string at line 1 column 9",
        ),
        (
            "id string",
            r#"[{"id":"p","id":"q"}]"#,
            "duplicate field 'id' at line 1 column 15",
        ),
        (
            "i int",
            r#"[{"i":01}]"#,
            "expected no digit after a leading zero at line 1 column 8",
        ),
        (
            "d double",
            r#"[{"d":1e999}]"#,
            "number out of range at line 1 column 11",
        ),
        (
            "d double",
            r#"[{"d":NaN}]"#,
            "expected a value at line 1 column 7",
        ),
        (
            "id string",
            "",
            "EOF while parsing, expected a value at line 1 column 0",
        ),
    ] {
        let refused = read(table, body).unwrap_err();
        if refused != expected {
            other.push(format!("{body}: {refused}, not {expected}"));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn a_record_over_the_limit_is_refused() {
    let body = format!(r#"[{{"id":"{}"}}]"#, "x".repeat(RECORD_LIMIT));
    assert!(
        read("id string", &body)
            .unwrap_err()
            .contains("exceeds the limit of 10485760 bytes")
    );
}

#[test]
fn an_empty_array_is_no_rows() {
    assert_eq!(read("id string", " [ ] ").unwrap(), "");
}

#[test]
fn a_bare_object_is_one_row_where_it_is_taken() {
    let batch = read_rows(br#"{"id":"p"}"#, &columns("id string"), true).unwrap();
    assert_eq!(batch.num_rows(), 1);
}

#[test]
fn records_are_counted_without_being_read() {
    let body = br#"[{"a":"}{\"{"},{"b":{"c":1}},{}]"#;
    assert_eq!(count_records(body), 3);
}
