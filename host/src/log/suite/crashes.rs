//! What is left when a host ends without closing, and when callers stop waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Stores, all_changes, content, key, put, still, version};
use crate::change::Offset;
use crate::log::{LogError, Search, WriteError};

pub(crate) async fn what_was_acknowledged_is_there_after_a_drop_without_close(stores: &dyn Stores) {
    let acknowledged = Arc::new(AtomicU64::new(0));
    for round in 0..5 {
        let log = stores.open(still()).await;
        let writers = (0..4).map(|writer| {
            let (log, acknowledged) = (log.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    version(&*log, put(&format!("r{round}-{writer}-{number}"), "x")).await;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(Duration::from_millis(40)).await;
        for writer in &writers {
            writer.abort();
        }
        futures::future::join_all(writers).await;
    }
    let log = stores.open(still()).await;
    let found = all_changes(&*log, Offset::START).await.len() as u64;
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    assert!(
        found >= acknowledged,
        "{found} found, {acknowledged} acknowledged"
    );
}

pub(crate) async fn a_dropped_call_takes_effect_whole_or_not_at_all(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    for call in 0..200_u64 {
        let pair = vec![put(&format!("a{call}"), "x"), put(&format!("b{call}"), "x")];
        // A small generator spreads the moments over a commit's duration.
        let moment = (call.wrapping_mul(2_654_435_761) >> 7) % 3_000;
        let write = tokio::time::timeout(Duration::from_micros(moment), log.write(pair));
        if let Ok(answer) = write.await {
            answer.unwrap();
        }
    }
    // Closing waits for what may still be under way.
    log.close().await;
    let log = stores.open(still()).await;
    for call in 0..200 {
        let one = log.history_len(&key(&format!("a{call}"))).await.unwrap();
        let other = log.history_len(&key(&format!("b{call}"))).await.unwrap();
        assert_eq!(one, other, "call {call}");
    }
}

pub(crate) async fn sequences_and_order_go_on_after_reopening(stores: &dyn Stores) {
    let mut last = None;
    for round in 0..4 {
        let log = stores.open(still()).await;
        let found = log.current(&key("a")).await.unwrap();
        assert_eq!(found, last);
        assert_eq!(
            found.as_ref().map(content),
            (round > 0).then(|| (round - 1).to_string())
        );
        let made = version(&*log, put("a", &round.to_string())).await;
        assert!(
            last.is_none_or(|last| last.sequence < made.sequence && last.last_updated < made.last_updated)
        );
        assert_eq!(log.head().borrow().sequence, made.sequence.0);
        last = Some(made);
        if round % 2 == 0 {
            log.close().await;
        }
    }
}

pub(crate) async fn a_closed_store_answers_that_it_is_closed(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    version(&*log, put("a", "x")).await;
    log.close().await;
    log.close().await;
    let written = log.write(vec![put("a", "x")]).await;
    assert!(
        matches!(written, Err(WriteError::Log(LogError::Closed))),
        "{written:?}"
    );
    let read = log.current(&key("a")).await;
    assert!(matches!(read, Err(LogError::Closed)), "{read:?}");
    let search = log.search(&Search::default()).await;
    assert!(matches!(search, Err(LogError::Closed)), "{search:?}");
    let changes = log.changes(Offset::START, super::bound(1, 1)).await;
    assert!(matches!(changes, Err(LogError::Closed)), "{changes:?}");
    let edited = log.put_kept("s", "n", b"v").await;
    assert!(matches!(edited, Err(LogError::Closed)), "{edited:?}");
}
