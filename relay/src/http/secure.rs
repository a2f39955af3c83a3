//! Requests over TLS to its end: to a server whose authority is known, and to those that cannot prove who they are.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const AUTHORITY: &[u8] = include_bytes!("secure/authority.der");
const SERVER: &[u8] = include_bytes!("secure/server.der");
const SERVER_KEY: &[u8] = include_bytes!("secure/server-key.der");

/// A server at `localhost` that answers two requests over its first connection, and tells which protocol was agreed upon
/// and what was asked.
async fn server() -> (u16, tokio::task::JoinHandle<Option<(Vec<u8>, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(SERVER_KEY));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![CertificateDer::from(SERVER)], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.ok()?;
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?;
        let mut asked = String::new();
        for _ in 0..2 {
            let mut request = vec![];
            while !request.ends_with(b"{}") {
                request.push(stream.read_u8().await.ok()?);
            }
            asked.push_str(&String::from_utf8_lossy(&request));
            let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nall\r\n6\r\n of it\r\n0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        Some((stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec(), asked))
    });
    (port, serving)
}

/// Whoever trusts only that authority, if any.
fn http(authority: Option<&'static [u8]>) -> Http {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority.map(CertificateDer::from));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    Http::direct(Limits::default(), AddressPolicy::default(), config.with_no_client_auth())
}

async fn ask(http: &Http, url: &str) -> Result<String, RelayError> {
    let mut request = Http::post(Url::parse(url).unwrap());
    *request.body_mut() = Some("{}".into());
    read_body(http.send(request, PATIENCE).await?).await
}

#[tokio::test]
async fn answers_of_a_trusted_server_come_to_their_end_over_one_connection_in_the_protocol_that_we_speak() {
    let (port, serving) = server().await;
    let http = http(Some(AUTHORITY));
    for _ in 0..2 {
        assert_eq!(ask(&http, &format!("https://localhost:{port}/v1")).await.unwrap(), "all of it");
    }
    let (protocol, asked) = serving.await.unwrap().expect("both over one connection");
    assert_eq!(protocol, b"http/1.1");
    assert_eq!(asked.matches("POST /v1 HTTP/1.1\r\n").count(), 2, "{asked}");
    assert!(asked.contains(&format!("host: localhost:{port}\r\n")), "{asked}");
}

#[tokio::test]
async fn nothing_is_asked_of_a_server_that_nobody_vouches_for_or_that_has_another_name() {
    for (authority, host) in [(None, "localhost"), (Some(AUTHORITY), "127.0.0.1")] {
        let (port, serving) = server().await;
        let refused = ask(&http(authority), &format!("https://{host}:{port}/v1")).await.unwrap_err().to_string();
        assert!(refused.contains("certificate is not trusted"), "{refused}");
        assert_eq!(serving.await.unwrap(), None, "nothing was sent");
    }
}
