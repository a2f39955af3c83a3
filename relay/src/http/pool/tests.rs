//! Requests to a server that answers as the test says, connection by connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::{Http, Limits};
use super::*;
use crate::AddressPolicy;

const PATIENCE: Duration = Duration::from_secs(5);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

struct Server {
    base: Url,
    connections: Arc<AtomicUsize>,
    requests: UnboundedReceiver<String>,
}

impl Server {
    /// Each connection gets these answers, one for each request, and is closed then.
    async fn answering(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (tell, requests) = unbounded_channel();
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let tell = tell.clone();
                tokio::spawn(async move {
                    for answer in answers {
                        let Some(request) = request(&mut stream).await else { return };
                        let _ = tell.send(request);
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { base, connections, requests }
    }

    fn http(&self) -> Http {
        Http::new(Limits::default(), AddressPolicy::default(), None, &self.base).unwrap()
    }

    async fn ask(&self, http: &Http) -> Result<String, RelayError> {
        let mut response = http.send(post(&self.base), PATIENCE).await?;
        let mut body = vec![];
        while let Some(bytes) = response.chunk().await.map_err(|_| RelayError::UpstreamCut)? {
            body.extend_from_slice(&bytes);
        }
        Ok(String::from_utf8(body).unwrap())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One with the body `{}`.
fn post(base: &Url) -> reqwest::Request {
    let mut request = Http::post(base.clone());
    *request.body_mut() = Some("{}".into());
    request
}

/// A request whose body is `{}`.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = vec![];
    while !read.ends_with(b"{}") {
        read.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(read).ok()
}

#[tokio::test]
async fn requests_one_after_the_other_go_over_one_connection_with_what_http_wants() {
    let mut server = Server::answering(&[OK, OK, OK]).await;
    let http = server.http();
    for _ in 0..3 {
        assert_eq!(server.ask(&http).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 1);
    let request = server.requests.recv().await.unwrap();
    let head = request.to_ascii_lowercase();
    let host = format!("host: 127.0.0.1:{}\r\n", server.base.port().unwrap());
    assert!(head.starts_with("post /v1 http/1.1\r\n") && head.contains(&host), "{request}");
    assert!(head.contains("content-length: 2\r\n") && head.contains("user-agent: oblivious/"), "{request}");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_rested_is_replaced() {
    let server = Server::answering(&[OK]).await;
    let http = server.http();
    for number in 1..=3 {
        assert_eq!(server.ask(&http).await.unwrap(), "ok");
        assert_eq!(server.connections(), number);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_was_written_is_not_sent_again() {
    let mut server = Server::answering(&[OK, ""]).await;
    let http = server.http();
    assert!(server.ask(&http).await.is_ok());
    let error = server.ask(&http).await.unwrap_err();
    assert_eq!(error, RelayError::unavailable("the connection broke before an answer"));
    assert_eq!(server.connections(), 1);
    assert!(server.requests.recv().await.is_some() && server.requests.recv().await.is_some());
    assert!(server.requests.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_cut_and_its_connection_not_used_again() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let answers: &'static [&'static str] = Box::leak(Box::new([cut]));
        let server = Server::answering(answers).await;
        let http = server.http();
        for number in 1..=2 {
            assert_eq!(server.ask(&http).await.unwrap_err(), RelayError::UpstreamCut);
            assert_eq!(server.connections(), number);
        }
    }
}

#[tokio::test]
async fn a_body_comes_in_pieces_with_its_trailers_left_out_and_may_end_with_the_connection() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nx: y\r\n\r\n";
    let answers: &'static [&'static str] =
        Box::leak(Box::new([chunked, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end"]));
    let server = Server::answering(answers).await;
    let http = server.http();
    assert_eq!(server.ask(&http).await.unwrap(), "abcde");
    assert_eq!(server.ask(&http).await.unwrap(), "to the end");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_is_let_go_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let http = Http::new(Limits::default(), AddressPolicy::default(), None, &base).unwrap();
    let asking = http.send(post(&base), PATIENCE);
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
        stream
    };
    let (response, mut stream) = futures::join!(asking, serving);
    let mut response = response.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "a");
    drop(response);
    let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("it is closed");
    assert!(read.is_err());
}

#[tokio::test]
async fn a_body_wakes_the_one_who_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let http = Http::new(Limits::default(), AddressPolicy::default(), None, &base).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            stream.write_all(b"1\r\na\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        stream
    });
    let reading = async {
        let mut response = http.send(post(&base), PATIENCE).await.unwrap();
        let mut pieces = 0;
        while response.chunk().await.unwrap().is_some() {
            pieces += 1;
        }
        pieces
    };
    assert_eq!(tokio::time::timeout(PATIENCE, reading).await.expect("nothing is missed"), 3);
    drop(serving.await.unwrap());
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_from_whoever_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("https://{}/v1", listener.local_addr().unwrap())).unwrap();
    let http = Http::new(Limits::default(), AddressPolicy::default(), None, &base).unwrap();
    let plain = async { listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await };
    let asked = http.send(post(&base), PATIENCE);
    let (answer, _) = tokio::join!(asked, plain);
    let refused = answer.err().unwrap().to_string();
    assert!(refused.contains("does not speak TLS"), "{refused}");
    drop(listener);
}
