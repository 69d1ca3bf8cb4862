//! How fast a resource is checked on its way in: bytes and resources a second on one core.
//!
//!     cargo bench -p lakefeed-view --bench check
//!
//! Beside the check against R4 stand the grammar's check alone and another JSON reader that throws away what it reads.
//! The data is generated and the same in every run. Under `cargo test` one short round shows that it still works.

#![expect(clippy::print_stdout, reason = "a program that measures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_view::json::{self, Limits};
use lakefeed_view::r4::check::check_resource;

/// How many resources of a kind are made.
const COUNT: u64 = 2_000;

fn measure(name: &str, resources: &[String], budget: Duration, check: impl Fn(&[u8]) -> bool) {
    let mut best = Duration::MAX;
    let began = Instant::now();
    while best == Duration::MAX || began.elapsed() < budget {
        let began = Instant::now();
        for resource in resources {
            assert!(check(black_box(resource.as_bytes())), "refused");
        }
        best = best.min(began.elapsed());
    }
    let bytes: usize = resources.iter().map(String::len).sum();
    println!(
        "{name}: {:.0} MB/s, {:.0} resources/s of {} bytes",
        bytes as f64 / best.as_secs_f64() / 1e6,
        resources.len() as f64 / best.as_secs_f64(),
        bytes / resources.len(),
    );
}

fn main() {
    // `cargo bench` says so; any other run is a test.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let budget = Duration::from_millis(if is_bench { 2_000 } else { 0 });
    let generator = Generator::new(7);
    let texts = |resources: &mut dyn Iterator<Item = serde_json::Value>| -> Vec<String> {
        resources.map(|resource| resource.to_string()).collect()
    };
    let pretty = |resource: serde_json::Value| format!("{resource:#}");
    for (kind, resources) in [
        ("Patient", texts(&mut generator.patients(COUNT))),
        ("Observation", texts(&mut generator.observations(COUNT, COUNT))),
        (
            "Patient, indented",
            generator.patients(COUNT).map(pretty).collect(),
        ),
    ] {
        let limits = Limits::default();
        measure(&format!("{kind}: grammar and R4"), &resources, budget, |text| {
            check_resource(text, limits, &[]).is_ok()
        });
        measure(&format!("{kind}: grammar alone"), &resources, budget, |text| {
            json::check_resource(text, limits).is_ok()
        });
        measure(
            &format!("{kind}: serde_json, ignoring"),
            &resources,
            budget,
            |text| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok(),
        );
    }
}
