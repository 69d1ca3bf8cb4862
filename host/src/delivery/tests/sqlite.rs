//! The loop over the embedded store, in real time.

use std::collections::HashMap;

use super::*;
use crate::change::{Body, ResourceKey, Timestamp};
use crate::delivery::target::{Target, Targets};
use crate::log::{self, Action, Log, Precondition, Write, Written};

/// A target for each destination.
struct ByDestination(HashMap<String, Scripted>);

impl Targets for ByDestination {
    fn target(&self, spec: &DestinationSpec) -> Box<dyn Target> {
        self.0[&spec.id].target(spec)
    }
}

struct Store {
    folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    topics: Arc<Topics>,
}

impl Store {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let log = log::open(&url, Arc::new(Timestamp::now)).await.unwrap();
        let topics = Arc::new(Topics::default());
        topics.put(topic());
        Self { folder, log, topics }
    }

    fn deliveries(&self, targets: &[(&str, &Scripted)]) -> Deliveries {
        let targets = targets
            .iter()
            .map(|(id, target)| ((*id).to_owned(), (*target).clone()))
            .collect();
        Deliveries::with_targets(
            Arc::clone(&self.log),
            Arc::clone(&self.topics),
            Arc::new(ByDestination(targets)),
        )
    }

    async fn put(&self, id: &str) -> Row {
        self.put_with(id, "").await
    }

    /// `members` is JSON members with a leading comma, or nothing.
    async fn put_with(&self, id: &str, members: &str) -> Row {
        let body = format!(r#"{{"resourceType":"Patient","id":"{id}"{members}}}"#);
        let write = Write {
            key: ResourceKey::new("Patient", id).unwrap(),
            precondition: Precondition::None,
            action: Action::Put(Arc::new(Body::parse(body.as_bytes()).unwrap())),
            matcher: self.topics.matcher(),
            source: None,
            tokens: Vec::new(),
            finding: None,
        };
        match self.log.write(vec![write]).await.unwrap().remove(0) {
            Written::Version { version, .. } => row(id, version.sequence.0),
            Written::Nothing | Written::Unchanged(_) => panic!("nothing was written"),
        }
    }

    async fn settle(&self, id: &str) {
        for _ in 0..3_000 {
            if self.log.destination(id).await.unwrap().unwrap().offset == *self.log.head().borrow() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not settled: {:?}", self.log.destination(id).await);
    }

    async fn close(self) {
        self.log.close().await;
        drop(self.folder);
    }
}

/// A quick destination of this id.
fn destination(id: &str) -> (DestinationSpec, watch::Sender<Arc<MaterializedView>>) {
    let (view, seen) = watch::channel(Arc::new(materialized(VIEW, 1)));
    let mut spec = spec(seen);
    spec.id = id.to_owned();
    spec.batch.interval = Duration::from_millis(5);
    (spec, view)
}

#[tokio::test]
async fn hosts_that_die_under_load_lose_nothing_and_repeat_nothing() {
    let store = Store::open().await;
    store.log.create_destination("a", Offset::START).await.unwrap();
    let target = Scripted::default();
    target.table().profile = WriterProfile {
        idempotent: true,
        ..WriterProfile::default()
    };
    let mut expected = Vec::new();
    for life in 0..10_usize {
        if life % 3 == 0 {
            target.script([Fate::Durable, Fate::Hangs]);
        }
        let deliveries = store.deliveries(&[("a", &target)]);
        deliveries.start(destination("a").0).await.unwrap();
        for number in 0..20 + life {
            expected.push(store.put(&format!("p{}", number % 7)).await);
        }
        deliveries.drain_and_stop(Duration::ZERO).await;
    }
    target.table().script.clear();
    let deliveries = store.deliveries(&[("a", &target)]);
    deliveries.start(destination("a").0).await.unwrap();
    store.settle("a").await;
    assert_eq!(target.table().rows, expected);
    assert_eq!(target.table().violations, Vec::<String>::new());
    deliveries.drain_and_stop(Duration::from_secs(5)).await;
    store.close().await;
}

#[tokio::test]
async fn a_destination_that_hangs_does_not_hold_up_another() {
    let store = Store::open().await;
    let (hanging, sound) = (Scripted::default(), Scripted::default());
    hanging.script([Fate::Hangs]);
    let deliveries = store.deliveries(&[("hanging", &hanging), ("sound", &sound)]);
    for id in ["hanging", "sound"] {
        store.log.create_destination(id, Offset::START).await.unwrap();
        deliveries.start(destination(id).0).await.unwrap();
    }
    let expected = [store.put("p1").await, store.put("p2").await];
    store.settle("sound").await;
    assert_eq!(sound.table().rows, expected);
    assert!(hanging.table().rows.is_empty());
    deliveries.drain_and_stop(Duration::ZERO).await;
    store.close().await;
}

#[tokio::test]
async fn a_rewound_destination_gets_everything_again_under_another_generation() {
    let store = Store::open().await;
    store.log.create_destination("a", Offset::START).await.unwrap();
    let target = Scripted::default();
    let deliveries = store.deliveries(&[("a", &target)]);
    deliveries.start(destination("a").0).await.unwrap();
    let expected = [store.put("p1").await, store.put("p2").await];
    store.settle("a").await;
    let before = store.log.destination("a").await.unwrap().unwrap().generation;
    target.forget();
    deliveries.rewind("a", Offset::START).await.unwrap();
    store.settle("a").await;
    assert_eq!(target.table().rows, expected);
    assert_eq!(
        store.log.destination("a").await.unwrap().unwrap().generation,
        before + 1
    );
    deliveries.drain_and_stop(Duration::from_secs(5)).await;
    store.close().await;
}

#[tokio::test]
async fn a_change_older_than_the_topic_is_decided_by_what_its_references_lead_to_now() {
    let store = Store::open().await;
    store.topics.remove(ID);
    let put = async |id: &str, members: &str| store.put_with(id, members).await;
    let linked =
        |other: &str| format!(r#","link":[{{"type":"seealso","other":{{"reference":"Patient/{other}"}}}}]"#);
    put("on", r#","active":true"#).await;
    put("off", r#","active":true"#).await;
    let expected = [put("a", &linked("on")).await];
    put("b", &linked("off")).await;
    put("c", &linked("nobody")).await;
    put("off", r#","active":false"#).await;
    let definition = serde_json::json!({
        "resourceType": "AidboxSubscriptionTopic", "id": ID, "url": "http://t", "status": "active",
        "trigger": [{
            "resource": "Patient",
            "fhirPathCriteria": "link.other.resolve().ofType(Patient).active = true",
        }]
    });
    let mut topic = Topic::parse(&definition).unwrap();
    (topic.version, topic.first_version) = (7, 7);
    store.topics.put(topic);
    store.log.create_destination("a", Offset::START).await.unwrap();
    let target = Scripted::default();
    let deliveries = store.deliveries(&[("a", &target)]);
    deliveries.start(destination("a").0).await.unwrap();
    store.settle("a").await;
    assert_eq!(target.table().rows, expected);
    deliveries.drain_and_stop(Duration::from_secs(5)).await;
    store.close().await;
}
