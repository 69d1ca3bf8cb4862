//! What fires when: a trigger, the version before, the version that is made.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::change::{Offset, ResourceKey, Sequence, Timestamp, VersionStatus};

fn topic(trigger: Value) -> Topic {
    let resource = json!({ "resourceType": "AidboxSubscriptionTopic", "id": "t", "url": "http://example.org/t",
        "status": "active", "trigger": [trigger] });
    let mut topic = Topic::parse(&resource).unwrap();
    topic.version = 5;
    topic.first_version = 5;
    topic
}

fn version(status: VersionStatus, resource: Value) -> Version {
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    Version {
        key: ResourceKey::new(&kind, "r-1").unwrap(),
        sequence: Sequence(9),
        status,
        last_updated: Timestamp(2),
        created_at: Timestamp(1),
        resource: Bytes::from(resource.to_string()),
        source: None,
    }
}

/// Whether a topic that resolves nothing wants a version.
fn wants(topic: &Topic, previous: Option<&Version>, version: &Version) -> bool {
    topic.wants(previous, version, &AtHand::default()).unwrap()
}

/// What is decided of a change that is read, with no other resource at hand.
fn decided(topics: &Topics, change: &Change, previous: Option<&Version>) -> Decision {
    topics.wants("t", change, previous, &AtHand::default())
}

fn observation(status: &str) -> Value {
    json!({ "resourceType": "Observation", "id": "r-1", "status": status })
}

/// Whether a criterion over Observations fires, for `(before, now)` pairs written as statuses.
fn fires(criterion: &str, before: Option<&str>, now: &str, made: VersionStatus) -> bool {
    let topic = topic(json!({ "resource": "Observation", "fhirPathCriteria": criterion }));
    let before = before.map(|status| version(VersionStatus::Created, observation(status)));
    wants(&topic, before.as_ref(), &version(made, observation(now)))
}

#[test]
fn a_criterion_sees_the_current_and_the_previous_version() {
    use VersionStatus::{Created, Deleted, Updated};
    let became_final = "%current.status = 'final' and %previous.status != 'final'";
    assert!(fires(became_final, Some("draft"), "final", Updated));
    assert!(!fires(became_final, Some("final"), "final", Updated));
    // Three-valued: nothing before means empty, and empty does not fire.
    assert!(!fires(became_final, None, "final", Created));
    let defensive = "%current.status = 'final' and (%previous.empty() or %previous.status != 'final')";
    assert!(fires(defensive, None, "final", Created));
    // On a delete `%current` is empty and a bare path is the deleted resource's.
    assert!(!fires("%current.exists()", Some("final"), "final", Deleted));
    assert!(fires(
        "%previous.status = 'final'",
        Some("final"),
        "final",
        Deleted
    ));
    assert!(fires("status = 'final'", Some("final"), "final", Deleted));
    // A single item that is no boolean counts as true.
    assert!(fires("status", None, "final", Created));
}

#[test]
fn a_trigger_without_interactions_takes_all_three_and_any_trigger_is_enough() {
    let all = topic(json!({ "resource": "Observation" }));
    for made in [
        VersionStatus::Created,
        VersionStatus::Updated,
        VersionStatus::Deleted,
        VersionStatus::Recreated,
    ] {
        assert!(
            wants(&all, None, &version(made, observation("final"))),
            "{made:?}"
        );
    }
    let deletes = topic(json!({ "resource": "Observation", "supportedInteraction": ["delete"] }));
    assert!(!wants(
        &deletes,
        None,
        &version(VersionStatus::Created, observation("final"))
    ));
    assert!(wants(
        &deletes,
        None,
        &version(VersionStatus::Deleted, observation("final"))
    ));
    assert!(!wants(
        &all,
        None,
        &version(VersionStatus::Created, json!({ "resourceType": "Patient" }))
    ));
}

#[test]
fn a_topic_that_is_not_active_wants_nothing() {
    let resource = json!({ "url": "u", "status": "retired", "trigger": [{ "resource": "Observation" }] });
    let topic = Topic::parse(&resource).unwrap();
    assert!(!wants(
        &topic,
        None,
        &version(VersionStatus::Created, observation("final"))
    ));
}

fn refused(resource: &Value) -> Vec<String> {
    Topic::parse(resource)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_wrong_element_of_a_topic_is_named() {
    let issues = refused(&json!({ "status": "on", "trigger": [
        { "resource": "Pateint" },
        { "resource": "Patient", "supportedInteraction": ["merge"] },
        { "resource": "Patient", "fhirPathCriteria": "name.where(" }
    ] }));
    let starts = [
        "AidboxSubscriptionTopic.url: `url` is required",
        "AidboxSubscriptionTopic.status: not a status of a topic",
        "AidboxSubscriptionTopic.trigger[0].resource: not a resource type of FHIR R4; did you mean `Patient`?",
        "AidboxSubscriptionTopic.trigger[1].supportedInteraction: ",
        "AidboxSubscriptionTopic.trigger[2].fhirPathCriteria: ",
    ];
    assert_eq!(issues.len(), starts.len(), "{issues:#?}");
    for (issue, start) in issues.iter().zip(starts) {
        assert!(issue.starts_with(start), "{issue}");
    }
}

#[test]
fn what_was_decided_at_the_write_stands_and_older_changes_are_decided_at_the_read() {
    let topics = Arc::new(Topics::default());
    topics.put(topic(
        json!({ "resource": "Observation", "fhirPathCriteria": "%previous.exists()" }),
    ));
    let change = |known, wanted: &[&str], previous| Change {
        offset: Offset::START,
        version: version(VersionStatus::Updated, observation("final")),
        matched: Matched {
            topics_known: known,
            topics: wanted.iter().map(ToString::to_string).collect(),
        },
        previous,
    };
    assert_eq!(decided(&topics, &change(5, &["t"], None), None), Decision::Wanted);
    assert_eq!(decided(&topics, &change(6, &[], None), None), Decision::NotWanted);
    let older = change(4, &[], Some(Sequence(3)));
    assert_eq!(decided(&topics, &older, None), Decision::NeedsPrevious);
    let before = version(VersionStatus::Created, observation("draft"));
    assert_eq!(decided(&topics, &older, Some(&before)), Decision::Wanted);
    assert_eq!(
        topics.wants("other", &older, None, &AtHand::default()),
        Decision::NoTopic
    );
}

#[test]
fn a_write_is_matched_by_the_topics_of_its_moment() {
    let topics = Arc::new(Topics::default());
    let matcher = topics.matcher();
    let made = version(VersionStatus::Created, observation("final"));
    assert_eq!(matcher(None, &made, &AtHand::default()), Matched::default());
    topics.put(topic(json!({ "resource": "Observation" })));
    assert_eq!(
        matcher(None, &made, &AtHand::default()),
        Matched {
            topics_known: 5,
            topics: vec!["t".to_owned()]
        }
    );
    topics.remove("t");
    assert_eq!(
        matcher(None, &made, &AtHand::default()),
        Matched {
            topics_known: 5,
            topics: Vec::new()
        }
    );
}

#[test]
fn a_topic_that_could_not_be_read_is_asked_later() {
    let topics = Arc::new(Topics::default());
    topics.put(topic(json!({ "resource": "Observation" })));
    topics.leave_out("broken", 3);
    let made = version(VersionStatus::Created, observation("final"));
    assert_eq!(topics.matched(None, &made, &AtHand::default()).topics_known, 2);
    assert_eq!(topics.first_version("broken"), Some(3));
    topics.remove("broken");
    assert_eq!(topics.matched(None, &made, &AtHand::default()).topics_known, 5);
}

#[test]
fn a_misspelt_member_is_refused_with_the_one_that_was_meant() {
    let issues = refused(
        &json!({ "url": "u", "status": "active", "statuss": "x", "trigger": [
        { "resource": "Patient", "fhirPathCritera": "name.exists()" }
    ] }),
    );
    assert_eq!(
        issues,
        [
            "AidboxSubscriptionTopic.statuss: not a member of a topic; did you mean `status`?",
            "AidboxSubscriptionTopic.trigger[0].fhirPathCritera: not a member of a trigger; did you mean `fhirPathCriteria`?"
        ]
    );
}

#[test]
fn the_hosts_own_topic_wants_all_of_a_type_whoever_wrote_it_and_has_no_url() {
    let topics = Topics::default();
    topics.put(topic(json!({ "resource": "Observation" })));
    topics.put(Topic::of_type("own/Observation", "Observation"));
    let made = version(VersionStatus::Created, observation("final"));
    let mut matched = topics.matched(None, &made, &AtHand::default());
    assert!(matched.topics.contains(&"own/Observation".to_owned()));
    assert_eq!(matched.topics_known, 5, "it is no topic that was asked");
    // Written by a host that did not have it.
    matched.topics.clear();
    matched.topics_known = u64::MAX - 1;
    let change = Change {
        offset: Offset::START,
        version: made,
        matched,
        previous: None,
    };
    let decision = topics.wants("own/Observation", &change, None, &AtHand::default());
    assert_eq!(decision, Decision::Wanted);
    assert!(topics.by_url("").is_none());
}

#[test]
fn a_criterion_that_resolves_is_decided_by_what_is_at_hand_or_left_to_the_read() {
    let topics = Topics::default();
    let mut early = topic(json!({ "resource": "Observation" }));
    "early".clone_into(&mut early.id);
    (early.version, early.first_version) = (2, 2);
    topics.put(early);
    topics.put(topic(
        json!({ "resource": "Observation", "fhirPathCriteria": "subject.resolve().gender = 'female'" }),
    ));
    let mut resource = observation("final");
    resource["subject"] = json!({ "reference": "Patient/p" });
    let made = version(VersionStatus::Created, resource);
    let matched = topics.matched(None, &made, &AtHand::default());
    assert_eq!(
        (matched.topics_known, &matched.topics[..]),
        (4, &["early".to_owned()][..])
    );

    let key = ResourceKey::new("Patient", "p").unwrap();
    let patient = |status| {
        let mut patient = version(status, json!({ "resourceType": "Patient", "gender": "female" }));
        patient.key = key.clone();
        patient
    };
    let at_hand = |newest| {
        let mut at_hand = AtHand::default();
        at_hand.put(key.clone(), newest);
        at_hand
    };
    let now = |newest| topics.matched(None, &made, &at_hand(newest));
    let there = now(Some(patient(VersionStatus::Updated)));
    assert_eq!(
        (there.topics_known, there.topics),
        (5, vec!["early".to_owned(), "t".to_owned()])
    );
    for gone in [None, Some(patient(VersionStatus::Deleted))] {
        let absent = now(gone);
        assert_eq!(
            (absent.topics_known, absent.topics),
            (5, vec!["early".to_owned()])
        );
    }

    let change = Change {
        offset: Offset::START,
        version: made.clone(),
        matched,
        previous: None,
    };
    assert_eq!(
        decided(&topics, &change, None),
        Decision::NeedsOthers(vec![key.clone()])
    );
    let read = at_hand(Some(patient(VersionStatus::Created)));
    assert_eq!(topics.wants("t", &change, None, &read), Decision::Wanted);
}
