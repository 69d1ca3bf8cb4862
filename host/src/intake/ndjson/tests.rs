//! Imports of files that are good, bad, compressed and repeated.

use std::io::Write as _;
use std::sync::Arc;

use super::*;
use crate::change::{Matched, ResourceKey, Timestamp};
use crate::log::Matcher;

struct Bench {
    folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    intake: Intake,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let matcher: Matcher = Arc::new(|_, _, _| Matched::default());
        Self {
            log: crate::log::open(&url, Arc::new(Timestamp::now)).await.unwrap(),
            intake: Intake::new(Arc::new(move || matcher.clone()), 1000),
            folder,
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn import(&self, files: Vec<PathBuf>) -> ImportSummary {
        self.import_as(files, OnInvalid::Refuse).await
    }

    async fn import_as(&self, files: Vec<PathBuf>, on_invalid: OnInvalid) -> ImportSummary {
        let options = ImportOptions {
            batch_resources: 3,
            listed_bad_lines: 2,
            on_invalid,
            ..ImportOptions::default()
        };
        import(&*self.log, &self.intake, files, options, |_, _| {})
            .await
            .unwrap()
    }

    async fn has(&self, id: &str) -> bool {
        let key = ResourceKey::new("Patient", id).unwrap();
        self.log.current(&key).await.unwrap().is_some()
    }
}

fn patients(ids: std::ops::Range<usize>) -> String {
    ids.map(|id| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{id}\"}}\n"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_reported_by_its_number_and_the_rest_is_imported() {
    let bench = Bench::new().await;
    let text = format!(
        "{}{{\"resourceType\":\"Patient\",\n{}",
        patients(0..5),
        patients(5..10)
    );
    let file = bench.file("Patient.ndjson", &text);
    let summary = bench.import(vec![file.clone()]).await;
    assert_eq!((summary.progress.imported, summary.progress.refused), (10, 1));
    assert_eq!(
        (&summary.bad_lines[0].file, summary.bad_lines[0].line),
        (&file, 6)
    );
    assert!(summary.bad_lines[0].refusal.to_string().contains("INTAKE-002"));
    assert_eq!(summary.progress.bytes, text.len() as u64);
    assert!(bench.has("p4").await && bench.has("p9").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_read_by_name_with_its_folders_and_its_gzip_files() {
    let bench = Bench::new().await;
    let folder = bench.folder.path().join("in/deeper");
    std::fs::create_dir_all(&folder).unwrap();
    bench.file("in/b.ndjson", &patients(0..1));
    bench.file("in/readme.txt", "no");
    let gzip = std::fs::File::create(folder.join("a.ndjson.gz")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(gzip, flate2::Compression::fast());
    encoder.write_all(patients(1..3).as_bytes()).unwrap();
    encoder.finish().unwrap();
    let found = files(&bench.folder.path().join("in")).unwrap();
    assert_eq!(found.len(), 2);
    let summary = bench.import(found).await;
    assert_eq!((summary.progress.imported, summary.progress.files), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_without_an_id_gets_one_and_a_definition_is_not_imported() {
    let bench = Bench::new().await;
    let text = "{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"ViewDefinition\"}\n{\"resourceType\":\"Patiend\"}\n";
    let summary = bench.import(vec![bench.file("x.ndjson", text)]).await;
    assert_eq!((summary.progress.imported, summary.progress.refused), (1, 2));
    assert_eq!(summary.bad_lines[0].refusal, Refusal::Definition);
}

/// Lines 2, 4, 6 and so on are not valid.
fn half_invalid(count: usize) -> String {
    let pair = |id: usize| {
        format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"good{id}\"}}\n\
             {{\"resourceType\":\"Patient\",\"id\":\"odd{id}\",\"name\":[{{\"given\":\"Secret\"}}],\"nme\":1}}\n"
        )
    };
    (0..count).map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_not_r4_is_refused_with_its_places() {
    let bench = Bench::new().await;
    let summary = bench.import(vec![bench.file("x.ndjson", &half_invalid(4))]).await;
    assert_eq!(
        (
            summary.progress.imported,
            summary.progress.refused,
            summary.progress.invalid
        ),
        (4, 4, 0)
    );
    assert_eq!((summary.bad_lines.len(), summary.bad_lines[1].line), (2, 4));
    assert_eq!(
        summary.bad_lines[0].refusal.to_string(),
        "the resource is not valid FHIR R4: `Patient.name[0].given`: may repeat: write an array, also of one [R4-004], \
         and 1 more [INTAKE-010]"
    );
    assert!(bench.has("good3").await && !bench.has("odd3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_r4_is_imported_and_listed_when_that_is_asked_for() {
    let bench = Bench::new().await;
    let text = half_invalid(4) + "{\"resourceType\":\"Patient\",\n";
    let summary = bench
        .import_as(vec![bench.file("x.ndjson", &text)], OnInvalid::Report)
        .await;
    assert_eq!(
        (
            summary.progress.imported,
            summary.progress.refused,
            summary.progress.invalid
        ),
        (8, 1, 4)
    );
    let lines: Vec<_> = summary.invalid_lines.iter().map(|invalid| invalid.line).collect();
    assert_eq!(lines, [2, 4]);
    let places: Vec<_> = summary.invalid_lines[0]
        .issues
        .iter()
        .map(|issue| &*issue.expression)
        .collect();
    assert_eq!(places, ["Patient.name[0].given", "Patient.nme"]);
    assert!(bench.has("odd3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_run_twice_makes_versions_and_no_further_resources() {
    let bench = Bench::new().await;
    let file = bench.file("x.ndjson", &patients(0..2));
    bench.import(vec![file.clone()]).await;
    bench.import(vec![file]).await;
    let key = ResourceKey::new("Patient", "p0").unwrap();
    assert_eq!(bench.log.history_len(&key).await.unwrap(), 2);
}

/// A line, and then nothing until it is told to go on.
struct Halting {
    line: &'static [u8],
    go_on: std::sync::mpsc::Receiver<()>,
}

impl std::io::Read for Halting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.line.is_empty() {
            // A sender that is gone is the end.
            self.go_on.recv().ok();
            return Ok(0);
        }
        let length = self.line.len();
        buffer[..length].copy_from_slice(self.line);
        self.line = b"";
        Ok(length)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_is_stored_while_the_rest_is_waited_for() {
    let bench = Bench::new().await;
    let (end, go_on) = std::sync::mpsc::channel();
    let line = b"{\"resourceType\":\"Patient\",\"id\":\"early\"}\n";
    let input = Input::new("slow", move || Ok(Box::new(Halting { line, go_on })));
    let options = ImportOptions {
        batch_resources: 1,
        ..ImportOptions::default()
    };
    let end = std::sync::Mutex::new(Some(end));
    let report = |summary: &ImportSummary, _: Option<&BadLine>| {
        if summary.progress.imported == 1 {
            drop(end.lock().unwrap().take());
        }
    };
    let summary = import_inputs(&*bench.log, &bench.intake, vec![input], options, report)
        .await
        .unwrap();
    assert_eq!(summary.progress.imported, 1);
    assert!(bench.has("early").await);
}

/// A bench on PostgreSQL, whose writers commit side by side; none where there is none.
async fn on_postgres() -> Option<(lakefeed_test_postgres::Server, String, Bench)> {
    let Some(server) = lakefeed_test_postgres::Server::start(&[]) else {
        lakefeed_test_postgres::skipped();
        return None;
    };
    let database = server.database();
    let url = server.url(&database);
    let bench = Bench {
        log: crate::log::open(&url, Arc::new(Timestamp::now)).await.unwrap(),
        ..Bench::new().await
    };
    Some((server, database, bench))
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_one_resource_keep_the_files_order_however_many_writers_there_are() {
    let Some((_server, _, bench)) = on_postgres().await else {
        return;
    };
    let line = |number: usize| match number % 3 {
        0 => {
            format!("{{\"resourceType\":\"Patient\",\"id\":\"same\",\"name\":[{{\"text\":\"{number}\"}}]}}\n")
        }
        _ => format!("{{\"resourceType\":\"Patient\",\"id\":\"p{number}\"}}\n"),
    };
    let file = bench.file("x.ndjson", &(0..300).map(line).collect::<String>());
    bench.import(vec![file]).await;
    let key = ResourceKey::new("Patient", "same").unwrap();
    let page = crate::log::HistoryPage {
        count: 1_000,
        ..crate::log::HistoryPage::default()
    };
    let history = bench.log.history(&key, page).await.unwrap();
    let texts: Vec<usize> = history
        .iter()
        .rev()
        .map(|version| {
            let resource: serde_json::Value = serde_json::from_slice(&version.resource).unwrap();
            resource["name"][0]["text"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(texts, (0..300).step_by(3).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_failed_writes_nothing_any_more() {
    let Some((server, database, bench)) = on_postgres().await else {
        return;
    };
    // A trigger stands in for whatever may keep a row from being written, and for a writer that takes its time.
    server.sql(
        &database,
        "CREATE FUNCTION lakefeed.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF new.id = 'p4' THEN RAISE 'no' USING ERRCODE = '23514'; END IF; \
           PERFORM pg_catalog.pg_sleep(0.05); RETURN new; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON lakefeed.log FOR EACH ROW EXECUTE FUNCTION lakefeed.refuse()",
    );
    let file = bench.file("x.ndjson", &patients(0..60));
    let options = ImportOptions {
        batch_resources: 3,
        ..ImportOptions::default()
    };
    let failed = import(&*bench.log, &bench.intake, vec![file], options, |_, _| {}).await;
    assert!(matches!(failed, Err(ImportError::Log(_))), "{failed:?}");
    let count = || server.sql(&database, "SELECT count(*) FROM lakefeed.log");
    let then = count();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(count(), then);
}

#[test]
fn a_path_without_ndjson_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(files(folder.path()), Err(ImportError::NoFiles { .. })));
    assert!(matches!(
        files(&folder.path().join("gone")),
        Err(ImportError::Read { .. })
    ));
}

#[test]
fn a_pipe_among_the_files_is_passed_by_and_does_not_hold_up_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ndjson");
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(folder.path().join("b.ndjson")).unwrap();
    let link = folder.path().join("c.ndjson");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(folder.path().join("d.ndjson"))
        .status();
    assert!(pipe.unwrap().success());
    assert_eq!(files(folder.path()).unwrap(), [file, link]);
}
