//! The log's order, its bounds and its counts.

use std::collections::HashMap;

use super::{Stores, all_changes, bound, delete, put, still, topics, version};
use crate::change::{Change, Offset, ResourceKey, Sequence};
use crate::log::{ReadBound, Write, Written};

pub(crate) async fn changes_come_in_order_each_once_under_sixteen_writers(stores: &dyn Stores) {
    const WRITERS: usize = 16;
    const CALLS: usize = 40;
    let log = stores.open(still()).await;
    let writers = (0..WRITERS).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            let mut made = 0;
            for call in 0..CALLS {
                let id = |step: usize| format!("r{}", (writer * 7 + call * 3 + step) % 11);
                let mut writes = vec![put(&id(0), "x"), put(&id(1), "y")];
                if call % 5 == 0 {
                    writes.push(delete(&id(2)));
                }
                let answers = log.write(writes).await.unwrap();
                made += answers
                    .iter()
                    .filter(|answer| **answer != Written::Nothing)
                    .count();
            }
            made
        })
    });
    let writers: Vec<_> = writers.collect();
    let reader = tokio::spawn({
        let log = log.clone();
        async move {
            let mut head = log.head();
            let mut seen = Vec::new();
            let mut after = Offset::START;
            while tokio::time::timeout(std::time::Duration::from_secs(2), head.changed())
                .await
                .is_ok()
            {
                loop {
                    let changes = log.changes(after, bound(50, usize::MAX)).await.unwrap();
                    let Some(last) = changes.last() else { break };
                    after = last.offset;
                    seen.extend(changes);
                }
            }
            seen
        }
    });
    let mut made = 0;
    for writer in writers {
        made += writer.await.unwrap();
    }
    let seen = reader.await.unwrap();
    assert_eq!(seen.len(), made);
    assert!(seen.is_sorted_by(|one, next| one.offset < next.offset));
    let mut newest: HashMap<String, (Sequence, i64)> = HashMap::new();
    for change in &seen {
        let now = (change.version.sequence, change.version.last_updated.0);
        let before = newest.insert(change.version.key.to_string(), now);
        assert_eq!(change.previous, before.map(|(sequence, _)| sequence));
        assert!(before.is_none_or(|(sequence, time)| sequence < now.0 && time < now.1));
    }
    assert_eq!(all_changes(&*log, Offset::START).await, seen);
}

pub(crate) async fn a_read_stops_at_its_bounds_but_gives_at_least_one_change(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let mut sizes = Vec::new();
    for number in 0..10 {
        let made = version(&*log, put(&format!("p{number}"), &"x".repeat(100))).await;
        sizes.push(made.resource.len());
    }
    let all = all_changes(&*log, Offset::START).await;
    assert_eq!(all.len(), 10);
    let read = async |after: Offset, bound: ReadBound| log.changes(after, bound).await.unwrap();
    assert_eq!(read(Offset::START, bound(3, usize::MAX)).await, all[..3]);
    assert_eq!(read(all[2].offset, bound(3, usize::MAX)).await, all[3..6]);
    let four = sizes[..4].iter().sum();
    assert_eq!(read(Offset::START, bound(100, four)).await, all[..4]);
    assert_eq!(read(Offset::START, bound(100, four - 1)).await, all[..3]);
    assert_eq!(read(Offset::START, bound(100, 1)).await, all[..1]);
    let through = ReadBound {
        through: Some(all[6].offset),
        ..bound(100, usize::MAX)
    };
    assert_eq!(read(all[4].offset, through).await, all[5..7]);
    assert_eq!(read(all[6].offset, through).await, []);
    assert_eq!(read(all[9].offset, bound(100, usize::MAX)).await, []);
}

/// A write of another type than a Patient.
fn put_other(id: &str) -> Write {
    Write {
        key: ResourceKey::new("Observation", id).unwrap(),
        ..put(id, "other")
    }
}

pub(crate) async fn a_types_changes_come_in_order_each_once_and_no_others(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let writers = (0..8).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            for call in 0..25 {
                let id = format!("r{}", (writer * 7 + call) % 11);
                let writes = vec![put(&id, "x"), put_other(&id), delete(&id)];
                log.write(writes).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut seen = Vec::new();
    let mut after = Offset::START;
    loop {
        let is_over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let head = *log.head().borrow();
        let through = ReadBound {
            through: Some(head),
            ..bound(7, usize::MAX)
        };
        let read = log.type_changes("Patient", after, through).await.unwrap();
        assert!(read.reached >= after && read.reached <= head, "{read:?}");
        assert!(read.changes.len() <= 7);
        after = read.reached;
        seen.extend(read.changes);
        if is_over && after == *log.head().borrow() {
            let all = all_changes(&*log, Offset::START).await;
            if all.len() == 8 * 25 * 3 && all.last().map(|change| change.offset) == Some(after) {
                let of_type = |change: &Change| change.version.key.resource_type() == "Patient";
                assert_eq!(seen, all.into_iter().filter(of_type).collect::<Vec<_>>());
                return;
            }
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_read_of_a_types_changes_says_how_far_it_looked(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let mut sizes = Vec::new();
    for number in 0..6 {
        let made = version(&*log, put(&format!("p{number}"), &"x".repeat(100))).await;
        sizes.push(made.resource.len());
        version(&*log, put_other("o")).await;
    }
    let all = all_changes(&*log, Offset::START).await;
    let patients: Vec<Change> = all.iter().step_by(2).cloned().collect();
    let head = all[11].offset;
    let read = async |resource_type, after, bound: ReadBound| {
        let bound = ReadBound {
            through: bound.through.or(Some(head)),
            ..bound
        };
        let read = log.type_changes(resource_type, after, bound).await.unwrap();
        (read.changes, read.reached)
    };
    let most = bound(100, usize::MAX);
    let everything = (patients.clone(), head);
    assert_eq!(read("Patient", Offset::START, most).await, everything);
    // What is given is never looked at again; how much beyond it was looked at is the store's to say.
    let (given, reached) = read("Patient", Offset::START, bound(2, usize::MAX)).await;
    assert_eq!(given, patients[..2]);
    assert!((all[2].offset..=all[3].offset).contains(&reached), "{reached}");
    let (given, _) = read("Patient", reached, bound(2, usize::MAX)).await;
    assert_eq!(given, patients[2..4]);
    let three = sizes[..3].iter().sum();
    assert_eq!(
        read("Patient", Offset::START, bound(100, three)).await.0,
        patients[..3]
    );
    assert_eq!(
        read("Patient", Offset::START, bound(100, three - 1)).await.0,
        patients[..2]
    );
    assert_eq!(
        read("Patient", Offset::START, bound(100, 1)).await.0,
        patients[..1]
    );
    assert_eq!(read("Practitioner", Offset::START, most).await, (vec![], head));
    assert_eq!(read("Patient", all[10].offset, most).await, (vec![], head));
    assert_eq!(read("Patient", head, most).await, (vec![], head));
    let early = ReadBound {
        through: Some(all[5].offset),
        ..most
    };
    let expect = (patients[..3].to_vec(), all[5].offset);
    assert_eq!(read("Patient", Offset::START, early).await, expect);
}

pub(crate) async fn a_count_is_exact_for_each_topic_and_offset(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let sets: [&[&str]; 5] = [&["a"], &[], &["a", "b"], &["b", "b"], &["a"]];
    let mut call = Vec::new();
    for number in 0..50_usize {
        call.push(Write {
            matcher: topics(sets[number % 5]),
            ..put(&format!("p{}", number % 9), "x")
        });
        if number % 7 == 0 {
            log.write(std::mem::take(&mut call)).await.unwrap();
        }
    }
    log.write(call).await.unwrap();
    let all = all_changes(&*log, Offset::START).await;
    assert_eq!(all.len(), 50);
    assert_eq!(all[2].matched.topics, ["a", "b"]);
    assert_eq!(all[2].matched.topics_known, 3);
    let offsets = [Offset::START]
        .into_iter()
        .chain(all.iter().map(|change| change.offset));
    for (behind, offset) in offsets.enumerate() {
        for topic in ["a", "b", "unheard-of"] {
            let wanted = |change: &&crate::change::Change| change.matched.topics.iter().any(|id| id == topic);
            let expected = all[behind..].iter().filter(wanted).count() as u64;
            assert_eq!(
                log.count_changes(offset, topic).await.unwrap(),
                expected,
                "{topic} after {offset}"
            );
        }
    }
}

pub(crate) async fn the_head_wakes_with_a_commit_and_names_its_newest_change(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let mut head = log.head();
    assert_eq!(*head.borrow_and_update(), Offset::START);
    version(&*log, put("a", "x")).await;
    head.changed().await.unwrap();
    let newest = *head.borrow_and_update();
    assert_eq!(
        all_changes(&*log, Offset::START).await.last().unwrap().offset,
        newest
    );
    log.put_kept("space", "name", b"value").await.unwrap();
    assert!(!head.has_changed().unwrap());
}
