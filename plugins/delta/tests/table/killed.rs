//! A writer in a process of its own: killed at any moment it loses nothing that it acknowledged and repeats nothing,
//! and the system sees every sync before a batch is told durable.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::*;

const TABLE: &str = "LAKEFEED_TEST_TABLE";
const NEXT: &str = "LAKEFEED_TEST_NEXT";
const LAST: &str = "LAKEFEED_TEST_LAST";
const WRITER: [&str; 3] = ["--exact", "killed::writer_that_is_killed", "--nocapture"];

/// The writer: begins at the batch that it is given and tells each one that is durable. Does nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn writer_that_is_killed() {
    let (Ok(table), Ok(next)) = (std::env::var(TABLE), std::env::var(NEXT)) else {
        return;
    };
    let delta = delta(Path::new(&table));
    open(&delta).await.unwrap();
    let last = std::env::var(LAST).map_or(i32::MAX, |last| last.parse().unwrap());
    for number in next.parse::<i32>().unwrap()..=last {
        write(&delta, "d", number).await.unwrap();
        println!("durable {number}");
    }
}

/// Runs the writer from that batch on, kills it, and gives the batch after the last that it told.
fn run_and_kill(table: &Path, next: i32, after: Duration) -> i32 {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(WRITER)
        .env(TABLE, table)
        .env(NEXT, next.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let told = std::thread::spawn(move || {
        let told = lines.map_while(Result::ok);
        told.filter_map(|line| line.split_once("durable ")?.1.parse::<i32>().ok())
            .last()
    });
    std::thread::sleep(after);
    writer.kill().unwrap();
    writer.wait().unwrap();
    told.join().unwrap().map_or(next, |last| last + 1)
}

#[test]
fn kills_at_any_moment_lose_nothing_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let mut next = 0;
    for round in 0..25 {
        next = run_and_kill(&table, next, Duration::from_millis(60 + 17 * (round % 13)));
    }
    let found = numbers(&table);
    // The batch that was under way at the last kill may be there.
    let batches = i32::try_from(found.len()).unwrap() / 10;
    assert!(
        batches == next || batches == next + 1,
        "{batches} batches, {next} told"
    );
    assert_eq!(found, (0..batches * 10).collect::<Vec<_>>());
    assert!(batches > 0, "nothing was ever written");
}

#[test]
fn the_system_sees_four_syncs_before_each_batch_is_told_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (table, trace) = (folder.path().join("t"), folder.path().join("trace"));
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-s", "64", "-e", "trace=fsync,write,link,linkat", "-o"])
        .arg(&trace);
    strace.arg(std::env::current_exe().unwrap()).args(WRITER);
    strace.env(TABLE, &table).env(NEXT, "1").env(LAST, "5");
    if !strace.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: the_system_sees_four_syncs (no strace, or no right to trace)");
        return;
    }
    let (mut syncs, mut links, mut told) = (0, 0, 0);
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let done = line.ends_with("= 0");
        if done && line.contains("fsync") {
            syncs += 1;
        } else if line.contains("link") && line.contains(".json") {
            assert!(
                syncs >= 3,
                "the data file, its folder and the commit come before the commit's name: {syncs}"
            );
            links += 1;
        } else if line.contains("durable ") {
            assert!(
                syncs >= 4 && links >= 1,
                "{syncs} syncs and {links} commits before {line}"
            );
            (syncs, links, told) = (0, 0, told + 1);
        }
    }
    assert_eq!(told, 5);
}
