//! Rows of every type that the view engine builds.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::{BatchMeta, Deadline, Source};

/// So many rows, `first` being the number of the first one: one column of each scalar type, every third value null.
#[must_use]
pub fn sample(first: i64, rows: i64) -> RecordBatch {
    let numbers = || first..first + rows;
    let some = |number: i64| (number % 3 != 0).then_some(number);
    let times: TimestampMicrosecondArray = numbers().map(|n| some(n).map(|n| n * 1_000_001)).collect();
    let columns: [(&str, ArrayRef); 8] = [
        (
            "id",
            array::<StringArray, _>(numbers().map(|n| Some(format!("row-{n}")))),
        ),
        (
            "day",
            array::<Date32Array, _>(numbers().map(|n| some(n).map(|n| n as i32))),
        ),
        ("time", Arc::new(times.with_timezone("+00:00"))),
        (
            "small",
            array::<Int32Array, _>(numbers().map(|n| some(n).map(|n| n as i32))),
        ),
        (
            "large",
            array::<Int64Array, _>(numbers().map(|n| some(n).map(|n| n << 40))),
        ),
        (
            "real",
            array::<Float64Array, _>(numbers().map(|n| some(n).map(|n| n as f64 / 4.0))),
        ),
        (
            "flag",
            array::<BooleanArray, _>(numbers().map(|n| some(n).map(|n| n % 2 == 0))),
        ),
        (
            "bytes",
            array::<BinaryArray, _>(numbers().map(|n| some(n).map(i64::to_be_bytes))),
        ),
    ];
    let columns = columns.map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn array<A: Array + FromIterator<Option<T>> + 'static, T>(
    values: impl Iterator<Item = Option<T>>,
) -> ArrayRef {
    Arc::new(values.collect::<A>())
}

/// What goes with a batch of this number whose changes begin at these rows; schema 1, first attempt.
#[must_use]
pub fn meta(batch_number: u64, change_starts: &[u64]) -> BatchMeta {
    BatchMeta {
        destination: "testkit".into(),
        generation: 1,
        batch_number,
        attempt: 1,
        idempotency_key: format!("testkit-1-{batch_number}"),
        first_offset: batch_number * 1000,
        last_offset: batch_number * 1000 + change_starts.len().saturating_sub(1) as u64,
        source: Source::Live,
        schema_id: 1,
        change_starts: change_starts.to_vec(),
        deadline: Deadline::none(),
        traceparent: String::new(),
    }
}
