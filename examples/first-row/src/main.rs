//! The first row: FHIR resources become rows of Delta tables, and edits and deletes of them further rows.
//!
//!     make demo
//!
//! It runs the program that was built beside it: stages the plugins, imports generated sample data, starts a host,
//! changes a patient over HTTP, waits until everything is in the tables, prints what they hold, and stops the host. All
//! files are in `target/demo` and stay there to be looked at.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a demo does"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use lakefeed_sample_data::Generator;
use serde_json::{Value, json};

mod host;
mod show;
mod site;
mod table;

use host::Host;
use site::Site;
use table::Table;

const PATIENTS: u64 = 1_000;
const TABLES: [&str; 3] = ["patients", "encounters", "observations"];
/// The patient whose history is shown.
const ID: &str = "pat-7";

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("the demo failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<(), Failure> {
    println!("\nlakefeed: a FHIR change becomes a row in a Delta table\n");
    let site = Site::fresh()?;
    let generator = Generator::new(7);
    let resources = site.write_sample(generator, PATIENTS)?;
    show::step(
        "sample data",
        format!(
            "{} generated resources in {}",
            show::number(resources),
            site.show("data")
        ),
    );
    show::step(
        "configuration",
        format!(
            "3 topics, 3 views, 3 destinations in {}",
            site.show("lakefeed.toml")
        ),
    );
    show::step("plugins", site.stage()?);
    let started = Instant::now();
    show::step(
        "import",
        format!("{} in {:.1} s", site.import()?, started.elapsed().as_secs_f64()),
    );
    let host = Host::start(&site).await?;
    show::step(
        "host",
        format!("{} is the page that shows where each destination is", host.url()),
    );
    edit(&host, generator).await?;
    let started = Instant::now();
    for table in TABLES {
        host.wait_until_delivered(table).await?;
    }
    show::step(
        "delivery",
        format!(
            "all of it is in the tables; {:.1} s were left to wait",
            started.elapsed().as_secs_f64()
        ),
    );
    print_tables(&site)?;
    host.stop()?;
    show::goodbye(&site);
    Ok(())
}

/// Marries a patient, corrects the gender, deletes the record; and deletes a few others.
async fn edit(host: &Host, generator: Generator) -> Result<(), Failure> {
    let found = generator.patients(PATIENTS).find(|patient| patient["id"] == ID);
    let mut patient: Value = found.ok_or("the sample data lacks its patient")?;
    patient["name"] = json!([{ "use": "official", "family": "Smith-Jones", "given": ["Robin"] }]);
    host.put(&patient).await?;
    patient["gender"] = "other".into();
    host.put(&patient).await?;
    host.delete(&format!("Patient/{ID}")).await?;
    for number in 100..105 {
        host.delete(&format!("Patient/pat-{number}")).await?;
    }
    show::step(
        "edits",
        format!("over HTTP: {ID} updated twice and deleted, five other patients deleted"),
    );
    Ok(())
}

/// What is shown of the patients' table.
const COLUMNS: [&str; 7] = [
    "id",
    "ts",
    "gender",
    "birth_date",
    "family_name",
    "given_name",
    "is_deleted",
];

fn print_tables(site: &Site) -> Result<(), Failure> {
    let name = "lake/patients";
    let mut rows = Table::read(&site.path(name))?.rows(&COLUMNS)?;
    rows.sort_by(|one, other| (&one[0], &one[1]).cmp(&(&other[0], &other[1])));
    let history: Vec<_> = rows.iter().filter(|row| row[0] == ID).cloned().collect();
    println!(
        "\nEvery version of Patient/{ID} is a row of {}, the delete too:\n",
        site.show(name)
    );
    show::table(&COLUMNS, &history);
    print_latest(&latest(&rows));
    println!("\nThe tables:\n");
    let counts: Vec<_> = TABLES
        .iter()
        .map(|name| count(site, name))
        .collect::<Result<_, _>>()?;
    show::table(&["table", "rows", "files", "commits"], &counts);
    Ok(())
}

fn print_latest(latest: &[Vec<String>]) {
    let count = show::number(latest.len() as u64);
    println!("\nThe latest state is the newest row of each id, without the deleted ones: {count} patients.");
    println!("(A few have no official name, and this view gives them no row.) The first five:\n");
    let first: Vec<_> = latest.iter().take(5).map(|row| row[..6].to_vec()).collect();
    show::table(&COLUMNS[..6], &first);
}

fn count(site: &Site, name: &str) -> Result<Vec<String>, Failure> {
    let place = format!("lake/{name}");
    let table = Table::read(&site.path(&place))?;
    let rows = show::number(table.row_count() as u64);
    Ok(vec![
        site.show(&place),
        rows,
        table.files.to_string(),
        table.commits.to_string(),
    ])
}

/// The newest row of each id, unless it marks a delete. The rows are sorted by id and time.
fn latest(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let is_newest = |index: usize| rows.get(index + 1).is_none_or(|next| next[0] != rows[index][0]);
    let newest = rows.iter().enumerate().filter(|(index, _)| is_newest(*index));
    newest
        .map(|(_, row)| row)
        .filter(|row| row[6] == "0")
        .cloned()
        .collect()
}
