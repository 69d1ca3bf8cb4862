//! What a path names.

use percent_encoding::percent_decode_str;

/// The thing that a request's path names; which methods it has is decided where it is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`
    Page,
    /// `/health`
    Health,
    /// `/metrics`
    Metrics,
    /// `/plugins`
    Plugins,
    /// `/openapi.json`
    OpenApi,
    /// `/auth/token`
    Token,
    /// `/ingest/NAME`, and what is below it.
    Ingest(String, Vec<String>),
    /// `/fhir/$load`, `/fhir/T/$load`
    Load(Option<String>),
    /// `/fhir/$import`, and with `true` `/v2/fhir/$import`.
    Import(bool),
    /// `/fhir/BulkImportStatus/id`, `/v2/$import/id`
    ImportStatus(String),
    /// `/fhir/metadata`
    Metadata,
    /// `/fhir`
    Root,
    /// `/fhir/T`
    Type(String),
    /// `/fhir/T/_search`
    TypeSearch(String),
    /// `/fhir/T/$operation`; the name has no `$`.
    TypeOperation(String, String),
    /// `/fhir/T/id`
    Instance(String, String),
    /// `/fhir/T/id/_history`
    History(String, String),
    /// `/fhir/T/_history`
    TypeHistory(String),
    /// `/fhir/_history`
    SystemHistory,
    /// `/fhir/T/id/_history/version`
    Version(String, String, String),
    /// `/fhir/T/id/$operation`
    InstanceOperation(String, String, String),
    /// A path that names nothing but would with `/fhir` before it.
    OtherDialect,
    /// Nothing.
    Nothing,
}

impl Route {
    /// Reads a path, percent signs decoded. A path that is not UTF-8 names nothing.
    pub(super) fn of(path: &str) -> Self {
        let Some(segments) = decode(path) else {
            return Self::Nothing;
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => Self::Page,
            ["health"] => Self::Health,
            ["metrics"] => Self::Metrics,
            ["plugins"] => Self::Plugins,
            ["openapi.json"] => Self::OpenApi,
            ["auth", "token"] => Self::Token,
            ["ingest", name, below @ ..] => Self::Ingest(
                (*name).into(),
                below.iter().map(|segment| (*segment).into()).collect(),
            ),
            ["v2", "fhir", "$import"] => Self::Import(true),
            ["v2", "$import", id] | ["v2", "fhir", "$import", id] | ["BulkImportStatus", id] => {
                Self::ImportStatus((*id).into())
            }
            ["fhir"] => Self::Root,
            ["fhir", rest @ ..] => Self::fhir(rest),
            [first, ..] if first.starts_with(|c: char| c.is_ascii_uppercase() || c == '$') => {
                Self::OtherDialect
            }
            _ => Self::Nothing,
        }
    }

    fn fhir(segments: &[&str]) -> Self {
        match *segments {
            ["metadata"] => Self::Metadata,
            ["$load"] => Self::Load(None),
            [resource_type, "$load"] => Self::Load(Some(resource_type.into())),
            ["$import"] => Self::Import(false),
            ["BulkImportStatus", id] => Self::ImportStatus(id.into()),
            ["_history"] => Self::SystemHistory,
            [resource_type] if !is_special(resource_type) => Self::Type(resource_type.into()),
            [resource_type, "_search"] => Self::TypeSearch(resource_type.into()),
            [resource_type, "_history"] => Self::TypeHistory(resource_type.into()),
            [resource_type, last] => match last.strip_prefix('$') {
                Some(operation) => Self::TypeOperation(resource_type.into(), operation.into()),
                None if is_special(last) => Self::Nothing,
                None => Self::Instance(resource_type.into(), last.into()),
            },
            [resource_type, id, "_history"] => Self::History(resource_type.into(), id.into()),
            [resource_type, id, "_history", version] => {
                Self::Version(resource_type.into(), id.into(), version.into())
            }
            [resource_type, id, last] => match last.strip_prefix('$') {
                Some(operation) => Self::InstanceOperation(resource_type.into(), id.into(), operation.into()),
                None => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    /// Whether an entry of a Bundle may ask for it: whatever is about a type, and what the server can do.
    pub(super) fn is_for_an_entry(&self) -> bool {
        !matches!(self, Self::Load(_)) && (self.resource_type().is_some() || *self == Self::Metadata)
    }

    /// Whether it is answered to those whom nobody knows: who watches the host, and who asks for a token.
    pub(super) fn is_for_anybody(&self) -> bool {
        matches!(self, Self::Health | Self::Token)
    }

    /// The resource type in the path, for the access log: it names nobody.
    pub(super) fn resource_type(&self) -> Option<&str> {
        match self {
            Self::Load(name) => name.as_deref(),
            Self::Type(name)
            | Self::TypeSearch(name)
            | Self::TypeOperation(name, _)
            | Self::Instance(name, _)
            | Self::History(name, _)
            | Self::TypeHistory(name)
            | Self::Version(name, _, _)
            | Self::InstanceOperation(name, _, _) => Some(name),
            _ => None,
        }
    }
}

fn is_special(segment: &str) -> bool {
    segment.starts_with(['_', '$'])
}

/// A path's segments, without the empty one that a slash at the end makes.
fn decode(path: &str) -> Option<Vec<String>> {
    let trimmed = path.strip_prefix('/')?;
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Some(Vec::new());
    }
    trimmed
        .split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .ok()
                .map(|text| text.into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expect: &str) {
        assert_eq!(format!("{:?}", Route::of(path)), expect, "{path}");
    }

    #[test]
    fn a_path_names_one_thing() {
        check("/", "Page");
        check("/health", "Health");
        check("/auth/token", "Token");
        check("/fhir", "Root");
        check("/fhir/$load", "Load(None)");
        check("/fhir/Patient/$load", r#"Load(Some("Patient"))"#);
        check("/v2/fhir/$import", "Import(true)");
        check("/fhir/BulkImportStatus/a", r#"ImportStatus("a")"#);
        check("/ingest/bundle", r#"Ingest("bundle", [])"#);
        check(
            "/ingest/hapi/Patient/p-1",
            r#"Ingest("hapi", ["Patient", "p-1"])"#,
        );
        check("/fhir/metadata", "Metadata");
        check("/fhir/Patient", r#"Type("Patient")"#);
        check("/fhir/Patient/", r#"Type("Patient")"#);
        check("/fhir/Patient/_search", r#"TypeSearch("Patient")"#);
        check("/fhir/Patient/p-1", r#"Instance("Patient", "p-1")"#);
        check("/fhir/Patient/p-1/_history", r#"History("Patient", "p-1")"#);
        check("/fhir/Patient/_history", r#"TypeHistory("Patient")"#);
        check("/fhir/_history", "SystemHistory");
        check(
            "/fhir/Patient/p-1/_history/7",
            r#"Version("Patient", "p-1", "7")"#,
        );
        check(
            "/fhir/ViewDefinition/$run",
            r#"TypeOperation("ViewDefinition", "run")"#,
        );
        check(
            "/fhir/ViewDefinition/%24run",
            r#"TypeOperation("ViewDefinition", "run")"#,
        );
        check("/fhir/X/y/$status", r#"InstanceOperation("X", "y", "status")"#);
    }

    #[test]
    fn a_slash_inside_an_id_does_not_make_a_longer_path() {
        check("/fhir/Patient/a%2Fb", r#"Instance("Patient", "a/b")"#);
    }

    #[test]
    fn what_names_nothing_is_told_from_the_other_dialect() {
        check("/Patient/1", "OtherDialect");
        check("/favicon.ico", "Nothing");
        check("/fhir/Patient/_tags", "Nothing");
        check("/fhir/Patient/%ff", "Nothing");
        check("/fhir/Patient/1/_history/2/3", "Nothing");
    }
}
