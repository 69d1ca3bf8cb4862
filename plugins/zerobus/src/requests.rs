//! Which changes of a batch go together in one request, and which requests may be under way together.
//!
//! Never inside one change. Two requests that share a resource are not under way together, since the service promises no
//! order between requests (W 2.2); without a column `id` nothing is known of resources, and requests follow each other.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use lakefeed_plugin_api::Refusal;

use crate::ZerobusError;
use crate::body::{Columns, NoJson};
use crate::settled::Settled;

/// The largest body of a request: the service's own client stops there (W 2.4, 3.4).
pub(crate) const MAX_BODY: usize = (10 << 20) - (64 << 10);
/// Fewer rows than this are not worth a request of their own.
const FEW_ROWS: usize = 256;

/// A batch, cut.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// In the order of the changes.
    pub(crate) requests: Vec<Request>,
    /// Changes that cannot be written, ascending.
    pub(crate) refused: Vec<Refusal>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The JSON array; empty if all its changes are settled or refused.
    pub(crate) body: Bytes,
    /// The changes that it settles.
    pub(crate) changes: Range<usize>,
    /// The rows that it writes.
    pub(crate) rows: usize,
    /// Whether it waits for all before it.
    pub(crate) waits: bool,
    /// Where each change's rows stand in the body.
    kept: Vec<Range<usize>>,
    /// What those of its changes are known by that were durable before and are not in the body.
    pub(crate) settled: Vec<u128>,
}

impl Request {
    /// What the changes in the body are known by, to be remembered where a request before it failed.
    pub(crate) fn marks(&self) -> impl Iterator<Item = u128> {
        self.kept
            .iter()
            .map(|rows| Settled::mark(&self.body[rows.clone()]))
    }
}

/// The table's own spelling of its columns, by their names in lower case: the service compares letters exactly (W 2.6),
/// and the catalog does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spelling(HashMap<String, String>);

impl Spelling {
    /// The spelling of these columns.
    pub(crate) fn of(names: impl Iterator<Item = String>) -> Self {
        Self(names.map(|name| (name.to_lowercase(), name)).collect())
    }

    fn spell(&self, name: &str) -> String {
        self.0
            .get(&name.to_lowercase())
            .map_or(name, String::as_str)
            .to_owned()
    }
}

/// What a batch is cut by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// The largest body, in bytes.
    pub(crate) max_body: usize,
    /// How many requests may be under way together.
    pub(crate) max_in_flight: usize,
}

/// Writes a batch's requests. `starts` is the row that each change begins with.
pub(crate) fn requests(
    batch: &RecordBatch,
    starts: &[u64],
    cut: Cut,
    spelling: &Spelling,
    settled: &mut Settled,
) -> Result<Requests, ZerobusError> {
    let columns = Columns::spelled(batch, |name| spelling.spell(name))?;
    let mut resources = Resources::of(batch, cut);
    let good_rows = batch.num_rows().div_ceil(cut.max_in_flight).max(FEW_ROWS);
    let room = columns.room(good_rows.min(batch.num_rows())).min(cut.max_body);
    let mut done = Requests::default();
    let mut open = Open::at(0, room);
    for (change, rows) in changes(starts, batch.num_rows()).enumerate() {
        let is_full = cut.max_in_flight > 1 && open.rows >= good_rows;
        if is_full {
            done.requests.push(open.close(&mut resources));
            open = Open::at(change, room);
        }
        let before = open.begin_change();
        let refusal = match columns.push_rows(&mut open.body, rows.clone()) {
            Ok(()) => too_large(&open.body[before..], change, rows.start, cut.max_body),
            Err(no_json) => Some(has_no_json(change, no_json)),
        };
        open.changes.end = change + 1;
        if let Some(refusal) = refusal {
            open.drop_change(before);
            done.refused.push(refusal);
            continue;
        }
        if let Some(mark) = settled.take(&open.body[before..]) {
            open.drop_change(before);
            open.settled.push(mark);
            continue;
        }
        if open.body.len() + 1 > cut.max_body {
            let later = open.split_off(before, change);
            done.requests
                .push(std::mem::replace(&mut open, later).close(&mut resources));
        }
        open.keep_change(before, rows);
    }
    if !open.changes.is_empty() {
        done.requests.push(open.close(&mut resources));
    }
    Ok(done)
}

/// The rows of each change.
fn changes(starts: &[u64], rows: usize) -> impl Iterator<Item = Range<usize>> {
    let row = move |start: u64| usize::try_from(start).unwrap_or(usize::MAX).min(rows);
    let ends = starts
        .iter()
        .skip(1)
        .copied()
        .map(row)
        .chain(std::iter::once(rows));
    starts
        .iter()
        .copied()
        .map(row)
        .zip(ends)
        .map(|(start, end)| start..end)
}

/// A request that is being written: `[` and rows with commas between.
struct Open {
    body: Vec<u8>,
    changes: Range<usize>,
    rows: usize,
    spans: Vec<Range<usize>>,
    kept: Vec<Range<usize>>,
    settled: Vec<u128>,
}

impl Open {
    /// One that begins with a change, and has room for so many bytes.
    fn at(change: usize, room: usize) -> Self {
        let mut body = Vec::with_capacity(room);
        body.push(b'[');
        Self {
            body,
            changes: change..change,
            rows: 0,
            spans: Vec::new(),
            kept: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Where the next change's rows begin in the body.
    fn begin_change(&mut self) -> usize {
        if self.rows > 0 {
            self.body.push(b',');
        }
        self.body.len()
    }

    fn drop_change(&mut self, before: usize) {
        self.body.truncate(before - usize::from(self.rows > 0));
    }

    fn keep_change(&mut self, before: usize, rows: Range<usize>) {
        // What was taken to another body stands at its beginning.
        let start = if self.rows == 0 { 1 } else { before };
        self.kept.push(start..self.body.len());
        self.rows += rows.len();
        self.spans.push(rows);
    }

    /// Takes the change that was begun last to a request of its own.
    fn split_off(&mut self, before: usize, change: usize) -> Self {
        let mut later = Self::at(change, self.body.capacity());
        later.body.extend_from_slice(&self.body[before..]);
        later.changes.end = change + 1;
        self.drop_change(before);
        self.changes.end = change;
        later
    }

    fn close(mut self, resources: &mut Resources<'_>) -> Request {
        let waits = resources.are_shared(&self.spans);
        self.body.push(b']');
        Request {
            body: if self.rows == 0 {
                Bytes::new()
            } else {
                self.body.into()
            },
            changes: self.changes,
            rows: self.rows,
            waits,
            kept: self.kept,
            settled: self.settled,
        }
    }
}

/// The resources of requests that may be under way.
struct Resources<'a> {
    ids: Option<&'a StringArray>,
    /// Each resource, and the last request that has it.
    under_way: HashMap<&'a str, usize>,
    request: usize,
    /// Whether a request that may be under way has a row without an id, which could be anybody's.
    has_unknown: bool,
    is_wanted: bool,
}

impl<'a> Resources<'a> {
    fn of(batch: &'a RecordBatch, cut: Cut) -> Self {
        let column = batch
            .column_by_name("id")
            .filter(|column| column.data_type() == &DataType::Utf8);
        Self {
            ids: column.map(|column| column.as_string()),
            under_way: HashMap::new(),
            request: 0,
            has_unknown: false,
            is_wanted: cut.max_in_flight > 1,
        }
    }

    /// Whether the rows are of a resource that a request before has too; that one is waited for then, with all others.
    fn are_shared(&mut self, spans: &[Range<usize>]) -> bool {
        let Some(ids) = self.ids.filter(|_| self.is_wanted) else {
            return true;
        };
        self.request += 1;
        let (request, mut is_shared, mut has_unknown) = (self.request, self.has_unknown, false);
        for row in spans.iter().cloned().flatten() {
            if ids.is_null(row) {
                has_unknown = true;
                continue;
            }
            let before = self.under_way.insert(ids.value(row), request);
            is_shared |= before.is_some_and(|before| before != request);
        }
        is_shared |= has_unknown;
        if is_shared {
            self.under_way.retain(|_, of| *of == request);
        }
        self.has_unknown = has_unknown;
        is_shared
    }
}

fn has_no_json(change: usize, no_json: NoJson) -> Refusal {
    Refusal {
        change: change as u64,
        row: Some(no_json.row as u64),
        message: format!("column `{}` {}", no_json.column, no_json.problem),
        column: no_json.column,
        code: "ZEROBUS-004".to_owned(),
    }
}

fn too_large(rows: &[u8], change: usize, row: usize, max_body: usize) -> Option<Refusal> {
    let bytes = rows.len() + 2;
    (bytes > max_body).then(|| Refusal {
        change: change as u64,
        row: Some(row as u64),
        column: String::new(),
        code: "ZEROBUS-003".to_owned(),
        message: format!(
            "the change alone takes a request of {bytes} bytes, and the service takes {max_body}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array};

    use super::*;

    fn batch(ids: &[&str]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        RecordBatch::try_from_iter([("id", column)]).unwrap()
    }

    /// Each request as `changes rows body`, and the changes that are refused.
    fn cut_as(
        batch: &RecordBatch,
        starts: &[u64],
        max_body: usize,
        settled: &mut Settled,
    ) -> (Vec<String>, Vec<u64>) {
        let cut = Cut {
            max_body,
            max_in_flight: 1,
        };
        let requests = requests(batch, starts, cut, &Spelling::default(), settled).unwrap();
        let shown = requests.requests.iter().map(|request| {
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            format!("{:?} {} {body}", request.changes, request.rows)
        });
        (
            shown.collect(),
            requests.refused.iter().map(|refusal| refusal.change).collect(),
        )
    }

    #[test]
    fn a_batch_is_one_array_as_long_as_it_fits() {
        let (shown, refused) = cut_as(&batch(&["a", "b"]), &[0, 1], MAX_BODY, &mut Settled::default());
        assert_eq!(shown, [r#"0..2 2 [{"id":"a"},{"id":"b"}]"#]);
        assert!(refused.is_empty());
        assert!(
            cut_as(&batch(&[]), &[], MAX_BODY, &mut Settled::default())
                .0
                .is_empty()
        );
    }

    #[test]
    fn a_body_that_would_be_too_large_is_cut_between_changes() {
        // Three changes of one, two and one rows; a row takes ten bytes.
        let (shown, refused) = cut_as(
            &batch(&["a", "b", "b", "c"]),
            &[0, 1, 3],
            34,
            &mut Settled::default(),
        );
        assert_eq!(
            shown,
            [
                r#"0..2 3 [{"id":"a"},{"id":"b"},{"id":"b"}]"#,
                r#"2..3 1 [{"id":"c"}]"#
            ]
        );
        assert!(refused.is_empty());
        assert!(
            shown
                .iter()
                .all(|shown| shown.split(' ').nth(2).unwrap().len() <= 34)
        );
    }

    #[test]
    fn a_change_that_alone_is_too_large_is_refused_and_the_rest_is_sent() {
        let long = "x".repeat(40);
        let (shown, refused) = cut_as(
            &batch(&["a", &long, "c"]),
            &[0, 1, 2],
            34,
            &mut Settled::default(),
        );
        assert_eq!(shown, [r#"0..3 2 [{"id":"a"},{"id":"c"}]"#]);
        assert_eq!(refused, [1]);
        let (shown, refused) = cut_as(&batch(&[&long]), &[0], 34, &mut Settled::default());
        assert_eq!((shown, refused), (vec!["0..1 0 ".to_owned()], vec![0]));
    }

    #[test]
    fn a_value_without_json_refuses_its_whole_change() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "b", "c"]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, f64::NAN, 3.0]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("n", numbers)]).unwrap();
        let (shown, refused) = cut_as(&batch, &[0, 1, 3], MAX_BODY, &mut Settled::default());
        assert_eq!(shown, [r#"0..3 2 [{"id":"a","n":1.0},{"id":"c","n":3.0}]"#]);
        assert_eq!(refused, [1]);
    }

    #[test]
    fn requests_that_share_a_resource_wait_for_each_other() {
        let ids: Vec<String> = (0..2_048)
            .map(|n| format!("p-{}", if n == 1_100 { 3 } else { n }))
            .collect();
        let batch = batch(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let starts: Vec<u64> = (0..2_048).collect();
        let cut = Cut {
            max_body: MAX_BODY,
            max_in_flight: 4,
        };
        let cut = requests(
            &batch,
            &starts,
            cut,
            &Spelling::default(),
            &mut Settled::default(),
        )
        .unwrap();
        let shown: Vec<(Range<usize>, bool)> = cut
            .requests
            .iter()
            .map(|request| (request.changes.clone(), request.waits))
            .collect();
        assert_eq!(
            shown,
            [
                (0..512, false),
                (512..1024, false),
                (1024..1536, true),
                (1536..2048, false)
            ]
        );
    }

    #[test]
    fn a_request_with_a_row_without_an_id_is_alone_under_way() {
        let ids: Vec<Option<String>> = (0..1_024).map(|n| (n != 300).then(|| format!("p-{n}"))).collect();
        let column: ArrayRef = Arc::new(StringArray::from(ids));
        let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
        let starts: Vec<u64> = (0..1_024).collect();
        let cut = Cut {
            max_body: MAX_BODY,
            max_in_flight: 4,
        };
        let cut = requests(
            &batch,
            &starts,
            cut,
            &Spelling::default(),
            &mut Settled::default(),
        )
        .unwrap();
        let waits: Vec<bool> = cut.requests.iter().map(|request| request.waits).collect();
        assert_eq!(waits, [false, true, true, false]);
    }

    #[test]
    fn a_change_is_known_by_its_rows_in_whichever_body_it_came_to_stand() {
        let cut = Cut {
            max_body: 34,
            max_in_flight: 4,
        };
        let cut = requests(
            &batch(&["a", "b", "b", "c"]),
            &[0, 1, 3],
            cut,
            &Spelling::default(),
            &mut Settled::default(),
        )
        .unwrap();
        let marks: Vec<u128> = cut.requests.iter().flat_map(Request::marks).collect();
        let rows: [&[u8]; 3] = [br#"{"id":"a"}"#, br#"{"id":"b"},{"id":"b"}"#, br#"{"id":"c"}"#];
        assert_eq!(marks, rows.map(Settled::mark));
    }

    #[test]
    fn columns_are_spelled_as_the_table_does() {
        let spelling = Spelling::of(["ID".to_owned()].into_iter());
        let cut = Cut {
            max_body: MAX_BODY,
            max_in_flight: 1,
        };
        let cut = requests(&batch(&["a"]), &[0], cut, &spelling, &mut Settled::default()).unwrap();
        assert_eq!(cut.requests[0].body, r#"[{"ID":"a"}]"#);
    }

    #[test]
    fn what_is_settled_is_not_sent_again() {
        let mut settled = Settled::default();
        settled.remember(7, [Settled::mark(br#"{"id":"b"}"#)]);
        let (shown, _) = cut_as(
            &batch(&["a", "b", "b", "c"]),
            &[0, 1, 2, 3],
            MAX_BODY,
            &mut settled,
        );
        assert_eq!(shown, [r#"0..4 3 [{"id":"a"},{"id":"b"},{"id":"c"}]"#]);
    }
}
