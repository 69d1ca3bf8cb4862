//! What ten destinations cost that have caught up, against one.

use std::fmt::Write as _;
use std::time::Duration;

use lakefeed_tests::{Host, Site, views};

use crate::scale::Scale;
use crate::table::Table;
use crate::traffic::steady;

/// Changes a second.
const PACE: u64 = 200;

/// The row of processor time for the same live traffic.
pub(crate) fn measure(table: &mut Table, scale: &Scale) {
    let [one, ten] = [1, 10].map(|count| spent(count, scale.traffic_for));
    table.row(
        &format!("processor time for {PACE} changes a second, ten destinations ÷ one"),
        format!("{:.2}", ten.as_secs_f64() / one.as_secs_f64()),
        format!(
            "{:.1} s against {:.1} s in {} s",
            ten.as_secs_f64(),
            one.as_secs_f64(),
            scale.traffic_for.as_secs()
        ),
    );
}

fn spent(destinations: usize, time: Duration) -> Duration {
    let site = Site::new("");
    site.write("observation_flat.json", views::OBSERVATION_FLAT);
    site.configure(&config(destinations));
    let host = site.start();
    steady(host.base(), PACE, Duration::from_secs(2));
    wait(&host, destinations);
    let before = host.processor_time();
    steady(host.base(), PACE, time);
    wait(&host, destinations);
    host.processor_time() - before
}

fn wait(host: &Host, destinations: usize) {
    for number in 0..destinations {
        host.wait_until_delivered(&format!("d{number}"));
    }
}

/// Destinations of one topic and view, each with a table of its own.
fn config(destinations: usize) -> String {
    let url = "http://example.org/topics/observations";
    let mut config = format!(
        "[[topic]]\nid = \"observations\"\nurl = \"{url}\"\ntrigger = [{{ resource = \"Observation\" }}]\n\n\
         [[view]]\nfile = \"observation_flat.json\"\n"
    );
    for number in 0..destinations {
        write!(
            config,
            "\n[[destination]]\nid = \"d{number}\"\ntopic = \"{url}\"\nviewDefinition = \"observation_flat\"\n\
             batchSize = 1000\nsendIntervalMs = 1000\nskipInitialExport = true\nwriteMode = \"external-direct\"\ntablePath = \"lake/d{number}\"\n"
        )
        .unwrap();
    }
    config
}
