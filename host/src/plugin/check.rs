//! What the host checks before it trusts a plugin's library with its own process.
//!
//! Loading a library runs its code, so everything here comes first: the library lies inside the directory it was
//! found in, nobody but root and the service user can change it or a folder on the way to it, the operator's
//! `[plugins] trust` is satisfied, and (while the bytes are copied, see [`cache`](super::cache)) its SHA-256 is the
//! one in the manifest. A hash is provenance and not a sandbox: code that is loaded owns the process.

use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::discover::{Candidate, Origin};
use super::error::{PluginRefusal, RefusalCode};
use super::manifest::FILE_NAME;

/// Write permission of group and of others.
const GROUP_OR_OTHERS: u32 = 0o022;
const OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// What a plugin in a configured directory must show before it is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustLevel {
    /// Its hash stands in the configuration.
    #[default]
    Pinned,
    /// Its manifest is signed with a trusted key. This host cannot check signatures and so loads nothing.
    Signed,
    /// Its manifest has its hash; whoever can write the directory is trusted.
    Any,
}

/// A library that the configuration names by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The plugin's name.
    pub plugin: String,
    /// The SHA-256 of its library, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// The operator's rules of trust.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What plugins in configured directories must show.
    pub trust: TrustLevel,
    /// The pinned libraries. A plugin with a pin must match one, wherever it lies and whatever `trust` says.
    pub pins: Vec<Pin>,
}

/// A library whose path, owner and pin are in order, held open so that it cannot be exchanged unnoticed.
#[derive(Debug)]
pub struct CheckedLibrary {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// The hash that its bytes must have.
    pub(super) sha256: String,
}

/// Checks everything but the bytes: path, owners, permissions, trust.
///
/// Reads metadata only, so a listing may call it for every plugin.
///
/// # Errors
///
/// The first [`PluginRefusal`], about the path that is at fault.
pub fn check(candidate: &Candidate, policy: &Policy) -> Result<CheckedLibrary, PluginRefusal> {
    let owners = Owners::of(candidate.directory.origin);
    let root = canonical(&candidate.directory.path)?;
    check_tree(&candidate.folder.join(FILE_NAME), &root, &owners)?;
    let path = check_tree(&candidate.library, &root, &owners)?;
    if candidate.directory.origin == Origin::Configured {
        check_above(&root, &owners)?;
    }
    let sha256 = candidate.manifest.library()?.sha256.clone();
    check_trust(candidate, policy, &sha256).map_err(|refusal| refusal.at(&path))?;
    let file = open(&path, &owners)?;
    Ok(CheckedLibrary { file, path, sha256 })
}

/// The SHA-256 of `bytes` in lower-case hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The users who may own a plugin's files.
struct Owners(Vec<u32>);

impl Owners {
    fn of(origin: Origin) -> Owners {
        let mut owners = vec![0, rustix::process::geteuid().as_raw()];
        // The owner of the executable decides what runs here already.
        let executable = std::env::current_exe().and_then(fs::metadata);
        if let (Origin::Bundled, Ok(executable)) = (origin, executable) {
            owners.push(executable.uid());
        }
        Owners(owners)
    }

    fn include(&self, metadata: &Metadata) -> bool {
        self.0.contains(&metadata.uid())
    }
}

fn canonical(path: &Path) -> Result<PathBuf, PluginRefusal> {
    fs::canonicalize(path).map_err(|error| cannot_examine(path, &error))
}

fn cannot_examine(path: &Path, error: &std::io::Error) -> PluginRefusal {
    let message = format!("cannot be examined: {error}");
    PluginRefusal::new(
        RefusalCode::LibraryMissing,
        message,
        "correct its permissions, or install the plugin again",
    )
    .at(path)
}

/// Checks a file and every folder from it up to `root`; answers its path with symbolic links followed.
fn check_tree(path: &Path, root: &Path, owners: &Owners) -> Result<PathBuf, PluginRefusal> {
    let real = canonical(path)?;
    if !real.starts_with(root) {
        return Err(PluginRefusal::new(
            RefusalCode::OutsideDirectory,
            format!("leads out of the plugin directory, to {}", real.display()),
            "place the file itself inside the plugin's folder",
        )
        .at(path));
    }
    for step in real.ancestors().take_while(|step| step.starts_with(root)) {
        let metadata = fs::symlink_metadata(step).map_err(|error| cannot_examine(step, &error))?;
        check_owned(&metadata, owners, GROUP_OR_OTHERS).map_err(|refusal| refusal.at(step))?;
    }
    Ok(real)
}

/// Above the directory that the operator chose, a folder may be sticky (as `/tmp` is) or held by a trusted user.
fn check_above(root: &Path, owners: &Owners) -> Result<(), PluginRefusal> {
    for step in root.ancestors().skip(1) {
        let metadata = fs::symlink_metadata(step).map_err(|error| cannot_examine(step, &error))?;
        if metadata.mode() & STICKY == 0 {
            check_owned(&metadata, owners, OTHERS).map_err(|refusal| refusal.at(step))?;
        }
    }
    Ok(())
}

fn check_owned(metadata: &Metadata, owners: &Owners, forbidden: u32) -> Result<(), PluginRefusal> {
    if !owners.include(metadata) {
        return Err(PluginRefusal::new(
            RefusalCode::WrongOwner,
            format!("belongs to user {}, who could replace the plugin", metadata.uid()),
            "give it to root or to the user that runs lakefeed (chown)",
        ));
    }
    if metadata.mode() & forbidden != 0 {
        return Err(PluginRefusal::new(
            RefusalCode::WritableByOthers,
            format!(
                "can be changed by other users (mode {:04o})",
                metadata.mode() & 0o7777
            ),
            "take the permission away (chmod go-w)",
        ));
    }
    Ok(())
}

fn check_trust(candidate: &Candidate, policy: &Policy, sha256: &str) -> Result<(), PluginRefusal> {
    let name = &candidate.manifest.name;
    let mut pins = policy.pins.iter().filter(|pin| pin.plugin == *name).peekable();
    let bundled = candidate.directory.origin == Origin::Bundled;
    let unpinned = pins.peek().is_none();
    if !unpinned && !pins.any(|pin| pin.sha256 == sha256) {
        return Err(not_pinned(
            name,
            sha256,
            "is pinned in the configuration with another hash",
        ));
    }
    match policy.trust {
        _ if bundled => Ok(()),
        TrustLevel::Any => Ok(()),
        TrustLevel::Pinned if unpinned => Err(not_pinned(name, sha256, "is not pinned in the configuration")),
        TrustLevel::Pinned => Ok(()),
        TrustLevel::Signed => Err(PluginRefusal::new(
            RefusalCode::SignaturesUnavailable,
            "signatures cannot be checked by this version of lakefeed",
            "set `[plugins] trust = \"pinned\"` and pin the library",
        )),
    }
}

fn not_pinned(name: &str, sha256: &str, what: &str) -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::NotPinned,
        format!("plugin `{name}` {what}"),
        format!("if you trust it, write `{name} = \"{sha256}\"` under `[plugins.pin]` of the configuration"),
    )
}

/// Opens the library and checks what was opened, so that an exchange after the checks by path does not help.
fn open(path: &Path, owners: &Owners) -> Result<File, PluginRefusal> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| cannot_examine(path, &error))?;
    let metadata = file.metadata().map_err(|error| cannot_examine(path, &error))?;
    if !metadata.is_file() {
        let message = "the library is not a regular file";
        return Err(
            PluginRefusal::new(RefusalCode::NotALibrary, message, "install the plugin again").at(path),
        );
    }
    check_owned(&metadata, owners, GROUP_OR_OTHERS).map_err(|refusal| refusal.at(path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::plugin::discover::tests::{library_bytes, write_plugin};
    use crate::plugin::discover::{PluginDirectory, discover};

    const ANY: Policy = Policy {
        trust: TrustLevel::Any,
        pins: Vec::new(),
    };

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// One sound plugin in `plugins/` of a temporary folder.
    fn plugin(origin: Origin) -> (tempfile::TempDir, Candidate) {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join("plugins");
        write_plugin(&plugins.join("sound"), "sound", "1.0.0", &library_bytes());
        for path in [plugins.clone(), plugins.join("sound")] {
            mode(&path, 0o755);
        }
        for path in ["sound/plugin.toml", "sound/libsound.so"] {
            mode(&plugins.join(path), 0o644);
        }
        let mut found = discover(&[PluginDirectory {
            path: plugins,
            origin,
        }])
        .found;
        (dir, found.remove(0))
    }

    fn refusal(candidate: &Candidate, policy: &Policy) -> PluginRefusal {
        check(candidate, policy).unwrap_err()
    }

    #[test]
    fn a_sound_plugin_passes() {
        let (_dir, candidate) = plugin(Origin::Configured);
        let checked = check(&candidate, &ANY).unwrap();
        assert_eq!(checked.sha256, sha256_hex(&library_bytes()));
    }

    #[test]
    fn a_world_writable_library_manifest_or_folder_is_refused_by_name() {
        let (dir, candidate) = plugin(Origin::Configured);
        for (path, good) in [
            ("sound/libsound.so", 0o644),
            ("sound/plugin.toml", 0o644),
            ("sound", 0o755),
            ("", 0o755),
        ] {
            let path = dir.path().join("plugins").join(path);
            for bad in [0o777, 0o775] {
                mode(&path, bad);
                let refusal = refusal(&candidate, &ANY);
                assert_eq!(refusal.code, RefusalCode::WritableByOthers);
                assert_eq!(refusal.path.as_deref().unwrap(), fs::canonicalize(&path).unwrap());
            }
            mode(&path, good);
        }
        check(&candidate, &ANY).unwrap();
    }

    #[test]
    fn a_folder_above_may_be_sticky_and_not_open_to_all() {
        let (dir, candidate) = plugin(Origin::Configured);
        mode(dir.path(), 0o777);
        assert_eq!(refusal(&candidate, &ANY).code, RefusalCode::WritableByOthers);
        mode(dir.path(), 0o1777);
        check(&candidate, &ANY).unwrap();
    }

    #[test]
    fn a_link_out_of_the_plugin_directory_is_refused() {
        let (dir, candidate) = plugin(Origin::Configured);
        let outside = dir.path().join("elsewhere.so");
        fs::rename(&candidate.library, &outside).unwrap();
        symlink(&outside, &candidate.library).unwrap();
        assert_eq!(refusal(&candidate, &ANY).code, RefusalCode::OutsideDirectory);
    }

    #[test]
    fn a_link_that_stays_inside_is_followed() {
        let (_dir, candidate) = plugin(Origin::Configured);
        let beside = candidate.folder.join("real.so");
        fs::rename(&candidate.library, &beside).unwrap();
        symlink(&beside, &candidate.library).unwrap();
        check(&candidate, &ANY).unwrap();
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_dir, candidate) = plugin(Origin::Configured);
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a file away.
        }
        std::os::unix::fs::chown(&candidate.library, Some(12345), None).unwrap();
        assert_eq!(refusal(&candidate, &ANY).code, RefusalCode::WrongOwner);
    }

    #[test]
    fn pinned_asks_for_a_pin_with_this_hash_and_shows_the_entry_to_add() {
        let (_dir, candidate) = plugin(Origin::Configured);
        let refused = refusal(&candidate, &Policy::default());
        assert_eq!(refused.code, RefusalCode::NotPinned);
        let sha256 = sha256_hex(&library_bytes());
        assert!(refused.remedy.contains(&sha256), "{}", refused.remedy);

        let pin = |sha256: &str| Pin {
            plugin: "sound".into(),
            sha256: sha256.into(),
        };
        let pinned = |pins| Policy {
            trust: TrustLevel::Pinned,
            pins,
        };
        check(&candidate, &pinned(vec![pin("00"), pin(&sha256)])).unwrap();
        assert_eq!(
            refusal(&candidate, &pinned(vec![pin("00")])).code,
            RefusalCode::NotPinned
        );
    }

    #[test]
    fn a_pin_counts_whatever_the_trust_and_wherever_the_plugin_lies() {
        let wrong = vec![Pin {
            plugin: "sound".into(),
            sha256: "00".into(),
        }];
        for origin in [Origin::Configured, Origin::Bundled] {
            let (_dir, candidate) = plugin(origin);
            let policy = Policy {
                trust: TrustLevel::Any,
                pins: wrong.clone(),
            };
            assert_eq!(refusal(&candidate, &policy).code, RefusalCode::NotPinned);
        }
    }

    #[test]
    fn signed_loads_nothing_from_configured_directories() {
        let (_dir, candidate) = plugin(Origin::Configured);
        let policy = Policy {
            trust: TrustLevel::Signed,
            pins: Vec::new(),
        };
        assert_eq!(
            refusal(&candidate, &policy).code,
            RefusalCode::SignaturesUnavailable
        );
    }

    #[test]
    fn plugins_beside_the_executable_need_no_configuration() {
        let (_dir, candidate) = plugin(Origin::Bundled);
        check(&candidate, &Policy::default()).unwrap();
    }
}
