//! Why a plugin is not used, and what to do about it.
//!
//! A [`PluginRefusal`] is an answer, not a crash: discovery lists refused plugins beside found ones, and a host with one
//! refused plugin still runs the destinations that do not need it. Every refusal carries a [`RefusalCode`] that
//! never changes its meaning; `error.md` beside this file has a page for each, and [`RefusalCode::page`] prints it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// The pages, one heading a code.
const PAGES: &str = include_str!("error.md");

macro_rules! refusal_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The closed list of reasons for which a plugin is refused.
        ///
        /// The text form (`PLUGIN-001`) is stable: it may be matched in scripts and searched in the documentation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RefusalCode { $($(#[doc = $doc])+ $name,)+ }

        impl RefusalCode {
            /// Every code, in the order of the pages.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$name,)+];

            /// The stable text of this code.
            pub fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$name => $code,)+ }
            }
        }
    };
}

refusal_codes! {
    /// A folder or a loose library without a `plugin.toml`.
    ManifestMissing = "PLUGIN-001",
    /// The manifest cannot be read, or is not UTF-8.
    ManifestUnreadable = "PLUGIN-002",
    /// The manifest is not TOML, or a value has the wrong type.
    ManifestSyntax = "PLUGIN-003",
    /// The manifest has a key that this host does not know.
    ManifestUnknownKey = "PLUGIN-004",
    /// A value of the manifest breaks a rule.
    ManifestInvalid = "PLUGIN-005",
    /// The manifest is of a version that this host does not read.
    ManifestVersion = "PLUGIN-006",
    /// The JSON Schema of the parameters is missing or not understood.
    SchemaInvalid = "PLUGIN-007",
    /// The manifest names no library for this platform.
    PlatformMissing = "PLUGIN-008",
    /// The library named in the manifest is not there.
    LibraryMissing = "PLUGIN-009",
    /// The file is not a shared library.
    NotALibrary = "PLUGIN-010",
    /// The library was built for another kind of machine.
    WrongMachine = "PLUGIN-011",
    /// The path leads out of the plugin directory.
    OutsideDirectory = "PLUGIN-012",
    /// A file or folder belongs to somebody who is not trusted.
    WrongOwner = "PLUGIN-013",
    /// A file or folder can be changed by other users.
    WritableByOthers = "PLUGIN-014",
    /// The library is not the one that the manifest describes.
    HashMismatch = "PLUGIN-015",
    /// The library is not pinned in the configuration, or pinned with another hash.
    NotPinned = "PLUGIN-016",
    /// Signatures are asked for and this host cannot check them.
    SignaturesUnavailable = "PLUGIN-017",
    /// The verified copy cannot be written to the plugin cache.
    CacheFailed = "PLUGIN-018",
    /// The plugin cache lies on a file system mounted `noexec`.
    CacheNoexec = "PLUGIN-019",
    /// The system's loader refused the library.
    LoadFailed = "PLUGIN-020",
    /// The library does not export the entry symbol.
    NotAPlugin = "PLUGIN-021",
    /// The library speaks another major version of the contract.
    AbiMismatch = "PLUGIN-022",
    /// The library says something else of itself than its manifest.
    ManifestDisagrees = "PLUGIN-023",
    /// The library was built so that a panic ends the process.
    PanicAbort = "PLUGIN-024",
    /// The plugin requires a host service that this host does not offer.
    HostServiceMissing = "PLUGIN-025",
    /// The library lacks an interface that its manifest promises.
    InterfaceMissing = "PLUGIN-026",
    /// A struct of the contract differs between host and plugin.
    LayoutMismatch = "PLUGIN-027",
    /// A configured plugin directory cannot be read.
    DirectoryUnreadable = "PLUGIN-028",
    /// The same plugin and version is found in two places.
    FoundTwice = "PLUGIN-029",
    /// The plugin can only run in a process of its own.
    NeedsProcess = "PLUGIN-030",
    /// No plugin of that name is found.
    UnknownPlugin = "PLUGIN-031",
    /// No version of that plugin is in the range asked for.
    NoVersion = "PLUGIN-032",
    /// No plugin claims that write mode, scheme or mapper.
    Unclaimed = "PLUGIN-033",
    /// Two plugins claim one write mode, scheme or mapper.
    ClaimedTwice = "PLUGIN-034",
    /// The plugin does not offer what is asked of it.
    NotProvided = "PLUGIN-035",
    /// Built plugins cannot be staged.
    StageFailed = "PLUGIN-036",
    /// The parameters of a destination do not fit the plugin.
    ParameterInvalid = "PLUGIN-037",
    /// The plugin refused to create an instance.
    CreateFailed = "PLUGIN-038",
    /// The plugin broke the contract and is no longer used.
    Quarantined = "PLUGIN-039",
    /// Too many instances of stuck plugins are held.
    TooManyAbandoned = "PLUGIN-040",
}

impl RefusalCode {
    /// The page of this code: what it means, what causes it, what to do.
    pub fn page(self) -> &'static str {
        let heading = format!("## {}", self.as_str());
        let Some(start) = PAGES.find(&heading) else {
            return "";
        };
        let page = &PAGES[start..];
        let end = page[heading.len()..]
            .find("\n## ")
            .map_or(page.len(), |end| end + heading.len());
        page[..end].trim_end()
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason not to use a plugin: where, what is wrong, and the remedy.
///
/// Its text form is one line and holds neither secrets nor patient data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginRefusal {
    /// The stable code.
    pub code: RefusalCode,
    /// The file or folder that the refusal is about, where there is one.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl PluginRefusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        PluginRefusal {
            code,
            path: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The same refusal, about `path`.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_path_buf());
        self
    }
}

impl fmt::Display for PluginRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(out, "{}: ", path.display())?;
        }
        write!(out, "{}; {} [{}]", self.message, self.remedy, self.code)
    }
}

impl Error for PluginRefusal {}

/// The text of an error and of everything beneath it, joined by `: `.
///
/// The loader's own errors keep the useful half (the missing file, the missing symbol version) in their source.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_with_cause_and_remedy() {
        for code in RefusalCode::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("## {code}: ")), "{code} has no page");
            assert!(page.contains("\nCause: "), "{code} names no cause");
            assert!(page.contains("\nRemedy: "), "{code} names no remedy");
        }
    }

    #[test]
    fn codes_are_numbered_without_gaps_so_none_is_used_twice() {
        for (index, code) in RefusalCode::ALL.iter().enumerate() {
            assert_eq!(code.as_str(), format!("PLUGIN-{:03}", index + 1));
        }
    }

    #[test]
    fn a_refusal_reads_where_what_remedy_and_code() {
        let refusal = PluginRefusal::new(
            RefusalCode::HashMismatch,
            "the library has another hash",
            "install it again",
        )
        .at(Path::new("/opt/plugins/x"));
        assert_eq!(
            refusal.to_string(),
            "/opt/plugins/x: the library has another hash; install it again [PLUGIN-015]"
        );
    }
}
