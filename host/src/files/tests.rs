//! What the forms, the threads and the refusals of a run promise.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::record_batch::RecordBatch;
use lakefeed_view::{CompileOptions, View, ViewDefinition, print};
use tempfile::TempDir;

use super::*;

const VIEW: &str = r#"{"resource": "Patient", "select": [
    {"column": [{"name": "id", "path": "id"}, {"name": "active", "path": "active"}, {"name": "born", "path": "birthDate"},
        {"name": "given", "path": "name.given", "collection": true}]},
    {"forEachOrNull": "telecom", "column": [{"name": "phone", "path": "value"}]}]}"#;

fn view() -> Arc<View> {
    let definition = ViewDefinition::parse(VIEW.as_bytes()).unwrap();
    Arc::new(View::compile(&definition, &CompileOptions::default()).unwrap())
}

fn patient(number: usize) -> String {
    let telecom: Vec<String> = (0..number % 4)
        .map(|phone| format!(r#"{{"value":"{number}-{phone}"}}"#))
        .collect();
    let given = ["", r#""Ada""#, r#""Ada","B \"x\"""#][number % 3];
    let padding = "x".repeat(number % 997);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","active":{},"birthDate":"19{:02}-01","name":[{{"given":[{given}]}}],"telecom":[{}],"text":{{"div":"{padding}"}}}}"#,
        number.is_multiple_of(2),
        number % 100,
        telecom.join(",")
    )
}

struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, lines: impl Iterator<Item = String>) -> PathBuf {
        let mut file = File::create(self.path(name)).unwrap();
        lines.for_each(|line| writeln!(file, "{line}").unwrap());
        self.path(name)
    }

    fn job(&self, inputs: &[&str], format: Format, threads: usize) -> Job {
        Job {
            inputs: inputs.iter().map(|name| self.path(name)).collect(),
            output: Some(self.path("rows")),
            format,
            on_error: OnError::Stop,
            threads,
            check: Check::Read,
            needs_meta: false,
        }
    }

    fn rows(&self) -> String {
        fs::read_to_string(self.path("rows")).unwrap()
    }
}

fn done(job: &Job) -> Summary {
    run(&view(), job, &|_| ()).unwrap()
}

fn printed(batches: impl Iterator<Item = RecordBatch>) -> String {
    let mut text = Vec::new();
    batches.for_each(|batch| print::ndjson(&batch, &mut text).unwrap());
    String::from_utf8(text).unwrap()
}

fn parquet(path: &Path) -> String {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    printed(reader.build().unwrap().map(Result::unwrap))
}

#[test]
fn the_output_is_the_same_on_any_number_of_threads() {
    let site = Site::new();
    site.write("a", (0..9000).map(patient));
    site.write("b", (9000..9010).map(patient));
    for format in [
        Format::Ndjson,
        Format::Csv,
        Format::Json,
        Format::Parquet,
        Format::Arrow,
        Format::ArrowStream,
    ] {
        let mut outputs = [1, 2, 7].map(|threads| {
            let summary = done(&site.job(&["a", "b"], format, threads));
            assert_eq!(summary.progress.resources, 9010);
            assert_eq!(summary.progress.rows, 9010 / 4 * 7 + 1 + 1);
            fs::read(site.path("rows")).unwrap()
        });
        let [one, others @ ..] = &mut outputs;
        assert!(others.iter().all(|other| other == one), "{format:?}");
    }
}

#[test]
fn every_form_holds_the_same_rows() {
    let site = Site::new();
    site.write("a", (0..75_000).map(patient));
    done(&site.job(&["a"], Format::Ndjson, 2));
    let rows = site.rows();
    assert!(
        rows.lines().count() > 120 << 10,
        "there is more than one row group"
    );
    done(&site.job(&["a"], Format::Parquet, 2));
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(site.path("rows")).unwrap()).unwrap();
    assert_eq!(file.metadata().num_row_groups(), 2);
    assert!(parquet(&site.path("rows")) == rows);
    done(&site.job(&["a"], Format::Arrow, 2));
    let file = arrow::ipc::reader::FileReader::try_new(File::open(site.path("rows")).unwrap(), None).unwrap();
    assert!(printed(file.map(Result::unwrap)) == rows);
    done(&site.job(&["a"], Format::ArrowStream, 2));
    let stream =
        arrow::ipc::reader::StreamReader::try_new(File::open(site.path("rows")).unwrap(), None).unwrap();
    assert!(printed(stream.map(Result::unwrap)) == rows);
    done(&site.job(&["a"], Format::Json, 2));
    let array: Vec<serde_json::Value> = serde_json::from_str(&site.rows()).unwrap();
    let lines = rows
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(lines.eq(array));
}

#[test]
fn without_rows_every_form_is_whole() {
    let site = Site::new();
    site.write(
        "a",
        ["".to_owned(), r#"{"resourceType":"Observation"}"#.to_owned()].into_iter(),
    );
    done(&site.job(&["a"], Format::Json, 2));
    assert_eq!(site.rows(), "[]\n");
    done(&site.job(&["a"], Format::Csv, 2));
    assert_eq!(site.rows(), "id,active,born,given,phone\n");
    done(&site.job(&["a"], Format::Parquet, 2));
    assert_eq!(parquet(&site.path("rows")), "");
    done(&site.job(&["a"], Format::Arrow, 2));
    let file = arrow::ipc::reader::FileReader::try_new(File::open(site.path("rows")).unwrap(), None).unwrap();
    assert_eq!(file.schema().fields().len(), 5);
    assert_eq!(file.count(), 0);
}

/// Lines of which some are refused: each fifth thousandth has two ids.
fn with_bad_lines(site: &Site) {
    site.write(
        "a",
        (0..20_000).map(|number| match number % 5000 {
            4000 => r#"{"resourceType":"Patient","id":"a","id":"Geheim"}"#.to_owned(),
            _ => patient(number),
        }),
    );
    site.write("b", [patient(1), "{".to_owned()].into_iter());
}

#[test]
fn it_stops_at_the_first_line_that_is_refused_on_any_number_of_threads() {
    let site = Site::new();
    with_bad_lines(&site);
    for threads in [1, 2, 7] {
        for format in [Format::Ndjson, Format::Parquet] {
            let summary = done(&site.job(&["a", "b"], format, threads));
            assert_eq!(summary.progress.resources, 4000);
            let stopped = summary.stopped.unwrap().to_string();
            assert!(
                stopped.ends_with("a:4001: an object has the key `id` twice, at byte 35 [VIEW-101]"),
                "{stopped}"
            );
        }
        assert!(parquet(&site.path("rows")).ends_with("\"phone\":\"3999-2\"}\n"));
    }
}

#[test]
fn what_is_refused_is_passed_over_and_named() {
    let site = Site::new();
    with_bad_lines(&site);
    let report = site.path("refused");
    for on_error in [OnError::Skip, OnError::Report(report.clone())] {
        let job = Job {
            on_error,
            ..site.job(&["a", "b"], Format::Ndjson, 2)
        };
        let summary = done(&job);
        assert_eq!(summary.progress.resources, 20_000 - 4 + 1);
        assert_eq!(summary.progress.refused, 5);
        let lines: Vec<_> = summary.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [4001, 9001, 14_001, 19_001, 2]);
        assert!(summary.stopped.is_none());
    }
    let text = fs::read_to_string(report).unwrap();
    assert_eq!(text.lines().count(), 5);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["line"], 4001);
    assert!(first["problem"].as_str().unwrap().contains("twice"));
    assert!(!text.contains("Geheim"), "{text}");
}

#[test]
fn the_whole_line_is_checked_where_that_is_asked_for() {
    let site = Site::new();
    let lax = r#"{"resourceType":"Patient","id":"a","unread":[tru,"x":]}"#;
    site.write("a", std::iter::once(lax.to_owned()));
    let job = site.job(&["a"], Format::Ndjson, 1);
    assert!(done(&job).stopped.is_none());
    let strict = Job {
        check: Check::Whole,
        ..job
    };
    assert!(done(&strict).stopped.is_some());
}

#[test]
fn a_file_that_ends_early_is_an_error_after_the_rows_that_came() {
    let site = Site::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..20_000).for_each(|number| writeln!(packed, "{}", patient(number)).unwrap());
    let mut packed = packed.finish().unwrap();
    packed.truncate(packed.len() * 9 / 10);
    fs::write(site.path("a"), packed).unwrap();
    let error = run(&view(), &site.job(&["a"], Format::Parquet, 2), &|_| ()).unwrap_err();
    assert!(error.to_string().contains("a cannot be read"), "{error}");
    assert!(parquet(&site.path("rows")).lines().count() > 10_000);
    let missing = run(&view(), &site.job(&["missing"], Format::Ndjson, 2), &|_| ()).unwrap_err();
    assert!(
        missing.to_string().contains("missing cannot be read"),
        "{missing}"
    );
}

#[test]
fn what_is_read_is_not_overwritten() {
    let site = Site::new();
    let text = patient(1);
    site.write("rows", std::iter::once(text.clone()));
    let error = run(&view(), &site.job(&["rows"], Format::Ndjson, 2), &|_| ()).unwrap_err();
    assert!(error.to_string().contains("name another file"), "{error}");
    assert_eq!(site.rows(), format!("{text}\n"));
}

#[test]
fn it_says_how_far_it_is() {
    let site = Site::new();
    let length = fs::metadata(site.write("a", (0..9000).map(patient)))
        .unwrap()
        .len();
    let last = std::sync::Mutex::new(Progress::default());
    let report = |progress: Progress| *last.lock().unwrap() = progress;
    run(&view(), &site.job(&["a"], Format::Ndjson, 1), &report).unwrap();
    let last = *last.lock().unwrap();
    assert_eq!((last.bytes, last.resources, last.refused), (length, 9000, 0));
}

#[test]
fn a_full_disk_is_called_one_in_every_form() {
    let site = Site::new();
    site.write("a", (0..9000).map(patient));
    for format in [
        Format::Ndjson,
        Format::Json,
        Format::Parquet,
        Format::Arrow,
        Format::ArrowStream,
    ] {
        let job = Job {
            output: Some("/dev/full".into()),
            ..site.job(&["a"], format, 2)
        };
        let error = run(&view(), &job, &|_| ()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the rows cannot be written: No space"),
            "{format:?}: {error}"
        );
    }
}
