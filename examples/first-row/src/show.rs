//! How the demo looks.

use crate::site::Site;

/// One line of what was done.
pub(crate) fn step(name: &str, what: impl std::fmt::Display) {
    println!("  {name:<14} {what}");
}

/// Columns as wide as their widest cell, with a line under the head.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("  {}", padded.join("  ").trim_end());
    };
    line(head.to_vec());
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    line(rules.iter().map(String::as_str).collect());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What to try next.
pub(crate) fn goodbye(site: &Site) {
    println!("\nThe host has stopped. To go on from here:\n");
    println!("  {} run --config {}", site.program(), site.show("lakefeed.toml"));
    println!("  {}   in a browser, and then", site.url());
    println!(
        "  curl -X PUT {}/fhir/Patient/me -H 'content-type: application/fhir+json' \\",
        site.url()
    );
    println!(
        "    -d '{{\"resourceType\":\"Patient\",\"id\":\"me\",\"name\":[{{\"use\":\"official\",\"family\":\"Me\"}}]}}'\n"
    );
}
