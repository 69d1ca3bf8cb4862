//! Lays built plugins where the running executable finds them.
//!
//! Cargo has no step after a build, so this is it: each `plugins/*/plugin.toml` of the checkout is a manifest whose
//! version and library only the build knows; staging fills in both (version from the crate, library and SHA-256 from the build) and writes
//! `plugins/NAME/` beside the executable. The library's file name carries its hash and the manifest is renamed into
//! place after it, so a host that reads at the same moment sees the old plugin or the new one, whole. Running it
//! twice changes nothing; running it twice at once is safe.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::cache::copy_hashing;
use super::error::{PluginRefusal, RefusalCode};
use super::manifest::{FILE_NAME, Manifest, SchemaSource, Written, platform, read_text};

/// Where to take plugins from and where to lay them.
#[derive(Debug, Clone)]
pub struct StageRequest {
    /// The checkout: the folder that holds `plugins/*/plugin.toml`.
    pub checkout: PathBuf,
    /// The folder into which cargo built the libraries, such as `target/debug`.
    pub built: PathBuf,
    /// The folder that gets a `NAME/` for each plugin.
    pub into: PathBuf,
}

/// What staging did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StageReport {
    /// The plugins that are in place now.
    pub staged: Vec<StagedPlugin>,
    /// The plugins of the checkout that have no library in the build folder.
    pub not_built: Vec<String>,
}

/// One plugin that is in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StagedPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its folder.
    pub folder: PathBuf,
    /// The SHA-256 of its library.
    pub sha256: String,
    /// Whether anything had to be written.
    pub changed: bool,
}

impl StageRequest {
    /// The request that needs no arguments: the checkout around the current directory, the libraries beside the
    /// running executable, and `plugins/` there.
    ///
    /// # Errors
    ///
    /// `PLUGIN-036` if the current directory is in no checkout.
    pub fn here() -> Result<StageRequest, PluginRefusal> {
        let start =
            std::env::current_dir().map_err(|error| failed("the current directory is unknown", &error))?;
        let checkout = start
            .ancestors()
            .find(|folder| !templates(folder).is_empty())
            .ok_or_else(|| {
                PluginRefusal::new(
                    RefusalCode::StageFailed,
                    "no folder from here upwards holds plugins/*/plugin.toml",
                    "run the command inside the checkout",
                )
                .at(&start)
            })?;
        let built =
            executable_folder().map_err(|error| failed("the running executable is unknown", &error))?;
        Ok(StageRequest {
            checkout: checkout.to_path_buf(),
            into: built.join("plugins"),
            built,
        })
    }
}

/// The folder of the running executable; for a test program (which cargo puts into `deps/`) the one above.
///
/// # Errors
///
/// If the system does not say where the executable is.
pub fn executable_folder() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let folder = executable.parent().unwrap_or(Path::new("/"));
    match folder.parent() {
        Some(above) if folder.ends_with("deps") => Ok(above.to_path_buf()),
        _ => Ok(folder.to_path_buf()),
    }
}

/// Stages every plugin of the checkout that is built.
///
/// # Errors
///
/// The first [`PluginRefusal`]: a manifest that is not sound, a folder that cannot be written, or no built plugin at all.
pub fn stage(request: &StageRequest) -> Result<StageReport, PluginRefusal> {
    let _lock = lock(&request.into)?;
    let mut report = StageReport::default();
    for template in templates(&request.checkout) {
        let plugin = Template::read(&template)?;
        match built_library(&request.built, &plugin.library_name) {
            Some(library) => report.staged.push(plugin.stage(&library, &request.into)?),
            None => report.not_built.push(plugin.name),
        }
    }
    if report.staged.is_empty() {
        return Err(PluginRefusal::new(
            RefusalCode::StageFailed,
            format!(
                "no built plugin of the checkout lies in {}",
                request.built.display()
            ),
            "build first (cargo build), with the profile of the running executable",
        )
        .at(&request.checkout));
    }
    Ok(report)
}

/// The folders `plugins/*` of a checkout that hold a manifest, in name order.
fn templates(checkout: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(checkout.join("plugins")) else {
        return Vec::new();
    };
    let crates = entries.flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = crates
        .filter(|folder| folder.join(FILE_NAME).is_file() && folder.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    folders
}

/// The newest of the places where cargo leaves a library: beside the executable, or in `deps/` if only tests needed it.
fn built_library(built: &Path, file_name: &str) -> Option<PathBuf> {
    [built.join(file_name), built.join("deps").join(file_name)]
        .into_iter()
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max_by_key(|(modified, _)| *modified)
        .map(|(_, path)| path)
}

/// Keeps a second staging out until this one is done.
fn lock(into: &Path) -> Result<File, PluginRefusal> {
    make_folder(into)?;
    let path = into.join(".lock");
    let options = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o644)
        .open(&path);
    let file = options.map_err(|error| failed("cannot be written", &error).at(&path))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| failed("cannot be locked", &error.into()).at(&path))?;
    Ok(file)
}

fn failed(what: &str, error: &io::Error) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::StageFailed,
        format!("{what}: {error}"),
        "correct its permissions, or free space",
    )
}

/// Makes a folder that others cannot write, whatever the user's mask is.
fn make_folder(path: &Path) -> Result<(), PluginRefusal> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|error| failed("cannot be written", &error).at(path))
}

/// A plugin of the checkout: its manifest without version and library, and what its crate says.
struct Template {
    folder: PathBuf,
    name: String,
    table: toml::Table,
    schema_files: Vec<String>,
    version: String,
    library_name: String,
}

/// The part of a crate's Cargo.toml that staging reads.
#[derive(Deserialize)]
struct CargoToml {
    package: Option<Package>,
    lib: Option<Lib>,
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    version: Option<toml::Value>,
}

#[derive(Deserialize)]
struct Lib {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Workspace {
    package: Option<Package>,
}

impl Template {
    fn read(folder: &Path) -> Result<Template, PluginRefusal> {
        let path = folder.join(FILE_NAME);
        let text = read_text(&path)?;
        let written = Written::parse(&text).map_err(|refusal| refusal.at(&path))?;
        let schemas = [&written.parameters, &written.settings].into_iter().flatten();
        let schema_files = schemas.filter_map(|source| match source {
            SchemaSource::File(name) => Some(name.clone()),
            SchemaSource::Inline(_) => None,
        });
        let (library_name, version) = read_crate(folder)?;
        let schema_files = schema_files.collect();
        // It has just been parsed, into a narrower type.
        let table = toml::from_str(&text).unwrap_or_default();
        Ok(Template {
            folder: folder.to_path_buf(),
            name: written.name,
            table,
            schema_files,
            version,
            library_name,
        })
    }

    fn stage(&self, library: &Path, into: &Path) -> Result<StagedPlugin, PluginRefusal> {
        let folder = into.join(&self.name);
        make_folder(&folder)?;
        let draft = folder.join(".library");
        let sha256 = copy(library, &draft, 0o755)?;
        let stem = self.library_name.trim_end_matches(std::env::consts::DLL_SUFFIX);
        let file_name = format!("{stem}-{}{}", &sha256[..16], std::env::consts::DLL_SUFFIX);
        let manifest = self.manifest(&file_name, &sha256)?;
        let before = fs::read_to_string(folder.join(FILE_NAME)).unwrap_or_default();
        let mut changed = before != manifest || !folder.join(&file_name).exists();
        rename(&draft, &folder.join(&file_name))?;
        for name in &self.schema_files {
            changed |= fs::read(folder.join(name)).ok() != fs::read(self.folder.join(name)).ok();
            copy(&self.folder.join(name), &folder.join(".schema"), 0o644)?;
            rename(&folder.join(".schema"), &folder.join(name))?;
        }
        write(&folder.join(".manifest"), manifest.as_bytes())?;
        rename(&folder.join(".manifest"), &folder.join(FILE_NAME))?;
        remove_old_libraries(&folder, &[&before, &manifest]);
        let version = Manifest::read(&folder)?.version;
        Ok(StagedPlugin {
            name: self.name.clone(),
            version,
            folder,
            sha256,
            changed,
        })
    }

    /// The whole manifest: what the template says, with the crate's version and the one library that was built.
    fn manifest(&self, file_name: &str, sha256: &str) -> Result<String, PluginRefusal> {
        let library = toml::Table::from_iter([
            ("path".to_owned(), toml::Value::from(file_name)),
            ("sha256".to_owned(), toml::Value::from(sha256)),
        ]);
        let mut table = self.table.clone();
        table.insert("version".to_owned(), self.version.clone().into());
        table.insert(
            "library".to_owned(),
            toml::Table::from_iter([(platform(), library.into())]).into(),
        );
        let text = toml::to_string(&table).map_err(|error| {
            PluginRefusal::new(
                RefusalCode::StageFailed,
                error.to_string(),
                "correct the manifest",
            )
            .at(&self.folder)
        })?;
        Ok(format!(
            "# Written by `lakefeed plugins stage`; the next staging replaces it.\n{text}"
        ))
    }
}

/// The file name of a crate's shared library, and the crate's version (its own or the workspace's).
fn read_crate(folder: &Path) -> Result<(String, String), PluginRefusal> {
    let path = folder.join("Cargo.toml");
    let refuse =
        |message: &str| PluginRefusal::new(RefusalCode::StageFailed, message, "correct the crate").at(&path);
    let cargo = read_cargo(&path)?;
    let package = cargo.package.ok_or_else(|| refuse("has no [package]"))?;
    let crate_name = cargo
        .lib
        .and_then(|lib| lib.name)
        .or(package.name)
        .ok_or_else(|| refuse("has no name"))?;
    let version = match package.version {
        Some(toml::Value::String(version)) => version,
        _ => workspace_version(folder).ok_or_else(|| refuse("has no version, nor has its workspace"))?,
    };
    let stem = crate_name.replace('-', "_");
    Ok((
        format!(
            "{}{stem}{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        ),
        version,
    ))
}

fn read_cargo(path: &Path) -> Result<CargoToml, PluginRefusal> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| {
        PluginRefusal::new(
            RefusalCode::StageFailed,
            error.message().to_owned(),
            "correct the crate",
        )
        .at(path)
    })
}

fn workspace_version(folder: &Path) -> Option<String> {
    let above = folder.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
    let workspace = above
        .filter(|path| path.is_file())
        .find_map(|path| read_cargo(&path).ok()?.workspace)?;
    match workspace.package?.version? {
        toml::Value::String(version) => Some(version),
        _ => None,
    }
}

/// Copies a file with a mode of its own and answers its SHA-256.
fn copy(from: &Path, to: &Path, mode: u32) -> Result<String, PluginRefusal> {
    let mut source = File::open(from).map_err(|error| failed("cannot be read", &error).at(from))?;
    let copied = create(to, mode).and_then(|mut file| copy_hashing(&mut source, &mut file));
    copied.map_err(|error| failed("cannot be written", &error).at(to))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PluginRefusal> {
    let written = create(path, 0o644).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| failed("cannot be written", &error).at(path))
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), PluginRefusal> {
    fs::rename(from, to).map_err(|error| failed("cannot be renamed into place", &error).at(to))
}

/// Removes libraries that neither this manifest nor the one before names: a host may just have read the latter.
fn remove_old_libraries(folder: &Path, manifests: &[&str]) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_library = name.ends_with(std::env::consts::DLL_SUFFIX);
        if is_library
            && !manifests
                .iter()
                .any(|manifest| manifest.contains(&format!("\"{name}\"")))
        {
            // One that cannot be removed costs space and nothing else.
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::check::{Policy, check, sha256_hex};
    use crate::plugin::discover::tests::library_bytes;
    use crate::plugin::discover::{Origin, PluginDirectory, discover};

    const TEMPLATE: &str = "manifest_version = 1\nname = \"sample\"\nabi = \"1\"\nprovides = [\"lakefeed.writer/0\"]\n\
                            parameters = \"p.json\"\n[companions]\nadmin = \"other\"\n";

    /// A checkout with one plugin `sample`, built.
    fn checkout() -> (tempfile::TempDir, StageRequest) {
        let dir = tempfile::tempdir().unwrap();
        let request = StageRequest {
            checkout: dir.path().to_path_buf(),
            built: dir.path().join("target/debug"),
            into: dir.path().join("target/debug/plugins"),
        };
        let plugin = dir.path().join("plugins/sample");
        fs::create_dir_all(&plugin).unwrap();
        fs::create_dir_all(&request.built).unwrap();
        fs::write(
            dir.path().join("Cargo.toml"),
            "[workspace.package]\nversion = \"0.7.0\"\n",
        )
        .unwrap();
        fs::write(
            plugin.join("Cargo.toml"),
            "[package]\nname = \"acme-sample\"\nversion.workspace = true\n",
        )
        .unwrap();
        fs::write(plugin.join(FILE_NAME), TEMPLATE).unwrap();
        fs::write(plugin.join("p.json"), r#"{"type":"object"}"#).unwrap();
        fs::write(request.built.join("libacme_sample.so"), library_bytes()).unwrap();
        (dir, request)
    }

    #[test]
    fn a_staged_plugin_is_found_and_trusted_without_configuration() {
        let (_dir, request) = checkout();
        let report = stage(&request).unwrap();
        assert_eq!(report.staged[0].sha256, sha256_hex(&library_bytes()));
        let discovery = discover(&[PluginDirectory {
            path: request.into,
            origin: Origin::Bundled,
        }]);
        assert!(discovery.refused.is_empty(), "{:?}", discovery.refused);
        assert_eq!(discovery.found[0].manifest.version, Version::new(0, 7, 0));
        check(&discovery.found[0], &Policy::default()).unwrap();
    }

    #[test]
    fn staging_twice_changes_nothing_and_a_new_build_replaces_the_old() {
        let (_dir, request) = checkout();
        assert!(stage(&request).unwrap().staged[0].changed);
        assert!(!stage(&request).unwrap().staged[0].changed);
        let mut bytes = library_bytes();
        for round in 0..3u8 {
            bytes.push(round);
            fs::write(request.built.join("libacme_sample.so"), &bytes).unwrap();
            let staged = stage(&request).unwrap().staged.remove(0);
            assert!(staged.changed);
            assert_eq!(staged.sha256, sha256_hex(&bytes));
        }
        let libraries = fs::read_dir(request.into.join("sample")).unwrap().flatten();
        let count = libraries
            .filter(|entry| entry.path().extension().is_some_and(|it| it == "so"))
            .count();
        assert_eq!(count, 2, "the library in use and the one before it");
    }

    #[test]
    fn staging_from_many_threads_at_once_leaves_a_whole_plugin() {
        let (_dir, request) = checkout();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| stage(&request).unwrap());
            }
        });
        let discovery = discover(&[PluginDirectory {
            path: request.into.clone(),
            origin: Origin::Bundled,
        }]);
        let checked = check(&discovery.found[0], &Policy::default()).unwrap();
        assert_eq!(
            copy_hashing(&mut &checked.file, &mut io::sink()).unwrap(),
            checked.sha256
        );
    }

    #[test]
    fn a_library_that_only_tests_built_is_taken_from_deps() {
        let (_dir, request) = checkout();
        fs::create_dir(request.built.join("deps")).unwrap();
        fs::rename(
            request.built.join("libacme_sample.so"),
            request.built.join("deps/libacme_sample.so"),
        )
        .unwrap();
        assert_eq!(stage(&request).unwrap().staged.len(), 1);
    }

    #[test]
    fn without_any_built_plugin_it_says_to_build_first() {
        let (_dir, request) = checkout();
        fs::remove_file(request.built.join("libacme_sample.so")).unwrap();
        let refusal = stage(&request).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::StageFailed);
        assert!(refusal.remedy.contains("cargo build"));
    }

    #[test]
    fn version_and_library_of_the_build_win_over_those_of_the_template() {
        let (dir, request) = checkout();
        let text =
            format!("version = \"9.9.9\"\n{TEMPLATE}[library.plan9_mips]\npath = \"x.so\"\nsha256 = \"\"\n");
        fs::write(dir.path().join("plugins/sample").join(FILE_NAME), text).unwrap();
        let staged = stage(&request).unwrap().staged.remove(0);
        assert_eq!(staged.version, Version::new(0, 7, 0));
        let manifest = Manifest::read(&staged.folder).unwrap();
        assert_eq!(manifest.libraries.keys().collect::<Vec<_>>(), [&platform()]);
        assert_eq!(manifest.companions.admin.as_deref(), Some("other"));
    }
}
