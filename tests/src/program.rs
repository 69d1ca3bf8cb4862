//! Where the built program, its plugins and the checkout are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The top of the checkout.
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("tests/ lies in the checkout").to_owned()
}

/// A file or folder that may lie beside the checkout, in `../shared`.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = checkout().join("../shared").join(name);
    path.exists().then_some(path)
}

/// `target/PROFILE` of the running test.
pub fn program_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("the running test has a path");
    let folder = executable.parent().expect("a program lies in a folder");
    match folder.ends_with("deps") {
        true => folder.parent().expect("deps/ lies in a folder").to_owned(),
        false => folder.to_owned(),
    }
}

/// The built `lakefeed`, with its plugins staged beside it.
pub fn program() -> PathBuf {
    static STAGED: OnceLock<PathBuf> = OnceLock::new();
    STAGED.get_or_init(staged).clone()
}

fn staged() -> PathBuf {
    let program = program_folder().join("lakefeed");
    assert!(
        program.is_file(),
        "{} is not there: build the workspace first (make test does)",
        program.display()
    );
    let output = Command::new(&program)
        .args(["plugins", "stage"])
        .current_dir(checkout())
        .output()
        .expect("the program can be run");
    assert!(
        output.status.success(),
        "plugins stage: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}
