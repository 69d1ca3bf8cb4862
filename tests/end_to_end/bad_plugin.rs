//! A plugin that should not be trusted is refused before any of its code runs, with a code and what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lakefeed_tests::{Site, program, program_folder};
use sha2::{Digest, Sha256};

/// A site whose `[plugins] dirs` is `own/`, with a copy of the staged `ndjson` there under the name `mine`.
fn site() -> (Site, PathBuf) {
    let site = Site::new("[plugins]\ndirs = [\"own\"]\ntrust = \"any\"\n");
    let staged = program().parent().unwrap().join("plugins/ndjson");
    let manifest = fs::read_to_string(staged.join("plugin.toml")).unwrap();
    let named = manifest
        .lines()
        .find_map(|line| line.strip_prefix("path = \""))
        .unwrap();
    let library = staged.join(named.trim_end_matches('"'));
    let manifest = manifest
        .replace("name = \"ndjson\"", "name = \"mine\"")
        .replace("\"ndjson\"", "\"mine\"");
    site.write("own/mine/plugin.toml", manifest);
    let copy = site.path("own/mine").join(library.file_name().unwrap());
    fs::copy(library, &copy).unwrap();
    for path in ["own", "own/mine"] {
        fs::set_permissions(site.path(path), Permissions::from_mode(0o755)).unwrap();
    }
    (site, copy)
}

#[track_caller]
fn refused(site: &Site, code: &str) {
    let ended = site.run(&["plugins", "list"]);
    assert_ne!(ended.code, Some(0), "a refused plugin is no success");
    assert!(ended.stdout.contains(code), "{}{}", ended.stdout, ended.stderr);
    // The others are there none the less.
    assert!(ended.stdout.contains("delta"), "{}", ended.stdout);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_plugin_that_is_in_order_is_listed() {
    let (site, _) = site();
    let ended = site.run(&["plugins", "list"]).succeeded();
    assert!(ended.stdout.contains("mine"), "{}", ended.stdout);
}

#[test]
fn a_library_that_everybody_may_write_is_refused() {
    let (site, library) = site();
    set_mode(&library, 0o777);
    refused(&site, "PLUGIN-014");
}

#[test]
fn a_folder_that_everybody_may_write_is_refused() {
    let (site, library) = site();
    set_mode(library.parent().unwrap(), 0o777);
    refused(&site, "PLUGIN-014");
}

#[test]
fn a_text_file_named_so_is_refused() {
    let (site, library) = site();
    fs::write(&library, "this is no library\n").unwrap();
    refused(&site, "PLUGIN-010");
}

#[test]
fn a_library_that_is_not_the_one_of_the_manifest_is_not_loaded() {
    let (site, library) = site();
    let manifest = site.path("own/mine/plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let hash: String = Sha256::digest(fs::read(&library).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        text.contains(&hash),
        "the staged manifest names the library's hash"
    );
    fs::write(&manifest, text.replace(&hash, &"0".repeat(64))).unwrap();
    let topic = lakefeed_tests::destination("d", "Patient", "patient_flat", "path = \"rows.ndjson\"");
    site.write("patient_flat.json", lakefeed_tests::views::PATIENT_FLAT);
    let plugins = "[plugins]\ndirs = [\"own\"]\ntrust = \"any\"\n";
    let topic = topic
        .replace("external-direct", "mine")
        .replace("tablePath = \"lake/d\"", "");
    site.configure(&format!("{plugins}{topic}"));
    let host = site.start();
    lakefeed_tests::wait_for("the refusal to be told", || {
        host.get("AidboxTopicDestination/d/$status")
            .text()
            .contains("PLUGIN-015")
            .then_some(())
    });
    assert!(!site.path("rows.ndjson").exists());
}

#[test]
fn a_plugin_that_is_not_pinned_is_refused_by_default() {
    let (site, _) = site();
    site.configure("[plugins]\ndirs = [\"own\"]\n");
    refused(&site, "PLUGIN-016");
}

#[test]
fn a_bad_plugin_stops_nobody_who_does_not_use_it() {
    let (site, library) = site();
    set_mode(&library, 0o777);
    let topic = lakefeed_tests::destination("patients", "Patient", "patient_flat", "");
    site.write("patient_flat.json", lakefeed_tests::views::PATIENT_FLAT);
    site.configure(&format!("[plugins]\ndirs = [\"own\"]\ntrust = \"any\"\n{topic}"));
    site.start().get("/health").expect(200);
    assert!(program_folder().join("plugins/delta/plugin.toml").is_file());
}
