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
        let matcher: Matcher = Arc::new(|_, _| Matched::default());
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
