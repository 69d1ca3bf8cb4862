//! What came back, and whether it is what should have come.

use reqwest::StatusCode;
use serde_json::Value;

/// Nothing, or what was expected instead.
pub(crate) type Checked = Result<(), String>;

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The body; a text where it is not JSON, null where there is none.
    pub(crate) body: Value,
}

/// The rows of a statement, as texts.
pub(crate) struct Rows {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, text: &str) -> Self {
        let body = match text.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        Self { status, body }
    }

    /// The status is this one.
    pub(crate) fn is(&self, status: u16) -> Checked {
        match self.status.as_u16() == status {
            true => Ok(()),
            false => Err(format!("expected status {status}, got {}", self.status)),
        }
    }

    /// The member at a JSON pointer has this value.
    pub(crate) fn has(&self, pointer: &str, expected: impl Into<Value>) -> Checked {
        same(
            pointer,
            self.body.pointer(pointer).unwrap_or(&Value::Null),
            &expected.into(),
        )
    }

    /// A parameter of a `Parameters` resource has this value.
    pub(crate) fn has_parameter(&self, name: &str, expected: impl Into<Value>) -> Checked {
        let parameters = self.body["parameter"].as_array().map_or(&[][..], Vec::as_slice);
        let found = parameters.iter().find(|parameter| parameter["name"] == name);
        let mut members = found.and_then(Value::as_object).into_iter().flatten();
        let value = members.find(|(member, _)| member.starts_with("value"));
        same(
            name,
            value.map_or(&Value::Null, |(_, value)| value),
            &expected.into(),
        )
    }

    /// The text at a JSON pointer; empty where there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A statement succeeded. One that failed is answered 200 as well.
    pub(crate) fn has_succeeded(&self) -> Checked {
        self.is(200)?;
        self.has("/status/state", "SUCCEEDED")
    }

    /// The rows of a statement that succeeded; none where the answer is no such.
    pub(crate) fn rows(&self) -> Option<Rows> {
        let columns = self.body.pointer("/manifest/schema/columns")?.as_array()?;
        let head = columns
            .iter()
            .map(|column| column["name"].as_str().unwrap_or_default().to_owned());
        let all = self.body.pointer("/result/data_array").and_then(Value::as_array);
        let row = |row: &Value| {
            let cells = row.as_array().map_or(&[][..], Vec::as_slice);
            cells
                .iter()
                .map(|cell| cell.as_str().unwrap_or("NULL").to_owned())
                .collect()
        };
        Some(Rows {
            head: head.collect(),
            rows: all.into_iter().flatten().map(row).collect(),
        })
    }

    /// A statement answered exactly these rows, as far as these columns show.
    pub(crate) fn has_rows(&self, columns: &[&str], expected: &[&[&str]]) -> Checked {
        self.has_succeeded()?;
        let rows = self
            .rows()
            .ok_or("expected rows, got an answer without columns")?;
        let mut places = Vec::new();
        for column in columns {
            let place = rows.head.iter().position(|name| name == column);
            places.push(place.ok_or(format!(
                "expected a column {column}, got {}",
                rows.head.join(", ")
            ))?);
        }
        let cut = |row: &Vec<String>| -> Vec<String> {
            let cells = places.iter().filter_map(|place| row.get(*place));
            cells.cloned().collect()
        };
        let found: Vec<Vec<String>> = rows.rows.iter().map(cut).collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!("expected the rows {expected:?}, got {found:?}")),
        }
    }
}

/// Numbers are compared as such: `1` and `1.0` are the same.
fn same(name: &str, found: &Value, expected: &Value) -> Checked {
    let is_same_number =
        matches!((found.as_f64(), expected.as_f64()), (Some(found), Some(expected)) if found == expected);
    match found == expected || is_same_number {
        true => Ok(()),
        false => Err(format!("expected {name} to be {expected}, got {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer::new(StatusCode::OK, text)
    }

    #[test]
    fn what_differs_is_told_with_what_was_expected() {
        let answer = answer(r#"{"a": {"b": 1.0}, "parameter": [{"name": "queued", "valueDecimal": 2}]}"#);
        assert_eq!(answer.has("/a/b", 1), Ok(()));
        assert_eq!(answer.has_parameter("queued", 2.0), Ok(()));
        assert_eq!(
            answer.has("/a/b", 2),
            Err("expected /a/b to be 2, got 1.0".to_owned())
        );
        assert!(answer.has_parameter("delivered", 0).is_err());
        assert!(answer.is(201).is_err());
    }

    #[test]
    fn rows_are_compared_by_the_columns_that_are_named() {
        let text = r#"{"status": {"state": "SUCCEEDED"}, "manifest": {"schema": {"columns": [{"name": "a"}, {"name": "b"}]}},
            "result": {"data_array": [["1", null], ["2", "x"]]}}"#;
        let found = answer(text);
        assert_eq!(found.has_rows(&["b"], &[&["NULL"], &["x"]]), Ok(()));
        assert!(found.has_rows(&["b"], &[&["NULL"]]).is_err());
        assert!(found.has_rows(&["c"], &[]).is_err());
        let failed = answer(r#"{"status": {"state": "FAILED"}}"#);
        assert!(failed.has_rows(&["a"], &[]).is_err());
    }
}
