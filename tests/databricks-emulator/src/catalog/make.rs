//! Making and dropping: the same rules whoever asks, REST or SQL.

use super::{
    Caller, Catalog, CatalogEntry, Kind, Privilege, SchemaEntry, Securable, TableEntry, TableType,
    normal_location,
};
use crate::http::ApiError;
use crate::types::Column;

/// A table to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewTable {
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) partitions: Vec<String>,
    /// None is managed storage.
    pub(crate) location: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) properties: std::collections::BTreeMap<String, String>,
}

/// Refuses a name that the services behind a table would refuse.
pub(crate) fn check_name(name: &str, what: &str) -> Result<(), ApiError> {
    let is_bad = name.is_empty()
        || name.len() > 255
        || name.contains(|sign: char| sign.is_control() || ". /".contains(sign));
    if is_bad {
        return Err(ApiError::invalid(format!("'{name}' is not a valid {what} name.")));
    }
    Ok(())
}

fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Catalog {
    /// Makes a catalog. Its storage root must lie in an external location.
    pub(crate) fn make_catalog(
        &mut self,
        caller: &Caller,
        name: &str,
        storage_root: Option<&str>,
        comment: Option<String>,
        now: i64,
    ) -> Result<CatalogEntry, ApiError> {
        let name = name.to_lowercase();
        check_name(&name, "catalog")?;
        self.require(
            caller,
            Privilege::CreateCatalog,
            &Securable::new(Kind::Metastore, ""),
        )?;
        if self.catalogs.contains_key(&name) {
            return Err(exists("CATALOG", &format!("Catalog '{name}' already exists")));
        }
        if let Some(root) = storage_root {
            self.require_location(caller, Privilege::CreateManagedStorage, root)?;
            self.check_tables(root, "CreateCatalog")?;
        }
        let entry = CatalogEntry {
            name: name.clone(),
            id: id(),
            storage_root: storage_root.map(normal_location),
            owner: caller.principal.clone(),
            comment,
            created_at: now,
        };
        self.catalogs.insert(name, entry.clone());
        Ok(entry)
    }

    /// Makes a schema.
    pub(crate) fn make_schema(
        &mut self,
        caller: &Caller,
        entry: SchemaEntry,
        now: i64,
    ) -> Result<SchemaEntry, ApiError> {
        let (catalog, name) = (entry.catalog.to_lowercase(), entry.name.to_lowercase());
        check_name(&name, "schema")?;
        let parent = Securable::new(Kind::Catalog, &catalog);
        if !self.has(&parent) {
            return Err(no_catalog(&catalog));
        }
        self.require(caller, Privilege::UseCatalog, &parent)?;
        self.require(caller, Privilege::CreateSchema, &parent)?;
        let full_name = format!("{catalog}.{name}");
        if self.schemas.contains_key(&full_name) || name == "information_schema" {
            return Err(exists("SCHEMA", &format!("Schema '{full_name}' already exists")));
        }
        if let Some(root) = &entry.storage_root {
            self.require_location(caller, Privilege::CreateManagedStorage, root)?;
            self.check_tables(root, "CreateSchema")?;
        }
        let entry = SchemaEntry {
            name,
            catalog,
            id: id(),
            storage_root: entry.storage_root.as_deref().map(normal_location),
            owner: caller.principal.clone(),
            created_at: now,
            ..entry
        };
        self.schemas.insert(full_name, entry.clone());
        Ok(entry)
    }

    /// What a new table would be, if it may be made. Nothing is changed: the files come first.
    pub(crate) fn plan_table(
        &self,
        caller: &Caller,
        new: &NewTable,
        now: i64,
    ) -> Result<TableEntry, ApiError> {
        let (catalog, schema) = (new.catalog.to_lowercase(), new.schema.to_lowercase());
        let name = new.name.to_lowercase();
        check_name(&name, "table")?;
        let schema_name = format!("{catalog}.{schema}");
        if !self.catalogs.contains_key(&catalog) {
            return Err(no_catalog(&catalog));
        }
        let parent = Securable::new(Kind::Schema, &schema_name);
        if !self.has(&parent) {
            return Err(no_schema(&schema_name));
        }
        self.require_way(caller, &parent)?;
        let full_name = format!("{schema_name}.{name}");
        if self.tables.contains_key(&full_name) {
            return Err(exists("TABLE", &format!("Table '{full_name}' already exists")));
        }
        self.require(caller, Privilege::CreateTable, &parent)?;
        let table_id = id();
        let (table_type, storage_location) = match &new.location {
            Some(location) => {
                self.require_location(caller, Privilege::CreateExternalTable, location)?;
                self.check_overlap(location, "CreateTable")?;
                (TableType::External, normal_location(location))
            }
            None => (
                TableType::Managed,
                self.managed_location(&catalog, &schema_name, &table_id),
            ),
        };
        Ok(TableEntry {
            name,
            catalog,
            schema,
            table_id,
            table_type,
            storage_location,
            columns: new.columns.clone(),
            partitions: new.partitions.clone(),
            owner: caller.principal.clone(),
            comment: new.comment.clone(),
            properties: new.properties.clone(),
            created_at: now,
            updated_at: now,
            ..TableEntry::default()
        })
    }

    fn managed_location(&self, catalog: &str, schema_name: &str, table_id: &str) -> String {
        let of_schema = self
            .schemas
            .get(schema_name)
            .and_then(|entry| entry.storage_root.clone());
        let of_catalog = || {
            self.catalogs
                .get(catalog)
                .and_then(|entry| entry.storage_root.clone())
        };
        let root = of_schema
            .or_else(of_catalog)
            .unwrap_or_else(|| DEFAULT_STORAGE.to_owned());
        format!("{root}/__unitystorage/tables/{table_id}")
    }

    /// Whether a table lies in the workspace's default storage.
    pub(crate) fn is_in_default_storage(&self, table: &TableEntry) -> bool {
        table.storage_location.starts_with(DEFAULT_STORAGE)
    }

    /// Takes a schema out. One with tables goes with them or not at all.
    pub(crate) fn drop_schema(
        &mut self,
        caller: &Caller,
        full_name: &str,
        with_tables: bool,
    ) -> Result<Vec<TableEntry>, ApiError> {
        let full_name = full_name.to_lowercase();
        let securable = Securable::new(Kind::Schema, &full_name);
        if !self.has(&securable) {
            return Err(no_schema(&full_name));
        }
        self.require_manage(caller, &securable)?;
        let inside = format!("{full_name}.");
        let names: Vec<String> = self
            .tables
            .keys()
            .filter(|name| name.starts_with(&inside))
            .cloned()
            .collect();
        if !names.is_empty() && !with_tables {
            return Err(ApiError::invalid(format!(
                "Schema '{full_name}' is not empty. The schema has {} table(s)",
                names.len()
            ))
            .because("SCHEMA_NOT_EMPTY"));
        }
        self.schemas.remove(&full_name);
        self.grants.remove(&securable.key());
        Ok(names.iter().filter_map(|name| self.take_table(name)).collect())
    }

    /// Takes a table out, and what was granted on it.
    pub(crate) fn drop_table(&mut self, caller: &Caller, full_name: &str) -> Result<TableEntry, ApiError> {
        let full_name = full_name.to_lowercase();
        let securable = Securable::new(Kind::Table, &full_name);
        if !self.has(&securable) {
            return Err(no_table(&full_name));
        }
        self.require_manage(caller, &securable)?;
        self.take_table(&full_name).ok_or_else(|| no_table(&full_name))
    }

    fn take_table(&mut self, full_name: &str) -> Option<TableEntry> {
        self.grants.remove(&Securable::new(Kind::Table, full_name).key());
        self.tables.remove(full_name)
    }
}

/// Where tables lie whose catalog has no storage root.
const DEFAULT_STORAGE: &str = "s3://dbstorage-default";

fn exists(what: &str, message: &str) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::BAD_REQUEST,
        &format!("{what}_ALREADY_EXISTS"),
        message,
    )
    .because("RESOURCE_ALREADY_EXISTS")
}

pub(crate) fn no_catalog(name: &str) -> ApiError {
    ApiError::missing(
        "CATALOG_DOES_NOT_EXIST",
        format!("Catalog '{name}' does not exist."),
    )
}

pub(crate) fn no_schema(name: &str) -> ApiError {
    ApiError::missing(
        "SCHEMA_DOES_NOT_EXIST",
        format!("Schema '{name}' does not exist."),
    )
}

pub(crate) fn no_table(name: &str) -> ApiError {
    ApiError::missing("TABLE_DOES_NOT_EXIST", format!("Table '{name}' does not exist."))
}
