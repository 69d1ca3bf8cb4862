//! Notes the compiler and the target, which a plugin's descriptor names.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo:rustc-env=LAKEFEED_COMPILER={}", version.trim());
    println!(
        "cargo:rustc-env=LAKEFEED_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
}
