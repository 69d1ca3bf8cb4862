//! The body of a request written from Arrow columns, beside arrow-json's writer on the same batch, on one core.
//!
//!     cargo bench -p lakefeed-plugin-zerobus --bench body
//!
//! Prints a line for each batch: rows a second of both, and how many times as fast ours is. The batches have the columns
//! of two flat views, patients (seven) and observations (eighteen), and `is_deleted`.
//!
//! That writer makes ISO texts of days and instants, which the service refuses; what it does when they are made numbers
//! before stands at the end of the line.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::json::ArrayWriter;
use lakefeed_plugin_zerobus::body::Columns;

const ROWS: i32 = 5_000;
const ROUNDS: usize = 200;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    for (name, batch) in [("patients", patients()?), ("observations", observations()?)] {
        let [ours, theirs, of_numbers] = best(&batch, [ours, theirs, theirs_of_numbers])?;
        let rate = |time: Duration| f64::from(ROWS) / time.as_secs_f64();
        writeln!(
            std::io::stdout(),
            "{name:>13}: {:>9.0} rows/s; arrow-json {:>9.0} rows/s: {:.1} times as fast; of numbers {:>9.0} rows/s: {:.1} times",
            rate(ours),
            rate(theirs),
            theirs.as_secs_f64() / ours.as_secs_f64(),
            rate(of_numbers),
            of_numbers.as_secs_f64() / ours.as_secs_f64()
        )?;
    }
    Ok(())
}

type Writer = fn(&RecordBatch) -> Result<Vec<u8>, Failure>;

/// The best of many runs of each, by turns: what the code can do when nobody else is at work.
fn best(batch: &RecordBatch, writers: [Writer; 3]) -> Result<[Duration; 3], Failure> {
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (best, writer) in best.iter_mut().zip(writers) {
            let start = Instant::now();
            black_box(writer(batch)?);
            *best = start.elapsed().min(*best);
        }
    }
    Ok(best)
}

fn ours(batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let columns = Columns::of(batch)?;
    let mut body = Vec::with_capacity(columns.room(batch.num_rows()));
    body.push(b'[');
    let written = columns.push_rows(&mut body, 0..batch.num_rows());
    written.map_err(|no_json| no_json.problem)?;
    body.push(b']');
    Ok(body)
}

fn theirs(batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let mut writer = ArrayWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

fn theirs_of_numbers(batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let names = batch.schema();
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Date32 => Arc::new(
                column
                    .as_primitive::<Date32Type>()
                    .reinterpret_cast::<Int32Type>(),
            ),
            DataType::Timestamp(..) => Arc::new(
                column
                    .as_primitive::<TimestampMicrosecondType>()
                    .reinterpret_cast::<Int64Type>(),
            ),
            _ => Arc::clone(column),
        }
    });
    let names = names.fields().iter().map(|field| field.name());
    theirs(&RecordBatch::try_from_iter(names.zip(columns))?)
}

fn text(prefix: &str, empty_each: i32) -> ArrayRef {
    let value = |n: i32| (n % empty_each != 0).then(|| format!("{prefix}{}", n.wrapping_mul(7_919)));
    Arc::new((1..=ROWS).map(value).collect::<StringArray>())
}

fn time() -> ArrayRef {
    let times = (0..ROWS).map(|n| Some(1_700_000_000_000_000 + i64::from(n) * 1_000_003));
    Arc::new(
        times
            .collect::<TimestampMicrosecondArray>()
            .with_timezone("+00:00"),
    )
}

fn marker() -> ArrayRef {
    Arc::new(Int32Array::from(vec![0; 5_000]))
}

fn patients() -> Result<RecordBatch, ArrowError> {
    let days: Date32Array = (0..ROWS).map(|n| (n % 17 != 0).then_some(7_000 + n)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("id", text("p-", i32::MAX), true),
        ("ts", time(), true),
        ("cts", time(), true),
        ("gender", text("gender-", 11), true),
        ("birth_date", Arc::new(days) as ArrayRef, true),
        ("family_name", text("Family", 19), true),
        ("given_name", text("Given Middle ", 13), true),
        ("is_deleted", marker(), true),
    ])
}

fn observations() -> Result<RecordBatch, ArrowError> {
    let number = || -> ArrayRef {
        let value = |n: i32| (n % 5 != 0).then(|| f64::from(n) / 8.0);
        Arc::new((0..ROWS).map(value).collect::<Float64Array>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("id", text("Observation/", i32::MAX), true),
        (
            "patient_key",
            text("Patient/3f1c2a7e-77aa-4c57-9d3c-", i32::MAX),
            true,
        ),
        (
            "encounter_key",
            text("Encounter/9b2f6a1d-12ab-4f11-8a4e-", 9),
            true,
        ),
        ("status", text("final", i32::MAX), true),
        ("category", text("laboratory", 7), true),
        ("effective", time(), true),
        ("issued", time(), true),
        ("value", number(), true),
        ("value_unit", text("mm[Hg]", 5), true),
        ("value_ucum", text("mm[Hg]", 5), true),
        ("value_code", text("LA", 2), true),
        ("last_updated", time(), true),
        ("code_system", text("http://loinc.org/", i32::MAX), true),
        ("code", text("85354-", i32::MAX), true),
        (
            "code_display",
            text("Blood pressure panel with all children optional ", i32::MAX),
            true,
        ),
        ("component_code", text("8480-", 3), true),
        ("component_value", number(), true),
        ("component_unit", text("mm[Hg]", 3), true),
        ("is_deleted", marker(), true),
    ])
}
