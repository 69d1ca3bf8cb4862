//! Tables in buckets of a server of S3 that others wrote, which looks at keys and at conditions as the real one does.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step is a failed test, and a helper of a test fails with it"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use databricks_emulator::{Emulator, Fault, Options, S3, SetUp, Setting};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use support::{PATIENTS, Site, python, rows_of, run};
use tokio::net::{TcpListener, TcpStream};

/// One bucket a test.
const BUCKETS: [&str; 8] = [
    "lake-changed",
    "lake-restarted",
    "lake-raced",
    "lake-read",
    "lake-lent",
    "lake-lesser",
    "lake-away",
    "lake-program",
];
const STAGED: &str = "aidbox_export.fhir_staging.staged";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("judges").join(name)
}

/// A server that ends with this program: it serves until its standard input does.
struct Server {
    told: Value,
    #[expect(dead_code, reason = "its standard input is open for as long as it is held")]
    process: Child,
}

impl Server {
    fn start(python: &Path) -> Self {
        let mut process = Command::new(python)
            .arg(script("s3_server.py"))
            .args(BUCKETS)
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Self { told, process }
    }

    /// The one that the tests share; none, and the test is named, where it is not installed.
    fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let python = python("moto, boto3, werkzeug, flask")?;
        Some(SERVER.get_or_init(|| Self::start(&python)))
    }

    fn text(&self, pointer: &str) -> String {
        self.told.pointer(pointer).unwrap().as_str().unwrap().to_owned()
    }

    /// The server with the keys of a user.
    fn as_user(&self, user: &str) -> S3 {
        S3::new(
            self.text("/endpoint"),
            self.text(&format!("/{user}/id")),
            self.text(&format!("/{user}/secret")),
        )
    }

    /// A workspace that is set up in a bucket.
    async fn site(&self, bucket: &str) -> Site {
        set_up(self.as_user("user"), bucket).await
    }

    /// What a bucket holds, by a client that is not the emulator's.
    async fn objects(&self, bucket: &str) -> Vec<String> {
        let all = client(&self.as_user("user"), bucket).list(None);
        let all: Vec<_> = all.try_collect().await.unwrap();
        all.into_iter()
            .map(|object| object.location.to_string())
            .collect()
    }
}

/// A way to the server that can be closed and opened again.
struct Way {
    endpoint: String,
    is_open: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let target = server.text("/endpoint").trim_start_matches("http://").to_owned();
        let is_open = Arc::new(AtomicBool::new(true));
        let open = Arc::clone(&is_open);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if open.load(Ordering::SeqCst) {
                    let mut server = TcpStream::connect(&target).await.unwrap();
                    tokio::spawn(async move {
                        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                    });
                }
            }
        });
        Self { endpoint, is_open }
    }

    fn open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::SeqCst);
    }
}

/// A workspace that is set up in a bucket.
async fn set_up(s3: S3, bucket: &str) -> Site {
    let site = Site::on(Some(s3)).await;
    site.emulator.set_up(&in_bucket(bucket)).await.unwrap();
    site
}

fn in_bucket(bucket: &str) -> SetUp {
    SetUp {
        bucket: bucket.to_owned(),
        ..SetUp::default()
    }
}

fn client(keys: &S3, bucket: &str) -> AmazonS3 {
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(&keys.endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(&keys.access_key_id)
        .with_secret_access_key(&keys.secret_access_key);
    if let Some(token) = &keys.session_token {
        builder = builder.with_token(token);
    }
    builder.build().unwrap()
}

/// The rows of a table in a bucket, as a reader sees them that shares no code with the writer.
async fn read(python: &Path, keys: &S3, location: &str, sql: &str) -> Value {
    let mut command = Command::new(python);
    command
        .arg(script("read_s3.py"))
        .args([location, sql])
        .env("AWS_ENDPOINT_URL", &keys.endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &keys.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key)
        .env(
            "AWS_SESSION_TOKEN",
            keys.session_token.as_deref().unwrap_or_default(),
        )
        .env("no_proxy", "127.0.0.1");
    let ended = run(command).await;
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    serde_json::from_slice(&ended.stdout).unwrap()
}

async fn stage(site: &Site, bucket: &str, columns: &str) {
    let create = format!("CREATE TABLE {STAGED} {columns} USING DELTA LOCATION 's3://{bucket}/staging/x'");
    rows_of(&site.sql(&create).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_a_bucket_is_made_written_changed_and_dropped_with_nothing_left() {
    let Some(server) = Server::shared() else { return };
    let bucket = "lake-changed";
    let site = server.site(bucket).await;
    site.insert(PATIENTS, json!([{"id": "p-1", "is_deleted": 0}]))
        .await
        .ok();
    site.emulator.flush().await.unwrap();
    for sql in [
        format!("INSERT INTO {PATIENTS} (id, gender) VALUES ('p-2', 'male'), ('p-3', NULL)"),
        format!("ALTER TABLE {PATIENTS} ADD COLUMNS (city STRING)"),
        format!("INSERT INTO {PATIENTS} (id, city) SELECT 'p-4', 'Bonn' FROM {PATIENTS} WHERE id = 'p-1'"),
        format!("ALTER TABLE {PATIENTS} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"),
        format!("ALTER TABLE {PATIENTS} RENAME COLUMN city TO town"),
        format!(
            "MERGE INTO {PATIENTS} t USING (SELECT 'p-4' AS id UNION ALL SELECT 'p-5') s ON t.id = s.id WHEN NOT MATCHED \
             THEN INSERT (id, town) VALUES (s.id, 'Ulm')"
        ),
    ] {
        rows_of(&site.sql(&sql).await);
    }
    let rows = site
        .rows(&format!("SELECT id, gender, town FROM {PATIENTS} ORDER BY id"))
        .await;
    let expected = json!([
        ["p-1", null, null],
        ["p-2", "male", null],
        ["p-3", null, null],
        ["p-4", null, "Bonn"],
        ["p-5", null, "Ulm"],
    ]);
    assert_eq!(rows, expected);
    let told = site
        .admin("GET", &format!("/emulator/tables/{PATIENTS}"), None)
        .await
        .ok();
    let location = site.emulator.table_location(PATIENTS).unwrap();
    assert_eq!(
        told,
        json!({"location": location, "endpoint": server.text("/endpoint")})
    );
    assert_eq!(site.emulator.table_folder(PATIENTS), None);
    let objects = server.objects(bucket).await;
    let below = location.trim_start_matches(&format!("s3://{bucket}/"));
    assert!(objects.len() > 8, "{objects:?}");
    assert!(objects.iter().all(|name| name.starts_with(below)), "{objects:?}");
    assert!(!site.folder().join("buckets").exists());
    rows_of(&site.admin_sql(&format!("DROP TABLE {PATIENTS}")).await);
    assert_eq!(server.objects(bucket).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_over_the_same_bucket_goes_on() {
    let Some(server) = Server::shared() else { return };
    let bucket = "lake-restarted";
    let site = server.site(bucket).await;
    stage(&site, bucket, "(id STRING)").await;
    rows_of(&site.sql(&format!("INSERT INTO {STAGED} VALUES ('s-1')")).await);
    site.emulator
        .faults()
        .set(Fault::VisibilityDelay, Setting::milliseconds(600_000));
    site.insert(PATIENTS, json!([{"id": "p-1"}, {"id": "p-2"}]))
        .await
        .ok();
    let site = site.crashed().await;
    assert_eq!(site.count(PATIENTS).await, 2);
    site.insert(PATIENTS, json!([{"id": "p-3"}])).await.ok();
    let site = site.restarted().await;
    rows_of(
        &site
            .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES ('p-4')"))
            .await,
    );
    assert_eq!(site.count(PATIENTS).await, 4);
    // An external table stays where it is when it is dropped, and is found again with the columns that it has.
    rows_of(&site.sql(&format!("DROP TABLE {STAGED}")).await);
    stage(&site, bucket, "").await;
    assert_eq!(
        site.rows(&format!("SELECT * FROM {STAGED}")).await,
        json!([["s-1"]])
    );
}

async fn write(site: &Site, id: usize) {
    rows_of(&site.sql(&format!("INSERT INTO {STAGED} VALUES ({id})")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_that_race_lose_nothing() {
    let Some(server) = Server::shared() else { return };
    let bucket = "lake-raced";
    let (one, other) = (server.site(bucket).await, server.site(bucket).await);
    stage(&one, bucket, "(id INT)").await;
    stage(&other, bucket, "").await;
    // Both begin each time at the same version of the table.
    for id in 0..20 {
        tokio::join!(write(&one, id), write(&other, 100 + id));
    }
    let sums = format!("SELECT count(*), count(DISTINCT id), sum(id) FROM {STAGED}");
    for site in [&one, &other] {
        assert_eq!(site.rows(&sums).await, json!([["40", "40", "2380"]]));
    }
    let objects = server.objects(bucket).await;
    let commits = objects
        .iter()
        .filter(|name| name.starts_with("staging/x/_delta_log/") && name.ends_with(".json"));
    assert_eq!(commits.count(), 41, "{objects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_shares_no_code_with_the_writer_reads_what_is_in_the_bucket() {
    let Some(python) = python("duckdb, duckdb_extensions, pytz") else {
        return;
    };
    let Some(server) = Server::shared() else { return };
    let bucket = "lake-read";
    let site = server.site(bucket).await;
    let by_rest = json!([
        {"id": "p-1", "ts": 1_775_037_600_123_456_i64, "birth_date": 7319, "gender": "it's \"x\"\n😀", "is_deleted": 0},
    ]);
    site.insert(PATIENTS, by_rest).await.ok();
    site.emulator.flush().await.unwrap();
    let by_sql = format!(
        "INSERT INTO {PATIENTS} (id, ts, birth_date) VALUES ('p-2', TIMESTAMP'2026-04-01T10:00:00Z', DATE'1990-01-15')"
    );
    rows_of(&site.sql(&by_sql).await);
    let location = site.emulator.table_location(PATIENTS).unwrap();
    let sql = "SELECT id, epoch_us(ts), birth_date, gender, is_deleted FROM t ORDER BY id";
    let rows = read(&python, &server.as_user("user"), &location, sql).await;
    let expected = json!([
        ["p-1", "1775037600123456", "1990-01-15", "it's \"x\"\n😀", "0"],
        ["p-2", "1775037600000000", "1990-01-15", null, null],
    ]);
    assert_eq!(rows, expected);
    stage(&site, bucket, "(id STRING)").await;
    rows_of(&site.sql(&format!("INSERT INTO {STAGED} VALUES ('s-1')")).await);
    let keys = keys(server, &lend(&site).await.ok());
    let rows = read(&python, &keys, &format!("s3://{bucket}/staging/x"), "FROM t").await;
    assert_eq!(rows, json!([["s-1"]]));
}

/// What the catalog lends for the staged table, or refuses.
async fn lend(site: &Site) -> support::Answer {
    let table = format!("/api/2.1/unity-catalog/tables/{STAGED}");
    let table = site.client("GET", &table, None).await.ok();
    let body = json!({"table_id": table["table_id"], "operation": "READ_WRITE"});
    let path = "/api/2.1/unity-catalog/temporary-table-credentials";
    site.client("POST", path, Some(body)).await
}

/// The keys that were lent.
fn keys(server: &Server, told: &Value) -> S3 {
    let text = |name: &str| told["aws_temp_credentials"][name].as_str().unwrap();
    let (id, key) = (text("access_key_id"), text("secret_access_key"));
    S3 {
        session_token: Some(text("session_token").to_owned()),
        ..S3::new(server.text("/endpoint"), id, key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lent_credentials_open_the_table_and_expire() {
    let Some(server) = Server::shared() else { return };
    let bucket = "lake-lent";
    let site = server.site(bucket).await;
    stage(&site, bucket, "(id STRING)").await;
    let now = site.emulator.clock().now_ms();
    let told = lend(&site).await.ok();
    let keys = keys(server, &told);
    assert_ne!(keys.access_key_id, server.text("/user/id"));
    let left = told["expiration_time"].as_i64().unwrap() - now;
    assert!((3_500_000..3_700_000).contains(&left), "{left}");
    let name = object_store::path::Path::from("staging/x/part-0.parquet");
    client(&keys, bucket).put(&name, "rows".into()).await.unwrap();
    assert!(server.objects(bucket).await.contains(&name.to_string()));
    let forged = S3 {
        session_token: Some("forged".to_owned()),
        ..keys
    };
    assert!(client(&forged, bucket).get(&name).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_role_can_be_taken_on_nothing_is_lent_and_the_reason_is_told() {
    let Some(server) = Server::shared() else { return };
    let site = set_up(server.as_user("lesser"), "lake-lesser").await;
    stage(&site, "lake-lesser", "(id STRING)").await;
    let refused = lend(&site).await;
    let message = refused.message();
    assert_eq!(refused.status, 500, "{message}");
    let begin = format!(
        "the S3 server at {} lends nothing for the role {} of the storage credential `aidbox_staging_cred` (403 AccessDenied)",
        server.text("/endpoint"),
        server.text("/role"),
    );
    assert!(message.starts_with(&begin), "{message}");
    assert!(!message.contains(&server.text("/lesser/secret")), "{message}");
}

/// Why a workspace cannot be set up on a server with those keys.
async fn refusal(s3: S3, bucket: &str) -> String {
    let site = Site::on(Some(s3.clone())).await;
    let error = site.emulator.set_up(&in_bucket(bucket)).await.unwrap_err();
    let told = error.to_string();
    for secret in [&s3.access_key_id, &s3.secret_access_key] {
        assert!(!told.contains(secret), "{told}");
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_a_bucket_that_is_missing_are_told_with_what_to_do() {
    let Some(server) = Server::shared() else { return };
    let user = server.as_user("user");
    let begin = format!("[INTERNAL_ERROR] the S3 server at {} ", user.endpoint);
    let wrong_key = S3 {
        secret_access_key: "wrong-secret".to_owned(),
        ..user.clone()
    };
    let unknown_key = S3 {
        access_key_id: "AKIAUNKNOWN000000000".to_owned(),
        ..user.clone()
    };
    for (s3, bucket, parts) in [
        (
            wrong_key,
            "lake-read",
            ["(403 SignatureDoesNotMatch)", "correct AWS_ACCESS_KEY_ID"],
        ),
        (
            unknown_key,
            "lake-read",
            ["(403 InvalidAccessKeyId)", "correct AWS_ACCESS_KEY_ID"],
        ),
        (
            user,
            "lake-nowhere",
            ["has no bucket `lake-nowhere`", "make it there"],
        ),
    ] {
        let told = refusal(s3, bucket).await;
        assert!(told.starts_with(&begin), "{told}");
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
}

/// What a statement that finds nobody is told.
fn away(endpoint: &str) -> String {
    format!("[INTERNAL_ERROR] the S3 server at {endpoint} does not answer: start it")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_is_is_told() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let told = refusal(S3::new(&endpoint, "the-id", "the-key"), "lake").await;
    assert!(told.starts_with(&away(&endpoint)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_costs_no_rows() {
    let Some(server) = Server::shared() else { return };
    let way = Way::to(server).await;
    let s3 = S3 {
        endpoint: way.endpoint.clone(),
        ..server.as_user("user")
    };
    let site = set_up(s3, "lake-away").await;
    way.open(false);
    for sql in [
        format!("SELECT count(*) FROM {PATIENTS}"),
        format!("INSERT INTO {PATIENTS} (id) VALUES ('p-1')"),
    ] {
        let failed = site.sql(&sql).await;
        let told = failed["status"]["error"]["message"].as_str().unwrap();
        assert!(told.starts_with(&away(&way.endpoint)), "{told}");
    }
    site.insert(PATIENTS, json!([{"id": "p-2"}])).await.ok();
    let told = site.emulator.flush().await.unwrap_err().to_string();
    assert!(told.contains("does not answer: start it"), "{told}");
    way.open(true);
    site.until_count(PATIENTS, 1).await;
    assert_eq!(
        site.rows(&format!("SELECT id FROM {PATIENTS}")).await,
        json!([["p-2"]])
    );
}

#[tokio::test]
async fn an_address_in_the_open_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        s3: Some(S3::new("http://s3.example.org", "the-id", "the-key")),
        ..Options::new(folder.path())
    };
    let told = Emulator::start(options).await.unwrap_err().to_string();
    assert!(told.contains("use https, or a server on 127.0.0.1"), "{told}");
}

/// The program, with keys in its environment and nothing else of that kind.
fn program(folder: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_databricks-emulator"));
    command
        .arg("--data")
        .arg(folder)
        .args(["--s3-endpoint", endpoint]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_the_keys_from_its_environment_and_says_where_they_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(program(folder.path(), "http://127.0.0.1:9")).await;
    assert!(!ended.status.success());
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        told.contains("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "{told}"
    );
    let Some(server) = Server::shared() else { return };
    let user = server.as_user("user");
    let mut command = program(folder.path(), &user.endpoint);
    command
        .args(["--s3-region", "eu-central-1"])
        .env("AWS_ACCESS_KEY_ID", &user.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &user.secret_access_key)
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut told = String::new();
    while !told.ends_with("# listening\n") && out.read_line(&mut told).unwrap() > 0 {}
    process.kill().unwrap();
    process.wait().unwrap();
    out.read_to_string(&mut told).unwrap();
    for line in [
        format!("export AWS_ENDPOINT_URL={}\n", user.endpoint).as_str(),
        "export AWS_REGION=eu-central-1\n",
        "export AWS_ALLOW_HTTP=true\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert!(!told.contains(&user.secret_access_key), "{told}");
}
