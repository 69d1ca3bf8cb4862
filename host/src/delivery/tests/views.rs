//! Views that are materialised again while a batch is under way.

use super::*;

/// A view that refuses a patient with two family names, where [`FIRST`] takes the first.
const ONLY: &str = r#"{"resourceType": "ViewDefinition", "name": "patients", "resource": "Patient", "status": "active",
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "version", "path": "meta.versionId"},
        {"name": "family", "path": "name.family"}]}]}"#;
const FIRST: &str = r#"{"resourceType": "ViewDefinition", "name": "patients", "resource": "Patient", "status": "active",
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "version", "path": "meta.versionId"},
        {"name": "family", "path": "name.family.first()"}]}]}"#;
const TWO_NAMES: &str = r#","name":[{"family":"A"},{"family":"B"}]"#;

/// A target that has batch 1 and lost its answer, delivered to under [`ONLY`] and stopped before the ack.
async fn stopped_before_the_ack() -> Bench {
    let bench = Bench::new();
    bench.view.send_replace(Arc::new(materialized(ONLY, 1)));
    bench.target.table().profile.idempotent = true;
    bench.log.put("a", "");
    bench.log.put("x", TWO_NAMES);
    bench.log.put("b", "");
    bench
        .target
        .script([Fate::Lost(failure(Category::RemoteUnavailable).outcome_unknown())]);
    bench.start().await;
    while bench.offered().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.deliveries.stop(ID).await;
    assert_eq!(bench.log.record().planned.map(|planned| planned.view), Some(1));
    bench
}

#[tokio::test(start_paused = true)]
async fn a_planned_batch_is_written_again_with_the_view_that_it_was_planned_with() {
    let bench = stopped_before_the_ack().await;
    let mut newer = materialized(FIRST, 2);
    newer.previous = Some(Arc::new(materialized(ONLY, 1)));
    bench.view.send_replace(Arc::new(newer));
    bench.deliver().await;
    assert_eq!(bench.rows(), [row("a", 1), row("b", 3)]);
    let letters = bench.log.letters();
    let set_aside: Vec<&str> = letters.iter().map(|letter| letter.key.id()).collect();
    assert_eq!(set_aside, ["x"], "what the planned view refused is not lost");
    assert_eq!(bench.log.record().counters.delivered, 2);

    bench.log.put("y", TWO_NAMES);
    bench.settle().await;
    assert_eq!(
        bench.rows().last(),
        Some(&row("y", 4)),
        "the newer view is taken up after it"
    );
    assert!(bench.target.table().violations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_planned_batch_whose_view_is_gone_is_written_with_the_current_one_and_says_so() {
    let bench = stopped_before_the_ack().await;
    bench.view.send_replace(Arc::new(materialized(FIRST, 3)));
    bench.deliver().await;
    assert_eq!(bench.log.record().planned, None);
    let errors = bench.log.record().last_errors;
    let said = errors.iter().find(|error| error.code == "DELIVERY-013").unwrap();
    assert!(
        said.message.contains("version 1 of view `patients`"),
        "{}",
        said.message
    );
}
