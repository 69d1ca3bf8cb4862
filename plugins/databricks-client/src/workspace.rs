//! The parameters that name things: a workspace, a table, a warehouse.

use std::fmt;

use url::{Host, Url};

use crate::DatabricksError;
use crate::literal::push_identifier;

/// A workspace's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    url: Url,
}

/// Whose machines a workspace runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's.
    Aws,
    /// Microsoft's.
    Azure,
    /// Google's.
    Gcp,
}

impl Cloud {
    /// What the host of the cloud's workspaces, and of its ingest service, ends in.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Aws => "cloud.databricks.com",
            Self::Azure => "azuredatabricks.net",
            Self::Gcp => "gcp.databricks.com",
        }
    }
}

impl Workspace {
    /// Reads `databricksWorkspaceUrl`. Plain http would show the token to the network, so it is for loopback alone.
    pub fn parse(text: &str) -> Result<Self, DatabricksError> {
        const NAME: &str = "databricksWorkspaceUrl";
        let url =
            Url::parse(text).map_err(|_| wrong(NAME, "is not a URL; write https://<workspace host>"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(NAME, "must not hold a user name or password"));
        }
        if url.host().is_none() || !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(wrong(
                NAME,
                "must be a host alone, as in https://<workspace host>",
            ));
        }
        match url.scheme() {
            "https" => Ok(Self { url }),
            "http" if is_loopback(&url) => Ok(Self { url }),
            "http" => Err(wrong(NAME, "plain http is only for loopback; use https")),
            _ => Err(wrong(NAME, "must begin with https://")),
        }
    }

    /// Scheme, host and port, as tokens are asked for.
    #[must_use]
    pub fn server(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// The address of a path of the workspace; the path begins with `/`.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server())
    }

    /// The cloud, where the host tells.
    #[must_use]
    pub fn cloud(&self) -> Option<Cloud> {
        let host = self.url.host_str()?;
        [Cloud::Aws, Cloud::Azure, Cloud::Gcp].into_iter().find(|cloud| {
            host.strip_suffix(cloud.suffix())
                .is_some_and(|name| name.ends_with('.'))
        })
    }

    /// Whether the workspace is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A table's full name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The catalog.
    pub catalog: String,
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Reads `tableName`: three parts with dots between, none of them empty or with a character that no part of a name
    /// in Unity Catalog may have.
    pub fn parse(text: &str) -> Result<Self, DatabricksError> {
        const NAME: &str = "tableName";
        let parts: Vec<&str> = text.split('.').collect();
        let [catalog, schema, table] = parts.as_slice() else {
            return Err(wrong(NAME, "must have three parts: catalog.schema.table"));
        };
        let is_bad =
            |sign: char| sign.is_control() || sign.is_whitespace() || matches!(sign, '/' | '`' | '?' | '#');
        if parts
            .iter()
            .any(|part| part.is_empty() || part.len() > 255 || part.contains(is_bad))
        {
            return Err(wrong(
                NAME,
                "has a part that is empty, too long or with spaces, slashes or quotes; write catalog.schema.table",
            ));
        }
        Ok(Self {
            catalog: (*catalog).to_owned(),
            schema: (*schema).to_owned(),
            table: (*table).to_owned(),
        })
    }

    /// As SQL writes it.
    #[must_use]
    pub fn quoted(&self) -> String {
        let mut sql = String::new();
        for (index, part) in [&self.catalog, &self.schema, &self.table].into_iter().enumerate() {
            if index > 0 {
                sql.push('.');
            }
            push_identifier(&mut sql, part);
        }
        sql
    }

    /// The schema's full name.
    #[must_use]
    pub fn full_schema(&self) -> String {
        format!("{}.{}", self.catalog, self.schema)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// Checks `databricksWarehouseId`, which becomes part of addresses.
pub fn check_warehouse(id: &str) -> Result<(), DatabricksError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > 64 || !id.bytes().all(is_plain) {
        return Err(wrong(
            "databricksWarehouseId",
            "must be the id of a SQL warehouse, as its overview page shows it",
        ));
    }
    Ok(())
}

fn wrong(name: &'static str, problem: &str) -> DatabricksError {
    DatabricksError::Parameter {
        name,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: &str) {
        let answer = match Workspace::parse(url) {
            Ok(workspace) => format!("{} {:?}", workspace.server(), workspace.cloud()),
            Err(error) => error.to_string(),
        };
        assert_eq!(answer, expect, "{url}");
    }

    #[test]
    fn a_workspace_is_a_host_reached_safely() {
        check(
            "https://dbc-1.cloud.databricks.com/",
            "https://dbc-1.cloud.databricks.com Some(Aws)",
        );
        check(
            "https://adb-1.2.azuredatabricks.net",
            "https://adb-1.2.azuredatabricks.net Some(Azure)",
        );
        check(
            "https://1.2.gcp.databricks.com",
            "https://1.2.gcp.databricks.com Some(Gcp)",
        );
        check("http://127.0.0.1:8443", "http://127.0.0.1:8443 None");
        let wrong = |problem: &str| format!("parameter `databricksWorkspaceUrl`: {problem}");
        check(
            "http://dbc-1.cloud.databricks.com",
            &wrong("plain http is only for loopback; use https"),
        );
        check("ftp://x", &wrong("must begin with https://"));
        check("https://u:p@x", &wrong("must not hold a user name or password"));
        check(
            "https://x/?o=1",
            &wrong("must be a host alone, as in https://<workspace host>"),
        );
        check("dbc-1", &wrong("is not a URL; write https://<workspace host>"));
        check(
            "https://evilcloud.databricks.com",
            "https://evilcloud.databricks.com None",
        );
    }

    #[test]
    fn a_table_has_three_parts_and_is_quoted_part_by_part() {
        let name = TableName::parse("main.fhir-x.patients").unwrap();
        assert_eq!(name.quoted(), "`main`.`fhir-x`.`patients`");
        assert_eq!(name.to_string(), "main.fhir-x.patients");
        for bad in [
            "patients",
            "a.b",
            "a..c",
            "a.b.c.d",
            "a.b.c d",
            "a.b.c/../d",
            "a.b.`c`",
            "a.b.c\n",
        ] {
            assert!(TableName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_warehouse_id_cannot_lead_elsewhere() {
        assert!(check_warehouse("0123456789abcdef").is_ok());
        for bad in ["", "../x", "a/b", "a?b", "a b"] {
            assert!(check_warehouse(bad).is_err(), "{bad}");
        }
    }
}
