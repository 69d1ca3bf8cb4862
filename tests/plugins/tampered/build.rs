//! Copies the ABI crate's source, with one field of one struct made wider.

use std::path::PathBuf;
use std::{env, fs, io};

const BEFORE: &str = "pub attempt: u32";
const AFTER: &str = "pub attempt: u64";

fn main() -> io::Result<()> {
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../../../plugin-api/abi/src");
    let copy = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("abi");
    fs::create_dir_all(&copy)?;
    for name in ["arrow", "entry", "interface", "layout", "lib", "service", "value"] {
        let file = format!("{name}.rs");
        println!("cargo:rerun-if-changed={}", source.join(&file).display());
        let text = fs::read_to_string(source.join(&file))?
            .replace(BEFORE, AFTER)
            .replace("crate::", "crate::abi::");
        // Inner attributes and documentation belong at a crate's or a file's head, which this text is not.
        let text = text
            .split_once(
                "
)]
",
            )
            .map_or(text.as_str(), |(_, rest)| rest);
        let kept = text
            .lines()
            .filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
        // `mod x;` would look beside the file that includes this one.
        let kept = kept.map(
            |line| match line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                Some(module) => format!("#[path = {:?}] mod {module};", copy.join(format!("{module}.rs"))),
                None => line.to_owned(),
            },
        );
        let name = if name == "lib" { "mod.rs".to_owned() } else { file };
        fs::write(copy.join(name), kept.collect::<Vec<_>>().join("\n"))?;
    }
    // The layout names the package that a struct belongs to, and this one pretends to be the real one.
    println!("cargo:rustc-env=CARGO_PKG_NAME=lakefeed-plugin-abi");
    println!("cargo:rustc-env=TAMPERED_ABI={}", copy.join("mod.rs").display());
    Ok(())
}
