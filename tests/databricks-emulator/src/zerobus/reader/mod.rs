//! A JSON array of records straight into Arrow columns, refusing whatever does not fit the table exactly.
//!
//! No tree is built. The text is walked once; each value goes to its column's builder or ends the request with the place
//! where it stands. Nothing is coerced: a date is days, a timestamp is microseconds, a decimal is a string.

mod scan;
mod value;

use std::collections::HashMap;

use arrow::array::RecordBatch;

pub(crate) use scan::ReadError;
use scan::Scanner;
use value::read_value;

use crate::rows::Rows;
use crate::types::Column;

/// What one record may have at most.
pub(crate) const RECORD_LIMIT: usize = 10 * 1024 * 1024;

/// The rows of a body; with `bare_object` one record without an array is taken, too.
pub(crate) fn read_rows(
    body: &[u8],
    columns: &[Column],
    bare_object: bool,
) -> Result<RecordBatch, ReadError> {
    let text = std::str::from_utf8(body).map_err(|error| ReadError {
        message: "invalid unicode code point".to_owned(),
        at: error.valid_up_to() + 1,
    })?;
    let mut reader = Reader {
        scanner: Scanner::new(text),
        columns,
        by_name: columns
            .iter()
            .enumerate()
            .map(|(index, column)| (column.name.as_str(), index))
            .collect(),
        rows: Rows::new(columns, body.len() / 128 + 1),
        seen: vec![0; columns.len()],
    };
    reader.body(bare_object)?;
    let end = reader.scanner.at();
    reader.rows.finish().map_err(|error| ReadError {
        message: error.to_string(),
        at: end,
    })
}

struct Reader<'a> {
    scanner: Scanner<'a>,
    columns: &'a [Column],
    by_name: HashMap<&'a str, usize>,
    rows: Rows,
    /// In which row, from 1, a column was last seen.
    seen: Vec<usize>,
}

impl Reader<'_> {
    fn body(&mut self, bare_object: bool) -> Result<(), ReadError> {
        self.scanner.space();
        if bare_object && self.scanner.peek() == Some(b'{') {
            self.record()?;
            return self.scanner.end();
        }
        if self.scanner.peek() != Some(b'[') {
            return Err(self.scanner.wrong_type("a sequence"));
        }
        self.scanner.skip();
        self.scanner.space();
        if self.scanner.eat(b']') {
            return self.scanner.end();
        }
        loop {
            self.scanner.space();
            self.record()?;
            self.scanner.space();
            if self.scanner.eat(b',') {
                continue;
            }
            if self.scanner.eat(b']') {
                return self.scanner.end();
            }
            return Err(self.scanner.expected("`,` or `]`"));
        }
    }

    fn record(&mut self) -> Result<(), ReadError> {
        let start = self.scanner.at();
        if self.scanner.peek() != Some(b'{') {
            return Err(self.scanner.wrong_type("a record"));
        }
        self.scanner.skip();
        self.scanner.space();
        if !self.scanner.eat(b'}') {
            self.fields()?;
        }
        if self.scanner.at() - start > RECORD_LIMIT {
            return Err(self.scanner.error(format!(
                "record of {} bytes exceeds the limit of {RECORD_LIMIT} bytes",
                self.scanner.at() - start
            )));
        }
        self.fill_in()
    }

    fn fields(&mut self) -> Result<(), ReadError> {
        let row = self.rows.count() + 1;
        let mut likely = 0;
        loop {
            self.scanner.space();
            let index = self.field(likely)?;
            if self.seen[index] == row {
                let name = &self.columns[index].name;
                return Err(self.scanner.error(format!("duplicate field '{name}'")));
            }
            self.seen[index] = row;
            likely = index + 1;
            self.scanner.space();
            if !self.scanner.eat(b':') {
                return Err(self.scanner.expected("`:`"));
            }
            self.scanner.space();
            let column = &self.columns[index];
            if self.scanner.peek() == Some(b'n') {
                self.scanner.word("null")?;
                self.null(index)?;
            } else {
                read_value(&mut self.scanner, &mut self.rows.cells[index], &column.sql_type)?;
            }
            self.scanner.space();
            if self.scanner.eat(b',') {
                continue;
            }
            if self.scanner.eat(b'}') {
                return Ok(());
            }
            return Err(self.scanner.expected("`,` or `}`"));
        }
    }

    /// The column that a key names. Records mostly have the table's own order.
    fn field(&mut self, likely: usize) -> Result<usize, ReadError> {
        let name = self.scanner.string()?;
        let is_likely = self
            .columns
            .get(likely)
            .is_some_and(|column| column.name == *name);
        if is_likely {
            return Ok(likely);
        }
        match self.by_name.get(&*name) {
            Some(index) => Ok(*index),
            None => {
                let message = format!("unrecognized field name '{name}'");
                Err(self.scanner.error(message))
            }
        }
    }

    fn null(&mut self, index: usize) -> Result<(), ReadError> {
        let column = &self.columns[index];
        if !column.nullable {
            return Err(self
                .scanner
                .error(format!("null value for non-nullable field '{}'", column.name)));
        }
        self.rows.cells[index].null();
        Ok(())
    }

    /// NULL into every column that the record did not have.
    fn fill_in(&mut self) -> Result<(), ReadError> {
        let row = self.rows.count() + 1;
        for index in 0..self.columns.len() {
            if self.seen[index] == row {
                continue;
            }
            let column = &self.columns[index];
            if !column.nullable {
                return Err(self
                    .scanner
                    .error(format!("missing required field '{}'", column.name)));
            }
            self.rows.cells[index].null();
        }
        self.rows.end_row();
        Ok(())
    }
}

/// How many records a body has, counted and not read: for the null sink.
pub(crate) fn count_records(body: &[u8]) -> usize {
    let (mut depth, mut count, mut at) = (0_i32, 0, 0);
    while let Some(sign) = body.get(at) {
        match sign {
            b'"' => {
                at += 1;
                while let Some(inner) = body.get(at) {
                    match inner {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                    at += 1;
                }
            }
            b'{' => {
                depth += 1;
                count += usize::from(depth == 1);
            }
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests;
