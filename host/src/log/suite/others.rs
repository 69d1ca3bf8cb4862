//! Matchers that look at other resources.

use std::sync::Arc;

use super::{Stores, all_changes, body, delete, key, put, still};
use crate::change::{Matched, Offset, Other};
use crate::log::{Log, Matcher, Precondition, Write};

/// A matcher that answers the languages of these Patients as they are: `-` for one that is absent. A topic known of
/// zero says that one of them was not at hand.
fn languages(ids: &[&str]) -> Matcher {
    let keys: Vec<_> = ids.iter().map(|id| key(id)).collect();
    Arc::new(move |_, _, others| {
        let mut matched = Matched {
            topics_known: 3,
            topics: Vec::new(),
        };
        for key in &keys {
            match others.other(key) {
                Other::Living(resource) => {
                    let resource: serde_json::Value = serde_json::from_slice(resource).unwrap();
                    matched
                        .topics
                        .push(resource["language"].as_str().unwrap().to_owned());
                }
                Other::Absent => matched.topics.push("-".to_owned()),
                Other::NotAtHand => matched.topics_known = 0,
            }
        }
        matched
    })
}

fn looking(write: Write, ids: &[&str]) -> Write {
    Write {
        matcher: languages(ids),
        ..write
    }
}

/// What the matchers of these writes answer, in one call.
async fn matched(log: &dyn Log, writes: Vec<Write>) -> Vec<String> {
    let count = writes.len();
    log.write(writes).await.unwrap();
    let changes = all_changes(log, Offset::START).await;
    let answer = |matched: &Matched| {
        assert_eq!(matched.topics_known, 3, "everything was at hand");
        matched.topics.join("+")
    };
    changes[changes.len() - count..]
        .iter()
        .map(|change| answer(&change.matched))
        .collect()
}

pub(crate) async fn a_matcher_sees_other_resources_as_they_are(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.write(vec![put("a", "one"), put("b", "x")]).await.unwrap();
    log.write(vec![put("a", "two"), delete("b")]).await.unwrap();
    let write = || looking(put("c", "own"), &["a", "b", "never", "c"]);
    assert_eq!(matched(&*log, vec![write()]).await, ["two+-+-+own"]);
    log.write(vec![delete("a"), put("b", "back")]).await.unwrap();
    assert_eq!(matched(&*log, vec![write()]).await, ["-+back+-+own"]);
    let gone = looking(delete("c"), &["a", "b"]);
    assert_eq!(matched(&*log, vec![gone]).await, ["-+back"]);
}

pub(crate) async fn a_matcher_sees_what_its_own_call_writes_in_whichever_order(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.write(vec![put("a", "old"), put("gone", "x")]).await.unwrap();
    let call = vec![
        looking(put("first", "x"), &["a", "new", "gone"]),
        Write {
            matcher: languages(&[]),
            ..put("a", "now")
        },
        looking(delete("gone"), &[]),
        looking(put("new", "n"), &[]),
        looking(put("last", "x"), &["a", "new", "gone"]),
    ];
    assert_eq!(matched(&*log, call).await, ["now+n+-", "", "", "", "now+n+-"]);
    // A call that is refused leaves nothing for the others to see.
    let refused = Write {
        precondition: Precondition::Exists,
        ..put("nowhere", "x")
    };
    let refused = log.write(vec![put("a", "refused"), refused]);
    let looking = log.write(vec![looking(put("d", "x"), &["a"])]);
    let (refused, looking) = futures::join!(refused, looking);
    assert!(refused.is_err() && looking.is_ok());
    let last = all_changes(&*log, Offset::START).await.pop().unwrap();
    assert_eq!(last.matched.topics, ["now"]);
}

pub(crate) async fn what_a_matcher_asks_for_step_by_step_is_read_step_by_step(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.write(vec![put("a", "b"), put("b", "c"), put("c", "end")])
        .await
        .unwrap();
    // Each Patient's language is the id of the next one.
    let chain: Matcher = Arc::new(|_, _, others| {
        let mut next = "a".to_owned();
        while next != "end" {
            let Other::Living(resource) = others.other(&key(&next)) else {
                return Matched::default();
            };
            let resource: serde_json::Value = serde_json::from_slice(resource).unwrap();
            resource["language"].as_str().unwrap().clone_into(&mut next);
        }
        Matched {
            topics_known: 3,
            topics: vec!["end".to_owned()],
        }
    });
    let write = Write {
        matcher: chain,
        ..put("d", "x")
    };
    assert_eq!(matched(&*log, vec![write]).await, ["end"]);
}

pub(crate) async fn many_writes_that_look_at_many_others_are_matched_in_one_call(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let number = 1_500_usize;
    let language = |id: usize| format!("l{id}");
    let known = (0..number).map(|id| put(&format!("k{id}"), &language(id)));
    log.write(known.collect()).await.unwrap();
    let writes = (0..number).map(|id| looking(put(&format!("w{id}"), "x"), &[&format!("k{id}")]));
    let expected: Vec<String> = (0..number).map(language).collect();
    assert_eq!(matched(&*log, writes.collect()).await, expected);
}

pub(crate) async fn while_the_other_changes_each_write_is_matched_by_one_of_its_states(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.write(vec![put("p", "even")]).await.unwrap();
    let changing = async {
        for number in 0..100 {
            let action = match number % 3 {
                0 => delete("p"),
                1 => put("p", "odd"),
                _ => put("p", "even"),
            };
            log.write(vec![action]).await.unwrap();
        }
    };
    let writing = |writer: usize| {
        let log = Arc::clone(&log);
        async move {
            for number in 0..50 {
                let write = put(&format!("w{writer}-{number}"), "x");
                log.write(vec![looking(write, &["p"])]).await.unwrap();
            }
        }
    };
    futures::join!(changing, writing(0), writing(1), writing(2));
    let changes = all_changes(&*log, Offset::START).await;
    let looked: Vec<_> = changes
        .iter()
        .filter(|change| change.version.key.id().starts_with('w'))
        .collect();
    assert_eq!(looked.len(), 150);
    for change in looked {
        let matched = &change.matched;
        let is_a_state = ["even", "odd", "-"].contains(&matched.topics.join("+").as_str());
        assert!(is_a_state && matched.topics_known == 3, "{matched:?}");
    }
}

pub(crate) async fn a_write_that_looks_at_more_than_may_be_read_leaves_that_to_the_read(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let large = "x".repeat(8 << 20);
    for number in 0..10 {
        let large = Write {
            action: body(&large),
            ..put(&format!("large{number}"), "")
        };
        log.write(vec![large]).await.unwrap();
    }
    let ids: Vec<String> = (0..10).map(|number| format!("large{number}")).collect();
    let matcher: Matcher = Arc::new(move |_, _, others| {
        let is_at_hand = |id: &String| others.other(&key(id)) != Other::NotAtHand;
        Matched {
            topics_known: ids.iter().filter(|id| is_at_hand(id)).count() as u64,
            topics: Vec::new(),
        }
    });
    let write = Write {
        matcher,
        ..put("w", "x")
    };
    log.write(vec![write]).await.unwrap();
    let change = all_changes(&*log, Offset::START).await.pop().unwrap();
    assert!(change.matched.topics_known >= 8, "{:?}", change.matched);
}
