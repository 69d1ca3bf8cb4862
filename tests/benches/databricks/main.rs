//! What the host and its plugins for Databricks cost by themselves: the other end, in a process of its own, takes
//! everything and keeps nothing. Prints a table and judges none.
//!
//!     cargo bench -p lakefeed-tests --bench databricks               # all rows, small
//!     cargo bench -p lakefeed-tests --bench databricks -- backlog    # some rows
//!
//! | row | what is measured |
//! |---|---|
//! | `backlog` | Observations that waited, drained by `zerobus`, `sql-warehouse` and, as the peer, `ndjson` |
//! | `latency` | from the 201 to the row at the other end, one row at a time |
//!
//! The program and its plugins are built before, in release (`make bench` does). `LAKEFEED_BENCH_FULL=1` measures the sizes
//! that are published. All processes share the machine. The bodies alone are measured by
//! `cargo bench -p lakefeed-plugin-zerobus --bench body`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench prints, and ends at the first thing wrong"
)]

mod backlog;
#[path = "../whole_path/connection.rs"]
mod connection;
mod latency;
mod sink;
mod subject;
#[path = "../whole_path/table.rs"]
mod table;

use sink::Sink;
use table::Table;

const ROWS: [&str; 2] = ["backlog", "latency"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == Sink::ARGUMENT) {
        return sink::serve();
    }
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_full = std::env::var_os("LAKEFEED_BENCH_FULL").is_some();
    let mut table = Table::begin();
    for name in ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|row| *row == name) {
            continue;
        }
        match name {
            "backlog" => backlog::measure(&mut table, if is_full { 1_000_000 } else { 200_000 }),
            _ => latency::measure(&mut table, if is_full { 2_000 } else { 400 }),
        }
    }
    table.end();
}
