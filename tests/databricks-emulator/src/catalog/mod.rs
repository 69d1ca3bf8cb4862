//! Unity Catalog: what exists, where it lies and who may do what with it.
//!
//! [`Catalog`] is the state, written to one file after each change (`store.rs`). The rules are functions of it: who may
//! do what (`grants.rs`), which locations collide (`location.rs`), what making and dropping mean (`make.rs`). `rest/` is
//! its face over HTTP; statements (`sql`) use the same functions.

mod grants;
mod info;
mod location;
mod make;
mod privilege;
pub(crate) mod rest;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use grants::Caller;
pub(crate) use info::table_info;
pub(crate) use location::normal_location;
pub(crate) use make::NewTable;
pub(crate) use privilege::{Kind, Privilege, Securable};
pub(crate) use store::{load, save};

use crate::types::Column;

/// Who administers the workspace: the account that sets it up.
pub const ADMINISTRATOR: &str = "admin@example.org";

/// All that a workspace is, but for the rows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Catalog {
    pub(crate) metastore: Metastore,
    /// The key that tokens are signed with.
    pub(crate) token_key: String,
    /// The personal token of the administrator.
    pub(crate) administrator_token: String,
    /// By client id.
    pub(crate) principals: BTreeMap<String, ServicePrincipal>,
    pub(crate) catalogs: BTreeMap<String, CatalogEntry>,
    /// By full name.
    pub(crate) schemas: BTreeMap<String, SchemaEntry>,
    /// By full name.
    pub(crate) tables: BTreeMap<String, TableEntry>,
    pub(crate) credentials: BTreeMap<String, CredentialEntry>,
    pub(crate) locations: BTreeMap<String, LocationEntry>,
    /// By object, then by principal.
    pub(crate) grants: BTreeMap<String, BTreeMap<String, BTreeSet<Privilege>>>,
    pub(crate) warehouses: BTreeMap<String, Warehouse>,
}

/// The metastore.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Metastore {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether anything outside may be lent credentials.
    pub(crate) external_access: bool,
    pub(crate) created_at: i64,
}

/// Somebody who signs in with an id and a secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ServicePrincipal {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) secrets: Vec<String>,
}

/// A catalog.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CatalogEntry {
    pub(crate) name: String,
    pub(crate) id: String,
    /// None is the workspace's default storage.
    pub(crate) storage_root: Option<String>,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    pub(crate) created_at: i64,
}

/// A schema.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct SchemaEntry {
    pub(crate) name: String,
    pub(crate) catalog: String,
    pub(crate) id: String,
    pub(crate) storage_root: Option<String>,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) created_at: i64,
}

/// Whether dropping a table drops its files.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TableType {
    /// It does.
    #[default]
    Managed,
    /// It does not.
    External,
}

/// A table.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct TableEntry {
    pub(crate) name: String,
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) table_id: String,
    pub(crate) table_type: TableType,
    pub(crate) storage_location: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) partitions: Vec<String>,
    /// The columns before the latest change, for a reader that has not heard of it.
    pub(crate) columns_before: Vec<Column>,
    pub(crate) columns_changed_at: i64,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl TableEntry {
    /// `c.s.t`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}.{}", self.catalog, self.schema, self.name)
    }

    /// The table as an object of grants.
    pub(crate) fn securable(&self) -> Securable {
        Securable::new(Kind::Table, &self.full_name())
    }
}

/// A storage credential.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CredentialEntry {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) role_arn: String,
    pub(crate) external_id: String,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    pub(crate) created_at: i64,
}

/// An external location.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct LocationEntry {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) credential_name: String,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    pub(crate) created_at: i64,
}

/// A SQL warehouse.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Warehouse {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Who may use it, by principal: `CAN_USE`, `CAN_MANAGE` …
    pub(crate) permissions: BTreeMap<String, String>,
}
