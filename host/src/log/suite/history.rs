//! Histories by a period, and by a transaction's number.

use super::{Hands, Stores, content, delete, key, page, put, version};
use crate::change::{ResourceKey, Sequence, Timestamp, Version};
use crate::log::{During, HistoryPage, Log, MOST_LOOKED_AT, Which, Write};

/// A page of what was current from a time on, up to another.
fn current(from: i64, before: i64, count: usize) -> HistoryPage {
    HistoryPage {
        which: Which::Current(During {
            from: Timestamp(from),
            before: Timestamp(before),
        }),
        ..page(None, count)
    }
}

fn contents(versions: &[Version]) -> String {
    versions.iter().map(content).collect()
}

/// Four versions of `a`, the third of them a delete, with others between.
async fn written(log: &dyn Log, hands: &Hands) {
    let other = Write {
        key: ResourceKey::new("Observation", "a").unwrap(),
        ..put("a", "o")
    };
    for (time, write) in [
        (10, put("a", "1")),
        (15, other),
        (20, put("b", "2")),
        (30, put("a", "3")),
        (40, delete("a")),
        (50, put("b", "4")),
        (60, put("a", "5")),
    ] {
        hands.set(time);
        version(log, write).await;
    }
}

pub(crate) async fn a_version_is_current_from_when_it_was_made_until_the_next_one_is(stores: &dyn Stores) {
    let hands = Hands::at(0);
    let log = stores.open(hands.clock()).await;
    written(&*log, &hands).await;
    // A delete repeats the content of the version before, so `33` is a version and its delete.
    for (from, before, of_a, of_type) in [
        (0, 10, "", ""),
        (0, 11, "1", "1"),
        (10, 11, "1", "1"),
        (29, 30, "1", "21"),
        (30, 31, "3", "32"),
        (29, 31, "31", "321"),
        (40, 41, "3", "32"),
        (39, 41, "33", "332"),
        (45, 55, "3", "432"),
        (60, 61, "5", "54"),
        (1_000, 1_001, "5", "54"),
        (0, 1_000, "5331", "543321"),
    ] {
        let page = current(from, before, 10);
        let history = log.history(&key("a"), page).await.unwrap();
        assert_eq!(contents(&history), of_a, "{from} to {before}");
        let history = log.type_history("Patient", page).await.unwrap();
        assert_eq!(contents(&history.versions), of_type, "{from} to {before}");
        assert_eq!(history.stopped_at, None);
    }
    let since = HistoryPage {
        since: Some(Timestamp(40)),
        ..current(29, 51, 10)
    };
    assert_eq!(contents(&log.history(&key("a"), since).await.unwrap()), "3");
    let history = log.type_history("Patient", since).await.unwrap();
    assert_eq!(contents(&history.versions), "43");
    assert_eq!(
        log.history(&key("nobody"), current(0, 100, 10)).await.unwrap(),
        []
    );
}

pub(crate) async fn what_was_current_in_a_period_is_paged_in_both_histories(stores: &dyn Stores) {
    let hands = Hands::at(0);
    let log = stores.open(hands.clock()).await;
    written(&*log, &hands).await;
    for (from, before) in [(0, 1_000), (29, 31), (45, 55)] {
        let all = log.history(&key("a"), current(from, before, 10)).await.unwrap();
        let mut paged = Vec::new();
        let mut page = current(from, before, 1);
        while let Some(version) = log.history(&key("a"), page).await.unwrap().pop() {
            page.before = Some(version.sequence);
            paged.push(version);
        }
        assert_eq!(paged, all);
        let all = log
            .type_history("Patient", current(from, before, 10))
            .await
            .unwrap();
        let mut paged = Vec::new();
        page.before = None;
        while let Some(version) = log.type_history("Patient", page).await.unwrap().versions.pop() {
            page.before = Some(version.sequence);
            paged.push(version);
        }
        assert_eq!(paged, all.versions);
    }
}

pub(crate) async fn a_page_of_a_period_stops_where_it_has_looked_at_enough(stores: &dyn Stores) {
    let hands = Hands::at(10);
    let log = stores.open(hands.clock()).await;
    version(&*log, put("early", "1")).await;
    version(&*log, put("early", "2")).await;
    hands.set(1_000_000);
    for _ in 0..MOST_LOOKED_AT / 1_000 {
        let writes = (0..1_000).map(|number| put(&format!("p{number}"), "x"));
        log.write(writes.collect()).await.unwrap();
    }
    let mut page = current(10, 12, 10);
    let first = log.type_history("Patient", page).await.unwrap();
    assert_eq!(first.versions, []);
    assert!(first.stopped_at.is_some());
    page.before = first.stopped_at;
    let second = log.type_history("Patient", page).await.unwrap();
    assert_eq!(contents(&second.versions), "21");
    assert_eq!(second.stopped_at, None);
}

pub(crate) async fn a_history_finds_the_version_of_a_number(stores: &dyn Stores) {
    let hands = Hands::at(0);
    let log = stores.open(hands.clock()).await;
    written(&*log, &hands).await;
    let all = log.history(&key("a"), page(None, 10)).await.unwrap();
    let numbered = |number: Sequence| HistoryPage {
        which: Which::Numbered(number),
        ..page(None, 10)
    };
    for version in &all {
        let found = log.history(&key("a"), numbered(version.sequence)).await.unwrap();
        assert_eq!(found, std::slice::from_ref(version));
        let number = numbered(version.sequence);
        let found = log.type_history("Patient", number).await.unwrap().versions;
        assert_eq!(found, std::slice::from_ref(version));
        assert_eq!(log.history(&key("b"), number).await.unwrap(), []);
        let of_others = log.type_history("Observation", number).await.unwrap();
        assert_eq!(of_others.versions, []);
        let later = HistoryPage {
            since: Some(Timestamp(version.last_updated.0 + 1)),
            ..number
        };
        assert_eq!(log.history(&key("a"), later).await.unwrap(), []);
        assert_eq!(log.type_history("Patient", later).await.unwrap().versions, []);
    }
    let unknown = numbered(Sequence(u64::MAX));
    assert_eq!(log.history(&key("a"), unknown).await.unwrap(), []);
    assert_eq!(log.type_history("Patient", unknown).await.unwrap().versions, []);
}
