//! All ways through the engine, which must agree.

use std::sync::Arc;

use arrow::array::RecordBatch;
use lakefeed_view::{ColumnType, ResourceMeta, RowOptions, View};

/// The rows of a text, or why it is refused.
fn rows(view: &Arc<View>, types: &[ColumnType], vectors: bool, text: &[u8]) -> Result<RecordBatch, String> {
    let options = RowOptions {
        vectors,
        ..RowOptions::default()
    };
    let mut rows = view.rows(types, options).unwrap();
    // The columns are asked for twice, so that what one resource leaves behind would show in the next.
    for _ in 0..2 {
        rows.append(text, &ResourceMeta::default())
            .map_err(|error| error.to_string())?;
    }
    Ok(rows.finish().unwrap())
}

/// The rows by all ways, which must agree.
pub(crate) fn agreed(
    views: &[Arc<View>; 2],
    types: &[ColumnType],
    text: &[u8],
) -> Result<RecordBatch, String> {
    let first = rows(&views[0], types, true, text);
    for (view, vectors) in [(0, false), (1, true), (1, false)] {
        let other = rows(&views[view], types, vectors, text);
        assert_eq!(
            first,
            other,
            "{} by {:?}",
            String::from_utf8_lossy(text),
            views[0]
        );
    }
    first
}
