//! Opens a checked library and verifies that it keeps its manifest's word.
//!
//! The order: open the cached copy, find the entry symbol, read what the library says of itself, compare that with the
//! manifest, compare the layout of every struct, take the tables. A library is never closed: its threads and
//! thread-local destructors may outlive any use of it.
#![expect(unsafe_code, reason = "opens libraries and reads the tables that they export")]

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

use abi_stable::type_layout::TypeLayout;
use lakefeed_plugin_api::abi::{self, AbiDescriptor, AbiEntry, AbiHostInfo, AbiLayoutEntry, AbiStr};
use lakefeed_plugin_api::wire;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::error::{PluginRefusal, RefusalCode, chain};
use super::health::Health;
use super::layout;
use super::manifest::Manifest;

/// The library stays mapped whatever happens to its handle.
#[cfg(target_os = "linux")]
const RTLD_NODELETE: c_int = 0x1000;
#[cfg(not(target_os = "linux"))]
const RTLD_NODELETE: c_int = 0x80;

/// Threads of a plugin's own runtime.
const WORKER_THREADS: u32 = 2;

/// The functions that a library offers. Copied, so that they can be read without the library's cooperation.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) instance: abi::AbiInstanceTable,
    pub(super) writer: Option<abi::AbiWriterTable>,
    pub(super) flush: Option<abi::AbiFlushTable>,
    pub(super) merge: Option<abi::AbiMergeTable>,
    pub(super) admin: Option<abi::AbiTableAdminTable>,
    pub(super) credentials: Option<abi::AbiCredentialsTable>,
    pub(super) stager: Option<abi::AbiStagerTable>,
    pub(super) mapper: Option<abi::AbiSchemaMapperTable>,
    pub(super) check: Option<abi::AbiCheckTable>,
}

/// A library that was loaded and found to be what its manifest says.
#[derive(Debug)]
pub struct LoadedPlugin {
    /// What its manifest says.
    pub manifest: Arc<Manifest>,
    pub(super) tables: Arc<Tables>,
    pub(super) number: u16,
    pub(super) health: Arc<Health>,
    pub(super) single: bool,
    /// Never closed: see the module's documentation.
    _library: Option<ManuallyDrop<Library>>,
}

/// Loads the library at `path`, which must be the verified copy that [`cache`](super::cache) made.
///
/// Runs the library's constructors and its entry function on the calling thread.
///
/// # Errors
///
/// A [`PluginRefusal`] that says what does not fit.
pub(super) fn load(manifest: Arc<Manifest>, path: &Path) -> Result<LoadedPlugin, PluginRefusal> {
    let library = open(path).map_err(|refusal| named(refusal, &manifest))?;
    let entry = entry(&library).map_err(|refusal| named(refusal, &manifest))?;
    let layout = layout_entry(&library);
    adopt(manifest, entry, layout, Some(library))
}

/// As [`load`], for a plugin that is part of this program.
#[cfg(test)]
pub(super) fn linked(manifest: Arc<Manifest>, entry: AbiEntry) -> Result<LoadedPlugin, PluginRefusal> {
    adopt(manifest, entry, None, None)
}

fn adopt(
    manifest: Arc<Manifest>,
    entry: AbiEntry,
    layout: Option<AbiLayoutEntry>,
    library: Option<ManuallyDrop<Library>>,
) -> Result<LoadedPlugin, PluginRefusal> {
    let about = |refusal: PluginRefusal| named(refusal, &manifest);
    let descriptor = describe(entry).map_err(about)?;
    check_descriptor(descriptor, &manifest).map_err(about)?;
    check_services(&manifest).map_err(about)?;
    let tables = Finder { descriptor, layout }.tables(&manifest).map_err(about)?;
    let (number, health) = Health::register();
    Ok(LoadedPlugin {
        single: descriptor.flags & abi::FLAG_SINGLE_INSTANCE != 0,
        tables: Arc::new(tables),
        manifest,
        number,
        health,
        _library: library,
    })
}

/// The refusal, with the plugin's name in front; a refusal at load is about the plugin and not about a cached file.
fn named(mut refusal: PluginRefusal, manifest: &Manifest) -> PluginRefusal {
    refusal.message = format!(
        "plugin `{}` {}: {}",
        manifest.name, manifest.version, refusal.message
    );
    refusal
}

fn open(path: &Path) -> Result<ManuallyDrop<Library>, PluginRefusal> {
    // SAFETY: running the library's constructors is what the checks before this decided to allow.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    library.map(ManuallyDrop::new).map_err(|error| {
        PluginRefusal::new(
            RefusalCode::LoadFailed,
            format!("the system's loader refuses the library: {}", chain(&error)),
            "install what is missing, or a build of the plugin made for an older system",
        )
    })
}

fn not_a_plugin(what: String) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::NotAPlugin,
        what,
        "check that the manifest names the right file",
    )
}

fn entry(library: &Library) -> Result<AbiEntry, PluginRefusal> {
    // SAFETY: a symbol of this name has this type, by contract.
    let entry = unsafe { library.get::<AbiEntry>(abi::ENTRY_SYMBOL) };
    entry.map(|symbol| *symbol).map_err(|error| {
        not_a_plugin(format!(
            "it does not export `{}`: {}",
            abi::ENTRY_SYMBOL,
            chain(&error)
        ))
    })
}

fn describe(entry: AbiEntry) -> Result<&'static AbiDescriptor, PluginRefusal> {
    // SAFETY: the host's words live until the process ends.
    let descriptor = unsafe { entry(host_info()) };
    if descriptor.is_null() || !descriptor.is_aligned() {
        return Err(not_a_plugin("its entry function refuses this host".to_owned()));
    }
    // SAFETY: by contract the descriptor begins with its mark and lives until the process ends.
    if unsafe { (&raw const (*descriptor).magic).read() } != abi::MAGIC {
        return Err(not_a_plugin(
            "its descriptor does not carry the contract's mark".to_owned(),
        ));
    }
    // SAFETY: the mark is there, and the size comes next.
    let size = unsafe { (&raw const (*descriptor).size).read() } as usize;
    if size < size_of::<AbiDescriptor>() {
        return Err(not_a_plugin(format!(
            "its descriptor has {size} bytes, fewer than the contract's"
        )));
    }
    // SAFETY: it is as large as the contract's, and lives until the process ends.
    Ok(unsafe { &*descriptor })
}

fn host_info() -> *const AbiHostInfo {
    struct Info(AbiHostInfo);
    // SAFETY: immutable, and its text is a constant.
    unsafe impl Sync for Info {}
    static INFO: Info = Info(AbiHostInfo {
        size: size_of::<AbiHostInfo>() as u32,
        layout: abi::LAYOUT_ENTRY,
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        worker_threads: WORKER_THREADS,
        flags: 0,
        host_version: AbiStr::new(env!("CARGO_PKG_VERSION")),
        reserved: [0; 4],
    });
    &raw const INFO.0
}

fn check_descriptor(descriptor: &AbiDescriptor, manifest: &Manifest) -> Result<(), PluginRefusal> {
    if descriptor.abi_major != abi::ABI_MAJOR {
        return Err(PluginRefusal::new(
            RefusalCode::AbiMismatch,
            format!(
                "it speaks contract {}, this host {}",
                descriptor.abi_major,
                abi::ABI_MAJOR
            ),
            "install the release of the plugin made for this host's contract version",
        ));
    }
    // SAFETY: the descriptor's texts live as long as it does.
    let (name, version) = unsafe { (wire::text(descriptor.name), wire::text(descriptor.version)) };
    if name != manifest.name || version != manifest.version.to_string() {
        let (name, version) = (shown(&name), shown(&version));
        return Err(PluginRefusal::new(
            RefusalCode::ManifestDisagrees,
            format!("the library calls itself `{name}` {version}"),
            "install manifest and library of one release",
        ));
    }
    if descriptor.flags & abi::FLAG_PANIC_ABORT != 0 {
        return Err(PluginRefusal::new(
            RefusalCode::PanicAbort,
            "it was built so that a panic ends the process",
            "build it with panic = \"unwind\"",
        ));
    }
    if descriptor.flags & abi::FLAG_NEEDS_PROCESS != 0 {
        return Err(PluginRefusal::new(
            RefusalCode::NeedsProcess,
            "it needs a process of its own, which this version of lakefeed does not give",
            "use a release of the plugin that can share a process",
        ));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(64).collect()
}

fn check_services(manifest: &Manifest) -> Result<(), PluginRefusal> {
    let missing = manifest
        .requires_host
        .iter()
        .find(|id| !abi::SERVICES.contains(&id.as_str()));
    missing.map_or(Ok(()), |id| {
        Err(PluginRefusal::new(
            RefusalCode::HostServiceMissing,
            format!("it needs {id}, this host has {}", abi::SERVICES.join(", ")),
            "upgrade lakefeed, or use a release of the plugin that does without",
        ))
    })
}

/// The symbol that plugins written in Rust export; others have none, and only their tables' sizes are compared.
fn layout_entry(library: &Library) -> Option<AbiLayoutEntry> {
    // SAFETY: a symbol of this name has this type, by contract.
    unsafe { library.get::<AbiLayoutEntry>(abi::LAYOUT_SYMBOL) }
        .ok()
        .map(|symbol| *symbol)
}

/// Takes tables out of a library, each after its layout was compared.
struct Finder {
    descriptor: &'static AbiDescriptor,
    layout: Option<AbiLayoutEntry>,
}

impl Finder {
    fn tables(&self, manifest: &Manifest) -> Result<Tables, PluginRefusal> {
        let Some(instance) = self.table(abi::INTERFACE_INSTANCE, abi::LAYOUT_INSTANCE)? else {
            return Err(missing(abi::INTERFACE_INSTANCE));
        };
        let tables = Tables {
            instance,
            writer: self.table(abi::INTERFACE_WRITER, abi::LAYOUT_WRITER)?,
            flush: self.table(abi::INTERFACE_FLUSH, abi::LAYOUT_FLUSH)?,
            merge: self.table(abi::INTERFACE_MERGE, abi::LAYOUT_MERGE)?,
            admin: self.table(abi::INTERFACE_TABLE_ADMIN, abi::LAYOUT_TABLE_ADMIN)?,
            credentials: self.table(abi::INTERFACE_CREDENTIALS, abi::LAYOUT_CREDENTIALS)?,
            stager: self.table(abi::INTERFACE_STAGER, abi::LAYOUT_STAGER)?,
            mapper: self.table(abi::INTERFACE_SCHEMA_MAPPER, abi::LAYOUT_SCHEMA_MAPPER)?,
            check: self.table(abi::INTERFACE_CHECK, abi::LAYOUT_CHECK)?,
        };
        match manifest.provides.iter().find(|id| self.find(id).is_none()) {
            Some(id) => Err(missing(id)),
            None => Ok(tables),
        }
    }

    fn find(&self, id: &str) -> Option<*const c_void> {
        let get = self.descriptor.get_interface?;
        // SAFETY: the id is lent for the length of the call.
        let table = unsafe { get(AbiStr::new(id)) };
        (!table.is_null()).then_some(table)
    }

    /// The table of an interface, if the library has it. `T` is the struct of the contract for this id.
    fn table<T: Copy>(&self, id: &str, layout: u32) -> Result<Option<T>, PluginRefusal> {
        let Some(table) = self.find(id) else {
            return Ok(None);
        };
        self.compare(id)?;
        // SAFETY: every table begins with its size and its layout number, two `u32`.
        let [size, theirs] = unsafe { table.cast::<[u32; 2]>().read() };
        if theirs != layout || (size as usize) < size_of::<T>() {
            return Err(PluginRefusal::new(
                RefusalCode::LayoutMismatch,
                format!(
                    "interface {id}: table `{}` has layout {theirs} and {size} bytes, expected layout {layout} and {}",
                    std::any::type_name::<T>().rsplit("::").next().unwrap_or_default(),
                    size_of::<T>()
                ),
                "build the plugin with this host's plugin-api",
            ));
        }
        // SAFETY: the table is as large as ours and of the same layout; tables live until the process ends.
        Ok(Some(unsafe { table.cast::<T>().read() }))
    }

    fn compare(&self, id: &str) -> Result<(), PluginRefusal> {
        let (Some(entry), Some(ours)) = (self.layout, abi::layout_of(id)) else {
            return Ok(());
        };
        // SAFETY: the id is lent for the length of the call.
        let theirs = unsafe { entry(AbiStr::new(id)) };
        // SAFETY: the symbol answers with a `&'static TypeLayout` or null, by contract.
        match unsafe { theirs.cast::<TypeLayout>().as_ref::<'static>() } {
            Some(theirs) => layout::compare(id, ours, theirs),
            None => Ok(()),
        }
    }
}

fn missing(id: &str) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::InterfaceMissing,
        format!("the library does not have {}", shown(id)),
        "install manifest and library of one release",
    )
}
