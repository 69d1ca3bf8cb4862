//! The loop against a scripted target, over a log in memory, in paused time.

use std::sync::Arc;
use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, TableRef, WriterProfile};
use lakefeed_view::{PartialDates, ViewDefinition};
use tokio::sync::watch;

use super::spec::{
    DestinationSpec, Keeps, MaterializedView, OnLeave, Place, PluginPlace, PluginUse, TargetSpec,
};
use super::supervisor::Deliveries;
use crate::batch::BatchLimits;
use crate::change::Offset;
use crate::log::{BatchBounds, DestinationState};
use crate::status::LiveState;
use crate::topic::{Topic, Topics};

mod chance;
mod faults;
mod memory_log;
mod scripted;
mod sqlite;
mod supervised;
mod views;

use chance::Chance;
use memory_log::ID;
pub(crate) use memory_log::MemoryLog;
use scripted::{Fate, Row, Scripted};

const VIEW: &str = r#"{"resourceType": "ViewDefinition", "name": "patients", "resource": "Patient", "status": "active",
    "where": [{"path": "active.exists().not() or active = true"}],
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "version", "path": "meta.versionId"}]}]}"#;

/// A destination with everything around it.
struct Bench {
    log: Arc<MemoryLog>,
    target: Scripted,
    topics: Arc<Topics>,
    spec: DestinationSpec,
    view: watch::Sender<Arc<MaterializedView>>,
    deliveries: Deliveries,
}

impl Bench {
    fn new() -> Self {
        Self::over(Arc::new(MemoryLog::new(None)), Scripted::default())
    }

    fn over(log: Arc<MemoryLog>, target: Scripted) -> Self {
        let topics = Arc::new(Topics::default());
        topics.put(topic());
        let (view, seen) = watch::channel(Arc::new(materialized(VIEW, 1)));
        let deliveries = Deliveries::with_targets(log.clone(), Arc::clone(&topics), Arc::new(target.clone()));
        Self {
            log,
            target,
            topics,
            spec: spec(seen),
            view,
            deliveries,
        }
    }

    async fn start(&self) {
        self.deliveries.start(self.spec.clone()).await.unwrap();
    }

    /// Starts, and returns when everything is settled or the destination has halted.
    async fn deliver(&self) {
        self.start().await;
        self.settle().await;
    }

    async fn settle(&self) {
        for _ in 0..50_000 {
            let halted = self
                .deliveries
                .live(ID)
                .is_some_and(|live| live.state == LiveState::Halted);
            if self.log.record().offset == self.log.head_offset() || halted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not settled: {:?}", self.log.record());
    }

    fn rows(&self) -> Vec<Row> {
        self.target.table().rows.clone()
    }

    /// Which changes each batch offered to the target held, by batch number and attempt.
    fn offered(&self) -> Vec<(u64, u32, usize)> {
        self.target.table().offered.clone()
    }

    fn halted(&self) -> Option<(String, String)> {
        match self.log.record().state {
            DestinationState::Halted { code, message } => Some((code, message)),
            _ => None,
        }
    }
}

fn topic() -> Topic {
    let definition = serde_json::json!({
        "resourceType": "AidboxSubscriptionTopic", "id": ID, "url": "http://t", "status": "active",
        "trigger": [{"resource": "Patient"}]
    });
    let mut topic = Topic::parse(&definition).unwrap();
    (topic.version, topic.first_version) = (1, 1);
    topic.id = ID.to_owned();
    topic
}

fn materialized(definition: &str, version: u64) -> MaterializedView {
    let definition = ViewDefinition::parse(definition.as_bytes()).unwrap();
    MaterializedView {
        name: "patients".into(),
        version,
        definition,
        previous: None,
    }
}

fn spec(view: watch::Receiver<Arc<MaterializedView>>) -> DestinationSpec {
    let plugin = PluginUse {
        plugin: "scripted".into(),
        version: None,
        config: serde_json::Value::Null,
    };
    DestinationSpec {
        id: ID.into(),
        topic: ID.into(),
        batch: BatchLimits {
            rows: 10,
            bytes: 1 << 20,
            interval: Duration::from_millis(500),
        },
        view,
        target: TargetSpec {
            place: Place::Plugins(Box::new(PluginPlace {
                table: TableRef::named("t"),
                writer: plugin.clone(),
                admin: None,
                mapper: plugin,
                credentials: None,
            })),
            keeps: Keeps::History,
            auto_evolve: true,
            on_leave: OnLeave::Nothing,
            partial_dates: PartialDates::Start,
            max_consecutive_refusals: 5,
            call_timeout: Duration::from_secs(30),
        },
    }
}

fn failure(category: Category) -> PluginError {
    PluginError::new(category, "T-001", "made up")
}

fn row(id: &str, version: u64) -> Row {
    (id.to_owned(), version, false)
}

fn put_many(log: &MemoryLog, count: usize) -> Vec<Row> {
    let put = |number: usize| {
        let id = format!("p{number}");
        log.put(&id, "");
        row(&id, number as u64)
    };
    (1..=count).map(put).collect()
}

#[tokio::test(start_paused = true)]
async fn every_version_arrives_in_order_and_a_delete_is_a_row() {
    let bench = Bench::new();
    bench.log.put("a", "");
    bench.log.put("a", "");
    bench.log.put("b", "");
    bench.log.delete("a");
    bench.deliver().await;
    let deleted = ("a".to_owned(), 4, true);
    assert_eq!(bench.rows(), [row("a", 1), row("a", 2), row("b", 3), deleted]);
    let counters = bench.log.record().counters;
    assert_eq!(
        (
            counters.delivered,
            counters.attempts,
            counters.rows,
            counters.batches
        ),
        (4, 4, 4, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_keeps_the_newest_rows_is_told_of_every_change() {
    let mut bench = Bench::new();
    bench.spec.target.keeps = Keeps::Newest;
    bench.log.put("a", "");
    bench.log.put_unwanted("z");
    bench.log.put("b", r#","active":false"#);
    bench.log.delete("a");
    bench.deliver().await;
    assert_eq!(bench.rows(), [row("a", 1)], "a delete adds no row");
    assert_eq!(
        bench.offered(),
        [(1, 1, 3)],
        "all but the unwanted one are offered"
    );
    let counters = bench.log.record().counters;
    assert_eq!((counters.delivered, counters.skipped), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_ready_is_planned_with_the_ack_of_the_one_before() {
    let bench = Bench::new();
    bench.target.table().write_takes = Duration::from_secs(1);
    let expected = put_many(&bench.log, 40);
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    assert_eq!((bench.log.acks(), bench.log.plans()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_closed_at_its_rows_or_when_its_time_has_come() {
    let bench = Bench::new();
    let expected = put_many(&bench.log, 25);
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    assert_eq!(bench.offered(), [(1, 1, 10), (2, 1, 10), (3, 1, 5)]);
}

#[tokio::test(start_paused = true)]
async fn passing_over_unwanted_changes_is_one_ack_for_many_and_no_write() {
    let bench = Bench::new();
    (0..5_000).for_each(|number| bench.log.put_unwanted(&format!("u{number}")));
    bench.deliver().await;
    assert!(bench.offered().is_empty());
    assert!(bench.log.acks() <= 2, "{} acks", bench.log.acks());
    assert_eq!(bench.log.record().counters.skipped, 5_000);
}

#[tokio::test(start_paused = true)]
async fn an_offset_is_acked_only_after_the_rows_are_durable() {
    let bench = Bench::new();
    put_many(&bench.log, 3);
    bench.target.script([Fate::Hangs]);
    bench.start().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let record = bench.log.record();
    assert_eq!(record.offset, Offset::START);
    assert_eq!(
        record
            .planned
            .map(|planned| (planned.number, planned.through.sequence)),
        Some((1, 3))
    );
    bench.settle().await;
    assert_eq!(bench.rows().len(), 3);
    assert_eq!(
        bench.target.table().discarded,
        1,
        "the hanging instance is given up"
    );
}

#[tokio::test(start_paused = true)]
async fn a_planned_batch_is_written_again_as_it_was_whatever_the_limits_are_now() {
    let bench = Bench::new();
    put_many(&bench.log, 30);
    let through = Offset {
        transaction: 0,
        sequence: 23,
    };
    bench.log.set_planned(BatchBounds {
        number: 1,
        after: Offset::START,
        through,
        view: 1,
    });
    bench.deliver().await;
    assert_eq!(bench.offered(), [(1, 1, 23), (2, 1, 7)]);
    assert_eq!(bench.log.record().counters.possible_duplicates, 23);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_end_is_repeated_under_its_number_and_counted() {
    let bench = Bench::new();
    put_many(&bench.log, 3);
    bench
        .target
        .script([Fate::Lost(failure(Category::RemoteUnavailable).outcome_unknown())]);
    bench.deliver().await;
    assert_eq!(bench.offered(), [(1, 1, 3), (1, 2, 3)]);
    assert_eq!(bench.rows().len(), 6);
    let counters = bench.log.record().counters;
    assert_eq!(
        (
            counters.delivered,
            counters.attempts,
            counters.possible_duplicates
        ),
        (3, 6, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_halt_counts_repetitions_only_where_something_may_have_been_written() {
    let denied = || Fate::Fails(failure(Category::AuthDenied));
    let lost = || Fate::Lost(failure(Category::RemoteUnavailable).outcome_unknown());
    for (fates, counted, rows) in [(vec![denied()], 0, 3), (vec![lost(), denied()], 6, 6)] {
        let bench = Bench::new();
        put_many(&bench.log, 3);
        bench.target.script(fates);
        bench.deliver().await;
        assert!(bench.halted().is_some());
        bench.deliver().await;
        assert_eq!(bench.rows().len(), rows);
        // The lost write once when its answer was lost, and once when it is repeated after the halt.
        assert_eq!(bench.log.record().counters.possible_duplicates, counted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_remembers_numbers_gets_nothing_twice_and_nothing_is_counted() {
    let bench = Bench::new();
    bench.target.table().profile = WriterProfile {
        idempotent: true,
        ..WriterProfile::default()
    };
    let expected = put_many(&bench.log, 3);
    bench.target.script([Fate::Lost(failure(Category::PluginPanic))]);
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    assert_eq!(bench.log.record().counters.possible_duplicates, 0);
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_a_second_apart_for_as_long_as_it_takes() {
    let bench = Bench::new();
    put_many(&bench.log, 10);
    bench
        .target
        .script((0..100).map(|_| Fate::Fails(failure(Category::RemoteUnavailable))));
    let begun = tokio::time::Instant::now();
    bench.deliver().await;
    let seconds = begun.elapsed().as_secs();
    assert!((100..102).contains(&seconds), "{seconds}");
    assert_eq!(bench.offered().len(), 101);
    assert_eq!(bench.log.record().last_errors.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_is_found_by_halving_and_set_aside_with_its_reason() {
    let bench = Bench::new();
    put_many(&bench.log, 10);
    bench.target.table().bad = vec!["p4".into()];
    bench.deliver().await;
    let ids: Vec<u64> = bench.rows().iter().map(|row| row.1).collect();
    assert_eq!(ids, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
    let letters = bench.log.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.key.to_string().as_str(), letter.code.as_str()),
        ("Patient/p4", "T-BAD")
    );
    assert_eq!(letter.message, "the target refuses rows");
    assert_eq!(letter.detail.as_deref(), Some("quoted"));
    assert_eq!(
        letter.rows.as_deref(),
        Some(r#"[{"id":"p4","version":"4","is_deleted":0}]"#)
    );
    assert_eq!(bench.log.record().counters.dead_letters, 1);
    assert_eq!(bench.log.record().counters.delivered, 9);
}

#[tokio::test(start_paused = true)]
async fn named_changes_are_set_aside_without_being_sent_again() {
    let bench = Bench::new();
    put_many(&bench.log, 10);
    bench.target.table().names_bad = true;
    bench.target.table().bad = vec!["p4".into(), "p10".into()];
    bench.deliver().await;
    assert_eq!(bench.offered(), [(1, 1, 10), (2, 1, 3), (3, 1, 5)]);
    let letters = bench.log.letters();
    let set_aside: Vec<&str> = letters.iter().map(|letter| letter.key.id()).collect();
    assert_eq!(set_aside, ["p4", "p10"]);
    assert_eq!(letters[0].column.as_deref(), Some("id"));
    assert!(
        !letters[0].message.contains("secret"),
        "a value stays in the detail"
    );
    assert!(letters[0].detail.as_deref().unwrap().contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn what_a_writer_refused_while_it_wrote_the_rest_is_set_aside_with_the_same_ack() {
    let bench = Bench::new();
    put_many(&bench.log, 5);
    bench.target.script([Fate::Without(vec![1, 3])]);
    bench.deliver().await;
    assert_eq!(bench.rows().len(), 3);
    assert_eq!((bench.log.letters().len(), bench.log.acks()), (2, 1));
    assert_eq!(bench.log.record().counters.delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn too_many_refusals_in_a_row_halt_the_destination_before_the_log_becomes_dead_letters() {
    let bench = Bench::new();
    put_many(&bench.log, 50);
    bench.target.table().bad = (1..=50).map(|number| format!("p{number}")).collect();
    bench.deliver().await;
    let (code, message) = bench.halted().unwrap();
    assert_eq!(code, "DELIVERY-010");
    assert!(
        message.starts_with("5 changes in a row were refused with code T-BAD"),
        "{message}"
    );
    assert_eq!(bench.log.letters().len(), 4);
    assert_eq!(bench.log.record().offset.sequence, 4);

    bench.target.table().bad.clear();
    bench.deliveries.resume(ID).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.rows().len(), 46);
    assert_eq!(bench.log.record().state, DestinationState::Active);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_too_large_is_halved_until_it_fits() {
    let bench = Bench::new();
    let expected = put_many(&bench.log, 8);
    let too_large = || Fate::Fails(failure(Category::PayloadTooLarge));
    bench.target.script([too_large(), too_large()]);
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    assert_eq!(
        bench.offered(),
        [(1, 1, 8), (2, 1, 4), (3, 1, 2), (4, 1, 2), (5, 1, 4)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_durable_prefix_is_acked_and_the_rest_is_a_new_batch() {
    let bench = Bench::new();
    let expected = put_many(&bench.log, 6);
    bench.target.script([Fate::Prefix(2), Fate::Prefix(3)]);
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    assert_eq!(bench.offered(), [(1, 1, 6), (2, 1, 4), (3, 1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_is_fetched_once_before_the_pause() {
    let bench = Bench::new();
    put_many(&bench.log, 1);
    let expired = || Fate::Fails(failure(Category::AuthExpired));
    bench.target.script([expired(), expired()]);
    bench.deliver().await;
    assert_eq!((bench.offered().len(), bench.target.table().refreshed), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_lacks_a_column_gets_it_and_the_batch_is_written_once_more() {
    let bench = Bench::new();
    put_many(&bench.log, 3);
    bench.target.table().columns = Some(vec!["id".into(), "version".into(), "is_deleted".into()]);
    bench.start().await;
    bench.settle().await;
    bench.target.table().columns = Some(vec!["id".into(), "is_deleted".into()]);
    bench
        .target
        .script([Fate::Fails(failure(Category::SchemaMismatch))]);
    bench.log.put("late", "");
    bench.settle().await;
    let table = bench.target.table();
    assert_eq!(table.columns.as_deref().unwrap().last().unwrap(), "version");
    assert_eq!((table.rows.len(), table.evolved), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_column_that_may_not_be_added_halts_and_is_named() {
    let mut bench = Bench::new();
    bench.spec.target.auto_evolve = false;
    bench.target.table().columns = Some(vec!["id".into(), "is_deleted".into()]);
    put_many(&bench.log, 1);
    bench.deliver().await;
    let (code, message) = bench.halted().unwrap();
    assert_eq!(code, "DELIVERY-002");
    assert!(
        message.contains("lacks the columns `version` STRING"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn denied_credentials_halt_and_a_start_is_another_try() {
    let bench = Bench::new();
    let expected = put_many(&bench.log, 2);
    bench.target.script([Fate::Fails(failure(Category::AuthDenied))]);
    bench.deliver().await;
    assert_eq!(
        bench.halted(),
        Some(("T-001".into(), "made up; then `$resume` the destination".into()))
    );
    assert!(bench.rows().is_empty());
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_leaves_the_view_writes_nothing_or_a_marker_as_asked() {
    for (on_leave, expected) in [
        (OnLeave::Nothing, vec![row("a", 1)]),
        (OnLeave::DeleteRow, vec![row("a", 1), ("a".to_owned(), 2, true)]),
    ] {
        let mut bench = Bench::new();
        bench.spec.target.on_leave = on_leave;
        bench.log.put("a", "");
        bench.log.put("a", ",\"active\":false");
        bench.log.put("never-in", ",\"active\":false");
        bench.deliver().await;
        assert_eq!(bench.rows(), expected, "{on_leave:?}");
        assert_eq!(bench.log.record().counters.delivered, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_that_is_materialised_again_is_taken_up_without_a_restart() {
    let bench = Bench::new();
    put_many(&bench.log, 1);
    bench.deliver().await;
    let wider = VIEW.replace(
        r#"{"name": "id", "path": "id"}"#,
        r#"{"name": "id", "path": "id"}, {"name": "kind", "path": "'person'"}"#,
    );
    bench.view.send_replace(Arc::new(materialized(&wider, 2)));
    bench.log.put("b", "");
    bench.settle().await;
    assert_eq!((bench.rows().len(), bench.target.table().evolved), (2, 1));
    assert_eq!(bench.deliveries.live(ID).unwrap().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_paused_destination_stays_where_it_is_until_it_is_resumed() {
    let bench = Bench::new();
    bench.start().await;
    bench.deliveries.pause(ID).await.unwrap();
    put_many(&bench.log, 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.rows().is_empty());
    bench.start().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.rows().is_empty(), "also after a restart");
    bench.deliveries.resume(ID).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.rows().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_the_write_under_way_end_and_acks_it() {
    let bench = Bench::new();
    put_many(&bench.log, 10);
    bench.start().await;
    while bench.offered().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.deliveries.drain_and_stop(Duration::from_secs(10)).await;
    assert_eq!(bench.log.record().offset.sequence, 10);
    assert!(bench.deliveries.live(ID).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_destination_without_its_topic_halts() {
    let bench = Bench::new();
    put_many(&bench.log, 1);
    bench.topics.remove(ID);
    bench.deliver().await;
    assert_eq!(bench.halted().unwrap().0, "DELIVERY-008");
}

#[tokio::test(start_paused = true)]
async fn bootstrap_names_the_parameter_that_is_wrong() {
    let mut bench = Bench::new();
    assert_eq!(bench.deliveries.bootstrap(&bench.spec).await, Ok(()));
    bench.spec.target.auto_evolve = false;
    bench.target.table().columns = Some(vec!["id".into(), "is_deleted".into()]);
    let error = bench.deliveries.bootstrap(&bench.spec).await.unwrap_err();
    assert_eq!((error.parameter(), error.code()), ("tableName", "DELIVERY-002"));
    let broken = VIEW.replace("meta.versionId", "meta.versionNumber");
    bench.view.send_replace(Arc::new(materialized(&broken, 2)));
    let error = bench.deliveries.bootstrap(&bench.spec).await.unwrap_err();
    assert_eq!(error.parameter(), "viewDefinition");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_starts_again_after_a_second_doubling() {
    let bench = Bench::new();
    let expected = put_many(&bench.log, 3);
    bench.target.table().map_panics = 4;
    let begun = tokio::time::Instant::now();
    bench.deliver().await;
    assert_eq!(bench.rows(), expected);
    let seconds = begun.elapsed().as_secs();
    assert!((15..17).contains(&seconds), "1 + 2 + 4 + 8 s, not {seconds}");
    assert_eq!(bench.deliveries.live(ID).unwrap().restarts, 4);
}
