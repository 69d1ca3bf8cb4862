//! Tests that load real libraries: each way in which one can be refused at load, and what a broken one gets later.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use lakefeed_plugin_api::{Category, Deadline, PluginError, Retry};

use super::check::{Pin, Policy, TrustLevel, sha256_hex};
use super::discover::tests::write_plugin;
use super::discover::{Origin, PluginDirectory};
use super::error::{PluginRefusal, RefusalCode};
use super::instance::{Instance, InstanceContext};
use super::load::LoadedPlugin;
use super::manifest::FILE_NAME;
use super::registry::{Claim, PluginChoice, PluginRegistry, PluginSettings};

/// The bytes of `fixtures/bare.rs` as a library, without a fault.
static BARE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let abi = folder.path().join("liblakefeed_plugin_abi.rlib");
    compile(
        &here.join("../plugin-api/abi/src/lib.rs"),
        &["--crate-type=rlib", "--crate-name=lakefeed_plugin_abi"],
        &abi,
    );
    let library = folder.path().join("libbare.so");
    let with = format!("lakefeed_plugin_abi={}", abi.display());
    compile(
        &here.join("src/plugin/fixtures/bare.rs"),
        &["--crate-type=cdylib", "--extern", &with],
        &library,
    );
    std::fs::read(library).unwrap()
});

fn compile(source: &Path, options: &[&str], into: &Path) {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let ran = Command::new(compiler)
        .args(["--edition=2024", "-Copt-level=1"])
        .args(options)
        .arg("-o")
        .arg(into)
        .arg(source)
        .output();
    let output = ran.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The library with that fault.
fn bare(fault: u32) -> Vec<u8> {
    const MARK: &[u8] = b"lakefeed-fault:";
    let mut bytes = BARE.clone();
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)
        .unwrap()
        + MARK.len();
    bytes[at..at + 2].copy_from_slice(format!("{fault:02}").as_bytes());
    bytes
}

/// A folder with one plugin `bare`, and a registry of it.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(bytes: &[u8]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        write_plugin(&folder.path().join("plugins/bare"), "bare", "1.0.0", bytes);
        Fixture { folder }
    }

    fn plugin(&self) -> PathBuf {
        self.folder.path().join("plugins/bare")
    }

    fn registry(&self) -> PluginRegistry {
        let path = self.folder.path().join("plugins");
        let settings = PluginSettings {
            state: self.folder.path().join("state"),
            ..PluginSettings::default()
        };
        PluginRegistry::of_directories(
            settings,
            vec![PluginDirectory {
                path,
                origin: Origin::Bundled,
            }],
        )
    }

    fn load(&self) -> Result<Arc<LoadedPlugin>, PluginRefusal> {
        let registry = self.registry();
        registry.load(&registry.find(&choice("bare", None))?)
    }
}

fn choice(plugin: &str, version: Option<&str>) -> PluginChoice {
    PluginChoice {
        plugin: plugin.to_owned(),
        version: version.map(|range| range.parse().unwrap()),
    }
}

fn refused(bytes: &[u8]) -> PluginRefusal {
    Fixture::new(bytes).load().unwrap_err()
}

async fn instance(fault: u32) -> Result<Instance, PluginError> {
    let plugin = Fixture::new(&bare(fault)).load().unwrap();
    Instance::create(&plugin, &serde_json::json!({}), InstanceContext::new("d")).await
}

#[test]
fn a_library_that_keeps_the_contract_is_loaded_once() {
    let fixture = Fixture::new(&bare(0));
    let registry = fixture.registry();
    let candidate = registry.find(&choice("bare", Some("^1"))).unwrap();
    let first = registry.load(&candidate).unwrap();
    assert!(Arc::ptr_eq(&first, &registry.load(&candidate).unwrap()));
}

#[test]
fn each_fault_of_a_library_has_its_own_refusal() {
    for (fault, code, words) in [
        (1, RefusalCode::NotAPlugin, "refuses this host"),
        (2, RefusalCode::NotAPlugin, "contract's mark"),
        (3, RefusalCode::NotAPlugin, "has 16 bytes"),
        (4, RefusalCode::AbiMismatch, "speaks contract 9, this host 1"),
        (5, RefusalCode::PanicAbort, "a panic ends the process"),
        (6, RefusalCode::NeedsProcess, "process of its own"),
        (8, RefusalCode::ManifestDisagrees, "calls itself `other` 1.0.0"),
        (9, RefusalCode::ManifestDisagrees, "calls itself `bare` 1.0.1"),
        (10, RefusalCode::InterfaceMissing, "lakefeed.writer/0"),
        (
            11,
            RefusalCode::LayoutMismatch,
            "`AbiWriterTable` has layout 1 and 24 bytes",
        ),
        (12, RefusalCode::LayoutMismatch, "`AbiWriterTable` has layout 77"),
        (13, RefusalCode::InterfaceMissing, "lakefeed.instance/0"),
    ] {
        let refusal = refused(&bare(fault));
        assert_eq!(refusal.code, code, "fault {fault}: {refusal}");
        assert!(refusal.message.contains(words), "fault {fault}: {refusal}");
        assert!(refusal.to_string().len() < 300, "fault {fault}: {refusal}");
    }
}

#[test]
fn a_truncated_library_is_refused_before_the_loader_could_end_the_process() {
    let registry = Fixture::new(&bare(0)[..4096]).registry();
    assert_eq!(registry.list().refused[0].code, RefusalCode::NotALibrary);
}

#[test]
fn a_library_that_needs_what_is_not_installed_is_refused_with_the_loaders_own_words() {
    let mut bytes = bare(0);
    const NEEDED: &[u8] = b"libgcc_s.so.1";
    let at = bytes
        .windows(NEEDED.len())
        .position(|window| window == NEEDED)
        .unwrap();
    bytes[at..at + 3].copy_from_slice(b"LIB");
    let refusal = refused(&bytes);
    assert_eq!(refusal.code, RefusalCode::LoadFailed);
    assert!(refusal.message.contains("LIBgcc_s.so.1"), "{refusal}");
}

#[test]
fn a_library_without_the_entry_symbol_is_refused() {
    let mut bytes = bare(0);
    const SYMBOL: &[u8] = b"lakefeed_plugin_entry_v1";
    while let Some(at) = bytes.windows(SYMBOL.len()).position(|window| window == SYMBOL) {
        bytes[at] = b'L';
    }
    let refusal = refused(&bytes);
    assert_eq!(refusal.code, RefusalCode::NotAPlugin);
    assert!(refusal.message.contains("lakefeed_plugin_entry_v1"), "{refusal}");
}

#[test]
fn a_host_service_that_is_not_offered_is_named_before_any_call() {
    let fixture = Fixture::new(&bare(0));
    let path = fixture.plugin().join(FILE_NAME);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replacen("abi =", "requires_host = [\"lakefeed.host.moon/1\"]\nabi =", 1),
    )
    .unwrap();
    let refusal = fixture.load().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::HostServiceMissing);
    assert!(
        refusal
            .message
            .contains("needs lakefeed.host.moon/1, this host has lakefeed.host.log/0"),
        "{refusal}"
    );
}

#[test]
fn a_library_replaced_after_its_manifest_is_refused() {
    let fixture = Fixture::new(&bare(0));
    std::fs::write(fixture.plugin().join("libbare.so"), bare(5)).unwrap();
    assert_eq!(fixture.load().unwrap_err().code, RefusalCode::HashMismatch);
}

#[test]
fn two_versions_of_one_plugin_are_loaded_side_by_side() {
    let fixture = Fixture::new(&bare(0));
    write_plugin(
        &fixture.folder.path().join("plugins/next"),
        "bare",
        "1.0.1",
        &bare(9),
    );
    let registry = fixture.registry();
    for (range, version) in [(None, "1.0.1"), (Some("=1.0.0"), "1.0.0")] {
        let plugin = registry
            .load(&registry.find(&choice("bare", range)).unwrap())
            .unwrap();
        assert_eq!(plugin.manifest.version.to_string(), version);
    }
    let refusal = registry.find(&choice("bare", Some("^2"))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoVersion);
    assert!(refusal.message.contains("1.0.0, 1.0.1"), "{refusal}");
}

#[test]
fn listing_shows_what_would_be_refused_and_loads_nothing() {
    let fixture = Fixture::new(b"a text file that is named like a library");
    write_plugin(
        &fixture.folder.path().join("plugins/good"),
        "good",
        "2.0.0",
        &bare(0),
    );
    let path = fixture.folder.path().join("plugins");
    let directories = vec![PluginDirectory {
        path,
        origin: Origin::Configured,
    }];
    let registry = PluginRegistry::of_directories(PluginSettings::default(), directories.clone());
    let list = registry.list();
    assert_eq!(list.refused[0].code, RefusalCode::NotALibrary);
    assert_eq!(
        list.plugins[0].refused.as_ref().unwrap().code,
        RefusalCode::NotPinned
    );
    assert!(list.plugins[0].health.is_none());

    let pins = vec![Pin {
        plugin: "good".into(),
        sha256: sha256_hex(&bare(0)),
    }];
    let policy = Policy {
        trust: TrustLevel::Pinned,
        pins,
    };
    let registry = PluginRegistry::of_directories(
        PluginSettings {
            policy,
            ..PluginSettings::default()
        },
        directories,
    );
    assert!(registry.inspect("good").unwrap()[0].listed.refused.is_none());
    assert_eq!(
        registry.inspect("goood").unwrap_err().code,
        RefusalCode::UnknownPlugin
    );
}

#[test]
fn one_claim_chooses_the_plugin_and_two_claims_are_an_error() {
    let fixture = Fixture::new(&bare(0));
    let claim = |folder: &str| {
        let path = fixture.folder.path().join("plugins").join(folder).join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            text.replacen("abi =", "write_modes = [\"bare-mode\"]\nabi =", 1),
        )
        .unwrap();
    };
    claim("bare");
    assert_eq!(
        fixture
            .registry()
            .claimed(Claim::WriteMode, "bare-mode")
            .unwrap()
            .manifest
            .name,
        "bare"
    );
    let refusal = fixture.registry().claimed(Claim::WriteMode, "other").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unclaimed);
    assert!(refusal.message.contains("installed: bare-mode"), "{refusal}");

    write_plugin(
        &fixture.folder.path().join("plugins/second"),
        "second",
        "1.0.0",
        &bare(0),
    );
    claim("second");
    let refusal = fixture
        .registry()
        .claimed(Claim::WriteMode, "bare-mode")
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ClaimedTwice);
    assert!(refusal.message.contains("bare and second"), "{refusal}");
}

#[tokio::test]
async fn an_instance_answers_and_an_absent_function_is_a_typed_error() {
    let instance = instance(0).await.unwrap();
    instance.close(Deadline::none()).await.unwrap();
    let error = instance.flush(Deadline::none()).await.unwrap_err();
    assert_eq!(
        (error.category, error.code.as_str()),
        (Category::ConfigInvalid, "PLUGIN-035")
    );
}

#[tokio::test]
async fn an_instance_at_no_address_is_a_broken_contract() {
    let error = instance(14).await.unwrap_err();
    assert_eq!(error.category, Category::PluginContract);
}

#[tokio::test]
async fn a_second_completion_quarantines_the_library() {
    let instance = instance(15).await.unwrap();
    // The first completion is good; the second is noticed before the call returns to its thread.
    drop(instance.close(Deadline::none()).await);
    while instance.plugin.health().quarantined.is_none() {
        tokio::task::yield_now().await;
    }
    let error = instance.close(Deadline::none()).await.unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::PluginContract, Retry::Quarantine)
    );
}

#[tokio::test]
async fn a_library_that_allows_one_instance_gets_one() {
    let plugin = Fixture::new(&bare(7)).load().unwrap();
    let config = serde_json::json!({});
    let first = Instance::create(&plugin, &config, InstanceContext::new("a"))
        .await
        .unwrap();
    assert!(
        Instance::create(&plugin, &config, InstanceContext::new("b"))
            .await
            .is_err()
    );
    drop(first);
    while plugin.health().instances > 0 {
        tokio::task::yield_now().await;
    }
    Instance::create(&plugin, &config, InstanceContext::new("b"))
        .await
        .unwrap();
}
