//! A workspace with its ingest service, in a process of its own, that takes everything and keeps nothing: it answers
//! what a destination asks on its way to the first row, counts rows, and remembers when small requests came.
//!
//! It is this very program, started with an argument. A thread serves each connection and reads each body whole; what is
//! left of the machine is the host's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::subject::COLUMNS;

/// A request that is no larger holds few rows: when it came is remembered.
const SMALL: usize = 16 * 1024;

/// The running sink; it ends with this value.
#[derive(Debug)]
pub(crate) struct Sink {
    child: Child,
    address: String,
}

/// What the sink has counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Requests with rows.
    pub(crate) requests: u64,
    /// Their rows.
    pub(crate) rows: u64,
    /// Their bodies.
    pub(crate) bytes: u64,
    /// Tokens that were fetched.
    pub(crate) tokens: u64,
    /// What its threads have worked.
    pub(crate) worked: Duration,
}

impl Counted {
    /// What was added since.
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            rows: self.rows - before.rows,
            bytes: self.bytes - before.bytes,
            tokens: self.tokens - before.tokens,
            worked: self.worked - before.worked,
        }
    }
}

/// The time that both processes know, since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

impl Sink {
    /// What makes this program a sink.
    pub(crate) const ARGUMENT: &'static str = "--sink";

    /// Starts one.
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(Self::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        Self {
            child,
            address: address.trim_end().to_owned(),
        }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has counted so far.
    pub(crate) fn counted(&self) -> Counted {
        let counted = self.ask("/counted");
        let number = |name: &str| counted[name].as_u64().unwrap();
        Counted {
            requests: number("requests"),
            rows: number("rows"),
            bytes: number("bytes"),
            tokens: number("tokens"),
            worked: Duration::from_millis(number("worked_ms")),
        }
    }

    /// The numbers of the rows `live-NUMBER` that came in small requests, and when.
    pub(crate) fn stamps(&self) -> Vec<(u64, Duration)> {
        serde_json::from_value(self.ask("/stamps")).unwrap()
    }

    fn ask(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // A child that has ended already is what was wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the connections share.
#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    tokens: AtomicU64,
    stamps: Mutex<Vec<(u64, Duration)>>,
}

/// A request's first line and what else of its head matters.
struct Head {
    method: String,
    path: String,
    length: usize,
    is_last: bool,
}

/// Is the sink: prints its address, then serves until whoever started it is gone.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::thread::spawn(|| {
        // The other side writes nothing: this ends when that process does.
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        std::process::exit(0);
    });
    let seen = Arc::new(Seen::default());
    for stream in listener.incoming() {
        let (stream, seen) = (stream.unwrap(), Arc::clone(&seen));
        // A connection that breaks off is the other side's choice.
        std::thread::spawn(move || drop(seen.serve(&stream)));
    }
}

impl Seen {
    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        let mut body = Vec::new();
        while let Some(head) = read_head(&mut reader)? {
            if body.len() < head.length {
                body.resize(head.length, 0);
            }
            reader.read_exact(&mut body[..head.length])?;
            let at = now();
            let (status, answer) = self.answer(&head, &body[..head.length], at);
            let text = answer.to_string();
            let answer = format!(
                "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes())?;
            if head.is_last {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, head: &Head, body: &[u8], at: Duration) -> (u16, Value) {
        let good = |answer| (200, answer);
        match (head.method.as_str(), head.path.as_str()) {
            ("POST", path) if path.starts_with("/zerobus/v1/tables/") => {
                self.count(body, count(body, b"{\"id\":"), at);
                good(json!({}))
            }
            ("POST", "/api/2.0/sql/statements") => good(self.run(body, at)),
            ("POST", "/oidc/v1/token") => {
                let number = self.tokens.fetch_add(1, Ordering::Relaxed) + 1;
                let token = format!("token-{number}");
                good(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
            }
            ("GET", path) if path.starts_with("/api/2.1/unity-catalog/tables/") => {
                let columns = COLUMNS.map(|(name, kind)| json!({ "name": name, "type_text": kind }));
                good(
                    json!({ "table_id": "1", "table_type": "MANAGED", "data_source_format": "DELTA", "columns": columns }),
                )
            }
            ("GET", path) if path.starts_with("/api/2.0/sql/warehouses/") => {
                good(json!({ "state": "RUNNING" }))
            }
            ("PUT", _) => {
                self.count(head.path.as_bytes(), 1, at);
                (201, json!({}))
            }
            ("GET", "/counted") => good(self.counted()),
            ("GET", "/stamps") => good(json!(*self.stamps.lock().unwrap())),
            _ => (404, json!({ "error_code": "NOT_FOUND", "message": "not here" })),
        }
    }

    fn run(&self, body: &[u8], at: Duration) -> Value {
        let is_insert = count(&body[..body.len().min(200)], b"INSERT INTO ") > 0;
        let (columns, rows) = if is_insert {
            let rows = 1 + count(body, b"),(");
            self.count(body, rows, at);
            (vec!["num_affected_rows"], json!([[rows.to_string()]]))
        } else {
            let rows = COLUMNS.map(|(name, kind)| json!([name, kind, "YES"]));
            (vec!["column_name", "full_data_type", "is_nullable"], json!(rows))
        };
        let columns: Vec<Value> = columns.iter().map(|name| json!({ "name": name })).collect();
        json!({
            "statement_id": "1",
            "status": { "state": "SUCCEEDED" },
            "manifest": { "schema": { "columns": columns } },
            "result": { "data_array": rows },
        })
    }

    fn count(&self, body: &[u8], rows: u64, at: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        if body.len() <= SMALL {
            let text = String::from_utf8_lossy(body);
            let numbers = text.split("live-").skip(1).filter_map(|rest| {
                let end = rest.find(|sign: char| !sign.is_ascii_digit());
                rest[..end.unwrap_or(rest.len())].parse().ok()
            });
            self.stamps
                .lock()
                .unwrap()
                .extend(numbers.map(|number| (number, at)));
        }
    }

    fn counted(&self) -> Value {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "requests": number(&self.requests),
            "rows": number(&self.rows),
            "bytes": number(&self.bytes),
            "tokens": number(&self.tokens),
            "worked_ms": worked_ms(),
        })
    }
}

/// How often a text stands in a body. Only where its first byte stands is looked further, so that counting costs little.
fn count(body: &[u8], text: &[u8]) -> u64 {
    let found = body.iter().enumerate().filter(|(_, byte)| **byte == text[0]);
    found.filter(|(at, _)| body[*at..].starts_with(text)).count() as u64
}

/// How long processors have worked for this process, in milliseconds.
fn worked_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // utime and stime are the 12th and 13th fields behind the name, in hundredths of a second.
    let fields = text.rsplit(") ").next().unwrap_or_default().split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    10 * ticks.sum::<u64>()
}

/// The next request's head; none when the other side has closed the connection.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let mut head = Head {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        length: 0,
        is_last: false,
    };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(head));
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.trim().parse().unwrap_or_default(),
            "connection" => head.is_last = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
}
