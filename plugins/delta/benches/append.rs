//! Rows appended a second to a table in a local folder, each batch durable before the next begins.
//!
//!     cargo bench -p lakefeed-plugin-delta --bench append
//!
//! Prints a line for each batch size. The folder is a temporary one: set `TMPDIR` to choose the disk.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Date32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use lakefeed_plugin_api::{BatchMeta, Deadline, Source, TableRef, Writer};
use lakefeed_plugin_delta::Delta;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    for (rows, batches) in [(100, 200), (1_000, 200), (10_000, 50), (100_000, 10)] {
        runtime.block_on(measure(rows, batches))?;
    }
    Ok(())
}

async fn measure(rows: usize, batches: u64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let config = serde_json::json!({"tablePath": folder.path().join("patients")});
    let delta = Delta::new(&serde_json::from_value(config)?)?;
    let batch = patients(rows)?;
    delta.open(&TableRef::default(), batch.schema(), 1).await?;
    let start = Instant::now();
    for number in 1..=batches {
        let ack = delta.write(batch.clone(), &meta(number, rows)).await?;
        assert_eq!(ack.durable_prefix, rows as u64);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (total, each) = (rows as f64 * batches as f64, seconds * 1000.0 / batches as f64);
    writeln(&format!(
        "{rows:>7} rows a batch: {:>9.0} rows/s, {each:.1} ms a batch",
        total / seconds
    ))
}

/// Ten columns, as a flat view of patients has them.
fn patients(rows: usize) -> Result<RecordBatch, arrow::error::ArrowError> {
    let numbers = 0..rows as i32;
    let text = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            numbers.clone().map(|n| format!("{prefix}{}", n * 7919)),
        ))
    };
    let times = numbers
        .clone()
        .map(|n| 1_700_000_000_000_000 + i64::from(n) * 1_000_003);
    RecordBatch::try_from_iter([
        ("id", text("p-")),
        ("family", text("Family")),
        ("given", text("Given")),
        (
            "gender",
            Arc::new(StringArray::from_iter_values(
                numbers.clone().map(|n| ["female", "male"][n as usize % 2]),
            )),
        ),
        (
            "birth_date",
            Arc::new(Date32Array::from_iter_values(numbers.clone())),
        ),
        ("city", text("City")),
        ("postal_code", text("")),
        ("version", Arc::new(Int32Array::from_iter_values(numbers.clone()))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("+00:00")),
        ),
        ("is_deleted", Arc::new(Int32Array::from(vec![0; rows]))),
    ])
}

fn meta(batch_number: u64, rows: usize) -> BatchMeta {
    BatchMeta {
        destination: "bench".into(),
        generation: 1,
        batch_number,
        attempt: 1,
        idempotency_key: format!("bench-1-{batch_number}"),
        first_offset: batch_number,
        last_offset: batch_number,
        source: Source::Live,
        schema_id: 1,
        change_starts: (0..rows as u64).collect(),
        deadline: Deadline::none(),
        traceparent: String::new(),
    }
}

fn writeln(line: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
