//! The whole path, measured on the real program, with a peer in the same run wherever there is one. Prints a table and
//! judges none.
//!
//!     make bench                       # all rows, small
//!     make bench ROWS="puts drain"     # some rows
//!     LAKEFEED_BENCH_FULL=1 make bench # the sizes that the published numbers have
//!
//! | row | what is measured |
//! |---|---|
//! | `puts` | durable `PUT`s of 3.5 kB Patients over 32 kept connections |
//! | `import` | `lakefeed import` of NDJSON |
//! | `drain` | `$status` of a backlog, then its drain into a Delta table, in large batches and in small ones |
//! | `history` | the same drain from a log that is ten times as long |
//! | `destinations` | processor time for ten destinations against one |
//! | `latency` | from the 201 to the row that a reader of the table finds after a loss of power |
//! | `snapshot` | a snapshot held open: a queue in PostgreSQL against the log |
//!
//! PostgreSQL is the server that `LAKEFEED_BENCH_POSTGRES` names (`postgres://…`, its database is written to), else one
//! of its own where the binaries are found; without either, its rows are left out by name.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench prints, and ends at the first thing wrong"
)]

mod connection;
mod destinations;
mod drain;
mod import;
mod latency;
mod postgres;
mod puts;
mod scale;
mod snapshot;
mod table;
mod traffic;

use scale::Scale;
use table::Table;

const ROWS: [&str; 7] = [
    "puts",
    "import",
    "drain",
    "history",
    "destinations",
    "latency",
    "snapshot",
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let scale = Scale::from_environment();
    let postgres = postgres::Server::find();
    let mut table = Table::begin();
    if postgres.is_none() {
        table.remark("PostgreSQL was not found: its rows are left out");
    }
    let server = postgres.as_ref();
    for name in ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|row| row == name) {
            continue;
        }
        match name {
            "puts" => puts::measure(&mut table, &scale, server),
            "import" => import::measure(&mut table, &scale, server),
            "drain" => drain::measure(&mut table, &scale, server),
            "history" => drain::measure_history(&mut table, &scale),
            "destinations" => destinations::measure(&mut table, &scale),
            "latency" => latency::measure(&mut table, &scale),
            _ => snapshot::measure(&mut table, &scale, server),
        }
    }
    table.end();
}
