//! A server that answers every request with the same bytes, to the byte, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the connection goes on after the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is closed, which ends the body properly.
    Closed,
    /// It is closed although more was announced.
    Broken,
    /// It stays open and silent.
    Silent,
}

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// Seconds that a refused client is asked to wait.
    pub(crate) wait: Option<u32>,
}

impl Answer {
    pub(crate) fn stream(body: impl AsRef<[u8]>) -> Self {
        Self {
            status: 200,
            kind: "text/event-stream; charset=utf-8",
            body: body.as_ref().to_vec(),
            end: End::Closed,
            wait: None,
        }
    }

    pub(crate) fn document(body: impl AsRef<[u8]>) -> Self {
        Self { kind: "application/json", ..Self::stream(body) }
    }

    pub(crate) fn refusal(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self { status, ..Self::document(body) }
    }

    pub(crate) fn then(self, end: End) -> Self {
        Self { end, ..self }
    }
}

/// The server; it lives as long as the test's runtime.
pub(crate) struct Upstream {
    pub(crate) base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One request.
struct Asked {
    /// Its first line and its headers.
    head: String,
    body: Value,
}

impl Upstream {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, answer.clone(), Arc::clone(&requests)));
            }
        });
        Self { base_url, asked }
    }

    /// The body of the only request.
    pub(crate) fn asked(&self) -> Value {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "one request was expected");
        asked[0].body.clone()
    }

    /// The first lines and the headers of all requests, names in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.head.clone()).collect()
    }
}

async fn serve(mut connection: TcpStream, answer: Answer, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let head = head.lines().map(|line| match line.split_once(':') {
            Some((name, value)) if !name.contains(' ') => format!("{}:{value}", name.to_ascii_lowercase()),
            _ => line.to_owned(),
        });
        let head = head.collect::<Vec<_>>().join("\n");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let end = at + 4 + length.trim().parse::<usize>().unwrap();
        if bytes.len() >= end {
            break (head, bytes[at + 4..end].to_vec());
        }
    };
    asked.lock().unwrap().push(Asked { head, body: serde_json::from_slice(&body).unwrap_or_default() });
    let Answer { status, kind, body, end, wait } = answer;
    let wait = wait.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let length = if end == End::Broken { format!("content-length: {}\r\n", body.len() + 1) } else { String::new() };
    let head = format!("HTTP/1.1 {status} It\r\ncontent-type: {kind}\r\n{length}{wait}connection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    if end == End::Silent {
        std::future::pending::<()>().await;
    }
}
