//! Built libraries, staged and loaded as in production: what they answer, and that none of them harms the host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails with it, and says by name what it skips"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lakefeed::plugin::{
    Claim, Instance, InstanceContext, InstanceState, LoadedPlugin, Origin, PluginDirectory, PluginRegistry,
    PluginSettings, RefusalCode, StageRequest, executable_folder, stage,
};
use lakefeed_plugin_api::{
    Category, CheckLevel, Deadline, Plugin, PluginError, Retry, TableRef, Verdict, Writer,
};
use lakefeed_plugin_ndjson::{Config, Ndjson};
use lakefeed_plugin_testkit::{FakeHost, meta, sample};
use serde_json::json;

/// The plugins of the checkout and those of the tests, staged once into a folder of their own.
static STAGED: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for checkout in [root.to_path_buf(), root.join("tests")] {
        let built = executable_folder().unwrap();
        stage(&StageRequest {
            checkout,
            built,
            into: folder.path().join("plugins"),
        })
        .unwrap();
    }
    folder
});

fn registry_of(plugins: PathBuf) -> PluginRegistry {
    let settings = PluginSettings {
        state: STAGED.path().join("state"),
        ..PluginSettings::default()
    };
    let directory = PluginDirectory {
        path: plugins,
        origin: Origin::Bundled,
    };
    PluginRegistry::of_directories(settings, vec![directory])
}

fn loaded(plugin: &str) -> Arc<LoadedPlugin> {
    registry_of(STAGED.path().join("plugins"))
        .load_named(plugin, None)
        .unwrap()
}

async fn instance(plugin: &str, config: serde_json::Value) -> Instance {
    let plugin = loaded(plugin);
    assert_eq!(plugin.manifest.parameters.validate(&config), []);
    let instance = Instance::create(&plugin, &config, InstanceContext::new("d"))
        .await
        .unwrap();
    let profile = instance
        .open(&TableRef::named("t"), sample(0, 1).schema(), 1)
        .await
        .unwrap();
    assert!(profile.max_in_flight >= 1);
    instance
}

/// An instance of `faulty` with that fault, and the file that it writes to.
async fn faulty(fault: &str) -> (Instance, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "path": folder.path().join("rows"), "fault": fault });
    (instance("faulty", config).await, folder)
}

async fn write(instance: &Instance, deadline: Deadline) -> Result<u64, PluginError> {
    let mut meta = meta(1, &[0, 2]);
    meta.deadline = deadline;
    instance
        .write(sample(0, 3), meta)
        .await
        .map(|ack| ack.durable_prefix)
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(200))
}

#[tokio::test]
async fn a_linked_and_a_loaded_plugin_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [linked_path, loaded_path] = ["linked.ndjson", "loaded.ndjson"].map(|name| folder.path().join(name));

    let linked = Ndjson::create(
        Config {
            path: linked_path.clone(),
        },
        FakeHost::new().host(),
    )
    .unwrap();
    let linked_profile = linked
        .open(&TableRef::named("t"), sample(0, 1).schema(), 1)
        .await
        .unwrap();
    let linked_ack = linked.write(sample(0, 100), &meta(1, &[0, 40])).await.unwrap();
    linked.close(Deadline::none()).await.unwrap();

    let config = json!({ "path": loaded_path });
    let loaded = Instance::create(&loaded("ndjson"), &config, InstanceContext::new("d"))
        .await
        .unwrap();
    let loaded_profile = loaded
        .open(&TableRef::named("t"), sample(0, 1).schema(), 1)
        .await
        .unwrap();
    let loaded_ack = loaded.write(sample(0, 100), meta(1, &[0, 40])).await.unwrap();
    loaded.close(Deadline::none()).await.unwrap();

    assert_eq!(linked_profile, loaded_profile);
    assert_eq!(linked_ack, loaded_ack);
    let [linked, loaded] = [linked_path, loaded_path].map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(linked.lines().count(), 100);
    assert_eq!(linked, loaded);
}

#[tokio::test]
async fn a_panic_in_a_library_becomes_an_outcome_and_the_host_lives() {
    for (fault, rows) in [("panic", 0), ("panic-after-write", 3)] {
        let (broken, folder) = faulty(fault).await;
        let error = write(&broken, Deadline::none()).await.unwrap_err();
        assert_eq!(
            (error.category, error.retry),
            (Category::PluginPanic, Retry::RecreateInstance)
        );
        assert_eq!(broken.state(), InstanceState::Poisoned);
        let written = std::fs::read_to_string(folder.path().join("rows")).unwrap_or_default();
        assert_eq!(written.lines().count(), rows, "{fault}");
        let (sound, _folder) = faulty("none").await;
        assert_eq!(write(&sound, Deadline::none()).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_panic_while_an_instance_is_made_is_an_outcome_too() {
    let config = json!({ "path": "/nowhere", "fault": "panic-in-create" });
    let error = Instance::create(&loaded("faulty"), &config, InstanceContext::new("d"))
        .await
        .unwrap_err();
    assert_eq!(error.category, Category::PluginPanic);
}

#[tokio::test]
async fn a_call_that_blocks_or_never_ends_times_out_while_another_instance_goes_on() {
    for fault in ["never", "block"] {
        let (stuck, _stuck_folder) = faulty(fault).await;
        let (other, _other_folder) = faulty("none").await;
        let (timed_out, ack) = tokio::join!(write(&stuck, soon()), write(&other, Deadline::none()));
        let error = timed_out.unwrap_err();
        assert_eq!(
            (error.category, error.outcome_unknown),
            (Category::Deadline, true),
            "{fault}"
        );
        assert_eq!(ack.unwrap(), 2, "{fault}");
    }
}

#[tokio::test]
async fn a_library_that_tells_of_more_than_there_was_is_quarantined() {
    // Each registry counts for itself, so the other tests go on with theirs.
    let (broken, _folder) = faulty("too-much-told").await;
    let error = write(&broken, Deadline::none()).await.unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::PluginContract, Retry::Quarantine)
    );
    let again = write(&broken, Deadline::none()).await.unwrap_err();
    assert_eq!(again.retry, Retry::Quarantine);
}

#[tokio::test]
async fn a_preflight_answers_item_by_item() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone/rows");
    let config = json!({ "path": path });
    let instance = Instance::create(&loaded("ndjson"), &config, InstanceContext::new("d"))
        .await
        .unwrap();
    let report = instance.check(CheckLevel::Connect).await.unwrap();
    assert_eq!(report.items[0].verdict, Verdict::Failed);
    assert!(instance.check(CheckLevel::Config).await.unwrap().is_good());
}

#[test]
fn a_changed_struct_is_refused_in_one_line_that_names_struct_and_field() {
    // The field names of a struct lie in the library as one text; another name is another struct.
    const FIELDS: &[u8] = b"idempotency_key";
    let folder = tempfile::tempdir().unwrap();
    let built = executable_folder().unwrap();
    let changed = folder.path().join("built");
    std::fs::create_dir(&changed).unwrap();
    let name = "libfaulty_plugin.so";
    let library = [built.join(name), built.join("deps").join(name)]
        .into_iter()
        .find(|path| path.is_file())
        .unwrap();
    let mut bytes = std::fs::read(library).unwrap();
    let places: Vec<usize> = (0..bytes.len() - FIELDS.len())
        .filter(|at| bytes[*at..].starts_with(FIELDS))
        .collect();
    for at in places {
        bytes[at..at + 4].copy_from_slice(b"omni");
    }
    std::fs::write(changed.join(name), bytes).unwrap();

    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("tests");
    let into = folder.path().join("plugins");
    stage(&StageRequest {
        checkout,
        built: changed,
        into: into.clone(),
    })
    .unwrap();
    let refusal = registry_of(into).load_named("faulty", None).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::LayoutMismatch);
    let line = refusal.to_string();
    assert!(line.len() < 300 && !line.contains('\n'), "{line}");
    assert!(
        line.contains("struct `AbiBatchMeta`") && line.contains("idempotency_key"),
        "{line}"
    );
}

#[test]
fn staged_plugins_are_found_by_what_they_claim() {
    let registry = registry_of(STAGED.path().join("plugins"));
    let list = registry.list();
    assert_eq!(list.refused, []);
    assert!(
        list.plugins
            .iter()
            .all(|plugin| plugin.refused.is_none() && plugin.health.is_none())
    );
    assert_eq!(
        registry
            .claimed(Claim::WriteMode, "ndjson")
            .unwrap()
            .manifest
            .name,
        "ndjson"
    );
    let inspected = registry.inspect("ndjson").unwrap();
    assert_eq!(inspected[0].markers[0].access.as_deref(), Some("local-path"));
}
