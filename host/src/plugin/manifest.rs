//! What a plugin's `plugin.toml` says: its name, what it offers, and which file is its library.
//!
//! Reading a manifest runs no code of the plugin, so it is all that listing and choosing plugins need. Whether
//! the library can be trusted is decided in [`check`](super::check), and whether it keeps the manifest's word in
//! [`load`](super::load).

use std::collections::BTreeMap;
use std::path::{Component, Path};

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{PluginRefusal, RefusalCode};
use super::schema::Schema;

/// The name of the manifest in a plugin's folder.
pub const FILE_NAME: &str = "plugin.toml";

/// A manifest larger than this is not a manifest.
const MAX_BYTES: u64 = 1 << 20;

/// The major version of the contract that manifests of this host name under `abi`.
const ABI: &str = "1";

/// A checked manifest: every value follows its rule, every schema is understood.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// The plugin's name: lower case letters, digits and hyphens.
    pub name: String,
    /// The plugin's own version.
    pub version: Version,
    /// Who made it.
    pub vendor: String,
    /// The licence it is under, an SPDX expression.
    pub license: String,
    /// One line for listings; empty if the manifest has none.
    pub description: String,
    /// The interfaces that the library offers, such as `lakefeed.writer/0`.
    pub provides: Vec<String>,
    /// The host services that the plugin cannot do without.
    pub requires_host: Vec<String>,
    /// The values of `writeMode` that choose this plugin as the writer.
    pub write_modes: Vec<String>,
    /// The URL schemes of a staging path that choose this plugin as the stager.
    pub staging_schemes: Vec<String>,
    /// The names under which its schema mapper is asked for; a write mode may be one.
    pub mappers: Vec<String>,
    /// The plugins that a writer needs for what it does not do itself.
    pub companions: Companions,
    /// What a destination may say to this plugin.
    pub parameters: Schema,
    /// What `[plugin.NAME]` of the configuration may say.
    pub settings: Schema,
    /// The library of each platform, by key such as `linux_amd64`.
    pub libraries: BTreeMap<String, Library>,
}

/// The plugins that a writer takes for the other parts of a destination, unless the destination names others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companions {
    /// Describes, creates and alters tables.
    pub admin: Option<String>,
    /// Merges a staged set into the table.
    pub merge: Option<String>,
    /// Vends cloud credentials.
    pub credentials: Option<String>,
    /// Says which column gets which type.
    pub mapper: Option<String>,
}

/// One platform's library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Where it lies, relative to the manifest and inside its folder.
    pub path: String,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A manifest as written; also the template that staging completes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    manifest_version: u32,
    pub(super) name: String,
    pub(super) version: Option<String>,
    #[serde(default)]
    vendor: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    description: String,
    abi: String,
    provides: Vec<String>,
    #[serde(default)]
    requires_host: Vec<String>,
    #[serde(default)]
    write_modes: Vec<String>,
    #[serde(default)]
    staging_schemes: Vec<String>,
    #[serde(default)]
    mappers: Vec<String>,
    #[serde(default)]
    companions: Companions,
    pub(super) parameters: Option<SchemaSource>,
    pub(super) settings: Option<SchemaSource>,
    #[serde(default)]
    library: BTreeMap<String, Library>,
}

/// A JSON Schema, written in the manifest or in a file beside it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum SchemaSource {
    /// The name of a JSON file in the manifest's folder.
    File(String),
    /// The schema itself, as a TOML table.
    Inline(toml::Table),
}

impl Manifest {
    /// Reads and checks the manifest in `folder`.
    ///
    /// # Errors
    ///
    /// A [`PluginRefusal`] about the manifest's path, with the line where the TOML is at fault.
    pub fn read(folder: &Path) -> Result<Manifest, PluginRefusal> {
        let path = folder.join(FILE_NAME);
        let text = read_text(&path)?;
        Written::parse(&text)
            .and_then(|written| written.check(folder))
            .map_err(|refusal| match refusal.path {
                Some(_) => refusal,
                None => refusal.at(&path),
            })
    }

    /// The library for the platform this host runs on.
    ///
    /// # Errors
    ///
    /// `PLUGIN-008` if the manifest has none.
    pub fn library(&self) -> Result<&Library, PluginRefusal> {
        let platform = platform();
        self.libraries.get(&platform).ok_or_else(|| {
            let built: Vec<&str> = self.libraries.keys().map(String::as_str).collect();
            let built = if built.is_empty() {
                "none".to_owned()
            } else {
                built.join(", ")
            };
            PluginRefusal::new(
                RefusalCode::PlatformMissing,
                format!(
                    "plugin `{}` has no library for {platform} (it has: {built})",
                    self.name
                ),
                "install its build for this platform",
            )
        })
    }

    /// Whether the manifest promises the interface `id`.
    pub fn offers(&self, id: &str) -> bool {
        self.provides.iter().any(|provided| provided == id)
    }
}

/// This host's platform as manifests write it, such as `linux_amd64`.
pub fn platform() -> String {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{machine}", std::env::consts::OS)
}

pub(super) fn read_text(path: &Path) -> Result<String, PluginRefusal> {
    let unreadable = |why: String| {
        PluginRefusal::new(
            RefusalCode::ManifestUnreadable,
            why,
            "correct the file, or install the plugin again",
        )
        .at(path)
    };
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(format!("cannot be read: {error}")))?
        .len();
    if size > MAX_BYTES {
        return Err(unreadable(format!(
            "has {size} bytes, more than the {MAX_BYTES} a manifest may have"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8".to_owned()))
}

impl Written {
    /// Parses the text; the rules are [`check`](Written::check)'s.
    pub(super) fn parse(text: &str) -> Result<Written, PluginRefusal> {
        toml::from_str(text).map_err(|error| syntax_refusal(&error, text))
    }

    /// Checks the rules and reads the schemas that lie in `folder`.
    pub(super) fn check(self, folder: &Path) -> Result<Manifest, PluginRefusal> {
        self.check_versions()?;
        check_name(&self.name)?;
        check_ids("provides", &self.provides)?;
        check_ids("requires_host", &self.requires_host)?;
        for (key, values) in [
            ("write_modes", &self.write_modes),
            ("staging_schemes", &self.staging_schemes),
            ("mappers", &self.mappers),
        ] {
            check_words(key, values)?;
        }
        for (platform, library) in &self.library {
            check_library(platform, library)?;
        }
        Ok(Manifest {
            version: parse_version(self.version.as_deref())?,
            parameters: read_schema("parameters", self.parameters, folder)?,
            settings: read_schema("settings", self.settings, folder)?,
            name: self.name,
            vendor: self.vendor,
            license: self.license,
            description: self.description,
            provides: self.provides,
            requires_host: self.requires_host,
            write_modes: self.write_modes,
            staging_schemes: self.staging_schemes,
            mappers: self.mappers,
            companions: self.companions,
            libraries: self.library,
        })
    }

    fn check_versions(&self) -> Result<(), PluginRefusal> {
        if self.manifest_version != 1 {
            return Err(PluginRefusal::new(
                RefusalCode::ManifestVersion,
                format!(
                    "`manifest_version` is {}, this host reads 1",
                    self.manifest_version
                ),
                "install the release of the plugin made for this host",
            ));
        }
        if self.abi != ABI {
            return Err(PluginRefusal::new(
                RefusalCode::AbiMismatch,
                format!("`abi` is \"{}\", this host speaks \"{ABI}\"", self.abi),
                "install the release of the plugin made for this host's contract version",
            ));
        }
        Ok(())
    }
}

fn invalid(message: String, remedy: &str) -> PluginRefusal {
    PluginRefusal::new(RefusalCode::ManifestInvalid, message, remedy)
}

fn check_name(name: &str) -> Result<(), PluginRefusal> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let framed = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > 64 || !plain || framed {
        return Err(invalid(
            "`name` is not a plugin name".to_owned(),
            "use 1 to 64 lower-case letters, digits and inner hyphens",
        ));
    }
    Ok(())
}

fn parse_version(version: Option<&str>) -> Result<Version, PluginRefusal> {
    let Some(version) = version else {
        return Err(invalid(
            "`version` is missing".to_owned(),
            "state the plugin's version as \"1.2.3\"",
        ));
    };
    Version::parse(version).map_err(|error| {
        invalid(
            format!("`version` is not a version: {error}"),
            "write it as \"1.2.3\"",
        )
    })
}

/// Interface ids look like `lakefeed.writer/0`; vendors may have their own.
fn check_ids(key: &str, ids: &[String]) -> Result<(), PluginRefusal> {
    for id in ids {
        let versioned = id.rsplit_once('/').is_some_and(|(name, version)| {
            !name.is_empty() && version.parse::<u32>().is_ok() && !name.contains(char::is_whitespace)
        });
        if !versioned {
            return Err(invalid(
                format!("`{key}` has an entry that is not an interface id"),
                "write it as \"lakefeed.writer/0\"",
            ));
        }
    }
    Ok(())
}

fn check_words(key: &str, words: &[String]) -> Result<(), PluginRefusal> {
    for word in words {
        let plain = word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte));
        if word.is_empty() || !plain {
            return Err(invalid(
                format!("`{key}` has an entry that is not a plain word"),
                "use letters, digits, `-`, `+` and `.`",
            ));
        }
    }
    Ok(())
}

fn check_library(platform: &str, library: &Library) -> Result<(), PluginRefusal> {
    let inside = Path::new(&library.path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if library.path.is_empty() || !inside {
        return Err(invalid(
            format!("`library.{platform}.path` leads out of the plugin's folder"),
            "name a file inside the folder, without `..` and without a leading `/`",
        ));
    }
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if library.sha256.len() != 64 || !library.sha256.bytes().all(digits) {
        return Err(invalid(
            format!("`library.{platform}.sha256` is not a SHA-256"),
            "write 64 lower-case hexadecimal digits, as `sha256sum` prints them",
        ));
    }
    Ok(())
}

fn read_schema(key: &str, source: Option<SchemaSource>, folder: &Path) -> Result<Schema, PluginRefusal> {
    let refuse = |message: String| {
        PluginRefusal::new(
            RefusalCode::SchemaInvalid,
            message,
            "correct the schema; `plugin-api` documents what may be in it",
        )
    };
    let value = match source {
        None => return Ok(Schema::default()),
        Some(SchemaSource::Inline(table)) => serde_json::to_value(table)
            .map_err(|error| refuse(format!("`{key}` is not JSON Schema: {error}")))?,
        Some(SchemaSource::File(name)) => {
            if Path::new(&name).components().count() != 1 || !name.ends_with(".json") {
                return Err(refuse(format!(
                    "`{key}` is not the name of a .json file beside the manifest"
                )));
            }
            let text = read_text(&folder.join(&name))?;
            serde_json::from_str::<Value>(&text)
                .map_err(|error| refuse(format!("`{key}`: not JSON: {error}")).at(&folder.join(&name)))?
        }
    };
    Schema::new(value).map_err(|problem| refuse(format!("`{key}`{}: {}", problem.path, problem.message)))
}

fn syntax_refusal(error: &toml::de::Error, text: &str) -> PluginRefusal {
    let line = error.span().map_or(1, |span| {
        text[..span.start.min(text.len())].matches('\n').count() + 1
    });
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field")
        && let Some((unknown, known)) = quoted.split_first()
    {
        let remedy = match closest(unknown, known) {
            Some(key) => format!("did you mean `{key}`?"),
            None => "remove it, or upgrade lakefeed".to_owned(),
        };
        return PluginRefusal::new(
            RefusalCode::ManifestUnknownKey,
            format!("line {line}: unknown key `{unknown}`"),
            remedy,
        );
    }
    let message = message.lines().next().unwrap_or_default();
    PluginRefusal::new(
        RefusalCode::ManifestSyntax,
        format!("line {line}: {message}"),
        "correct that line",
    )
}

/// The known word nearest to `unknown`, if one is near enough to be meant.
pub(super) fn closest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(unknown, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
manifest_version = 1
name = "sample"
version = "1.2.3"
vendor = "acme"
license = "Apache-2.0"
abi = "1"
provides = ["lakefeed.writer/0"]
requires_host = ["lakefeed.host.log/0"]
write_modes = ["sample-mode"]

[companions]
admin = "other"

[parameters]
type = "object"
additionalProperties = false
[parameters.properties.path]
type = "string"

[library.linux_amd64]
path = "libsample.so"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
"#;

    fn parse(text: &str) -> Result<Manifest, PluginRefusal> {
        Written::parse(text)?.check(Path::new("/nowhere"))
    }

    fn refused(from: &str, to: &str) -> (RefusalCode, String) {
        assert!(GOOD.contains(from));
        let refusal = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        (refusal.code, format!("{}; {}", refusal.message, refusal.remedy))
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let manifest = parse(GOOD).unwrap();
        assert_eq!(manifest.name, "sample");
        assert_eq!(manifest.version, Version::new(1, 2, 3));
        assert_eq!(manifest.companions.admin.as_deref(), Some("other"));
        assert!(manifest.offers("lakefeed.writer/0"));
        assert!(!manifest.offers("lakefeed.merge/0"));
        assert_eq!(manifest.parameters.properties(), ["path"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
        let (code, text) = refused("write_modes", "write_mode");
        assert_eq!(code, RefusalCode::ManifestUnknownKey);
        assert_eq!(
            text,
            "line 10: unknown key `write_mode`; did you mean `write_modes`?"
        );
    }

    #[test]
    fn an_unknown_key_inside_a_library_is_refused() {
        let (code, text) = refused("sha256", "sha512");
        assert_eq!(code, RefusalCode::ManifestUnknownKey);
        assert!(text.contains("did you mean `sha256`?"), "{text}");
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let (code, text) = refused("vendor = \"acme\"", "vendor = ");
        assert_eq!(code, RefusalCode::ManifestSyntax);
        assert!(text.starts_with("line 5: "), "{text}");
    }

    #[test]
    fn a_missing_key_is_refused() {
        let (code, text) = refused("name = \"sample\"", "");
        assert_eq!(code, RefusalCode::ManifestSyntax);
        assert!(text.contains("name"), "{text}");
    }

    #[test]
    fn values_that_break_a_rule_are_refused() {
        for (from, to) in [
            ("\"sample\"", "\"../sample\""),
            ("\"sample\"", "\"Sample\""),
            ("\"1.2.3\"", "\"1.2\""),
            ("lakefeed.writer/0", "lakefeed.writer"),
            ("sample-mode", "sample mode"),
            ("libsample.so", "../libsample.so"),
            ("libsample.so", "/lib/libsample.so"),
            ("0123456789abcdef0123", "XYZ3456789abcdef0123"),
        ] {
            assert_eq!(refused(from, to).0, RefusalCode::ManifestInvalid, "{to}");
        }
    }

    #[test]
    fn another_manifest_version_or_contract_is_refused() {
        assert_eq!(
            refused("manifest_version = 1", "manifest_version = 2").0,
            RefusalCode::ManifestVersion
        );
        assert_eq!(refused("abi = \"1\"", "abi = \"2\"").0, RefusalCode::AbiMismatch);
    }

    #[test]
    fn a_schema_keyword_that_is_not_checked_is_refused() {
        let (code, text) = refused("type = \"string\"", "unevaluatedItems = false");
        assert_eq!(code, RefusalCode::SchemaInvalid);
        assert!(
            text.contains("/properties/path") && text.contains("unevaluatedItems"),
            "{text}"
        );
    }

    #[test]
    fn a_schema_may_lie_in_a_file_beside_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("p.json"),
            r#"{"type":"object","properties":{"a":{}}}"#,
        )
        .unwrap();
        let text = "manifest_version = 1\nname = \"x\"\nversion = \"1.0.0\"\nabi = \"1\"\nprovides = []\nparameters = \"p.json\"\n";
        std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
        assert_eq!(
            Manifest::read(folder.path()).unwrap().parameters.properties(),
            ["a"]
        );

        std::fs::remove_file(folder.path().join("p.json")).unwrap();
        let refusal = Manifest::read(folder.path()).unwrap_err();
        assert_eq!(refusal.path.unwrap(), folder.path().join("p.json"));
    }

    #[test]
    fn a_manifest_that_is_not_utf8_or_far_too_big_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(
            Manifest::read(folder.path()).unwrap_err().code,
            RefusalCode::ManifestUnreadable
        );
        std::fs::File::create(&path)
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        assert_eq!(
            Manifest::read(folder.path()).unwrap_err().code,
            RefusalCode::ManifestUnreadable
        );
    }

    #[test]
    fn a_manifest_without_this_platforms_library_says_which_it_has() {
        let mut manifest = parse(GOOD).unwrap();
        let library = manifest.libraries.remove("linux_amd64").unwrap();
        manifest.libraries.insert("plan9_mips".to_owned(), library);
        let refusal = manifest.library().unwrap_err();
        assert_eq!(refusal.code, RefusalCode::PlatformMissing);
        assert!(
            refusal.message.contains("it has: plan9_mips"),
            "{}",
            refusal.message
        );
    }
}
