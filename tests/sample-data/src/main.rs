//! Writes generated resources as NDJSON files: `lakefeed-sample-data [FOLDER [PATIENTS [SEED]]]`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use lakefeed_sample_data::Generator;
use serde_json::Value;

const USAGE: &str = "lakefeed-sample-data [FOLDER [PATIENTS [SEED]]]

Writes so many Patients (1000), twice as many Encounters and ten times as many Observations as NDJSON into
FOLDER (sample-data). The same SEED (1) gives the same files.";

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument.starts_with('-')) {
        return writeln!(std::io::stdout(), "{USAGE}");
    }
    let folder = arguments.next().unwrap_or_else(|| "sample-data".to_owned());
    let patients = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000);
    let generator = Generator::new(arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1));
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    write(folder, "Patient", generator.patients(patients))?;
    write(folder, "Encounter", generator.encounters(2 * patients, patients))?;
    write(
        folder,
        "Observation",
        generator.observations(10 * patients, patients),
    )
}

fn write(folder: &Path, name: &str, resources: impl Iterator<Item = Value>) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(format!("{name}.ndjson")))?);
    for resource in resources {
        writeln!(file, "{resource}")?;
    }
    file.flush()
}
