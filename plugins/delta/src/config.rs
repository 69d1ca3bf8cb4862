//! The destination's parameters, as written and as checked.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use crate::DeltaError;

/// The parameters as the operator writes them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where the table lies: a folder (`/data/patients`, `file:///data/patients`) or a prefix in a bucket
    /// (`s3://bucket/patients`). Made if it is missing.
    #[schemars(extend("x-lakefeed-access" = "local-path"))]
    pub table_path: String,
    /// Region of the bucket. Default: `us-east-1`.
    #[serde(default)]
    pub aws_region: Option<String>,
    /// Access key. Left out, the environment's own credentials are used.
    #[serde(default)]
    pub aws_access_key_id: Option<String>,
    /// Secret of the access key, as a reference: `{ env = "NAME" }` or `{ file = "PATH" }`.
    #[serde(default)]
    #[schemars(extend("x-lakefeed-secret" = true))]
    pub aws_secret_access_key: Option<serde_json::Value>,
    /// Address of an S3 server other than Amazon's; buckets are then part of the path. Plain http only on loopback.
    #[serde(default)]
    #[schemars(extend("x-lakefeed-access" = "url"))]
    pub s3_endpoint: Option<String>,
    /// Where a data file ends, in MiB.
    #[serde(default = "default_file_size")]
    #[schemars(range(min = 1, max = 4096))]
    pub target_file_size_mb: u32,
    /// Whether columns that the view has gained are added to the table. Otherwise delivery stops and names them.
    #[serde(default)]
    pub auto_evolve: bool,
}

fn default_file_size() -> u32 {
    128
}

/// The parameters as the plugin runs them.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) place: Place,
    pub(crate) file_bytes: usize,
    pub(crate) auto_evolve: bool,
}

/// Where the table lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(bucket) => write!(f, "s3://{}/{}", bucket.name, bucket.prefix),
        }
    }
}

/// A prefix in a bucket, and how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) key: Option<String>,
    /// The key's secret, where it is written out and not a reference that only the host can follow.
    pub(crate) secret: Option<String>,
    pub(crate) endpoint: Option<Url>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

impl Config {
    /// Checks the parameters against each other. No I/O.
    pub(crate) fn check(&self) -> Result<Checked, DeltaError> {
        if !(1..=4096).contains(&self.target_file_size_mb) {
            return Err(wrong("targetFileSizeMb", "must lie between 1 and 4096"));
        }
        Ok(Checked {
            place: self.place()?,
            file_bytes: self.target_file_size_mb as usize * 1024 * 1024,
            auto_evolve: self.auto_evolve,
        })
    }

    fn place(&self) -> Result<Place, DeltaError> {
        let path = self.table_path.as_str();
        if path.trim().is_empty() || path.contains('\0') {
            return Err(wrong("tablePath", "must name a folder or a prefix in a bucket"));
        }
        match path.split_once("://") {
            Some(("s3" | "s3a", rest)) => self.bucket(rest).map(Place::Bucket),
            Some(("file", _)) => folder_of_url(path).map(Place::Folder),
            Some((scheme, _)) => Err(wrong(
                "tablePath",
                format!(
                    "`{scheme}` is not a place that this plugin writes to; a folder, `file://` and `s3://` are"
                ),
            )),
            None => Ok(Place::Folder(PathBuf::from(path))),
        }
    }

    fn bucket(&self, rest: &str) -> Result<Bucket, DeltaError> {
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if name.is_empty() || prefix.is_empty() {
            return Err(wrong(
                "tablePath",
                "must name a bucket and a prefix in it, as in `s3://bucket/patients`",
            ));
        }
        if prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong("tablePath", "must not hold empty, `.` or `..` parts"));
        }
        let endpoint = self.s3_endpoint.as_deref().map(endpoint).transpose()?;
        let region = self.aws_region.clone().unwrap_or_else(|| "us-east-1".into());
        if self.aws_access_key_id.is_none() && self.aws_secret_access_key.is_some() {
            return Err(wrong("awsAccessKeyId", "is missing beside `awsSecretAccessKey`"));
        }
        let secret = self
            .aws_secret_access_key
            .as_ref()
            .and_then(|secret| secret.as_str());
        Ok(Bucket {
            name: name.into(),
            prefix: prefix.into(),
            region,
            key: self.aws_access_key_id.clone(),
            secret: secret.map(str::to_owned),
            endpoint,
        })
    }
}

fn folder_of_url(text: &str) -> Result<PathBuf, DeltaError> {
    let url = Url::parse(text).map_err(|error| wrong("tablePath", error.to_string()))?;
    url.to_file_path().map_err(|()| {
        wrong(
            "tablePath",
            "must be a local `file:///` URL with an absolute path",
        )
    })
}

/// Plain http would show the key's signature, and the rows, to the network.
fn endpoint(text: &str) -> Result<Url, DeltaError> {
    let url = Url::parse(text).map_err(|error| wrong("s3Endpoint", error.to_string()))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(wrong("s3Endpoint", "must not hold a user name or password"))
        }
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(wrong("s3Endpoint", "plain http is only for loopback; use https")),
        _ => Err(wrong("s3Endpoint", "must begin with https://")),
    }
}

fn wrong(name: &'static str, problem: impl Into<String>) -> DeltaError {
    DeltaError::Parameter {
        name,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &str) {
        let config: Result<Config, _> = serde_json::from_str(json);
        let answer = match config {
            Ok(config) => match config.check() {
                Ok(checked) => format!("{:?}", checked.place),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        assert!(answer.contains(expect), "{json}: {answer}");
    }

    #[test]
    fn the_place_is_read_from_the_path() {
        check(r#"{"tablePath":"/data/a b"}"#, r#"Folder("/data/a b")"#);
        check(r#"{"tablePath":"file:///data/a%20b"}"#, r#"Folder("/data/a b")"#);
        check(r#"{"tablePath":"s3://bucket/x/y/"}"#, "s3://bucket/x/y");
        check(r#"{"tablePath":"s3a://bucket/x"}"#, "s3://bucket/x");
        check(r#"{"tablePath":"gs://bucket/x"}"#, "`gs` is not a place");
        check(r#"{"tablePath":"s3://bucket"}"#, "a bucket and a prefix");
        check(r#"{"tablePath":"s3://bucket/a/../b"}"#, "`..`");
        check(r#"{"tablePath":" "}"#, "must name a folder");
    }

    #[test]
    fn unknown_and_half_given_parameters_are_refused_by_name() {
        check(
            r#"{"tablePath":"/d","tablepath":"/e"}"#,
            "unknown field `tablepath`",
        );
        check(
            r#"{"tablePath":"s3://b/x","awsSecretAccessKey":{"env":"X"}}"#,
            "`awsAccessKeyId`: is missing",
        );
        check(r#"{"tablePath":"/d","targetFileSizeMb":0}"#, "between 1 and 4096");
    }

    #[test]
    fn plain_http_is_only_for_loopback() {
        check(
            r#"{"tablePath":"s3://b/x","s3Endpoint":"http://127.0.0.1:9000"}"#,
            "s3://b/x",
        );
        check(
            r#"{"tablePath":"s3://b/x","s3Endpoint":"http://minio.lan:9000"}"#,
            "use https",
        );
        check(
            r#"{"tablePath":"s3://b/x","s3Endpoint":"https://u:p@minio.lan"}"#,
            "user name",
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        let json = r#"{"tablePath":"s3://b/x","awsAccessKeyId":"k","awsSecretAccessKey":"hush"}"#;
        let config: Config = serde_json::from_str(json).unwrap();
        assert!(!format!("{:?}", config.check().unwrap()).contains("hush"));
    }
}
