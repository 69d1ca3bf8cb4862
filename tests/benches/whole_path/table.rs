//! The table, and what stands above it: the commit, the machine and how busy it is.

use std::process::Command;
use std::time::Duration;

use lakefeed_tests::checkout;

/// What was found, row by row; each row is also printed at once.
#[derive(Debug)]
pub(crate) struct Table {
    machine: String,
    lines: Vec<String>,
    remarks: Vec<String>,
}

impl Table {
    /// Prints the machine.
    pub(crate) fn begin() -> Self {
        let machine = machine();
        println!("{machine}");
        Self {
            machine,
            lines: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds what was found, and what it is held against: the peer of the same run, or nothing.
    pub(crate) fn row(&mut self, what: &str, found: impl Into<String>, peer: impl Into<String>) {
        let line = format!("| {what} | {} | {} |", found.into(), peer.into());
        println!("{line}");
        self.lines.push(line);
    }

    /// Adds a sentence below the table.
    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("{text}");
        self.remarks.push(text);
    }

    /// Prints the whole table.
    pub(crate) fn end(self) {
        println!(
            "\n{}\nload now {}\n\n| what | found | peer in the same run |\n|---|---|---|",
            self.machine,
            load()
        );
        for line in &self.lines {
            println!("{line}");
        }
        for remark in &self.remarks {
            println!("\n{remark}");
        }
    }
}

/// So many in that time, as a rate.
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A rate in words.
pub(crate) fn rate(count: u64, time: Duration, of: &str) -> String {
    format!(
        "{:.0} {of}/s ({count} in {:.1} s)",
        per_second(count, time),
        time.as_secs_f64()
    )
}

/// The value below which this part of the values lies; zero for none.
pub(crate) fn percentile(values: &[Duration], part: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted
        .get(place.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn machine() -> String {
    let output = Command::new("tests/benches/machine.sh")
        .current_dir(checkout())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
