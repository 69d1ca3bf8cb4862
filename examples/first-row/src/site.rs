//! The folder of the demo, and the program's commands run on it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use lakefeed_sample_data::Generator;
use serde_json::Value;

use crate::{Failure, show};

/// `target/demo`, with the built program two folders above or beside it.
pub(crate) struct Site {
    folder: PathBuf,
    program: PathBuf,
    port: u16,
}

impl Site {
    /// The folder, emptied, with configuration and views in it.
    pub(crate) fn fresh() -> Result<Self, Failure> {
        let executable = std::env::current_exe()?;
        let profile = executable.parent().ok_or("the demo lies nowhere")?;
        let program = profile.join("lakefeed");
        if !program.is_file() {
            return Err(format!("{} is not there; run `make demo`", program.display()).into());
        }
        let folder = profile.parent().ok_or("the demo lies nowhere")?.join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let site = Self {
            folder,
            program,
            port,
        };
        site.configure()?;
        Ok(site)
    }

    fn configure(&self) -> Result<(), Failure> {
        fs::create_dir_all(self.path("views"))?;
        fs::create_dir_all(self.path("data"))?;
        let text = include_str!("../lakefeed.toml").replace("PORT", &self.port.to_string());
        fs::write(self.path("lakefeed.toml"), text)?;
        for (name, text) in [
            ("patients", include_str!("../views/patients.json")),
            ("encounters", include_str!("../views/encounters.json")),
            ("observations", include_str!("../views/observations.json")),
        ] {
            fs::write(self.path(&format!("views/{name}.json")), text)?;
        }
        Ok(())
    }

    /// Writes the resources as NDJSON files and says how many there are.
    pub(crate) fn write_sample(&self, generator: Generator, patients: u64) -> Result<u64, Failure> {
        Ok(self.write("Patient", generator.patients(patients))?
            + self.write("Encounter", generator.encounters(2 * patients, patients))?
            + self.write("Observation", generator.observations(10 * patients, patients))?)
    }

    fn write(&self, name: &str, resources: impl Iterator<Item = Value>) -> Result<u64, Failure> {
        let mut file = BufWriter::new(File::create(self.path(&format!("data/{name}.ndjson")))?);
        let mut count = 0;
        for resource in resources {
            writeln!(file, "{resource}")?;
            count += 1;
        }
        file.flush()?;
        Ok(count)
    }

    /// `lakefeed plugins stage`, run from the checkout.
    pub(crate) fn stage(&self) -> Result<String, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(["plugins", "stage", "--json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let report = answer(&mut command)?;
        let staged = report["staged"].as_array().map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = staged
            .iter()
            .filter_map(|plugin| plugin["name"].as_str())
            .collect();
        Ok(format!("{} staged beside the program", names.join(" and ")))
    }

    /// `lakefeed import`: no host runs yet, so what is imported waits in the store.
    pub(crate) fn import(&self) -> Result<String, Failure> {
        let report = answer(
            self.command(&["import", "data", "--json"])
                .current_dir(&self.folder),
        )?;
        let count = report["imported"]
            .as_u64()
            .ok_or("import did not say how much it imported")?;
        Ok(format!(
            "{} resources, each in a transaction with its place in the log,",
            show::number(count)
        ))
    }

    /// The program, to be run in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path as it is best shown: from the current directory where it lies below it.
    pub(crate) fn show(&self, name: &str) -> String {
        shown(&self.path(name))
    }

    /// The program's path as it is best shown.
    pub(crate) fn program(&self) -> String {
        shown(&self.program)
    }

    /// Where the host listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// Runs a command of the program to its end; its answer is JSON.
fn answer(command: &mut Command) -> Result<Value, Failure> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
