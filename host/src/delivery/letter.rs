//! A refused change as it is set aside.

use arrow::array::RecordBatch;
use arrow::json::ArrayWriter;
use lakefeed_plugin_api::Refusal;

use super::collect::ChangeBatch;
use crate::log::NewDeadLetter;

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
        rows: Some(to_json(&rows)),
    }
}

/// The rows as a JSON array. Rows that Arrow cannot print are named by their number alone; the log has the change.
fn to_json(rows: &RecordBatch) -> String {
    let mut writer = ArrayWriter::new(Vec::new());
    let written = writer.write(rows).and_then(|()| writer.finish());
    let text = String::from_utf8(writer.into_inner());
    match (written, text) {
        (Ok(()), Ok(text)) => text,
        _ => format!("\"{} rows\"", rows.num_rows()),
    }
}
