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
        }
    }
}
