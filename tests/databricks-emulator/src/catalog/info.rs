//! What the REST API tells of each object.

use serde_json::{Value, json};

use super::{
    ADMINISTRATOR, Catalog, CatalogEntry, CredentialEntry, LocationEntry, SchemaEntry, TableEntry, TableType,
};
use crate::types::{Column, SqlType, type_json};

/// A column, from position 0.
fn column_info(position: usize, column: &Column, partitions: &[String]) -> Value {
    let mut info = json!({
        "name": column.name,
        "type_text": column.sql_type.text(),
        "type_name": column.sql_type.type_name(),
        "position": position,
        "type_precision": 0,
        "type_scale": 0,
        "type_json": type_json(column),
        "nullable": column.nullable,
    });
    if let SqlType::Decimal(precision, scale) = column.sql_type {
        info["type_precision"] = json!(precision);
        info["type_scale"] = json!(scale);
    }
    if let Some(comment) = &column.comment {
        info["comment"] = json!(comment);
    }
    if let Some(index) = partitions.iter().position(|name| *name == column.name) {
        info["partition_index"] = json!(index);
    }
    info
}

/// A table.
pub(crate) fn table_info(catalog: &Catalog, table: &TableEntry) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| column_info(position, column, &table.partitions))
        .collect();
    let kind = match table.table_type {
        TableType::Managed => "TABLE_DELTA",
        TableType::External => "TABLE_DELTA_EXTERNAL",
    };
    let mut info = json!({
        "name": table.name,
        "catalog_name": table.catalog,
        "schema_name": table.schema,
        "table_type": table.table_type,
        "data_source_format": "DELTA",
        "columns": columns,
        "storage_location": table.storage_location,
        "owner": table.owner,
        "properties": table.properties,
        "generation": 0,
        "metastore_id": catalog.metastore.id,
        "full_name": table.full_name(),
        "data_access_configuration_id": "00000000-0000-0000-0000-000000000000",
        "created_at": table.created_at,
        "created_by": table.owner,
        "updated_at": table.updated_at,
        "updated_by": table.owner,
        "table_id": table.table_id,
        "delta_runtime_properties_kvpairs": {},
        "enable_predictive_optimization": "INHERIT",
        "securable_type": "TABLE",
        "securable_kind": kind,
        "browse_only": false,
    });
    if let Some(comment) = &table.comment {
        info["comment"] = json!(comment);
    }
    if let Some(location) = catalog.external_location(&table.storage_location) {
        info["storage_credential_name"] = json!(location.credential_name);
    }
    info
}

/// A schema.
pub(crate) fn schema_info(catalog: &Catalog, schema: &SchemaEntry) -> Value {
    let mut info = json!({
        "name": schema.name,
        "catalog_name": schema.catalog,
        "owner": schema.owner,
        "properties": schema.properties,
        "metastore_id": catalog.metastore.id,
        "full_name": format!("{}.{}", schema.catalog, schema.name),
        "catalog_type": "MANAGED_CATALOG",
        "schema_id": schema.id,
        "created_at": schema.created_at,
        "created_by": schema.owner,
        "updated_at": schema.created_at,
        "updated_by": schema.owner,
        "effective_predictive_optimization_flag": {"value": "ENABLE"},
        "browse_only": false,
    });
    if let Some(root) = &schema.storage_root {
        info["storage_root"] = json!(root);
        info["storage_location"] = json!(format!("{root}/__unitystorage/schemas/{}", schema.id));
    }
    if let Some(comment) = &schema.comment {
        info["comment"] = json!(comment);
    }
    info
}

/// A catalog.
pub(crate) fn catalog_info(catalog: &Catalog, entry: &CatalogEntry) -> Value {
    let mut info = json!({
        "name": entry.name,
        "id": entry.id,
        "owner": entry.owner,
        "metastore_id": catalog.metastore.id,
        "full_name": entry.name,
        "catalog_type": "MANAGED_CATALOG",
        "isolation_mode": "OPEN",
        "created_at": entry.created_at,
        "created_by": entry.owner,
        "updated_at": entry.created_at,
        "updated_by": entry.owner,
        "securable_type": "CATALOG",
        "securable_kind": "CATALOG_STANDARD",
        "provisioning_info": {"state": "ACTIVE"},
        "browse_only": false,
    });
    if let Some(root) = &entry.storage_root {
        info["storage_root"] = json!(root);
        info["storage_location"] = json!(format!("{root}/__unitystorage/catalogs/{}", entry.id));
    }
    if let Some(comment) = &entry.comment {
        info["comment"] = json!(comment);
    }
    info
}

/// A storage credential.
pub(crate) fn credential_info(catalog: &Catalog, entry: &CredentialEntry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.name,
        "aws_iam_role": {
            "role_arn": entry.role_arn,
            "unity_catalog_iam_arn":
                "arn:aws:iam::414351767826:role/unity-catalog-prod-UCMasterRole-14S5ZJVKOTYTL",
            "external_id": entry.external_id,
        },
        "owner": entry.owner,
        "read_only": false,
        "metastore_id": catalog.metastore.id,
        "full_name": entry.name,
        "created_at": entry.created_at,
        "created_by": entry.owner,
        "updated_at": entry.created_at,
        "updated_by": entry.owner,
        "used_for_managed_storage": false,
        "isolation_mode": "ISOLATION_MODE_OPEN",
        "securable_type": "STORAGE_CREDENTIAL",
        "securable_kind": "STORAGE_CREDENTIAL_AWS_IAM",
    })
}

/// An external location.
pub(crate) fn location_info(catalog: &Catalog, entry: &LocationEntry) -> Value {
    let credential = catalog.credentials.get(&entry.credential_name);
    json!({
        "name": entry.name,
        "id": entry.id,
        "url": entry.url,
        "credential_name": entry.credential_name,
        "credential_id": credential.map(|credential| credential.id.as_str()),
        "read_only": false,
        "owner": entry.owner,
        "metastore_id": catalog.metastore.id,
        "full_name": entry.name,
        "created_at": entry.created_at,
        "created_by": entry.owner,
        "updated_at": entry.created_at,
        "updated_by": entry.owner,
        "fallback": false,
        "isolation_mode": "ISOLATION_MODE_OPEN",
        "securable_type": "EXTERNAL_LOCATION",
        "securable_kind": "EXTERNAL_LOCATION_STANDARD",
    })
}

/// The metastore.
pub(crate) fn metastore_info(catalog: &Catalog, region: &str) -> Value {
    let metastore = &catalog.metastore;
    json!({
        "name": metastore.name,
        "metastore_id": metastore.id,
        "owner": ADMINISTRATOR,
        "privilege_model_version": "1.0",
        "region": region,
        "cloud": "aws",
        "global_metastore_id": format!("aws:{region}:{}", metastore.id),
        "external_access_enabled": metastore.external_access,
        "delta_sharing_scope": "INTERNAL",
        "created_at": metastore.created_at,
        "created_by": ADMINISTRATOR,
        "updated_at": metastore.created_at,
        "updated_by": ADMINISTRATOR,
    })
}
