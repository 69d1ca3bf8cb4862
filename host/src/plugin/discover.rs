//! Which plugins lie in the plugin directories.
//!
//! Two layouts are understood: `DIR/NAME/plugin.toml`, and `DIR/NAME/VERSION/plugin.toml` for several versions
//! side by side. Only manifests are read and the first bytes of libraries looked at; nothing is executed. A folder
//! that is not a usable plugin is reported, never passed over: the operator who put it there wants to know why.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::error::{PluginRefusal, RefusalCode};
use super::manifest::{FILE_NAME, Manifest};
use super::stage::executable_folder;

/// A directory that holds plugin folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Why plugins in it are considered at all.
    pub origin: Origin,
}

/// Why a plugin directory is searched, which decides how its plugins are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `plugins/` beside the running executable: whoever can write there can replace the executable too, so the
    /// plugins are trusted as the executable is.
    Bundled,
    /// Listed in `[plugins] dirs`: trusted as `[plugins] trust` says.
    Configured,
}

/// A plugin whose manifest and library are in place. Nothing is said yet about trust.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What its manifest says.
    pub manifest: Arc<Manifest>,
    /// The folder that holds the manifest.
    pub folder: PathBuf,
    /// The library for this platform.
    pub library: PathBuf,
    /// The directory in which it was found.
    pub directory: PluginDirectory,
}

/// All that the plugin directories hold.
#[derive(Debug, Default)]
pub struct Discovery {
    /// What can be used, in the order of the directories.
    pub found: Vec<Candidate>,
    /// What lies there and cannot be used, with the reason.
    pub refused: Vec<PluginRefusal>,
}

/// `plugins/` beside the running executable, if it exists.
pub fn bundled_directory() -> Option<PluginDirectory> {
    let path = executable_folder().ok()?.join("plugins");
    path.is_dir().then_some(PluginDirectory {
        path,
        origin: Origin::Bundled,
    })
}

/// Looks through `directories`, in their order.
pub fn discover(directories: &[PluginDirectory]) -> Discovery {
    let mut discovery = Discovery::default();
    for directory in directories {
        match entries(&directory.path) {
            Ok(paths) => paths.iter().for_each(|path| discovery.entry(path, directory)),
            Err(error) => discovery.refused.push(unreadable(&directory.path, &error)),
        }
    }
    discovery
}

impl Discovery {
    /// Considers one entry of a plugin directory.
    fn entry(&mut self, path: &Path, directory: &PluginDirectory) {
        if path.is_dir() {
            return self.folder(path, directory);
        }
        if is_library_name(path) {
            let message = "is a library outside a plugin folder, without a manifest";
            self.refused.push(no_manifest(message).at(path));
        }
    }

    fn folder(&mut self, folder: &Path, directory: &PluginDirectory) {
        if folder.join(FILE_NAME).exists() {
            return self.candidate(folder, directory);
        }
        let versions: Vec<PathBuf> = match entries(folder) {
            Ok(paths) => paths
                .into_iter()
                .filter(|path| path.join(FILE_NAME).exists())
                .collect(),
            Err(error) => return self.refused.push(unreadable(folder, &error)),
        };
        if versions.is_empty() {
            self.refused.push(no_manifest("holds no plugin.toml").at(folder));
        }
        for version in versions {
            self.candidate(&version, directory);
        }
    }

    fn candidate(&mut self, folder: &Path, directory: &PluginDirectory) {
        match examine(folder, directory) {
            Ok(candidate) => match self.twin(&candidate) {
                None => self.found.push(candidate),
                Some(refusal) => self.refused.push(refusal),
            },
            Err(refusal) => self.refused.push(refusal),
        }
    }

    /// The refusal of a candidate that was found before, at another place.
    fn twin(&self, candidate: &Candidate) -> Option<PluginRefusal> {
        let same = |other: &&Candidate| {
            other.manifest.name == candidate.manifest.name
                && other.manifest.version == candidate.manifest.version
        };
        let first = self.found.iter().find(same)?;
        let Manifest { name, version, .. } = &*candidate.manifest;
        Some(
            PluginRefusal::new(
                RefusalCode::FoundTwice,
                format!(
                    "`{name}` {version} was found before, in {}",
                    first.folder.display()
                ),
                "remove one of the two",
            )
            .at(&candidate.folder),
        )
    }
}

fn examine(folder: &Path, directory: &PluginDirectory) -> Result<Candidate, PluginRefusal> {
    let manifest = Arc::new(Manifest::read(folder)?);
    let library = folder.join(&manifest.library().map_err(|refusal| refusal.at(folder))?.path);
    look_at_library(&library)?;
    Ok(Candidate {
        manifest,
        folder: folder.to_path_buf(),
        library,
        directory: directory.clone(),
    })
}

/// The visible entries of a folder in name order; hidden ones are left alone (staging builds its folders so).
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_library_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION)
}

fn no_manifest(message: &str) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::ManifestMissing,
        message,
        "give the plugin a folder with a plugin.toml and its library",
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::DirectoryUnreadable,
        format!("plugin directory cannot be read: {error}"),
        "create it, correct its permissions, or remove it from `[plugins] dirs`",
    )
    .at(path)
}

/// Looks at the library's headers, which tell a whole shared library for this machine from anything else.
fn look_at_library(path: &Path) -> Result<(), PluginRefusal> {
    match File::open(path) {
        Ok(file) => check_headers(&file).map_err(|refusal| refusal.at(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(PluginRefusal::new(
            RefusalCode::LibraryMissing,
            "the library named in the manifest is not there",
            "install the plugin again; from a checkout, build and run `lakefeed plugins stage`",
        )
        .at(path)),
        Err(error) => {
            let message = format!("the library cannot be read: {error}");
            Err(PluginRefusal::new(RefusalCode::LibraryMissing, message, "correct its permissions").at(path))
        }
    }
}

#[cfg(not(target_os = "macos"))]
use super::elf::check as check_headers;

/// The loader of this system checks what it opens.
#[cfg(target_os = "macos")]
fn check_headers(_: &File) -> Result<(), PluginRefusal> {
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plugin::manifest::platform;

    /// Enough of a shared library for this machine to pass as one before it is loaded.
    pub(in crate::plugin) fn library_bytes() -> Vec<u8> {
        let executable = fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut head = executable[..64].to_vec();
        head[16] = 3;
        // No segments, so none that lies past the end.
        head[56..58].fill(0);
        head
    }

    /// A plugin folder whose library is `bytes`, with the right hash in its manifest.
    pub(in crate::plugin) fn write_plugin(folder: &Path, name: &str, version: &str, bytes: &[u8]) {
        fs::create_dir_all(folder).unwrap();
        let sha256 = crate::plugin::check::sha256_hex(bytes);
        let text = format!(
            "manifest_version = 1\nname = \"{name}\"\nversion = \"{version}\"\nabi = \"1\"\n\
             provides = [\"lakefeed.writer/0\"]\n[library.{}]\npath = \"lib{name}.so\"\nsha256 = \"{sha256}\"\n",
            platform()
        );
        fs::write(folder.join(FILE_NAME), text).unwrap();
        fs::write(folder.join(format!("lib{name}.so")), bytes).unwrap();
    }

    fn scan(path: &Path) -> Discovery {
        discover(&[PluginDirectory {
            path: path.to_path_buf(),
            origin: Origin::Configured,
        }])
    }

    fn only_refusal(path: &Path) -> PluginRefusal {
        let discovery = scan(path);
        assert!(discovery.found.is_empty());
        assert_eq!(discovery.refused.len(), 1, "{:?}", discovery.refused);
        discovery.refused[0].clone()
    }

    #[test]
    fn both_layouts_are_found_and_other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(&dir.path().join("one"), "one", "1.0.0", &library_bytes());
        write_plugin(&dir.path().join("two/1.0.0"), "two", "1.0.0", &library_bytes());
        write_plugin(&dir.path().join("two/1.1.0"), "two", "1.1.0", &library_bytes());
        fs::write(dir.path().join("README.md"), "x").unwrap();
        fs::create_dir(dir.path().join(".staging")).unwrap();
        let discovery = scan(dir.path());
        let found: Vec<String> = discovery
            .found
            .iter()
            .map(|found| format!("{} {}", found.manifest.name, found.manifest.version))
            .collect();
        assert_eq!(found, ["one 1.0.0", "two 1.0.0", "two 1.1.0"]);
        assert!(discovery.refused.is_empty(), "{:?}", discovery.refused);
    }

    #[test]
    fn a_text_file_named_so_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(
            &dir.path().join("bad"),
            "bad",
            "1.0.0",
            b"just some text, long enough for a header",
        );
        let refusal = only_refusal(dir.path());
        assert_eq!(refusal.code, RefusalCode::NotALibrary);
        assert_eq!(refusal.path.unwrap(), dir.path().join("bad/libbad.so"));
    }

    #[test]
    fn an_empty_file_named_so_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(&dir.path().join("bad"), "bad", "1.0.0", b"");
        assert_eq!(only_refusal(dir.path()).code, RefusalCode::NotALibrary);
    }

    #[test]
    fn a_library_for_another_machine_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = library_bytes();
        bytes[18] = 8;
        write_plugin(&dir.path().join("mips"), "mips", "1.0.0", &bytes);
        assert_eq!(only_refusal(dir.path()).code, RefusalCode::WrongMachine);
    }

    #[test]
    fn a_loose_library_and_a_folder_without_a_manifest_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("loose.so"), library_bytes()).unwrap();
        assert_eq!(only_refusal(dir.path()).code, RefusalCode::ManifestMissing);
        fs::remove_file(dir.path().join("loose.so")).unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        assert_eq!(only_refusal(dir.path()).code, RefusalCode::ManifestMissing);
    }

    #[test]
    fn a_manifest_without_its_library_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(&dir.path().join("gone"), "gone", "1.0.0", &library_bytes());
        fs::remove_file(dir.path().join("gone/libgone.so")).unwrap();
        assert_eq!(only_refusal(dir.path()).code, RefusalCode::LibraryMissing);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = only_refusal(&dir.path().join("nowhere"));
        assert_eq!(refusal.code, RefusalCode::DirectoryUnreadable);
    }

    #[test]
    fn the_same_version_in_a_second_place_is_refused_and_the_first_kept() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(&dir.path().join("a"), "same", "1.0.0", &library_bytes());
        write_plugin(&dir.path().join("b"), "same", "1.0.0", &library_bytes());
        let discovery = scan(dir.path());
        assert_eq!(discovery.found[0].folder, dir.path().join("a"));
        assert_eq!(discovery.refused[0].code, RefusalCode::FoundTwice);
        assert_eq!(
            discovery.refused[0].path.as_deref(),
            Some(dir.path().join("b").as_path())
        );
    }

    #[test]
    fn one_bad_plugin_does_not_hide_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        write_plugin(&dir.path().join("bad"), "bad", "1.0.0", b"text");
        write_plugin(&dir.path().join("good"), "good", "1.0.0", &library_bytes());
        let discovery = scan(dir.path());
        assert_eq!((discovery.found.len(), discovery.refused.len()), (1, 1));
    }
}
