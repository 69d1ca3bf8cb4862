//! What an emulator is started with.

use std::path::PathBuf;

/// What an emulator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of everything that outlives a restart.
    pub data: PathBuf,
    /// Where to listen; port 0 is any that is free.
    pub listen: String,
    /// The numeric id of the workspace.
    pub workspace_id: u64,
    /// The region of the workspace.
    pub region: String,
    /// Whether an answer waits until what it promises is on disk.
    pub durable: bool,
    /// The client id of the service principal that exists from the start.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The id of the warehouse that exists from the start.
    pub warehouse_id: String,
    /// The server that holds the tables whose location begins with `s3://`; without one, folders of `data` do.
    pub s3: Option<S3>,
}

impl Options {
    /// On any free port of loopback, over that folder, with fixed ids.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: "127.0.0.1:0".to_owned(),
            workspace_id: 1_234_567_890_123_456,
            region: "us-east-1".to_owned(),
            durable: true,
            client_id: "6f1c7d3a-5e0b-4c38-9a67-0d2f4b8e91aa".to_owned(),
            client_secret: "dose0123456789abcdef0123456789abcdef".to_owned(),
            warehouse_id: "0123456789abcdef".to_owned(),
            s3: None,
        }
    }
}

/// A server of S3, and the keys for it. It must refuse to create an object that is there (`If-None-Match: *`).
#[derive(Clone)]
pub struct S3 {
    /// `https://HOST`, or `http://HOST:PORT` on loopback.
    pub endpoint: String,
    /// The region that requests are signed for; none is the workspace's.
    pub region: Option<String>,
    /// The id of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// The token beside a key that expires.
    pub session_token: Option<String>,
    /// Whether a bucket is the first label of the host instead of the first part of the path.
    pub virtual_host: bool,
}

impl S3 {
    /// A server with buckets in the path, and a key that does not expire.
    pub fn new(
        endpoint: impl Into<String>,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: None,
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            virtual_host: false,
        }
    }
}

/// Without the keys, and without the endpoint, in which somebody may have written some.
impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("S3")
            .field("region", &self.region)
            .field("virtual_host", &self.virtual_host)
            .finish_non_exhaustive()
    }
}
