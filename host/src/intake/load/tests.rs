//! Imports over the end of a host.

use super::*;
use crate::change::{Matched, ResourceKey};
use crate::log::Matcher;

struct Bench {
    folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    loads: Loads,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let log = crate::log::open(&url, Arc::new(Timestamp::now)).await.unwrap();
        let matcher: Matcher = Arc::new(|_, _, _| Matched::default());
        let intake = Intake::new(Arc::new(move || matcher.clone()), 1000);
        let path = folder.path().to_owned();
        let allow: Allow = Arc::new(move |name| Ok(Readable::File(path.join(name))));
        Self {
            loads: Loads::new(log.clone(), intake, allow, u64::MAX),
            folder,
            log,
        }
    }

    fn write(&self, name: &str, ids: std::ops::Range<usize>) {
        let lines = ids.map(|id| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{id}\"}}\n"));
        std::fs::write(self.folder.path().join(name), lines.collect::<String>()).unwrap();
    }

    async fn wait(&self, id: &str) -> Job {
        loop {
            let job = self.loads.status(id).await.unwrap().unwrap();
            if job.is_over() {
                return job;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn has(&self, id: &str) -> bool {
        let key = ResourceKey::new("Patient", id).unwrap();
        self.log.current(&key).await.unwrap().is_some()
    }
}

fn job(id: &str) -> Job {
    let text = format!(r#"{{"id":"{id}","inputs":[{{"url":"a"}},{{"url":"b"}}]}}"#);
    Job::parse(text.as_bytes(), Timestamp(0)).unwrap()
}

#[tokio::test]
async fn an_import_goes_on_after_a_restart_where_it_was_noted_last() {
    let bench = Bench::new().await;
    bench.write("a", 0..10);
    bench.write("b", 10..20);
    let mut job = job("first");
    job.status = JobStatus::InProgress;
    job.inputs[0].lines = 6;
    job.inputs[0].stored.insert("Patient".to_owned(), 6);
    bench.loads.0.note(&job).await.unwrap();
    bench.loads.resume().await.unwrap();
    let done = bench.wait("first").await;
    assert_eq!(done.status, JobStatus::Done);
    assert_eq!(done.inputs[0].stored["Patient"], 10);
    assert_eq!(done.inputs[1].stored["Patient"], 10);
    assert!(!bench.has("p5").await, "what was done before is not read again");
    assert!(bench.has("p6").await && bench.has("p19").await);
    bench.loads.resume().await.unwrap();
    assert_eq!(bench.loads.0.live().len(), 0, "what is over is not begun again");
}

#[tokio::test]
async fn an_import_that_the_end_of_the_store_interrupts_stays_open() {
    let bench = Bench::new().await;
    bench.write("a", 0..10);
    bench.write("b", 10..20);
    let turn = bench.loads.0.turn.acquire().await.unwrap();
    bench.loads.submit(job("first")).await.unwrap();
    assert!(matches!(
        bench.loads.submit(job("first")).await,
        Err(SubmitError::Exists)
    ));
    bench.log.close().await;
    drop(turn);
    while bench.loads.0.live().contains_key("first") {
        sleep(Duration::from_millis(10)).await;
    }
    let url = format!("sqlite://{}", bench.folder.path().join("store.db").display());
    let log = loop {
        // The file is let go of a moment after the store is closed.
        match crate::log::open(&url, Arc::new(Timestamp::now)).await {
            Ok(log) => break log,
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    };
    let kept = log.kept(SPACE, "first").await.unwrap().unwrap();
    let kept: Job = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept.status, JobStatus::Waiting);
}
