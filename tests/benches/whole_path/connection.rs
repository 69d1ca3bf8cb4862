//! One kept HTTP connection that costs the machine as little as it can: what is measured is the host, which shares the
//! processors with whoever asks it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection. It panics at the first answer that is no success.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `http://ADDRESS`.
    pub(crate) async fn open(base: &str) -> Self {
        let host = base.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            host,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// A `PUT` of a resource's text to `/fhir/PATH`; answers the version that it made.
    pub(crate) async fn put(&mut self, path: &str, body: &[u8]) -> u64 {
        let mut request = format!(
            "PUT /fhir/{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await.unwrap();
        let head = self.answer().await;
        let is_success = head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 201");
        assert!(is_success, "{head}");
        let version = header(&head, "etag").trim_matches(|sign: char| !sign.is_ascii_digit());
        version.parse().unwrap_or_default()
    }

    /// The head of an answer; its body is read and dropped.
    async fn answer(&mut self) -> String {
        let mut held = 0;
        let end = loop {
            let read = self.stream.read(&mut self.buffer[held..]).await.unwrap();
            assert!(read > 0, "the host closed the connection");
            held += read;
            if let Some(end) = self.buffer[..held]
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let length: usize = header(&head, "content-length").parse().unwrap_or_default();
        let mut missing = (end + length).saturating_sub(held);
        while missing > 0 {
            let most = missing.min(self.buffer.len());
            let read = self.stream.read(&mut self.buffer[..most]).await.unwrap();
            assert!(read > 0, "the host closed the connection");
            missing -= read;
        }
        head
    }
}

/// Runs what asks the host on this thread.
pub(crate) fn block_on<T>(asking: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(asking)
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    line.unwrap_or_default()
}
