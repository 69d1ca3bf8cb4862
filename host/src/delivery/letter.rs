//! A refused change as it is set aside.

use std::io;

use arrow::array::RecordBatch;
use arrow::json::ArrayWriter;
use lakefeed_plugin_api::Refusal;

use super::collect::ChangeBatch;
use crate::log::NewDeadLetter;

/// How much of a change's rows is kept with it.
const MAX_ROWS_JSON: usize = 16 << 20;

/// The dead letter of one change of a batch: all its rows, what the target said, and where in the change.
///
/// `first` is the first change of the write that the refusal speaks of. The target's own words go to `detail`
/// alone, since they may quote a value.
pub(crate) fn dead_letter(
    batch: &ChangeBatch,
    index: usize,
    first: usize,
    refusal: &Refusal,
    detail: &str,
) -> NewDeadLetter {
    let flat = &batch.written[index];
    let version = &flat.change.version;
    let rows_before = (flat.rows.start - batch.written[first].rows.start) as u64;
    let (rows, _) = batch.slice(&(index..index + 1));
    let said = [refusal.message.as_str(), detail]
        .into_iter()
        .filter(|text| !text.is_empty());
    let detail = said.collect::<Vec<_>>().join("\n");
    NewDeadLetter {
        offset: flat.change.offset,
        key: version.key.clone(),
        version: version.sequence,
        code: refusal.code.clone(),
        message: "the target refused the change".to_owned(),
        detail: (!detail.is_empty()).then_some(detail),
        row: refusal.row.and_then(|row| row.checked_sub(rows_before)),
        column: (!refusal.column.is_empty()).then(|| refusal.column.clone()),
        rows: Some(to_json(&rows, MAX_ROWS_JSON)),
    }
}

/// The rows as a JSON array of at most `most` bytes. Rows that are more, or that Arrow cannot print, are named by
/// their number alone; the log has the change.
fn to_json(rows: &RecordBatch, most: usize) -> String {
    let mut writer = ArrayWriter::new(Capped {
        most,
        ..Capped::default()
    });
    let written = writer.write(rows).and_then(|()| writer.finish());
    let Capped { text, is_over, .. } = writer.into_inner();
    match (written, String::from_utf8(text)) {
        (Ok(()), Ok(text)) => text,
        _ if is_over => format!("\"{} rows, too large to keep\"", rows.num_rows()),
        _ => format!("\"{} rows\"", rows.num_rows()),
    }
}

/// Takes bytes up to a bound, so that rows past it never stand in memory a second time.
#[derive(Default)]
struct Capped {
    text: Vec<u8>,
    most: usize,
    is_over: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.most {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn rows_that_are_too_large_to_keep_are_named_by_their_number() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let whole = r#"[{"id":"a"},{"id":"b"}]"#;
        assert_eq!(to_json(&rows, whole.len()), whole);
        let noted = "\"2 rows, too large to keep\"";
        assert_eq!(to_json(&rows, whole.len() - 1), noted);
    }
}
