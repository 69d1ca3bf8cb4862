//! Which locations collide.

use super::{Caller, Catalog, Kind, LocationEntry, Privilege, Securable};
use crate::http::ApiError;

/// A location without its trailing slashes and with one spelling of the scheme.
pub(crate) fn normal_location(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    match url.strip_prefix("s3a://") {
        Some(rest) => format!("s3://{rest}"),
        None => url.to_owned(),
    }
}

/// Whether a location is another or lies in it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn overlap(url: &str, what: &str, call: &str) -> ApiError {
    ApiError::invalid(format!(
        "Input path url '{url}' overlaps with {what} within '{call}' call."
    ))
    .because("LOCATION_OVERLAP")
}

impl Catalog {
    /// The external location that a location lies in, the deepest if several.
    pub(crate) fn external_location(&self, url: &str) -> Option<&LocationEntry> {
        let url = normal_location(url);
        self.locations
            .values()
            .filter(|entry| is_within(&url, &entry.url))
            .max_by_key(|entry| entry.url.len())
    }

    /// The external location of a location, if it is granted there.
    pub(crate) fn require_location(
        &self,
        caller: &Caller,
        privilege: Privilege,
        url: &str,
    ) -> Result<(), ApiError> {
        let Some(entry) = self.external_location(url) else {
            return Err(ApiError::invalid(format!(
                "No parent external location was found for path '{url}'. Please create an external location on one \
                 of the parent paths and then retry the query or command again."
            ))
            .because("NO_PARENT_EXTERNAL_LOCATION_FOR_PATH"));
        };
        self.require(
            caller,
            privilege,
            &Securable::new(Kind::ExternalLocation, &entry.name),
        )
    }

    /// Refuses a location that is managed storage, an external location's root, or in or around another table.
    pub(crate) fn check_overlap(&self, url: &str, call: &str) -> Result<(), ApiError> {
        let url = normal_location(url);
        let roots = self
            .catalogs
            .values()
            .filter_map(|entry| entry.storage_root.as_deref())
            .chain(
                self.schemas
                    .values()
                    .filter_map(|entry| entry.storage_root.as_deref()),
            );
        for root in roots {
            if is_within(root, &url) || is_within(&url, &format!("{root}/__unitystorage")) {
                return Err(overlap(&url, "managed storage", call));
            }
        }
        // A schema's root may have tables of its own beside the managed ones; a catalog's is managed throughout.
        let in_catalog = self
            .catalogs
            .values()
            .filter_map(|entry| entry.storage_root.as_deref())
            .any(|root| is_within(&url, root));
        if in_catalog {
            return Err(overlap(&url, "managed storage", call));
        }
        if self.locations.values().any(|entry| entry.url == url) {
            return Err(overlap(&url, "the root of an external location", call));
        }
        self.check_tables(&url, call)
    }

    /// Refuses a location in or around a table.
    pub(crate) fn check_tables(&self, url: &str, call: &str) -> Result<(), ApiError> {
        let url = normal_location(url);
        let taken = self.tables.values().any(|table| {
            is_within(&url, &table.storage_location) || is_within(&table.storage_location, &url)
        });
        if taken {
            return Err(overlap(&url, "other external tables or volumes", call));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogEntry, SchemaEntry, TableEntry};

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.locations.insert(
            "l".to_owned(),
            LocationEntry {
                name: "l".to_owned(),
                url: "s3://b".to_owned(),
                ..LocationEntry::default()
            },
        );
        let managed = CatalogEntry {
            storage_root: Some("s3://b/managed".to_owned()),
            ..CatalogEntry::default()
        };
        catalog.catalogs.insert("c".to_owned(), managed);
        let staging = SchemaEntry {
            storage_root: Some("s3://b/staging".to_owned()),
            ..SchemaEntry::default()
        };
        catalog.schemas.insert("c.s".to_owned(), staging);
        let table = TableEntry {
            storage_location: "s3://b/staging/taken".to_owned(),
            ..TableEntry::default()
        };
        catalog.tables.insert("c.s.t".to_owned(), table);
        catalog
    }

    #[test]
    fn only_a_free_path_below_the_external_location_is_taken() {
        for (url, is_free) in [
            ("s3://b/staging/free/", true),
            ("s3a://b/staging/free", true),
            ("s3://b/staging", false),
            ("s3://b/staging/", false),
            ("s3://b", false),
            ("s3://b/staging/taken", false),
            ("s3://b/staging/taken/deeper", false),
            ("s3://b/staging/taken2", true),
            ("s3://b/managed/x", false),
            ("s3://b/staging/__unitystorage/x", false),
        ] {
            assert_eq!(
                catalog().check_overlap(url, "CreateTable").is_ok(),
                is_free,
                "{url}"
            );
        }
    }
}
