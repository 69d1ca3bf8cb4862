//! The programs of the walk: built by cargo, or built before.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// Names a built emulator. Then nothing is built: lakefeed and its plugins lie beside this program, of the same profile.
const EMULATOR: &str = "LAKEFEED_EMULATOR";

/// What lakefeed needs for both write modes.
const PACKAGES: [&str; 4] = [
    "lakefeed",
    "lakefeed-plugin-databricks-types",
    "lakefeed-plugin-sql-warehouse",
    "lakefeed-plugin-zerobus",
];

/// Where the programs lie.
pub(crate) struct Programs {
    pub(crate) lakefeed: PathBuf,
    pub(crate) emulator: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Programs {
    /// Builds what is not built yet, and lays the plugins beside lakefeed.
    pub(crate) async fn ready() -> Result<Self, Failure> {
        let executable = std::env::current_exe()?;
        let folder = executable.parent().ok_or("this program lies nowhere")?;
        let target = folder.parent().ok_or("this program lies in no target folder")?;
        let is_release = folder.ends_with("release");
        let (lakefeed, emulator) = match std::env::var_os(EMULATOR) {
            Some(emulator) => (folder.join("lakefeed"), PathBuf::from(emulator)),
            None => build(target, is_release).await?,
        };
        for program in [&lakefeed, &emulator] {
            if !program.is_file() {
                return Err(format!("{} is not there; build it first", program.display()).into());
            }
        }
        stage(&lakefeed)?;
        Ok(Self {
            lakefeed,
            emulator,
            target: target.to_owned(),
        })
    }
}

/// Builds lakefeed with its plugins, and the emulator, in the profile of this program.
async fn build(target: &Path, is_release: bool) -> Result<(PathBuf, PathBuf), Failure> {
    let profile: &[&str] = if is_release { &["--release"] } else { &[] };
    let of_profile = if is_release { "release" } else { "debug" };
    println!(
        "Building lakefeed and its plugins, then the emulator. The emulator holds a whole query engine: the first"
    );
    println!("build takes long, later ones take seconds.\n");
    let packages = PACKAGES.iter().flat_map(|name| ["-p", name]);
    cargo(target, profile, packages).await?;
    let of_emulator = target.join("emulator");
    let manifest = ["--manifest-path", "tests/databricks-emulator/Cargo.toml"];
    cargo(&of_emulator, profile, manifest).await?;
    let emulator = of_emulator.join(of_profile).join("databricks-emulator");
    Ok((target.join(of_profile).join("lakefeed"), emulator))
}

/// `cargo build`, seen by who waits for it. It shares the terminal's Ctrl-C.
async fn cargo(target: &Path, profile: &[&str], more: impl IntoIterator<Item = &str>) -> Result<(), Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .arg("build")
        .args(profile)
        .arg("--target-dir")
        .arg(target)
        .args(more)
        .current_dir(checkout());
    let status = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .status()
        .await?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("cargo build ended with {status}").into()),
    }
}

/// `lakefeed plugins stage`
fn stage(lakefeed: &Path) -> Result<(), Failure> {
    let mut command = Command::new(lakefeed);
    let output = command
        .args(["plugins", "stage"])
        .current_dir(checkout())
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into()),
    }
}

fn checkout() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
