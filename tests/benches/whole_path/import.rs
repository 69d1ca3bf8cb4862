//! `lakefeed import` of NDJSON, from the start of the program to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::Site;

use crate::postgres::Server;
use crate::scale::Scale;
use crate::table::{Table, per_second, rate};

/// The rows of the embedded store, and of PostgreSQL with `\copy` of the same file beside it.
pub(crate) fn measure(table: &mut Table, scale: &Scale, postgres: Option<&Server>) {
    let count = scale.imported;
    let files = Site::new("");
    let patients = files.write_ndjson("Patient.ndjson", Generator::new(1).patients(count));
    let observations = files.write_ndjson(
        "Observation.ndjson",
        Generator::new(1).observations(count, count / 10),
    );
    for (path, kind) in [
        (&patients, "Patients of 3.5 kB"),
        (&observations, "Observations of 1 kB"),
    ] {
        let spent = import(&Site::new(""), path);
        table.row(
            &format!("import of {kind}, SQLite"),
            rate(count, spent, "resources"),
            "",
        );
    }
    let Some(server) = postgres else { return };
    for (path, kind) in [
        (&patients, "Patients of 3.5 kB"),
        (&observations, "Observations of 1 kB"),
    ] {
        let copied = server.copy(path);
        let peer = format!("\\copy into one table: {:.0}/s", per_second(count, copied));
        let what = format!("import of {kind}, PostgreSQL");
        let Some(site) = server.site() else {
            table.row(&what, "this build has no such store", peer);
            continue;
        };
        let spent = import(&site, path);
        let part = 100.0 * copied.as_secs_f64() / spent.as_secs_f64();
        table.row(
            &what,
            format!("{}, {part:.0} % of \\copy", rate(count, spent, "resources")),
            peer,
        );
    }
}

/// Imports a file into a site's store.
pub(crate) fn import(site: &Site, path: &Path) -> Duration {
    let started = Instant::now();
    site.run(&["import", path.to_str().unwrap(), "--json"])
        .succeeded();
    started.elapsed()
}
