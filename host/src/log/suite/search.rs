//! Search, histories of a type, and lookups that writes depend on.

use std::sync::Arc;

use super::{Hands, Stores, content, delete, key, page, put, still, version};
use crate::change::{ResourceKey, Timestamp, Version};
use crate::log::{
    Finding, HistoryPage, Lookup, MOST_BEARERS, Place, Refused, Search, SearchOrder, Token, Write, WriteError,
};

fn ids(found: &[Version]) -> Vec<&str> {
    found.iter().map(|version| version.key.id()).collect()
}

pub(crate) async fn search_finds_the_living_by_id_and_pages(stores: &dyn Stores) {
    let hands = Hands::at(10);
    let log = stores.open(hands.clock()).await;
    for id in ["c", "a", "d", "b", "gone"] {
        version(&*log, put(id, "x")).await;
    }
    version(&*log, delete("gone")).await;
    hands.set(20);
    version(&*log, put("d", "y")).await;
    let all = Search {
        resource_type: "Patient".to_owned(),
        count: 10,
        ..Search::default()
    };
    assert_eq!(ids(&log.search(&all).await.unwrap()), ["a", "b", "c", "d"]);
    let page = Search {
        count: 2,
        after: Some(Place {
            id: "b".to_owned(),
            last_updated: Timestamp(0),
        }),
        ..all.clone()
    };
    assert_eq!(ids(&log.search(&page).await.unwrap()), ["c", "d"]);
    assert_eq!(log.search_total(&page).await.unwrap(), 4);
    let some = Search {
        ids: Some(vec!["d".to_owned(), "gone".to_owned(), "a".to_owned()]),
        ..all.clone()
    };
    assert_eq!(ids(&log.search(&some).await.unwrap()), ["a", "d"]);
    assert_eq!(log.search_total(&some).await.unwrap(), 2);
    let recent = Search {
        updated_from: Some(Timestamp(20)),
        ..all.clone()
    };
    assert_eq!(ids(&log.search(&recent).await.unwrap()), ["d"]);
    let none = Search {
        resource_type: "Observation".to_owned(),
        ..all
    };
    assert_eq!(log.search_total(&none).await.unwrap(), 0);
}

pub(crate) async fn search_by_update_gives_each_once_in_order_over_its_pages(stores: &dyn Stores) {
    let hands = Hands::at(0);
    let log = stores.open(hands.clock()).await;
    for (time, id) in [(30, "a"), (10, "d"), (20, "c"), (20, "b"), (40, "e"), (50, "e")] {
        hands.set(time);
        version(&*log, put(id, "x")).await;
    }
    for (order, expect) in [
        (SearchOrder::OldestFirst, "dbcae"),
        (SearchOrder::NewestFirst, "eabcd"),
    ] {
        let mut search = Search {
            resource_type: "Patient".to_owned(),
            order,
            count: 2,
            ..Search::default()
        };
        let mut found = String::new();
        loop {
            let page = log.search(&search).await.unwrap();
            let Some(last) = page.last() else { break };
            search.after = Some(Place::of(last));
            page.iter().for_each(|version| found.push_str(version.key.id()));
        }
        assert_eq!(found, expect);
        let between = Search {
            updated_from: Some(Timestamp(20)),
            updated_before: Some(Timestamp(50)),
            after: None,
            count: 10,
            ..search
        };
        assert_eq!(log.search_total(&between).await.unwrap(), 3);
        assert_eq!(log.search(&between).await.unwrap().len(), 3);
    }
}

pub(crate) async fn a_types_history_holds_all_its_versions_newest_first(stores: &dyn Stores) {
    let hands = Hands::at(0);
    let log = stores.open(hands.clock()).await;
    let other = Write {
        key: ResourceKey::new("Observation", "o").unwrap(),
        ..put("o", "not a patient's")
    };
    for (time, write) in [
        (10, put("a", "1")),
        (20, put("b", "2")),
        (30, other),
        (40, delete("a")),
    ] {
        hands.set(time);
        log.write(vec![write]).await.unwrap();
    }
    let all = log
        .type_history("Patient", page(None, 10))
        .await
        .unwrap()
        .versions;
    let contents: Vec<String> = all.iter().map(content).collect();
    assert_eq!(contents, ["1", "2", "1"]);
    let older = page(Some(all[0].sequence), 1);
    assert_eq!(
        log.type_history("Patient", older).await.unwrap().versions,
        all[1..2]
    );
    let since = HistoryPage {
        since: Some(Timestamp(20)),
        ..page(None, 10)
    };
    assert_eq!(
        log.type_history("Patient", since).await.unwrap().versions,
        all[..2]
    );
    assert_eq!(log.history(&key("a"), since).await.unwrap(), all[..1]);
}

/// Finds what bears a token and whose content begins with a letter.
fn lookup(token: i64, letter: &'static str) -> Lookup {
    Lookup {
        resource_type: "Patient".to_owned(),
        token: Token(token),
        matches: Arc::new(move |version| content(version).starts_with(letter)),
    }
}

fn bearing(write: Write, tokens: &[i64]) -> Write {
    Write {
        tokens: tokens.iter().copied().map(Token).collect(),
        ..write
    }
}

pub(crate) async fn a_lookup_finds_the_living_by_the_tokens_of_their_newest_version(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let writes = [
        bearing(put("c", "x1"), &[7]),
        bearing(put("a", "x2"), &[5, 7]),
        bearing(put("b", "y"), &[7]),
        bearing(put("moved", "x"), &[7]),
        bearing(put("gone", "x"), &[7]),
        bearing(put("moved", "x"), &[8]),
        delete("gone"),
    ];
    for write in writes {
        log.write(vec![write]).await.unwrap();
    }
    let found = async |token, letter, count| {
        let found = log.look_up(&lookup(token, letter), count).await.unwrap();
        ids(&found).join(",")
    };
    assert_eq!(found(7, "x", 10).await, "a,c");
    assert_eq!(found(7, "x", 1).await, "a");
    assert_eq!(found(7, "y", 10).await, "b");
    assert_eq!(found(8, "x", 10).await, "moved");
    assert_eq!(found(6, "x", 10).await, "");
    log.write(vec![bearing(put("gone", "x"), &[6])]).await.unwrap();
    assert_eq!(found(6, "x", 10).await, "gone");
    assert_eq!(found(7, "x", 10).await, "a,c");
}

/// A write that was decided when a lookup for 7 found these.
fn decided_by(write: Write, found: &[&str]) -> Write {
    let finding = Finding {
        lookup: lookup(7, "x"),
        ids: found.iter().map(|id| (*id).to_owned()).collect(),
    };
    Write {
        finding: Some(Arc::new(finding)),
        ..bearing(write, &[7])
    }
}

pub(crate) async fn a_write_that_was_decided_by_a_lookup_is_refused_when_it_finds_others(
    stores: &dyn Stores,
) {
    let log = stores.open(still()).await;
    version(&*log, decided_by(put("a", "x"), &[])).await;
    let too_late = log.write(vec![decided_by(put("b", "x"), &[])]).await;
    let is_refused = |answer| matches!(answer, Err(WriteError::Refused { index: 0, refused }) if refused == Refused::FoundOther);
    assert!(is_refused(too_late));
    version(&*log, decided_by(put("a", "x2"), &["a"])).await;
    version(&*log, bearing(put("other", "y"), &[7])).await;
    version(&*log, decided_by(put("a", "x3"), &["a"])).await;
    version(&*log, delete("a")).await;
    assert!(is_refused(
        log.write(vec![decided_by(put("a", "x"), &["a"])]).await
    ));
    // Within one call each write sees what those before it did.
    let both = vec![decided_by(put("b", "x"), &[]), decided_by(put("c", "x"), &["b"])];
    assert_eq!(log.write(both).await.unwrap().len(), 2);
}

pub(crate) async fn by_a_token_that_very_many_bear_no_write_is_decided(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let bearers = |numbers: std::ops::Range<usize>| {
        numbers
            .map(|number| bearing(put(&format!("p{number}"), "y"), &[7]))
            .collect()
    };
    log.write(bearers(0..MOST_BEARERS)).await.unwrap();
    version(&*log, decided_by(put("p0", "y"), &[])).await;
    log.write(bearers(MOST_BEARERS..MOST_BEARERS + 1)).await.unwrap();
    let refused = log
        .write(vec![decided_by(put("p0", "y"), &[])])
        .await
        .unwrap_err();
    let wanted = WriteError::Refused {
        index: 0,
        refused: Refused::Crowded,
    };
    assert_eq!(refused.to_string(), wanted.to_string());
    version(&*log, bearing(put("p0", "y"), &[7])).await;
}

pub(crate) async fn of_callers_that_found_nothing_and_create_one_succeeds(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let calls = (0..16).map(|number| {
        let id = format!("p{number}");
        log.write(vec![decided_by(put(&id, "x"), &[])])
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(log.look_up(&lookup(7, "x"), 10).await.unwrap().len(), 1);
}
