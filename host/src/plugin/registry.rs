//! All plugins of a host: which there are, which one a destination means, and each loaded once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::cache::{PluginCache, verify};
use super::check::{Policy, check};
use super::discover::{Candidate, Discovery, Origin, PluginDirectory, bundled_directory, discover};
use super::error::{PluginRefusal, RefusalCode};
use super::health::HealthReport;
use super::load::{LoadedPlugin, load};
use super::manifest::{Companions, Manifest, closest};
use super::schema::Marker;
use super::token::{TokenBroker, TokenSettings};

/// Where plugins are looked for and how they are trusted: `[plugins]` of the configuration.
#[derive(Debug, Clone, Default)]
pub struct PluginSettings {
    /// The directories of `[plugins] dirs`. `plugins/` beside the executable comes before them and needs no mention.
    pub dirs: Vec<PathBuf>,
    /// The rules of trust.
    pub policy: Policy,
    /// The state folder, which holds the plugin cache.
    pub state: PathBuf,
    /// Who the host is to the servers that plugins write to.
    pub tokens: TokenSettings,
}

/// How a destination names a plugin outright: `writer = { plugin = "…", version = "^1.2" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginChoice {
    /// The plugin's name.
    pub plugin: String,
    /// The versions that will do; absent, any.
    #[serde(default)]
    pub version: Option<VersionReq>,
}

impl PluginChoice {
    /// A choice by name and range of versions.
    ///
    /// # Errors
    ///
    /// `PLUGIN-032` for text that is no range of versions.
    pub fn parse(plugin: &str, version: Option<&str>) -> Result<PluginChoice, PluginRefusal> {
        let version = version.map(VersionReq::parse).transpose().map_err(|error| {
            PluginRefusal::new(
                RefusalCode::NoVersion,
                format!("the version asked for of plugin `{plugin}` is not a range: {error}"),
                "write it as \"^1.2\"",
            )
        })?;
        Ok(PluginChoice {
            plugin: plugin.to_owned(),
            version,
        })
    }
}

/// What a manifest may claim, so that a destination need not name the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// A value of `writeMode`.
    WriteMode,
    /// A URL scheme of a staging path.
    StagingScheme,
    /// A schema mapper's name.
    Mapper,
}

impl Claim {
    fn of(self, manifest: &Manifest) -> &[String] {
        match self {
            Claim::WriteMode => &manifest.write_modes,
            Claim::StagingScheme => &manifest.staging_schemes,
            Claim::Mapper => &manifest.mappers,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Claim::WriteMode => "write mode",
            Claim::StagingScheme => "staging scheme",
            Claim::Mapper => "mapper",
        }
    }
}

/// One line of `lakefeed plugins list`.
#[derive(Debug, Clone, Serialize)]
pub struct ListedPlugin {
    /// The whole manifest, for who shows more than a line.
    #[serde(skip)]
    pub manifest: Arc<Manifest>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Who made it.
    pub vendor: String,
    /// What it is, in a line.
    pub description: String,
    /// Why its directory is searched.
    pub origin: Origin,
    /// Its folder.
    pub folder: PathBuf,
    /// The interfaces it offers.
    pub provides: Vec<String>,
    /// The write modes it claims.
    pub write_modes: Vec<String>,
    /// The staging schemes it claims.
    pub staging_schemes: Vec<String>,
    /// The mappers it claims.
    pub mappers: Vec<String>,
    /// Why it would not be loaded, as far as that is known without reading the library.
    pub refused: Option<PluginRefusal>,
    /// How it behaves, if it is loaded.
    pub health: Option<HealthReport>,
}

/// What `lakefeed plugins list` shows.
#[derive(Debug, Clone, Serialize)]
pub struct PluginList {
    /// The plugins found.
    pub plugins: Vec<ListedPlugin>,
    /// What lies in the directories and is no usable plugin.
    pub refused: Vec<PluginRefusal>,
}

/// What `lakefeed plugins inspect NAME` shows of one version.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedPlugin {
    /// The summary.
    #[serde(flatten)]
    pub listed: ListedPlugin,
    /// The licence it is under.
    pub license: String,
    /// The host services it requires.
    pub requires_host: Vec<String>,
    /// The plugins that a writer takes for its other parts.
    pub companions: Companions,
    /// The library for this platform.
    pub library: PathBuf,
    /// The SHA-256 that the library must have.
    pub sha256: String,
    /// The JSON Schema of its destination parameters.
    pub parameters: serde_json::Value,
    /// The JSON Schema of `[plugin.NAME]`.
    pub settings: serde_json::Value,
    /// Its parameters that hold secrets or ask for access.
    pub markers: Vec<Marker>,
}

/// The plugins of a host.
#[derive(Debug)]
pub struct PluginRegistry {
    settings: PluginSettings,
    directories: Vec<PluginDirectory>,
    cache: PluginCache,
    tokens: Arc<TokenBroker>,
    found: RwLock<Discovery>,
    loaded: Mutex<HashMap<(String, Version), Arc<LoadedPlugin>>>,
}

impl PluginRegistry {
    /// Looks through the directories, reading manifests only.
    pub fn open(settings: PluginSettings) -> PluginRegistry {
        let configured = settings.dirs.iter().cloned().map(|path| PluginDirectory {
            path,
            origin: Origin::Configured,
        });
        let directories: Vec<PluginDirectory> = bundled_directory().into_iter().chain(configured).collect();
        PluginRegistry::of_directories(settings, directories)
    }

    /// As [`PluginRegistry::open`], with the directories given outright.
    pub fn of_directories(settings: PluginSettings, directories: Vec<PluginDirectory>) -> PluginRegistry {
        PluginRegistry {
            found: RwLock::new(discover(&directories)),
            cache: PluginCache::in_state_folder(&settings.state),
            tokens: Arc::new(TokenBroker::new(settings.tokens.clone())),
            loaded: Mutex::default(),
            directories,
            settings,
        }
    }

    /// Who lends tokens to all instances of this host.
    pub fn tokens(&self) -> &Arc<TokenBroker> {
        &self.tokens
    }

    /// Looks again: plugins that were added can be used without a restart. What is loaded stays.
    pub fn rescan(&self) {
        let discovery = discover(&self.directories);
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = discovery;
    }

    fn with_found<R>(&self, read: impl FnOnce(&Discovery) -> R) -> R {
        read(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest version of the plugin that is in the range.
    ///
    /// # Errors
    ///
    /// `PLUGIN-031` or `PLUGIN-032`, saying what is installed.
    pub fn find(&self, choice: &PluginChoice) -> Result<Candidate, PluginRefusal> {
        self.with_found(|discovery| {
            let named: Vec<&Candidate> = discovery
                .found
                .iter()
                .filter(|found| found.manifest.name == choice.plugin)
                .collect();
            if named.is_empty() {
                return Err(unknown(discovery, &choice.plugin));
            }
            let fits = |found: &&&Candidate| match &choice.version {
                Some(range) => range.matches(&found.manifest.version),
                None => true,
            };
            let newest = named
                .iter()
                .filter(fits)
                .max_by(|one, two| one.manifest.version.cmp(&two.manifest.version));
            newest
                .map(|found| (*found).clone())
                .ok_or_else(|| no_version(&named, choice))
        })
    }

    /// The plugin that claims a write mode, staging scheme or mapper, in its newest version.
    ///
    /// # Errors
    ///
    /// `PLUGIN-033` if none does, saying what is claimed; `PLUGIN-034` if two do.
    pub fn claimed(&self, claim: Claim, value: &str) -> Result<Candidate, PluginRefusal> {
        let mut names = self.with_found(|discovery| {
            let claims = discovery
                .found
                .iter()
                .filter(|found| claim.of(&found.manifest).iter().any(|own| own == value));
            claims
                .map(|found| found.manifest.name.clone())
                .collect::<Vec<_>>()
        });
        names.sort();
        names.dedup();
        match names.as_slice() {
            [] => Err(self.with_found(|discovery| unclaimed(discovery, claim, value))),
            [_] => self.newest_claiming(claim, value),
            names => Err(PluginRefusal::new(
                RefusalCode::ClaimedTwice,
                format!("{} `{value}` is claimed by {}", claim.noun(), names.join(" and ")),
                "name one of them in the destination, as in `writer = { plugin = \"…\" }`",
            )),
        }
    }

    /// The manifest of the plugin that serves a write mode, in its newest version.
    ///
    /// # Errors
    ///
    /// As [`PluginRegistry::claimed`].
    pub fn writer_for_mode(&self, mode: &str) -> Result<Arc<Manifest>, PluginRefusal> {
        self.claimed(Claim::WriteMode, mode).map(|found| found.manifest)
    }

    /// The manifest of a plugin by name and, if given, range of versions (as in `"^1.2"`).
    ///
    /// # Errors
    ///
    /// As [`PluginRegistry::find`]; a range that is none is `PLUGIN-032`.
    pub fn named(&self, plugin: &str, version: Option<&str>) -> Result<Arc<Manifest>, PluginRefusal> {
        self.find(&PluginChoice::parse(plugin, version)?)
            .map(|found| found.manifest)
    }

    /// Finds a plugin as [`PluginRegistry::named`] does and loads it as [`PluginRegistry::load`] does.
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn load_named(
        &self,
        plugin: &str,
        version: Option<&str>,
    ) -> Result<Arc<LoadedPlugin>, PluginRefusal> {
        self.load(&self.find(&PluginChoice::parse(plugin, version)?)?)
    }

    /// A plugin's older versions may not claim what its newest does.
    fn newest_claiming(&self, claim: Claim, value: &str) -> Result<Candidate, PluginRefusal> {
        self.with_found(|discovery| {
            let claims = discovery
                .found
                .iter()
                .filter(|found| claim.of(&found.manifest).iter().any(|own| own == value));
            let newest = claims.max_by(|one, two| one.manifest.version.cmp(&two.manifest.version));
            newest.cloned().ok_or_else(|| unclaimed(discovery, claim, value))
        })
    }

    /// The parameters of all plugins that are secrets or ask for access.
    pub fn markers(&self) -> Vec<Marker> {
        self.with_found(|discovery| {
            discovery
                .found
                .iter()
                .flat_map(|found| found.manifest.parameters.markers())
                .collect()
        })
    }

    /// Checks, copies and loads a plugin; one that is loaded is answered as it is.
    ///
    /// Reads the whole library and runs its entry function: call it from a thread that may block.
    ///
    /// # Errors
    ///
    /// The [`PluginRefusal`] of the first thing that is not in order.
    pub fn load(&self, candidate: &Candidate) -> Result<Arc<LoadedPlugin>, PluginRefusal> {
        let key = (
            candidate.manifest.name.clone(),
            candidate.manifest.version.clone(),
        );
        // Held while loading, so that two destinations that start together load it once.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(&key) {
            plugin.health.usable()?;
            return Ok(plugin.clone());
        }
        let checked = check(candidate, &self.settings.policy)?;
        let copy = self.cache.admit(&checked)?;
        let plugin = Arc::new(load(candidate.manifest.clone(), &copy)?);
        loaded.insert(key, plugin.clone());
        tracing::info!(
            target: "lakefeed::plugin",
            plugin = plugin.manifest.name,
            version = %plugin.manifest.version,
            sha256 = checked.sha256,
            "plugin loaded"
        );
        Ok(plugin)
    }

    /// What there is and what was refused. Reads metadata and manifests only; runs no foreign code.
    pub fn list(&self) -> PluginList {
        self.with_found(|discovery| PluginList {
            plugins: discovery.found.iter().map(|found| self.listed(found)).collect(),
            refused: discovery.refused.clone(),
        })
    }

    /// The same with every library read and its hash compared, so that one that could not be loaded is known
    /// beforehand. Takes as long as reading them; runs no foreign code.
    pub fn list_verified(&self) -> PluginList {
        let mut list = self.list();
        self.with_found(|discovery| {
            for (plugin, found) in list.plugins.iter_mut().zip(&discovery.found) {
                let is_same = plugin.folder == found.folder;
                if let (true, Ok(library)) = (is_same, check(found, &self.settings.policy)) {
                    plugin.refused = verify(&library).err();
                }
            }
        });
        list
    }

    /// All versions of one plugin, newest first. Runs no foreign code.
    ///
    /// # Errors
    ///
    /// `PLUGIN-031` if there is none of that name.
    pub fn inspect(&self, name: &str) -> Result<Vec<InspectedPlugin>, PluginRefusal> {
        self.with_found(|discovery| {
            let named = discovery.found.iter().filter(|found| found.manifest.name == name);
            let mut all: Vec<InspectedPlugin> = named.map(|found| self.inspected(found)).collect();
            all.sort_by(|one, two| two.listed.version.cmp(&one.listed.version));
            if all.is_empty() {
                Err(unknown(discovery, name))
            } else {
                Ok(all)
            }
        })
    }

    fn listed(&self, found: &Candidate) -> ListedPlugin {
        let manifest = &found.manifest;
        let key = (manifest.name.clone(), manifest.version.clone());
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        ListedPlugin {
            manifest: found.manifest.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            vendor: manifest.vendor.clone(),
            description: manifest.description.clone(),
            origin: found.directory.origin,
            folder: found.folder.clone(),
            provides: manifest.provides.clone(),
            write_modes: manifest.write_modes.clone(),
            staging_schemes: manifest.staging_schemes.clone(),
            mappers: manifest.mappers.clone(),
            refused: check(found, &self.settings.policy).err(),
            health: loaded.get(&key).map(|plugin| plugin.health.report()),
        }
    }

    fn inspected(&self, found: &Candidate) -> InspectedPlugin {
        let manifest = &found.manifest;
        let mut markers = manifest.parameters.markers();
        markers.extend(manifest.settings.markers());
        InspectedPlugin {
            listed: self.listed(found),
            license: manifest.license.clone(),
            requires_host: manifest.requires_host.clone(),
            companions: manifest.companions.clone(),
            library: found.library.clone(),
            sha256: manifest
                .library()
                .map(|library| library.sha256.clone())
                .unwrap_or_default(),
            parameters: manifest.parameters.as_json().clone(),
            settings: manifest.settings.as_json().clone(),
            markers,
        }
    }
}

impl LoadedPlugin {
    /// How the library behaves.
    pub fn health(&self) -> HealthReport {
        self.health.report()
    }
}

/// What [`PluginRegistry::list`] answers, for who needs no registry.
pub fn list(settings: &PluginSettings) -> PluginList {
    PluginRegistry::open(settings.clone()).list()
}

/// What [`PluginRegistry::inspect`] answers, for who needs no registry.
///
/// # Errors
///
/// As [`PluginRegistry::inspect`].
pub fn inspect(settings: &PluginSettings, name: &str) -> Result<Vec<InspectedPlugin>, PluginRefusal> {
    PluginRegistry::open(settings.clone()).inspect(name)
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn unknown(discovery: &Discovery, name: &str) -> PluginRefusal {
    let names: Vec<&str> = discovery
        .found
        .iter()
        .map(|found| found.manifest.name.as_str())
        .collect();
    let hint = closest(name, &names)
        .map(|near| format!("did you mean `{near}`? "))
        .unwrap_or_default();
    PluginRefusal::new(
        RefusalCode::UnknownPlugin,
        format!("no plugin `{name}` (installed: {})", joined(names.into_iter())),
        format!("{hint}`lakefeed plugins list` shows what was found and refused"),
    )
}

fn no_version(named: &[&Candidate], choice: &PluginChoice) -> PluginRefusal {
    let versions: Vec<String> = named
        .iter()
        .map(|found| found.manifest.version.to_string())
        .collect();
    let range = choice
        .version
        .as_ref()
        .map(VersionReq::to_string)
        .unwrap_or_default();
    PluginRefusal::new(
        RefusalCode::NoVersion,
        format!(
            "no version of plugin `{}` is in {range} (installed: {})",
            choice.plugin,
            versions.join(", ")
        ),
        "install a version in the range, or widen the range",
    )
}

fn unclaimed(discovery: &Discovery, claim: Claim, value: &str) -> PluginRefusal {
    let claims: Vec<&str> = discovery
        .found
        .iter()
        .flat_map(|found| claim.of(&found.manifest))
        .map(String::as_str)
        .collect();
    let remedy = match closest(value, &claims) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "correct the name, or install a plugin that claims it".to_owned(),
    };
    PluginRefusal::new(
        RefusalCode::Unclaimed,
        format!(
            "no plugin for {} `{value}` (installed: {})",
            claim.noun(),
            joined(claims.into_iter())
        ),
        remedy,
    )
}
