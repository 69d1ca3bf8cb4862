//! `databricks-emulator --data DIR --listen 127.0.0.1:PORT`: prints the environment that a client needs, then serves
//! until it is interrupted.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use databricks_emulator::{Emulator, Options, S3, SetUp};
use tracing_subscriber::EnvFilter;

/// Databricks on loopback, over real Delta tables.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of everything that outlives a restart.
    #[arg(long)]
    data: std::path::PathBuf,
    /// Where to listen; port 0 is any that is free.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Makes the workspace of the product's set-up: catalog, schemas, table, location, grants.
    #[arg(long)]
    set_up: bool,
    /// Answers before what is promised is on disk. For benches.
    #[arg(long)]
    no_fsync: bool,
    /// The numeric id of the workspace.
    #[arg(long)]
    workspace_id: Option<u64>,
    /// The region of the workspace.
    #[arg(long)]
    region: Option<String>,
    /// The client id of the service principal that exists from the start.
    #[arg(long)]
    client_id: Option<String>,
    /// The id of the warehouse that exists from the start.
    #[arg(long)]
    warehouse_id: Option<String>,
    /// A server of S3 that holds the tables whose location begins with `s3://`, such as `http://127.0.0.1:5000`; without
    /// it, folders below the data do. Its keys are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, beside keys that
    /// expire, AWS_SESSION_TOKEN. http is taken on loopback only. Buckets are not made.
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// The region that its requests are signed for; the workspace's if none is named.
    #[arg(long, value_name = "REGION", requires = "s3_endpoint")]
    s3_region: Option<String>,
    /// Puts a bucket before the host of the server, and not into the path.
    #[arg(long, requires = "s3_endpoint")]
    s3_virtual_host: bool,
}

impl Arguments {
    fn options(self) -> Options {
        let s3 = self.s3();
        // A folder that cannot be made absolute is refused by its name when it is opened.
        let defaults = Options::new(std::path::absolute(&self.data).unwrap_or(self.data));
        Options {
            listen: self.listen,
            durable: !self.no_fsync,
            workspace_id: self.workspace_id.unwrap_or(defaults.workspace_id),
            region: self.region.unwrap_or(defaults.region),
            client_id: self.client_id.unwrap_or(defaults.client_id),
            client_secret: std::env::var("EMULATOR_CLIENT_SECRET").unwrap_or(defaults.client_secret),
            warehouse_id: self.warehouse_id.unwrap_or(defaults.warehouse_id),
            data: defaults.data,
            s3,
        }
    }

    /// Keys that are missing are empty here, and refused by the start.
    fn s3(&self) -> Option<S3> {
        let key = |name: &str| std::env::var(name).unwrap_or_default();
        let endpoint = self.s3_endpoint.as_ref()?;
        Some(S3 {
            region: self.s3_region.clone(),
            session_token: Some(key("AWS_SESSION_TOKEN")).filter(|token| !token.is_empty()),
            virtual_host: self.s3_virtual_host,
            ..S3::new(endpoint, key("AWS_ACCESS_KEY_ID"), key("AWS_SECRET_ACCESS_KEY"))
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let sets_up = arguments.set_up;
    let emulator = Emulator::start(arguments.options()).await?;
    if sets_up {
        emulator.set_up(&SetUp::default()).await?;
    }
    let mut out = std::io::stdout();
    for (name, value) in emulator.environment() {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(out, "# listening")?;
    out.flush()?;
    interrupted().await?;
    emulator.stop().await;
    Ok(())
}

/// Waits for an interrupt or a request to end.
async fn interrupted() -> std::io::Result<()> {
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = ended.recv() => Ok(()),
    }
}
