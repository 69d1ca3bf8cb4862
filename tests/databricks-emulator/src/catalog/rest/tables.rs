//! Tables. Only external ones are made over REST; SQL makes both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::make::{no_catalog, no_schema, no_table};
use crate::catalog::{Caller, Catalog, Kind, NewTable, Privilege, Securable, TableEntry, table_info};
use crate::http::ApiError;
use crate::types::{Column, of_delta_schema, parse_type};
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

#[derive(Deserialize)]
pub(super) struct Description {
    name: String,
    catalog_name: String,
    schema_name: String,
    table_type: String,
    data_source_format: String,
    storage_location: String,
    #[serde(default)]
    columns: Vec<DescribedColumn>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct DescribedColumn {
    name: String,
    #[serde(default)]
    type_text: String,
    type_json: Option<String>,
    nullable: Option<bool>,
    comment: Option<String>,
}

impl DescribedColumn {
    /// The JSON is what counts; the text where there is none.
    fn column(&self) -> Option<Column> {
        let of_json = self.type_json.as_deref().and_then(|text| {
            let field: Value = serde_json::from_str(text).ok()?;
            of_delta_schema(&json!({"fields": [field]}))?.pop()
        });
        let mut column = match of_json {
            Some(column) => column,
            None => Column::new(&self.name, parse_type(&self.type_text)?),
        };
        column.name.clone_from(&self.name);
        column.nullable = self.nullable.unwrap_or(column.nullable);
        column.comment = self.comment.clone().or(column.comment);
        Some(column)
    }
}

fn new_table(description: Description) -> Result<NewTable, ApiError> {
    if description.table_type != "EXTERNAL" || description.data_source_format != "DELTA" {
        return Err(ApiError::invalid(
            "Only creation of external Delta tables is supported through this API.",
        ));
    }
    let columns: Option<Vec<Column>> = description.columns.iter().map(DescribedColumn::column).collect();
    Ok(NewTable {
        catalog: description.catalog_name,
        schema: description.schema_name,
        name: description.name,
        columns: columns.ok_or_else(|| ApiError::invalid("A column has a type that is not valid."))?,
        location: Some(description.storage_location),
        comment: description.comment,
        properties: description.properties,
        ..NewTable::default()
    })
}

pub(super) async fn create(
    State(workspace): Shared,
    caller: Caller,
    Body(description): Body<Description>,
) -> Answer {
    let now = workspace.clock.now_ms();
    let new = new_table(description)?;
    workspace
        .change(|catalog| {
            let entry = catalog.plan_table(&caller, &new, now)?;
            let schema = Securable::new(Kind::Schema, &format!("{}.{}", entry.catalog, entry.schema));
            catalog.require(&caller, Privilege::ExternalUseSchema, &schema)?;
            catalog.require_location(&caller, Privilege::ExternalUseLocation, &entry.storage_location)?;
            let info = table_info(catalog, &entry);
            catalog.tables.insert(entry.full_name(), entry);
            Ok(info)
        })
        .map(Json)
}

/// The entry of a table that the caller may know of.
fn seen<'a>(catalog: &'a Catalog, caller: &Caller, name: &str) -> Result<&'a TableEntry, ApiError> {
    let securable = Securable::new(Kind::Table, name);
    let parts: Vec<&str> = securable.name.split('.').collect();
    if let [c, s, _] = parts.as_slice() {
        if !catalog.catalogs.contains_key(*c) {
            return Err(no_catalog(c));
        }
        if !catalog.schemas.contains_key(&format!("{c}.{s}")) {
            return Err(no_schema(&format!("{c}.{s}")));
        }
    }
    if !catalog.may_see(caller, &securable) {
        catalog.require_way(caller, &securable)?;
        return Err(no_table(&securable.name));
    }
    catalog
        .tables
        .get(&securable.name)
        .ok_or_else(|| no_table(&securable.name))
}

pub(super) async fn get(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    workspace.refresh_external(&name).await;
    workspace
        .read(|catalog| seen(catalog, &caller, &name).map(|entry| table_info(catalog, entry)))
        .map(Json)
}

pub(super) async fn exists(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    let exists = workspace.read(|catalog| seen(catalog, &caller, &name).is_ok());
    Ok(Json(json!({ "table_exists": exists })))
}

/// How many tables a page has where the request does not say.
const PAGE: usize = 50;

pub(super) async fn list(
    State(workspace): Shared,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let named = |key: &str| query.get(key).map(|name| name.to_lowercase()).unwrap_or_default();
    let schema = format!("{}.{}", named("catalog_name"), named("schema_name"));
    let page = query
        .get("max_results")
        .and_then(|size| size.parse().ok())
        .unwrap_or(0);
    let page = if page == 0 { PAGE } else { page };
    let after = query.get("page_token").cloned().unwrap_or_default();
    workspace
        .read(|catalog| {
            if !catalog.schemas.contains_key(&schema) {
                return Err(no_schema(&schema));
            }
            let inside = format!("{schema}.");
            let mut found = catalog
                .tables
                .range(inside.clone()..)
                .take_while(|(name, _)| name.starts_with(&inside))
                .filter(|(name, _)| name.as_str() > after.as_str())
                .filter(|(_, entry)| catalog.may_see(&caller, &entry.securable()));
            let tables: Vec<&TableEntry> = found.by_ref().take(page).map(|(_, entry)| entry).collect();
            let infos: Vec<Value> = tables.iter().map(|entry| table_info(catalog, entry)).collect();
            let mut answer = json!({ "tables": infos });
            if let (Some(last), Some(_)) = (tables.last(), found.next()) {
                answer["next_page_token"] = json!(last.full_name());
            }
            Ok(answer)
        })
        .map(Json)
}

pub(super) async fn delete(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    workspace.drop_table(&caller, &name).await?;
    Ok(Json(json!({})))
}
