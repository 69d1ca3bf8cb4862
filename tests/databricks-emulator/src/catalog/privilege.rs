//! Privileges, the objects they are on, and which go with which.

use serde::{Deserialize, Serialize};

/// What somebody may do with an object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Privilege {
    /// All but those that are granted by name only.
    AllPrivileges,
    /// See the object's metadata.
    Browse,
    /// Make catalogs.
    CreateCatalog,
    /// Register locations.
    CreateExternalLocation,
    /// Make external tables in a location.
    CreateExternalTable,
    /// Make managed storage in a location.
    CreateManagedStorage,
    /// Make schemas.
    CreateSchema,
    /// Register credentials.
    CreateStorageCredential,
    /// Make tables.
    CreateTable,
    /// Be lent credentials of a location.
    ExternalUseLocation,
    /// Be lent credentials of a schema's tables.
    ExternalUseSchema,
    /// Administer the object.
    Manage,
    /// Write rows.
    Modify,
    /// Read files of a location.
    ReadFiles,
    /// Read rows.
    Select,
    /// Go through a catalog.
    UseCatalog,
    /// Go through a schema.
    UseSchema,
    /// Write files to a location.
    WriteFiles,
}

impl Privilege {
    /// The privilege of that name, in any case, with spaces or underscores.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.trim().to_uppercase().replace([' ', '-'], "_");
        let name = match name.as_str() {
            "ALL" => "ALL_PRIVILEGES".to_owned(),
            "USAGE" => return None,
            _ => name,
        };
        serde_json::from_value(serde_json::Value::String(name)).ok()
    }

    /// The name with underscores, as the REST API has it.
    pub(crate) fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// The name with spaces, as SQL and messages have it.
    pub(crate) fn words(self) -> String {
        self.name().replace('_', " ")
    }

    /// Whether neither ownership nor ALL PRIVILEGES carries it.
    pub(crate) fn is_by_name_only(self) -> bool {
        matches!(
            self,
            Self::ExternalUseLocation | Self::ExternalUseSchema | Self::Manage
        )
    }
}

/// The kind of an object that privileges can be on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The metastore.
    Metastore,
    /// A catalog.
    Catalog,
    /// A schema.
    Schema,
    /// A table.
    Table,
    /// An external location.
    ExternalLocation,
    /// A storage credential.
    StorageCredential,
}

impl Kind {
    /// The kind of that name, in any case, with spaces, hyphens or underscores.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.trim().to_lowercase().replace([' ', '-'], "_");
        let name = if name == "database" { "schema" } else { &name };
        serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
    }

    /// As messages name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Metastore => "Metastore",
            Self::Catalog => "Catalog",
            Self::Schema => "Schema",
            Self::Table => "Table",
            Self::ExternalLocation => "External Location",
            Self::StorageCredential => "Storage Credential",
        }
    }

    /// Whether such a privilege can be on such an object.
    pub(crate) fn takes(self, privilege: Privilege) -> bool {
        use Privilege as P;
        let on_tables = [P::Select, P::Modify];
        let on_schemas = [P::UseSchema, P::CreateTable, P::ExternalUseSchema];
        let on_catalogs = [P::UseCatalog, P::CreateSchema];
        match privilege {
            P::AllPrivileges | P::Manage | P::Browse => return self != Self::Metastore,
            _ => {}
        }
        match self {
            Self::Table => on_tables.contains(&privilege),
            Self::Schema => on_tables.contains(&privilege) || on_schemas.contains(&privilege),
            Self::Catalog => {
                on_tables.contains(&privilege)
                    || on_schemas.contains(&privilege)
                    || on_catalogs.contains(&privilege)
            }
            Self::ExternalLocation => matches!(
                privilege,
                P::ReadFiles
                    | P::WriteFiles
                    | P::CreateExternalTable
                    | P::CreateManagedStorage
                    | P::ExternalUseLocation
            ),
            Self::StorageCredential => matches!(
                privilege,
                P::ReadFiles | P::WriteFiles | P::CreateExternalTable | P::CreateExternalLocation
            ),
            Self::Metastore => matches!(
                privilege,
                P::CreateCatalog | P::CreateExternalLocation | P::CreateStorageCredential
            ),
        }
    }
}

/// An object that privileges can be on.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Securable {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its full name, in lower case.
    pub(crate) name: String,
}

impl Securable {
    /// The object of that kind and full name.
    pub(crate) fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_lowercase(),
        }
    }

    /// The object that this one lies in, as far as privileges are inherited.
    pub(crate) fn parent(&self) -> Option<Self> {
        let kind = match self.kind {
            Kind::Table => Kind::Schema,
            Kind::Schema => Kind::Catalog,
            _ => return None,
        };
        let (parent, _) = self.name.rsplit_once('.')?;
        Some(Self::new(kind, parent))
    }

    /// As messages name it: `Table 'c.s.t'`.
    pub(crate) fn words(&self) -> String {
        format!("{} '{}'", self.kind.word(), self.name)
    }

    /// The key of its grants.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}", self.kind.word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_is_read_with_spaces_and_with_underscores() {
        for (text, expected) in [
            ("USE_CATALOG", Some(Privilege::UseCatalog)),
            ("use schema", Some(Privilege::UseSchema)),
            ("ALL PRIVILEGES", Some(Privilege::AllPrivileges)),
            ("EXTERNAL USE LOCATION", Some(Privilege::ExternalUseLocation)),
            ("FLY", None),
        ] {
            assert_eq!(Privilege::parse(text), expected, "{text}");
        }
        assert_eq!(Privilege::UseCatalog.name(), "USE_CATALOG");
        assert_eq!(Privilege::UseCatalog.words(), "USE CATALOG");
    }

    #[test]
    fn a_kind_is_read_as_the_command_line_writes_it() {
        assert_eq!(Kind::parse("external-location"), Some(Kind::ExternalLocation));
        assert_eq!(Kind::parse("EXTERNAL LOCATION"), Some(Kind::ExternalLocation));
        assert_eq!(Kind::parse("TABLE"), Some(Kind::Table));
        assert_eq!(Kind::parse("cupboard"), None);
    }

    #[test]
    fn a_privilege_is_only_on_objects_that_take_it() {
        assert!(Kind::Catalog.takes(Privilege::Select));
        assert!(!Kind::Table.takes(Privilege::UseSchema));
        assert!(!Kind::Catalog.takes(Privilege::ExternalUseLocation));
        assert!(Kind::ExternalLocation.takes(Privilege::ExternalUseLocation));
    }
}
