//! Killed at any moment and started again, the host has lost nothing that it answered, and delivered nothing twice.
//!
//! `LAKEFEED_KILLS` says how often it is killed, `LAKEFEED_SEED` when; the seed of a run is printed when it fails:
//!
//!     LAKEFEED_KILLS=200 cargo test -p lakefeed-tests --test end_to_end -- --nocapture restart

use std::time::Duration;

use lakefeed_tests::{Host, Judge, Site};

use super::load::{self, Load};

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// The next number of a generator whose whole run a seed repeats.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn every_acknowledged_write_is_in_the_table_exactly_once_however_often_the_host_is_killed() {
    let Some(judge) = Judge::find() else { return };
    let kills = from_environment("LAKEFEED_KILLS", 10);
    let seed = from_environment("LAKEFEED_SEED", u64::from(std::process::id()));
    println!("{kills} kills, LAKEFEED_SEED={seed}");
    let site = Site::new("");
    load::configure(&site);
    let mut host = site.start();
    let load = Load::start(&host);
    let mut state = seed;
    for _ in 0..kills {
        host = kill_and_start(&site, host, &mut state);
    }
    host.wait_until_ready();
    let seen = load.stop();
    host.wait_until_delivered("patients");
    let compared = load::compare(&seen, &judge, &site);
    println!("{compared}");
    assert!(compared.acknowledged > kills, "hardly anything was written");
}

/// Kills the host a moment from now, sometimes while it is still starting, and starts it again.
fn kill_and_start(site: &Site, host: Host, state: &mut u64) -> Host {
    if !next(state).is_multiple_of(4) {
        host.wait_until_ready();
    }
    std::thread::sleep(Duration::from_millis(next(state) % 400));
    host.kill();
    site.spawn()
}
