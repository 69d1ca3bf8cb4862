//! A failure at every step, drawn from a seed, and what was delivered compared with what was committed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// How many runs; each replays from its number alone.
const SEEDS: u64 = 150;

/// Commits patients, some of whom the target refuses, changes and deletes some.
fn commit(log: &MemoryLog, dice: &Chance) {
    for _ in 0..3 + dice.below(12) {
        let id = format!("p{}", dice.below(8));
        let exists = log.knows(&id);
        match dice.below(6) {
            0 if exists => log.delete(&id),
            1 => log.put_unwanted(&format!("u{}", dice.below(3))),
            2 => log.put(&format!("bad{}", dice.below(3)), ""),
            _ => log.put(&id, ""),
        }
    }
}

/// One run: hosts live and die over one log and one table while changes are committed; then the faults end and
/// the rest is delivered.
async fn run(seed: u64, idempotent: bool) -> (Arc<MemoryLog>, Scripted) {
    let dice = Chance::new(seed + 1_000, 1, false);
    let log = Arc::new(MemoryLog::new(Some(Chance::new(seed, 12, true))));
    let target = Scripted::default().with_chance(Chance::new(seed + 1, 4, false));
    {
        let mut table = target.table();
        table.profile.idempotent = idempotent;
        table.names_bad = seed.is_multiple_of(2);
        // A target that takes its time finds the next batch collected, and planned with the ack.
        table.write_takes = Duration::from_millis(dice.below(3) * 400);
        table.bad = (0..3).map(|number| format!("bad{number}")).collect();
    }
    for _ in 0..4 {
        let mut bench = Bench::over(Arc::clone(&log), target.clone());
        bench.spec.target.max_consecutive_refusals = 0;
        bench.spec.batch.rows = 1 + dice.below(9) as usize;
        commit(&log, &dice);
        while bench.deliveries.start(bench.spec.clone()).await.is_err() {}
        tokio::time::sleep(Duration::from_millis(dice.below(20_000))).await;
        commit(&log, &dice);
        tokio::time::sleep(Duration::from_millis(dice.below(20_000))).await;
        // The host dies: nothing is drained.
        bench.deliveries.drain_and_stop(Duration::ZERO).await;
    }
    log.stop_failing();
    target.stop_failing();
    let mut bench = Bench::over(Arc::clone(&log), target.clone());
    bench.spec.target.max_consecutive_refusals = 0;
    bench.deliver().await;
    (log, target)
}

fn expected(log: &MemoryLog) -> (Vec<Row>, Vec<u64>) {
    let (bad, good): (Vec<Row>, Vec<Row>) = log
        .wanted()
        .into_iter()
        .partition(|(id, _, _)| id.starts_with("bad"));
    (good, bad.into_iter().map(|row| row.1).collect())
}

fn set_aside(log: &MemoryLog) -> Vec<u64> {
    log.letters().iter().map(|letter| letter.version.0).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_wherever_every_change_arrives_once_at_a_writer_that_remembers_numbers() {
    for seed in 0..SEEDS {
        let (log, target) = run(seed, true).await;
        let (good, bad) = expected(&log);
        assert_eq!(target.table().rows, good, "seed {seed}");
        assert_eq!(set_aside(&log), bad, "seed {seed}");
        assert_eq!(target.table().violations, Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_wherever_nothing_is_lost_and_repetitions_are_counted_for_any_other_writer() {
    for seed in 0..SEEDS {
        let (log, target) = run(seed, false).await;
        let (good, bad) = expected(&log);
        let table = target.table();
        let delivered: BTreeSet<Row> = table.rows.iter().cloned().collect();
        assert_eq!(delivered, good.iter().cloned().collect(), "seed {seed}");
        assert_eq!(set_aside(&log), bad, "seed {seed}");
        let repeated = (table.rows.len() - good.len()) as u64;
        let counted = log.record().counters.possible_duplicates;
        assert!(
            repeated <= counted,
            "seed {seed}: {repeated} repeated, {counted} counted"
        );
        assert_first_arrivals_are_in_order(&table.rows, seed);
        assert_eq!(table.violations, Vec::<String>::new(), "seed {seed}");
    }
}

fn assert_first_arrivals_are_in_order(rows: &[Row], seed: u64) {
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (id, version, _) in rows {
        if seen.insert(version) {
            let before = latest.insert(id, *version).unwrap_or_default();
            assert!(
                before < *version,
                "seed {seed}: {id} {version} came after {before}"
            );
        }
    }
}
