//! References to secrets: where one is found, never what it is.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Where a secret is found: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretReference {
    /// In an environment variable.
    Env(String),
    /// In a file, whose trailing line break is not part of it.
    File(PathBuf),
}

/// Why a secret could not be had. Names the place, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or not text.
    #[error("the environment variable `{0}` is not set [CONFIG-002]")]
    Env(String),
    /// The file cannot be read.
    #[error("the secret's file {path} cannot be read: {reason} [CONFIG-003]")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl SecretReference {
    /// The secret, read now, so that a file that was rotated is taken up.
    pub fn resolve(&self) -> Result<String, SecretError> {
        match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone())),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err(SecretError::File {
                    path: path.clone(),
                    reason: error.kind().to_string(),
                }),
            },
        }
    }

    /// The same reference with a relative file taken from a folder.
    pub(super) fn based_on(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            env => env,
        }
    }
}

const EXPECTED: &str =
    "a reference to a secret, { env = \"NAME\" } or { file = \"PATH\" }, never the secret itself";

impl<'de> Deserialize<'de> for SecretReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

/// Refuses everything but a table without repeating it, since what stands there may be the secret.
struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = SecretReference;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(format!("must be {EXPECTED}")))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(E::custom(format!("must be {EXPECTED}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let value = map
                .next_value::<String>()
                .map_err(|_| de::Error::custom(format!("must be {EXPECTED}")))?;
            let reference = match key.as_str() {
                "env" => SecretReference::Env(value),
                "file" => SecretReference::File(value.into()),
                _ => return Err(de::Error::custom(format!("must be {EXPECTED}"))),
            };
            if found.replace(reference).is_some() {
                return Err(de::Error::custom("names two places for one secret; keep one"));
            }
        }
        found.ok_or_else(|| de::Error::custom(format!("must be {EXPECTED}")))
    }
}

impl schemars::JsonSchema for SecretReference {
    fn schema_name() -> Cow<'static, str> {
        "SecretReference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "Where a secret is found: an environment variable or a file.",
            "properties": { "env": { "type": "string" }, "file": { "type": "string" } },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1
        })
    }
}
