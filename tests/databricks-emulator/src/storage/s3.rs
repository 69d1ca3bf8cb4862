//! The S3 server that holds tables: its address, its keys, its buckets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider, S3ConditionalPut};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};
use thiserror::Error;
use url::{Host, Url};

use super::StorageError;
use super::place::Prefix;
use super::refusal::Told;
use crate::options::S3;
use crate::sync::lock;

/// What an S3 server is given with cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum S3OptionError {
    /// The endpoint is no address.
    #[error(
        "the endpoint of the S3 server is not an address: write https://HOST or http://127.0.0.1:PORT, without a path and \
         without keys"
    )]
    Endpoint,
    /// The endpoint would send everything in the open.
    #[error(
        "the endpoint of the S3 server is http and not on loopback: use https, or a server on 127.0.0.1 or localhost"
    )]
    Plain,
    /// An address has no room for a bucket.
    #[error(
        "the endpoint of the S3 server is a number, and a number cannot have a bucket before it: name the host, or leave the \
         buckets in the path"
    )]
    Number,
    /// No keys.
    #[error(
        "the S3 server needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN beside keys that \
         expire"
    )]
    NoKeys,
    /// Keys or a region that no request could carry.
    #[error(
        "a key, the token or the region for the S3 server has a blank or a sign that none has: copy it again, without quotes \
         and line breaks"
    )]
    Signs,
    /// No client of HTTP can be made.
    #[error("no client for the S3 server can be made: {0}")]
    Client(String),
}

/// The server.
pub(crate) struct Server {
    pub(super) endpoint: Url,
    pub(super) region: String,
    pub(super) keys: AwsCredentialProvider,
    virtual_host: bool,
    pub(super) client: HttpClient,
    buckets: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// Without the keys.
impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Server");
        shown.field("endpoint", &self.endpoint.as_str());
        shown.field("region", &self.region).finish_non_exhaustive()
    }
}

impl Server {
    /// Checks what is given. Nothing is sent yet.
    pub(crate) fn new(options: &S3, region: &str) -> Result<Self, S3OptionError> {
        let endpoint = endpoint(&options.endpoint, options.virtual_host)?;
        let region = options.region.as_deref().unwrap_or(region);
        let (id, key) = (&options.access_key_id, &options.secret_access_key);
        if id.is_empty() || key.is_empty() {
            return Err(S3OptionError::NoKeys);
        }
        let token = options.session_token.as_deref();
        let is_sound = |text: &str| text.bytes().all(|sign| sign.is_ascii_graphic());
        if ![id, key, region, token.unwrap_or_default()]
            .into_iter()
            .all(is_sound)
        {
            return Err(S3OptionError::Signs);
        }
        let client_options = ClientOptions::new()
            .with_allow_http(endpoint.scheme() == "http")
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(60));
        let client = ReqwestConnector::default()
            .connect(&client_options)
            .map_err(|error| S3OptionError::Client(error.to_string()))?;
        Ok(Self {
            endpoint,
            region: region.to_owned(),
            keys: Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: id.clone(),
                secret_key: key.clone(),
                token: token.map(str::to_owned),
            })),
            virtual_host: options.virtual_host,
            client,
            buckets: Mutex::default(),
        })
    }

    /// The address, as it is shown.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// The region that requests are signed for.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// What a location `s3://BUCKET/PATH` stands for.
    pub(super) fn prefix(&self, location: &Url) -> Result<Prefix, StorageError> {
        let bucket = location.host_str().ok_or(StorageError::Location)?;
        let path = Path::from_url_path(location.path()).map_err(|_| StorageError::Location)?;
        Ok(Prefix {
            store: self.bucket(bucket)?,
            bucket: bucket.to_owned(),
            path,
            url: location.clone(),
        })
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, StorageError> {
        if let Some(bucket) = lock(&self.buckets).get(name) {
            return Ok(Arc::clone(bucket));
        }
        let told = Told::new(self.client.clone(), self.address(), name);
        let bucket = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&self.region)
            .with_credentials(Arc::clone(&self.keys))
            .with_endpoint(self.endpoint_of(name))
            .with_virtual_hosted_style_request(self.virtual_host)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retries())
            .with_http_connector(told)
            .build()?;
        let bucket: Arc<dyn ObjectStore> = Arc::new(bucket);
        let mut buckets = lock(&self.buckets);
        Ok(Arc::clone(buckets.entry(name.to_owned()).or_insert(bucket)))
    }

    /// Where requests to a bucket go.
    fn endpoint_of(&self, bucket: &str) -> String {
        let address = self.address();
        match address.split_once("://") {
            Some((scheme, host)) if self.virtual_host => format!("{scheme}://{bucket}.{host}"),
            _ => address.to_owned(),
        }
    }
}

fn endpoint(text: &str, virtual_host: bool) -> Result<Url, S3OptionError> {
    let url = Url::parse(text).map_err(|_| S3OptionError::Endpoint)?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let (is_number, is_loopback) = match url.host() {
        Some(Host::Ipv4(address)) => (true, address.is_loopback()),
        Some(Host::Ipv6(address)) => (true, address.is_loopback()),
        Some(Host::Domain(name)) => (false, name == "localhost" || name.ends_with(".localhost")),
        None => return Err(S3OptionError::Endpoint),
    };
    match url.scheme() {
        _ if !is_bare => Err(S3OptionError::Endpoint),
        "http" if !is_loopback => Err(S3OptionError::Plain),
        "http" | "https" if virtual_host && is_number => Err(S3OptionError::Number),
        "http" | "https" => Ok(url),
        _ => Err(S3OptionError::Endpoint),
    }
}

/// A few quick ones: whoever waits for a statement is told soon that the server is away.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 2,
        retry_timeout: Duration::from_secs(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut S3)) -> Option<S3OptionError> {
        let mut options = S3::new("http://127.0.0.1:5000", "id", "key");
        change(&mut options);
        Server::new(&options, "eu-central-1").err()
    }

    #[test]
    fn an_address_that_would_not_do_is_refused() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:5000", None),
            ("http://127.0.0.1:5000/", None),
            ("http://[::1]:5000", None),
            ("http://localhost:5000", None),
            ("https://s3.eu-central-1.amazonaws.com", None),
            ("http://s3.example.org", Some(S3OptionError::Plain)),
            ("http://10.0.0.1:9000", Some(S3OptionError::Plain)),
            ("http://localhost.example.org", Some(S3OptionError::Plain)),
            ("https://id:key@s3.example.org", Some(S3OptionError::Endpoint)),
            ("https://s3.example.org/bucket", Some(S3OptionError::Endpoint)),
            ("ftp://127.0.0.1", Some(S3OptionError::Endpoint)),
            ("127.0.0.1:5000", Some(S3OptionError::Endpoint)),
            ("", Some(S3OptionError::Endpoint)),
        ] {
            let found = refused(|options| endpoint.clone_into(&mut options.endpoint));
            assert_eq!(found, expected, "{endpoint}");
        }
    }

    #[test]
    fn keys_that_are_missing_or_broken_are_refused() {
        assert_eq!(
            refused(|options| options.access_key_id.clear()),
            Some(S3OptionError::NoKeys)
        );
        let broken = |options: &mut S3| options.secret_access_key.push('\n');
        assert_eq!(refused(broken), Some(S3OptionError::Signs));
        let broken = |options: &mut S3| options.session_token = Some("to ken".to_owned());
        assert_eq!(refused(broken), Some(S3OptionError::Signs));
    }

    #[test]
    fn a_bucket_goes_into_the_path_or_before_the_host() {
        let mut options = S3::new("http://localhost:5000", "id", "key");
        let server = Server::new(&options, "eu-central-1").unwrap();
        assert_eq!(server.endpoint_of("lake"), "http://localhost:5000");
        options.virtual_host = true;
        let server = Server::new(&options, "eu-central-1").unwrap();
        assert_eq!(server.endpoint_of("lake"), "http://lake.localhost:5000");
        assert_eq!(
            refused(|options| options.virtual_host = true),
            Some(S3OptionError::Number)
        );
    }

    #[test]
    fn nothing_that_is_printed_has_the_keys() {
        let options = S3::new("http://localhost:5000", "the-id", "the-key");
        let server = Server::new(&options, "eu-central-1").unwrap();
        let printed = format!("{options:?}{server:?}{:?}", server.bucket("lake").unwrap());
        assert!(!printed.contains("the-key"), "{printed}");
    }
}
