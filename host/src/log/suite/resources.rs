//! Versions, preconditions, history and search.

use std::sync::Arc;

use super::{Hands, Stores, body, content, delete, key, page, put, still, topics, version};
use crate::change::{Interaction, Sequence, Source, Timestamp, VersionStatus};
use crate::log::{LogError, Precondition, Refused, Write, WriteError, Written};

fn refused(answer: Result<Vec<Written>, WriteError>) -> (usize, Refused) {
    match answer {
        Err(WriteError::Refused { index, refused }) => (index, refused),
        other => panic!("not refused: {other:?}"),
    }
}

fn when(write: Write, precondition: Precondition) -> Write {
    Write {
        precondition,
        ..write
    }
}

pub(crate) async fn a_version_is_read_as_it_was_answered(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let written = version(&*log, put("a", "x")).await;
    assert_eq!(written.created_at, written.last_updated);
    let text = format!(
        r#"{{"resourceType":"Patient","id":"a","meta":{{"versionId":"{}","lastUpdated":"1970-01-01T00:00:01.000000Z"}},"language":"x"}}"#,
        written.sequence
    );
    assert_eq!(written.resource, text);
    assert_eq!(log.current(&key("a")).await.unwrap(), Some(written.clone()));
    assert_eq!(
        log.version(&key("a"), written.sequence).await.unwrap(),
        Some(written.clone())
    );
    assert_eq!(log.version(&key("b"), written.sequence).await.unwrap(), None);
    assert_eq!(log.current(&key("b")).await.unwrap(), None);
}

pub(crate) async fn statuses_tell_the_first_version_from_a_further_and_a_revived_one(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let writes = vec![
        put("a", "1"),
        put("a", "2"),
        delete("a"),
        put("a", "3"),
        put("a", "4"),
    ];
    let mut seen = Vec::new();
    for write in writes {
        let answer = log.write(vec![write]).await.unwrap().remove(0);
        let Written::Version { version, interaction } = answer else {
            panic!("nothing was written");
        };
        assert_eq!(interaction, version.status.interaction());
        seen.push((version.status, interaction));
    }
    assert_eq!(
        seen,
        [
            (VersionStatus::Created, Interaction::Create),
            (VersionStatus::Updated, Interaction::Update),
            (VersionStatus::Deleted, Interaction::Delete),
            (VersionStatus::Recreated, Interaction::Create),
            (VersionStatus::Updated, Interaction::Update),
        ]
    );
}

pub(crate) async fn a_delete_repeats_the_last_content_under_its_own_version(stores: &dyn Stores) {
    let hands = Hands::at(10);
    let log = stores.open(hands.clock()).await;
    let first = version(&*log, put("a", "x")).await;
    hands.set(500);
    let deleted = version(&*log, delete("a")).await;
    assert_eq!(content(&deleted), "x");
    assert_eq!(
        (deleted.last_updated, deleted.created_at),
        (Timestamp(500), first.created_at)
    );
    assert!(deleted.sequence > first.sequence);
    let text = String::from_utf8(deleted.resource.to_vec()).unwrap();
    assert!(
        text.contains(&format!(r#""versionId":"{}""#, deleted.sequence)),
        "{text}"
    );
    assert!(text.contains(&deleted.last_updated.to_string()), "{text}");
    assert_eq!(log.current(&key("a")).await.unwrap(), Some(deleted));
}

pub(crate) async fn deleting_what_is_not_there_writes_nothing(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    assert_eq!(log.write(vec![delete("a")]).await.unwrap(), [Written::Nothing]);
    version(&*log, put("a", "x")).await;
    version(&*log, delete("a")).await;
    assert_eq!(log.write(vec![delete("a")]).await.unwrap(), [Written::Nothing]);
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 2);
}

pub(crate) async fn a_precondition_that_does_not_hold_is_refused_with_what_is_there(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let absent = log.write(vec![when(put("a", "x"), Precondition::Exists)]).await;
    assert_eq!(refused(absent), (0, Refused::Absent));
    let first = version(&*log, when(put("a", "x"), Precondition::Absent))
        .await
        .sequence;
    let there = log.write(vec![when(put("a", "y"), Precondition::Absent)]).await;
    assert_eq!(refused(there), (0, Refused::Exists(first)));
    let wrong = Precondition::VersionIs(Sequence(first.0 + 1));
    let other = log.write(vec![when(put("a", "y"), wrong)]).await;
    assert_eq!(refused(other), (0, Refused::OtherVersion(first)));
    version(&*log, when(put("a", "y"), Precondition::Exists)).await;
    let second = log.current(&key("a")).await.unwrap().unwrap().sequence;
    let deleted = version(&*log, when(delete("a"), Precondition::VersionIs(second))).await;
    let gone = when(put("a", "z"), Precondition::VersionIs(deleted.sequence));
    assert_eq!(refused(log.write(vec![gone]).await), (0, Refused::Absent));
    let revived = version(&*log, when(put("a", "z"), Precondition::Absent)).await;
    assert_eq!(revived.status, VersionStatus::Recreated);
}

pub(crate) async fn a_refused_write_takes_all_writes_of_its_call_with_it(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let before = version(&*log, put("a", "before")).await;
    let call = vec![
        put("a", "1"),
        put("b", "1"),
        put("a", "2"),
        when(put("c", "1"), Precondition::Exists),
    ];
    assert_eq!(refused(log.write(call).await), (3, Refused::Absent));
    assert_eq!(log.current(&key("a")).await.unwrap(), Some(before.clone()));
    assert_eq!(log.current(&key("b")).await.unwrap(), None);
    assert_eq!(super::all_changes(&*log, Default::default()).await.len(), 1);
    let after = version(&*log, put("a", "after")).await;
    assert_eq!(after.status, VersionStatus::Updated);
    assert!(after.sequence > before.sequence);
}

pub(crate) async fn one_call_makes_several_versions_of_one_resource_in_order(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let call = vec![
        put("a", "1"),
        put("a", "2"),
        delete("a"),
        delete("a"),
        put("a", "3"),
    ];
    let answers = log.write(call).await.unwrap();
    assert_eq!(answers[3], Written::Nothing);
    let history = log.history(&key("a"), page(None, 10)).await.unwrap();
    let contents: Vec<String> = history.iter().rev().map(content).collect();
    assert_eq!(contents, ["1", "2", "2", "3"]);
    let times: Vec<i64> = history
        .iter()
        .rev()
        .map(|version| version.last_updated.0)
        .collect();
    assert_eq!(times, [1_000_000, 1_000_001, 1_000_002, 1_000_003]);
    let changes = super::all_changes(&*log, Default::default()).await;
    let previous: Vec<Option<Sequence>> = changes.iter().map(|change| change.previous).collect();
    let before: Vec<Option<Sequence>> = [None]
        .into_iter()
        .chain(changes.iter().map(|change| Some(change.version.sequence)))
        .take(4)
        .collect();
    assert_eq!(previous, before);
}

pub(crate) async fn last_updated_grows_while_the_clock_stands_still_or_goes_back(stores: &dyn Stores) {
    let hands = Hands::at(5_000);
    let log = stores.open(hands.clock()).await;
    let mut times = Vec::new();
    for now in [5_000, 5_000, 10, 9_000] {
        hands.set(now);
        times.push(version(&*log, put("a", "x")).await.last_updated.0);
    }
    assert_eq!(times, [5_000, 5_001, 5_002, 9_000]);
}

pub(crate) async fn of_two_callers_that_create_one_id_one_is_refused(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    for round in 0..20 {
        let id = format!("r{round}");
        let calls = (0..4).map(|_| log.write(vec![when(put(&id, "x"), Precondition::Absent)]));
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(log.history_len(&key(&id)).await.unwrap(), 1);
    }
}

pub(crate) async fn history_is_paged_from_the_newest_to_the_first(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let mut made = Vec::new();
    for content in 0..7 {
        made.push(version(&*log, put("a", &content.to_string())).await);
        version(&*log, put("other", "x")).await;
    }
    made.reverse();
    let mut paged = Vec::new();
    let mut before = None;
    loop {
        let page = log.history(&key("a"), page(before, 3)).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        paged.extend(page);
    }
    assert_eq!(paged, made);
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 7);
    assert_eq!(log.history_len(&key("b")).await.unwrap(), 0);
    assert_eq!(log.history(&key("b"), page(None, 3)).await.unwrap(), []);
    // A bound that is no version of this resource is only a number.
    let between = Some(Sequence(made[2].sequence.0 + 1));
    assert_eq!(
        log.history(&key("a"), page(between, 2)).await.unwrap(),
        made[2..4]
    );
}

pub(crate) async fn a_source_keeps_what_it_called_the_version(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let source = Source {
        version: Some("17".to_owned()),
        last_updated: Some(Timestamp(-5)),
    };
    let write = Write {
        source: Some(source.clone()),
        ..put("a", "x")
    };
    assert_eq!(version(&*log, write).await.source, Some(source.clone()));
    assert_eq!(
        log.current(&key("a")).await.unwrap().unwrap().source,
        Some(source.clone())
    );
    let silent = Write {
        source: Some(Source {
            version: None,
            last_updated: None,
        }),
        ..put("a", "y")
    };
    // What was written here since is no older than what came before.
    for written in [silent, put("a", "z"), delete("a")] {
        assert_eq!(version(&*log, written).await.source, Some(source.clone()));
    }
    let late = Write {
        precondition: Precondition::SourceIsNewer,
        source: Some(source),
        ..put("a", "late")
    };
    let answers = log.write(vec![late]).await.unwrap();
    assert!(matches!(&answers[..], [Written::Unchanged(_)]), "{answers:?}");
}

pub(crate) async fn what_a_source_sends_late_or_again_changes_nothing(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let fed = |write: Write, version: &str, last_updated: i64| Write {
        precondition: Precondition::SourceIsNewer,
        source: Some(Source {
            version: Some(version.to_owned()),
            last_updated: Some(Timestamp(last_updated)),
        }),
        ..write
    };
    version(&*log, put("a", "made here")).await;
    let second = version(&*log, fed(put("a", "2"), "2", 20)).await;
    for (sent, at) in [("2", 20), ("1", 10)] {
        let left_out = log.write(vec![fed(put("a", "late"), sent, at)]).await.unwrap();
        assert_eq!(left_out, [Written::Unchanged(second.clone())]);
    }
    let several = vec![
        fed(put("a", "3"), "3", 30),
        fed(put("a", "3"), "3", 30),
        fed(put("a", "4"), "4", 40),
    ];
    let answers = log.write(several).await.unwrap();
    assert!(matches!(&answers[1], Written::Unchanged(third) if content(third) == "3"));
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 4);
    // A delete that names no version follows whatever came before, and what came before stays older than it.
    let silent = Write {
        precondition: Precondition::SourceIsNewer,
        ..delete("a")
    };
    let deleted = version(&*log, silent.clone()).await;
    assert_eq!(deleted.source.as_ref().unwrap().version.as_deref(), Some("4"));
    let late = log.write(vec![fed(put("a", "late"), "4", 40)]).await.unwrap();
    assert_eq!(late, [Written::Unchanged(deleted)]);
    assert_eq!(log.write(vec![silent]).await.unwrap(), [Written::Nothing]);
    let revived = version(&*log, fed(put("a", "5"), "5", 50)).await;
    assert_eq!(revived.status, VersionStatus::Recreated);
}

pub(crate) async fn a_matcher_sees_the_version_before_and_one_that_panics_fails_its_call_alone(
    stores: &dyn Stores,
) {
    let log = stores.open(still()).await;
    let first = version(&*log, put("a", "x")).await;
    let seen = first.clone();
    let matcher: crate::log::Matcher = Arc::new(move |previous, made, _| {
        assert_eq!(previous, Some(&seen));
        assert_eq!(content(made), "y");
        crate::change::Matched::default()
    });
    version(
        &*log,
        Write {
            matcher,
            ..put("a", "y")
        },
    )
    .await;
    let panics: crate::log::Matcher = Arc::new(|_, _, _| panic!("on purpose"));
    let bad = log.write(vec![
        put("b", "1"),
        Write {
            matcher: panics,
            ..put("c", "1")
        },
    ]);
    let good = log.write(vec![Write {
        matcher: topics(&["t"]),
        action: body("2"),
        ..put("d", "")
    }]);
    let (bad, good) = futures::join!(bad, good);
    assert!(
        matches!(bad, Err(WriteError::Log(LogError::Unavailable { .. }))),
        "{bad:?}"
    );
    assert_eq!(good.unwrap().len(), 1);
    assert_eq!(log.current(&key("b")).await.unwrap(), None);
}
