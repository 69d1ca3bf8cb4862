//! What the log says of a data file's values, so that readers can pass over the file.
//!
//! Bounds may be wider than the values, never narrower: long strings are cut, times are rounded outwards to the
//! milliseconds that the log can write.

use arrow::array::{
    Array, ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::ArrowPrimitiveType;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde_json::{Map, Value, json};

/// How many characters of a string are kept.
const STRING_LENGTH: usize = 32;

/// One column's bounds while its file is being written.
#[derive(Clone, Debug, Default)]
struct ColumnStats {
    nulls: u64,
    bounds: Option<Bounds>,
    /// A value that no bound can be written for (not a number, a year of five digits).
    unbounded: bool,
}

#[derive(Clone, Debug)]
enum Bounds {
    Text(String, String),
    Day(i32, i32),
    Micros(i64, i64),
    Integer(i64, i64),
    Float(f64, f64),
}

/// The statistics of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileStats {
    rows: u64,
    columns: Vec<(String, ColumnStats)>,
}

impl FileStats {
    /// Takes in rows. The first `indexed` columns are looked at.
    pub(crate) fn add(&mut self, batch: &RecordBatch, indexed: usize) {
        if self.columns.is_empty() {
            let fields = batch.schema_ref().fields().iter().take(indexed);
            self.columns = fields
                .map(|field| (field.name().clone(), ColumnStats::default()))
                .collect();
        }
        self.rows += batch.num_rows() as u64;
        for ((_, stats), array) in self.columns.iter_mut().zip(batch.columns()) {
            stats.add(array);
        }
    }

    /// How many rows were taken in.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The text that the log holds.
    pub(crate) fn to_json(&self) -> String {
        let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, stats) in &self.columns {
            nulls.insert(name.clone(), stats.nulls.into());
            if let Some((low, high)) = stats.written() {
                least.insert(name.clone(), low);
                most.insert(name.clone(), high);
            }
        }
        json!({"numRecords": self.rows, "minValues": least, "maxValues": most, "nullCount": nulls})
            .to_string()
    }
}

impl ColumnStats {
    fn add(&mut self, array: &ArrayRef) {
        self.nulls += array.null_count() as u64;
        let any = array.as_any();
        let found = if let Some(array) = any.downcast_ref::<StringArray>() {
            text_bounds(array)
        } else if let Some(array) = any.downcast_ref::<Date32Array>() {
            range(array).map(|(low, high)| Bounds::Day(low, high))
        } else if let Some(array) = any.downcast_ref::<TimestampMicrosecondArray>() {
            range(array).map(|(low, high)| Bounds::Micros(low, high))
        } else if let Some(array) = any.downcast_ref::<Int32Array>() {
            range(array).map(|(low, high)| Bounds::Integer(low.into(), high.into()))
        } else if let Some(array) = any.downcast_ref::<Int64Array>() {
            range(array).map(|(low, high)| Bounds::Integer(low, high))
        } else if let Some(array) = any.downcast_ref::<Float64Array>() {
            self.unbounded |= array.iter().flatten().any(|value| !value.is_finite());
            range(array).map(|(low, high)| Bounds::Float(low, high))
        } else {
            None
        };
        if let Some(found) = found {
            self.bounds = Some(match self.bounds.take() {
                Some(bounds) => bounds.join(found),
                None => found,
            });
        }
    }

    fn written(&self) -> Option<(Value, Value)> {
        if self.unbounded {
            return None;
        }
        match self.bounds.as_ref()? {
            Bounds::Text(low, high) => Some((cut_down(low).into(), cut_up(high)?.into())),
            Bounds::Day(low, high) => Some((day(*low)?.into(), day(*high)?.into())),
            Bounds::Micros(low, high) => Some((
                time(low.div_euclid(1000))?.into(),
                time(high.div_euclid(1000) + 1)?.into(),
            )),
            Bounds::Integer(low, high) => Some(((*low).into(), (*high).into())),
            Bounds::Float(low, high) => Some(((*low).into(), (*high).into())),
        }
    }
}

impl Bounds {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text(a, b), Self::Text(c, d)) => Self::Text(a.min(c), b.max(d)),
            (Self::Day(a, b), Self::Day(c, d)) => Self::Day(a.min(c), b.max(d)),
            (Self::Micros(a, b), Self::Micros(c, d)) => Self::Micros(a.min(c), b.max(d)),
            (Self::Integer(a, b), Self::Integer(c, d)) => Self::Integer(a.min(c), b.max(d)),
            (Self::Float(a, b), Self::Float(c, d)) => Self::Float(a.min(c), b.max(d)),
            // A column keeps its type within a file.
            (bounds, _) => bounds,
        }
    }
}

fn range<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Option<(T::Native, T::Native)>
where
    T::Native: PartialOrd,
{
    let mut values = array.iter().flatten();
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| {
        (
            if value < low { value } else { low },
            if value > high { value } else { high },
        )
    }))
}

fn text_bounds(array: &StringArray) -> Option<Bounds> {
    let low = array.iter().flatten().min()?;
    let high = array.iter().flatten().max()?;
    Some(Bounds::Text(low.to_owned(), high.to_owned()))
}

fn cut_down(text: &str) -> String {
    text.chars().take(STRING_LENGTH).collect()
}

/// A cut upper bound must still lie above what it was cut from: the last of all characters follows the cut.
fn cut_up(text: &str) -> Option<String> {
    if text.chars().count() <= STRING_LENGTH {
        return Some(text.to_owned());
    }
    // Text that itself begins with the last of all characters is left without bounds.
    let mut cut = cut_down(text);
    cut.push(char::MAX);
    (cut.as_str() > text).then_some(cut)
}

fn day(days: i32) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let date = epoch.checked_add_signed(TimeDelta::try_days(days.into())?)?;
    (0..=9999)
        .contains(&date.year())
        .then(|| date.format("%Y-%m-%d").to_string())
}

fn time(millis: i64) -> Option<String> {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
    (0..=9999)
        .contains(&time.year())
        .then(|| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn check(array: ArrayRef, expect: &str) {
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let mut stats = FileStats::default();
        stats.add(&batch.slice(0, 1), 32);
        stats.add(&batch.slice(1, batch.num_rows() - 1), 32);
        let json: Value = serde_json::from_str(&stats.to_json()).unwrap();
        let found = format!(
            "{} {} {}",
            json["minValues"]["c"], json["maxValues"]["c"], json["nullCount"]["c"]
        );
        assert_eq!(found, expect);
    }

    #[test]
    fn bounds_hold_every_value() {
        check(
            Arc::new(Int32Array::from(vec![Some(3), None, Some(-1)])),
            "-1 3 1",
        );
        check(
            Arc::new(Int64Array::from(vec![i64::MAX, 0])),
            "0 9223372036854775807 0",
        );
        check(Arc::new(Float64Array::from(vec![1.5, -2.5])), "-2.5 1.5 0");
        check(Arc::new(Float64Array::from(vec![1.5, f64::NAN])), "null null 0");
        check(
            Arc::new(Date32Array::from(vec![0, -1])),
            r#""1969-12-31" "1970-01-01" 0"#,
        );
        check(Arc::new(Date32Array::from(vec![0, i32::MAX])), "null null 0");
        check(
            Arc::new(StringArray::from(vec![Some("b"), Some("ä"), None])),
            r#""b" "ä" 1"#,
        );
        let times = TimestampMicrosecondArray::from(vec![-1, 1]).with_timezone("+00:00");
        check(
            Arc::new(times),
            r#""1969-12-31T23:59:59.999Z" "1970-01-01T00:00:00.001Z" 0"#,
        );
    }

    #[test]
    fn long_text_is_cut_so_that_its_bounds_still_hold_it() {
        let long = "x".repeat(40);
        let (low, high) = (cut_down(&long), cut_up(&long).unwrap());
        assert!(low.len() == 32 && low < long && high > long && high.chars().count() == 33);
        assert_eq!(cut_up(&char::MAX.to_string().repeat(40)), None);
        assert_eq!(cut_up("short").unwrap(), "short");
    }

    #[test]
    fn columns_past_the_indexed_ones_are_left_out() {
        let array: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("a", array.clone()), ("b", array)]).unwrap();
        let mut stats = FileStats::default();
        stats.add(&batch, 1);
        let expect = r#"{"numRecords":1,"minValues":{"a":1},"maxValues":{"a":1},"nullCount":{"a":0}}"#;
        assert_eq!(stats.to_json(), expect);
        assert_eq!(stats.rows(), 1);
    }
}
