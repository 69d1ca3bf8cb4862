//! Which secrets belong to an instance, and where they are.
//!
//! A parameter that its schema marks as secret holds a reference. The instance may ask for that parameter by name (its
//! path, joined by dots) and gets what the reference leads to at that moment; it can ask for nothing else.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use super::schema::Schema;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// In an environment variable of the host.
    Env(String),
    /// In a file; a line end at its end is not part of it.
    File(String),
}

impl SecretReference {
    /// The reference in `{ "env": … }` or `{ "file": … }`.
    pub fn parse(value: &Value) -> Option<SecretReference> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        let (kind, place) = object.iter().next()?;
        let place = place.as_str()?.to_owned();
        match kind.as_str() {
            "env" => Some(SecretReference::Env(place)),
            "file" => Some(SecretReference::File(place)),
            _ => None,
        }
    }

    /// The secret itself.
    ///
    /// # Errors
    ///
    /// If the variable is not set, or the file cannot be read; the error does not hold the secret.
    pub fn read(&self) -> io::Result<String> {
        match self {
            SecretReference::Env(name) => std::env::var(name)
                .map_err(|_| io::Error::new(io::ErrorKind::NotFound, "the variable is not set")),
            SecretReference::File(path) => {
                let mut text = std::fs::read_to_string(path)?;
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                Ok(text)
            }
        }
    }
}

/// The secrets that `config` refers to, by the names under which the instance may ask for them.
pub(super) fn of_config(config: &Value, schemas: [&Schema; 2]) -> BTreeMap<String, SecretReference> {
    let markers = schemas
        .into_iter()
        .flat_map(Schema::markers)
        .filter(|marker| marker.secret);
    let found = markers.filter_map(|marker| {
        let value = marker
            .path
            .iter()
            .try_fold(config, |value, name| value.get(name))?;
        Some((marker.path.join("."), SecretReference::parse(value)?))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_marked_parameters_are_secrets() {
        let schema = Schema::new(json!({"properties": {
            "key": {"x-lakefeed-secret": true},
            "store": {"properties": {"token": {"x-lakefeed-secret": true}}},
            "plain": {}
        }}))
        .unwrap();
        let config =
            json!({"key": {"env": "A"}, "store": {"token": {"file": "/b"}}, "plain": {"env": "HOME"}});
        let secrets = of_config(&config, [&schema, &Schema::default()]);
        assert_eq!(
            secrets,
            BTreeMap::from([
                ("key".to_owned(), SecretReference::Env("A".to_owned())),
                ("store.token".to_owned(), SecretReference::File("/b".to_owned())),
            ])
        );
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cr3t\r\n").unwrap();
        let reference = SecretReference::File(path.display().to_string());
        assert_eq!(reference.read().unwrap(), "s3cr3t");
    }
}
