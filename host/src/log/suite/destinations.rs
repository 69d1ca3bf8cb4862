//! Fences, batches, offsets, counters and dead letters.

use super::{Stores, all_changes, key, put, still, version};
use crate::change::{Offset, Timestamp};
use crate::log::{
    Ack, BatchBounds, Counters, DestinationState, Fence, LastError, Log, LogError, NewDeadLetter,
};

/// Writes so many changes and answers their offsets.
async fn offsets(log: &dyn Log, count: usize) -> Vec<Offset> {
    for number in 0..count {
        version(log, put(&format!("p{number}"), "x")).await;
    }
    let changes = all_changes(log, Offset::START).await;
    changes.iter().map(|change| change.offset).collect()
}

fn ack(through: Offset) -> Ack {
    Ack {
        through,
        batch_done: true,
        at: Timestamp(77),
        ..Ack::default()
    }
}

fn letter(offset: Offset) -> NewDeadLetter {
    NewDeadLetter {
        offset,
        key: key("p0"),
        version: crate::change::Sequence(offset.sequence),
        code: "ROW-001".to_owned(),
        message: "column `birth_date` is not a date".to_owned(),
        detail: Some("said the far side".to_owned()),
        row: Some(2),
        column: Some("birth_date".to_owned()),
        rows: Some(r#"[{"id":"p0"}]"#.to_owned()),
    }
}

fn error(number: u64) -> LastError {
    LastError {
        at: Timestamp(1),
        code: format!("E-{number}"),
        message: "it failed".to_owned(),
    }
}

fn is_fenced<T: std::fmt::Debug>(answer: Result<T, LogError>) -> bool {
    matches!(answer, Err(LogError::Fenced { .. }))
}

pub(crate) async fn a_destination_begins_at_its_start_and_is_made_once(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 3).await;
    let made = log.create_destination("d", places[1]).await.unwrap();
    assert_eq!(
        (made.start, made.offset, made.generation),
        (places[1], places[1], 1)
    );
    assert_eq!(
        (made.state.clone(), made.acked_at),
        (DestinationState::Active, None)
    );
    assert_eq!((made.planned, made.counters), (None, Counters::default()));
    assert_eq!(made.created_at, Timestamp(1_000_000));
    let again = log.create_destination("d", places[0]).await;
    assert!(
        matches!(again, Err(LogError::DestinationExists { .. })),
        "{again:?}"
    );
    let other = log.create_destination("c", Offset::START).await.unwrap();
    assert_eq!(log.destination("d").await.unwrap(), Some(made.clone()));
    assert_eq!(log.destinations().await.unwrap(), [other, made.clone()]);
    log.drop_destination("d").await.unwrap();
    log.drop_destination("d").await.unwrap();
    assert_eq!(log.destination("d").await.unwrap(), None);
    let anew = log.create_destination("d", places[1]).await.unwrap();
    assert_ne!(anew.uuid, made.uuid);
    let missing = log.take_destination("missing").await;
    assert!(
        matches!(missing, Err(LogError::NoDestination { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn an_earlier_fence_changes_nothing(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 3).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let (early, _) = log.take_destination("d").await.unwrap();
    let (late, record) = log.take_destination("d").await.unwrap();
    assert!(late > early);
    let batch = BatchBounds {
        number: record.next_batch,
        after: Offset::START,
        through: places[0],
        view: 7,
    };
    assert!(is_fenced(log.plan_batch("d", early, batch).await));
    assert!(is_fenced(log.ack("d", early, ack(places[0])).await));
    assert!(is_fenced(
        log.record_failure("d", early, error(1), Counters::default())
            .await
    ));
    assert_eq!(log.destination("d").await.unwrap(), Some(record));
    log.plan_batch("d", late, batch).await.unwrap();
    log.ack("d", late, ack(places[0])).await.unwrap();
}

pub(crate) async fn a_fence_of_a_dropped_destination_does_not_hold_the_next_one(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 1).await;
    let mut held: Vec<Fence> = Vec::new();
    for _ in 0..3 {
        log.create_destination("d", Offset::START).await.unwrap();
        for fence in &held {
            assert!(is_fenced(log.ack("d", *fence, ack(places[0])).await));
        }
        held.push(log.take_destination("d").await.unwrap().0);
        log.drop_destination("d").await.unwrap();
    }
}

pub(crate) async fn a_planned_batch_is_there_after_reopening(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 4).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let (fence, record) = log.take_destination("d").await.unwrap();
    let batch = BatchBounds {
        number: record.next_batch,
        after: Offset::START,
        through: places[2],
        view: 7,
    };
    log.plan_batch("d", fence, batch).await.unwrap();
    drop(log);
    let log = stores.open(still()).await;
    let (fence, record) = log.take_destination("d").await.unwrap();
    assert_eq!(record.planned, Some(batch));
    let prefix = Ack {
        batch_done: false,
        ..ack(places[1])
    };
    log.ack("d", fence, prefix).await.unwrap();
    let record = log.destination("d").await.unwrap().unwrap();
    assert_eq!(
        record.planned,
        Some(BatchBounds {
            after: places[1],
            ..batch
        })
    );
    log.ack("d", fence, ack(places[2])).await.unwrap();
    let record = log.destination("d").await.unwrap().unwrap();
    assert_eq!((record.planned, record.next_batch), (None, batch.number + 1));
}

pub(crate) async fn an_ack_moves_offset_counters_and_dead_letters_together(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 4).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let (fence, _) = log.take_destination("d").await.unwrap();
    let counters = Counters {
        delivered: 2,
        dead_letters: 1,
        rows: 9,
        ..Counters::default()
    };
    for step in [1, 3] {
        let ack = Ack {
            counters,
            dead_letters: vec![letter(places[step])],
            ..ack(places[step])
        };
        log.ack("d", fence, ack).await.unwrap();
    }
    let record = log.destination("d").await.unwrap().unwrap();
    assert_eq!((record.offset, record.acked_at), (places[3], Some(Timestamp(77))));
    assert_eq!((record.counters.delivered, record.counters.rows), (4, 18));
    let codes: Vec<&str> = record.last_errors.iter().map(|error| &*error.code).collect();
    assert_eq!(codes, vec![letter(places[1]).code; 2]);
    let letters = log.dead_letters("d", 0, 10).await.unwrap();
    let kept: Vec<NewDeadLetter> = letters.iter().map(|dead| dead.letter.clone()).collect();
    assert_eq!(kept, [letter(places[1]), letter(places[3])]);
    assert_eq!(letters[0].at, Timestamp(77));
}

pub(crate) async fn a_refused_ack_leaves_no_dead_letter(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 3).await;
    log.create_destination("d", places[1]).await.unwrap();
    let (fence, record) = log.take_destination("d").await.unwrap();
    let past = Offset {
        sequence: places[2].sequence + 1,
        ..places[2]
    };
    for through in [places[0], past] {
        let ack = Ack {
            dead_letters: vec![letter(places[0])],
            ..ack(through)
        };
        let refused = log.ack("d", fence, ack).await;
        assert!(matches!(refused, Err(LogError::OutOfOrder { .. })), "{refused:?}");
    }
    let batch = BatchBounds {
        number: record.next_batch + 1,
        after: places[1],
        through: places[2],
        view: 7,
    };
    let refused = log.plan_batch("d", fence, batch).await;
    assert!(matches!(refused, Err(LogError::OutOfOrder { .. })), "{refused:?}");
    assert_eq!(log.destination("d").await.unwrap(), Some(record));
    assert_eq!(log.dead_letters("d", 0, 10).await.unwrap(), []);
}

pub(crate) async fn counters_state_and_the_newest_five_errors_survive_reopening(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let (fence, _) = log.take_destination("d").await.unwrap();
    let counters = Counters {
        attempts: 3,
        ..Counters::default()
    };
    for number in 0..7 {
        log.record_failure("d", fence, error(number), counters)
            .await
            .unwrap();
    }
    let halted = DestinationState::Halted {
        code: "T-1".to_owned(),
        message: "look at it".to_owned(),
    };
    log.set_destination_state("d", halted.clone()).await.unwrap();
    let before = log.destination("d").await.unwrap().unwrap();
    drop(log);
    let log = stores.open(still()).await;
    let after = log.destination("d").await.unwrap().unwrap();
    assert_eq!(after, before);
    assert_eq!((after.counters.attempts, after.state), (21, halted));
    let codes: Vec<&str> = after
        .last_errors
        .iter()
        .map(|error| error.code.as_str())
        .collect();
    assert_eq!(codes, ["E-6", "E-5", "E-4", "E-3", "E-2"]);
    // A state is an operator's: it does not take the destination from who delivers.
    log.record_failure("d", fence, error(8), counters).await.unwrap();
}

pub(crate) async fn only_an_active_destination_halts(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    log.create_destination("d", Offset::START).await.unwrap();
    log.set_destination_state("d", DestinationState::Paused)
        .await
        .unwrap();
    log.halt_destination("d", "T-1", "first").await.unwrap();
    let record = log.destination("d").await.unwrap().unwrap();
    assert_eq!(record.state, DestinationState::Paused);
    log.set_destination_state("d", DestinationState::Active)
        .await
        .unwrap();
    log.halt_destination("d", "T-1", "first").await.unwrap();
    log.halt_destination("d", "T-2", "second").await.unwrap();
    let halted = DestinationState::Halted {
        code: "T-1".to_owned(),
        message: "first".to_owned(),
    };
    let record = log.destination("d").await.unwrap().unwrap();
    assert_eq!(record.state, halted);
    let missing = log.halt_destination("none", "T-1", "first").await.unwrap_err();
    assert!(matches!(missing, LogError::NoDestination { .. }), "{missing}");
}

pub(crate) async fn a_rewind_starts_a_generation_and_fences_the_holder(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 3).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let (fence, record) = log.take_destination("d").await.unwrap();
    let batch = BatchBounds {
        number: record.next_batch,
        after: Offset::START,
        through: places[1],
        view: 7,
    };
    log.plan_batch("d", fence, batch).await.unwrap();
    log.ack("d", fence, ack(places[1])).await.unwrap();
    let next = BatchBounds {
        number: batch.number + 1,
        after: places[1],
        through: places[2],
        view: 7,
    };
    log.plan_batch("d", fence, next).await.unwrap();
    let rewound = log.rewind_destination("d", places[0]).await.unwrap();
    assert_eq!((rewound.offset, rewound.planned), (places[0], None));
    assert_eq!((rewound.generation, rewound.next_batch), (2, batch.number));
    assert_eq!(rewound.uuid, record.uuid);
    assert!(is_fenced(log.ack("d", fence, ack(places[2])).await));
    let (_, taken) = log.take_destination("d").await.unwrap();
    assert_eq!(taken, rewound);
}

pub(crate) async fn dead_letters_are_paged_and_go_with_their_destination(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    let places = offsets(&*log, 5).await;
    for id in ["d", "e"] {
        log.create_destination(id, Offset::START).await.unwrap();
        let (fence, _) = log.take_destination(id).await.unwrap();
        let dead_letters = places.iter().map(|place| letter(*place)).collect();
        log.ack(
            id,
            fence,
            Ack {
                dead_letters,
                ..ack(places[4])
            },
        )
        .await
        .unwrap();
    }
    let first = log.dead_letters("d", 0, 2).await.unwrap();
    let rest = log.dead_letters("d", first[1].number, 10).await.unwrap();
    let seen: Vec<Offset> = first.iter().chain(&rest).map(|dead| dead.letter.offset).collect();
    assert_eq!(seen, places);
    log.drop_destination("d").await.unwrap();
    assert_eq!(log.dead_letters("d", 0, 10).await.unwrap(), []);
    assert_eq!(log.dead_letters("e", 0, 10).await.unwrap().len(), 5);
}

pub(crate) async fn what_is_kept_is_replaced_listed_by_name_and_forgotten(stores: &dyn Stores) {
    let log = stores.open(still()).await;
    assert_eq!(log.kept("s", "b").await.unwrap(), None);
    for (space, name, value) in [("s", "b", "1"), ("s", "a", "2"), ("t", "b", "3"), ("s", "b", "4")] {
        log.put_kept(space, name, value.as_bytes()).await.unwrap();
    }
    log.put_kept("s", "empty", b"").await.unwrap();
    drop(log);
    let log = stores.open(still()).await;
    let expected = [("a", &b"2"[..]), ("b", b"4"), ("empty", b"")];
    let all = log.all_kept("s").await.unwrap();
    let all: Vec<(&str, &[u8])> = all.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(all, expected);
    log.drop_kept("s", "b").await.unwrap();
    log.drop_kept("s", "b").await.unwrap();
    assert_eq!(log.kept("s", "b").await.unwrap(), None);
    assert_eq!(log.kept("t", "b").await.unwrap(), Some(b"3".to_vec()));
}
