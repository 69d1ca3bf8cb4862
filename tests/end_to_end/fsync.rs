//! SIGKILL cannot show a missing fsync, since the system keeps what a dead process wrote: so the calls are counted.

use std::process::{Command, Stdio};

use lakefeed_tests::{Host, Site, program, skipped};
use serde_json::json;

fn strace() -> bool {
    let found = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // Where a process may not be traced, strace is there and of no use.
    let works = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let is_usable = found.is_ok_and(|status| status.success()) && works.is_ok_and(|status| status.success());
    if !is_usable {
        skipped("no strace");
    }
    is_usable
}

/// The host under strace, which notes each fsync with the file's name, and each sent answer. The host is the child and
/// strace beside it (`-D`): it would outlive a strace that is killed.
fn traced(site: &Site) -> Host {
    let mut command = Command::new("strace");
    command.args([
        "-D",
        "-f",
        "-y",
        "-s",
        "64",
        "-o",
        "trace",
        "-e",
        "trace=fsync,fdatasync,write,writev,sendto,sendmsg",
    ]);
    command
        .arg(program())
        .arg("run")
        .current_dir(site)
        .stdin(Stdio::null());
    let host = Host::spawn(site, command);
    host.wait_until_ready();
    host
}

/// The trace's lines that begin after a mark.
fn trace(site: &Site, after: usize) -> Vec<String> {
    let text = std::fs::read_to_string(site.path("trace")).unwrap();
    text.lines().skip(after).map(str::to_owned).collect()
}

fn is_sync_of(line: &str, file: &str) -> bool {
    (line.contains("fsync(") || line.contains("fdatasync(")) && line.contains(file)
}

/// The first or last call that synced a file, and the line where it ended.
fn sync_of(lines: &[String], file: &str, is_last: bool) -> Option<usize> {
    let is_sync = |line: &String| is_sync_of(line, file);
    let start = if is_last {
        lines.iter().rposition(is_sync)?
    } else {
        lines.iter().position(is_sync)?
    };
    if !lines[start].contains("<unfinished") {
        return Some(start);
    }
    let thread = lines[start].split_whitespace().next()?;
    let is_end = |line: &String| line.starts_with(thread) && line.contains("sync resumed");
    Some(start + lines[start..].iter().position(is_end)?)
}

/// Where the answer to a write leaves the host.
fn answer(lines: &[String]) -> usize {
    let is_answer = |line: &String| line.contains("HTTP/1.1 201") || line.contains("HTTP/1.1 200");
    lines
        .iter()
        .position(is_answer)
        .unwrap_or_else(|| panic!("no answer in {lines:#?}"))
}

#[test]
fn a_write_is_answered_after_the_store_was_synced() {
    if !strace() {
        return;
    }
    let site = Site::new("");
    let host = traced(&site);
    for number in 0..5 {
        let before = trace(&site, 0).len();
        let id = format!("p-{number}");
        host.put(
            &format!("Patient/{id}"),
            &json!({ "resourceType": "Patient", "id": id }),
        )
        .expect(201);
        let lines = lakefeed_tests::wait_for("the trace", || {
            let lines = trace(&site, before);
            lines
                .iter()
                .any(|line| line.contains("HTTP/1.1 201"))
                .then_some(lines)
        });
        let synced = sync_of(&lines, "lakefeed.db-wal", false);
        let synced = synced.unwrap_or_else(|| panic!("no sync of the store in {lines:#?}"));
        assert!(synced < answer(&lines), "{lines:#?}");
    }
}

#[test]
fn rows_files_and_the_commit_are_synced_before_the_offset_moves() {
    if !strace() {
        return;
    }
    let site = Site::patients();
    let host = traced(&site);
    let before = trace(&site, 0).len();
    let body =
        json!({ "resourceType": "Patient", "id": "p-1", "name": [{ "use": "official", "family": "Smith" }] });
    host.put("Patient/p-1", &body).expect(201);
    host.wait_until_delivered("patients");
    let lines = trace(&site, before);
    let place = |what: &str, is_last: bool| {
        sync_of(&lines, what, is_last).unwrap_or_else(|| panic!("no sync of {what} in {lines:#?}"))
    };
    let data = place(".parquet", false);
    let commit = place("_delta_log", true);
    let folder = place("_delta_log>", false);
    let ack = place("lakefeed.db-wal", true);
    assert!(
        data < commit && commit < ack && folder < ack,
        "{data} {commit} {folder} {ack} in {lines:#?}"
    );
}
