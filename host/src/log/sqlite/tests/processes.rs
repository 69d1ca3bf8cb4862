//! What only another process can show: a host that is killed, a disk that is full, and the syncs before an answer.
//!
//! The other process is this test program again, with one test that does what an environment variable says,
//! and nothing where there is none.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Folder, open_when_free};
use crate::change::Offset;
use crate::log::sqlite::SqliteLog;
use crate::log::suite::{all_changes, put, still, version};
use crate::log::{Log, LogError, WriteError};

const ROLE: &str = "LAKEFEED_TEST_LOG_ROLE";
const STORE: &str = "LAKEFEED_TEST_LOG_STORE";
const THIS: &str = "log::sqlite::tests::processes::another_process";

/// The program that runs a role on a store, behind a wrapper's words where there are any.
fn command(wrapper: &[&str], role: &str, store: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words = wrapper
        .iter()
        .map(std::ffi::OsStr::new)
        .chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--exact", THIS, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(STORE, store)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn say(line: &str) {
    std::io::stdout()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process() {
    let (Ok(role), Ok(store)) = (std::env::var(ROLE), std::env::var(STORE)) else {
        return;
    };
    let log = SqliteLog::open(Path::new(&store), still()).await.unwrap();
    match role.as_str() {
        "write one after the other" => write_one_after_the_other(&log).await,
        "write many at once" => write_many_at_once(&log).await,
        "write for ever" => write_for_ever(&log).await,
        "fill the disk" => fill_the_disk(&log, Path::new(&store)).await,
        other => panic!("no such role: {other}"),
    }
}

async fn write_one_after_the_other(log: &SqliteLog) {
    for number in 0..20 {
        version(log, put(&format!("p{number}"), "x")).await;
        say("answered");
    }
}

async fn write_many_at_once(log: &SqliteLog) {
    for round in 0..5 {
        let calls = (0..64).map(|number| log.write(vec![put(&format!("p{round}-{number}"), "x")]));
        for answer in futures::future::join_all(calls).await {
            answer.unwrap();
        }
        say("answered");
    }
}

async fn write_for_ever(log: &SqliteLog) {
    for number in 0.. {
        let id = format!("p{number}");
        version(log, put(&id, "x")).await;
        say(&id);
    }
}

/// Writes until the disk is full, makes room, and writes on.
async fn fill_the_disk(log: &SqliteLog, store: &Path) {
    let ballast = store.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let content = "x".repeat(20_000);
    let mut acknowledged = 0;
    let refused = loop {
        match log.write(vec![put(&format!("p{acknowledged}"), &content)]).await {
            Ok(_) => acknowledged += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, WriteError::Log(LogError::Full)), "{refused:?}");
    assert_eq!(all_changes(log, Offset::START).await.len(), acknowledged);
    std::fs::remove_file(ballast).unwrap();
    for number in 0..5 {
        version(log, put(&format!("after{number}"), &content)).await;
    }
    assert_eq!(all_changes(log, Offset::START).await.len(), acknowledged + 5);
    say("resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_host_is_killed() {
    let folder = Folder::new();
    for round in 1..6 {
        let mut child = command(&[], "write for ever", &folder.store())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let acknowledged = read_then_kill(&mut child, round * 9);
        let log = open_when_free(&folder.store(), still()).await;
        let changes = all_changes(&log, Offset::START).await;
        let found: HashSet<&str> = changes.iter().map(|change| change.version.key.id()).collect();
        assert!(acknowledged.iter().all(|id| found.contains(id.as_str())));
        log.close().await;
    }
}

/// Reads so many acknowledgements, kills the process at once, and answers all that it gave.
fn read_then_kill(child: &mut Child, count: usize) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap).filter(|line| is_id(line));
    let mut acknowledged: Vec<String> = lines.by_ref().take(count).collect();
    assert_eq!(acknowledged.len(), count);
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines);
    acknowledged
}

fn is_id(line: &str) -> bool {
    line.strip_prefix('p')
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

#[test]
fn a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room() {
    let folder = Folder::new();
    let small = folder.file("small");
    std::fs::create_dir(&small).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=6m tmpfs '{}' && exec \"$@\"",
        small.display()
    );
    let wrapper = ["unshare", "--mount", "--map-root-user", "sh", "-c", &mount, "sh"];
    let probe = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: a small file system cannot be mounted here (unshare, tmpfs)");
        return;
    }
    let output = command(&wrapper, "fill the disk", &small.join("l.db"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("resumed"), "{said}");
}

/// Runs a role under strace: for each answer, how many syncs of the store's files ended since the answer before.
/// None where strace is missing or may not trace.
fn syncs_before_each_answer(role: &str) -> Option<Vec<usize>> {
    let folder = Folder::new();
    let trace = folder.file("trace");
    let wrapper = [
        "strace",
        "-f",
        "-y",
        "-s",
        "64",
        "-e",
        "trace=fsync,fdatasync,write",
        "-o",
    ];
    let wrapper: Vec<&str> = wrapper.into_iter().chain([trace.to_str().unwrap()]).collect();
    let status = command(&wrapper, role, &folder.store())
        .stdout(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut counts = vec![0];
    let mut under_way: HashMap<String, bool> = HashMap::new();
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let (thread, call) = line.split_once(' ').unwrap_or_default();
        let is_sync = call.contains("fsync(") || call.contains("fdatasync(");
        let is_of_store = is_sync && call.contains("l.db");
        if call.contains("<unfinished") {
            under_way.insert(thread.to_owned(), is_of_store);
        }
        let ended = match call.contains("resumed>") {
            true => call.contains("sync resumed>") && under_way.remove(thread) == Some(true),
            false => is_of_store,
        };
        if ended && call.trim_end().ends_with("= 0") {
            *counts.last_mut().unwrap() += 1;
        }
        if call.contains("\"answered") {
            counts.push(0);
        }
    }
    counts.pop();
    Some(counts)
}

#[test]
fn the_store_is_synced_before_each_answer() {
    let Some(counts) = syncs_before_each_answer("write one after the other") else {
        println!("skipped: strace cannot be run here");
        return;
    };
    assert_eq!(counts.len(), 20);
    assert!(counts.iter().all(|syncs| *syncs >= 1), "{counts:?}");
}

#[test]
fn many_calls_share_a_sync() {
    let Some(counts) = syncs_before_each_answer("write many at once") else {
        println!("skipped: strace cannot be run here");
        return;
    };
    assert_eq!(counts.len(), 5);
    // The first answer includes the syncs that made the file. 64 calls wait for each of the others.
    assert!(
        counts[1..].iter().all(|syncs| (1..=16).contains(syncs)),
        "{counts:?}"
    );
}
