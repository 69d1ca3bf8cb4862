//! Unity Catalog over REST: tables, grants, locations, temporary credentials.

use std::collections::BTreeMap;

use lakefeed_plugin_api::{CloudCredentials, Credentials, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Databricks, DatabricksError, TableName};

const PREFIX: &str = "/api/2.1/unity-catalog";

/// A table, as far as the plugins look at it (W 5.1).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TableInfo {
    /// Its id, which changes when it is dropped and made again.
    pub table_id: String,
    /// `MANAGED`, `EXTERNAL`, `VIEW`, …
    pub table_type: String,
    /// `DELTA` and others.
    pub data_source_format: String,
    /// Its columns.
    pub columns: Vec<ColumnInfo>,
    /// Where its files lie.
    pub storage_location: String,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
}

/// A column of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_text: String,
}

/// A schema, as far as the plugins look at it (W 5.2).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SchemaInfo {
    /// Where it keeps managed tables; empty where its catalog decides.
    pub storage_root: String,
}

/// An external location.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ExternalLocation {
    /// Its name.
    pub name: String,
    /// The folder that it covers.
    pub url: String,
}

/// The metastore, as far as the plugins look at it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metastore {
    /// Whether clients outside of Databricks may be given credentials.
    pub external_access_enabled: Option<bool>,
    /// Its region.
    pub region: String,
}

/// What a request for temporary credentials is for.
#[derive(Clone, Copy, Debug)]
pub enum Vend<'a> {
    /// A table's files, by the table's id.
    Table(&'a str),
    /// A folder.
    Path(&'a str),
}

impl Databricks {
    /// A table; none where there is none, or none that may be seen.
    pub async fn table(&self, name: &TableName) -> Result<Option<TableInfo>, DatabricksError> {
        let doing = "looking up the table";
        match self
            .get(doing, &format!("{PREFIX}/tables/{}", encoded(&name.to_string())))
            .await
        {
            Ok(answer) => answer.read(doing).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A schema; none where there is none, or none that may be seen.
    pub async fn schema(&self, full_name: &str) -> Result<Option<SchemaInfo>, DatabricksError> {
        let doing = "looking up the schema";
        match self
            .get(doing, &format!("{PREFIX}/schemas/{}", encoded(full_name)))
            .await
        {
            Ok(answer) => answer.read(doing).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The metastore of the workspace.
    pub async fn metastore(&self) -> Result<Metastore, DatabricksError> {
        let doing = "looking up the metastore";
        self.get(doing, &format!("{PREFIX}/metastore_summary"))
            .await?
            .read(doing)
    }

    /// The external locations that may be seen.
    pub async fn external_locations(&self) -> Result<Vec<ExternalLocation>, DatabricksError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            external_locations: Vec<ExternalLocation>,
            next_page_token: Option<String>,
        }
        let doing = "listing external locations";
        let (mut all, mut token) = (Vec::new(), String::new());
        // A page may be empty and have a successor (W 9, G16).
        for _ in 0..100 {
            let query = if token.is_empty() {
                String::new()
            } else {
                format!("?page_token={}", encoded(&token))
            };
            let page: Page = self
                .get(doing, &format!("{PREFIX}/external-locations{query}"))
                .await?
                .read(doing)?;
            all.extend(page.external_locations);
            match page.next_page_token.filter(|token| !token.is_empty()) {
                Some(next) => token = next,
                None => break,
            }
        }
        Ok(all)
    }

    /// The privileges that a principal was granted on the object itself, or has there by way of what contains it.
    pub async fn privileges(
        &self,
        kind: &str,
        full_name: &str,
        principal: &str,
        is_effective: bool,
    ) -> Result<Vec<String>, DatabricksError> {
        let doing = "reading grants";
        let path = if is_effective {
            "effective-permissions"
        } else {
            "permissions"
        };
        let (name, who) = (encoded(full_name), encoded(principal));
        let answer = self
            .get(doing, &format!("{PREFIX}/{path}/{kind}/{name}?principal={who}"))
            .await?;
        Ok(privileges(&answer.read(doing)?, principal))
    }

    /// Temporary credentials (W 5.3).
    pub async fn temporary_credentials(
        &self,
        what: Vend<'_>,
        may_write: bool,
    ) -> Result<Credentials, DatabricksError> {
        let doing = "asking for temporary credentials";
        let (path, body) = match (what, may_write) {
            (Vend::Table(id), _) => {
                let operation = if may_write { "READ_WRITE" } else { "READ" };
                (
                    "temporary-table-credentials",
                    json!({"table_id": id, "operation": operation}),
                )
            }
            (Vend::Path(url), _) => {
                let operation = if may_write { "PATH_READ_WRITE" } else { "PATH_READ" };
                (
                    "temporary-path-credentials",
                    json!({"url": url, "operation": operation}),
                )
            }
        };
        let vended: Vended = self
            .post(doing, &format!("{PREFIX}/{path}"), &body)
            .await?
            .read(doing)?;
        vended
            .into_credentials()
            .ok_or_else(|| DatabricksError::Unreadable {
                doing,
                cause: "none of the known kinds of credentials".to_owned(),
            })
    }

    /// What the workspace says of itself to anybody (W 1.4): its number among others.
    pub async fn discovery(&self) -> Result<Value, DatabricksError> {
        let doing = "asking for the workspace's id";
        self.get_openly(doing, "/.well-known/databricks-config")
            .await?
            .read(doing)
    }

    /// The state of a warehouse (W 4.11).
    pub async fn warehouse_state(&self, id: &str) -> Result<String, DatabricksError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            state: String,
        }
        let doing = "looking up the warehouse";
        let found: Found = self
            .get(doing, &format!("/api/2.0/sql/warehouses/{id}"))
            .await?
            .read(doing)?;
        Ok(found.state)
    }
}

/// The privileges in either form of the answer: plain names, or objects that say where each is inherited from.
fn privileges(answer: &Value, principal: &str) -> Vec<String> {
    let all = answer["privilege_assignments"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let of_principal = all
        .iter()
        .filter(|assignment| assignment["principal"] == principal);
    let names = of_principal
        .flat_map(|assignment| assignment["privileges"].as_array().map_or(&[][..], Vec::as_slice));
    names
        .filter_map(|privilege| privilege.as_str().or_else(|| privilege["privilege"].as_str()))
        .map(|name| name.to_ascii_uppercase().replace(' ', "_"))
        .collect()
}

#[derive(Deserialize)]
struct Vended {
    aws_temp_credentials: Option<AwsKeys>,
    r2_temp_credentials: Option<AwsKeys>,
    azure_user_delegation_sas: Option<Sas>,
    gcp_oauth_token: Option<Oauth>,
    expiration_time: Option<u64>,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct AwsKeys {
    access_key_id: String,
    secret_access_key: Secret,
    #[serde(default)]
    session_token: Secret,
}

#[derive(Deserialize)]
struct Sas {
    sas_token: Secret,
}

#[derive(Deserialize)]
struct Oauth {
    oauth_token: Secret,
}

impl Vended {
    fn into_credentials(self) -> Option<Credentials> {
        let aws = self.aws_temp_credentials.or(self.r2_temp_credentials);
        let cloud = match (aws, self.azure_user_delegation_sas, self.gcp_oauth_token) {
            (Some(keys), _, _) => CloudCredentials::Aws {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key,
                session_token: keys.session_token,
                // The answer names no region; whoever stages knows it from `awsRegion` (W 5.3).
                region: String::new(),
                endpoint: String::new(),
            },
            (None, Some(sas), _) => CloudCredentials::AzureSas { sas: sas.sas_token },
            (None, None, Some(oauth)) => CloudCredentials::Gcp {
                token: oauth.oauth_token,
            },
            (None, None, None) => return None,
        };
        Some(Credentials {
            cloud,
            expires_at_ms: self.expiration_time,
            location: self.url,
        })
    }
}

/// A part of an address.
fn encoded(part: &str) -> String {
    url::form_urlencoded::byte_serialize(part.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vended_keys_are_typed_and_expire() {
        let text = r#"{"aws_temp_credentials":{"access_key_id":"ASIA1","secret_access_key":"s","session_token":"t",
            "access_point":""},"expiration_time":1775041200000,"url":"s3://b/staging/x"}"#;
        let credentials = serde_json::from_str::<Vended>(text)
            .unwrap()
            .into_credentials()
            .unwrap();
        assert_eq!(credentials.expires_at_ms, Some(1_775_041_200_000));
        assert_eq!(credentials.location, "s3://b/staging/x");
        assert!(!format!("{credentials:?}").contains("\"s\""));
        assert!(
            serde_json::from_str::<Vended>("{}")
                .unwrap()
                .into_credentials()
                .is_none()
        );
    }

    #[test]
    fn grants_are_read_in_both_forms() {
        let plain = json!({"privilege_assignments":[
            {"principal":"sp","privileges":["SELECT","USE CATALOG"]},{"principal":"other","privileges":["MODIFY"]}]});
        assert_eq!(privileges(&plain, "sp"), ["SELECT", "USE_CATALOG"]);
        let effective = json!({"privilege_assignments":[{"principal":"sp","privileges":[
            {"privilege":"MODIFY","inherited_from_type":"SCHEMA"}]}]});
        assert_eq!(privileges(&effective, "sp"), ["MODIFY"]);
        assert!(privileges(&json!({}), "sp").is_empty());
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_an_address() {
        assert_eq!(encoded("a.b.c d/../x?y"), "a.b.c%20d%2F..%2Fx%3Fy");
    }
}
