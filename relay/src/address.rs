//! Which upstream addresses are allowed: what an operator types must not become a way into the machine's metadata.
//!
//! Loopback and private networks are allowed, because local model servers live there. Link-local networks are not,
//! unless the policy says so: clouds hand out their machines' credentials there. Literal addresses are judged when the
//! configuration is read; names are judged by every address that they resolve to, each time a connection is made, so
//! that a name which changes its meaning later gains nothing. Redirects are not followed anywhere. Behind a proxy of
//! the environment the proxy resolves names, and its rules apply instead.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::RelayError;

/// Metadata services outside of the link-local networks: Amazon's on IPv6, Alibaba's on IPv4.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// What an operator allows beyond the safe default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Link-local addresses and the metadata services of clouds. False unless a model server really lives there.
    pub allow_link_local: bool,
}

impl AddressPolicy {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        self.allow_link_local || !is_link_local(address)
    }
}

/// The base URL of a server that speaks OpenAI's dialect: without a trailing slash, `/v1` added to a bare host.
///
/// # Errors
/// As of [`check_address`].
pub fn check_base_url(text: &str, policy: AddressPolicy) -> Result<Url, RelayError> {
    let mut url = check_address(text, policy)?;
    if url.path() == "/" {
        url.set_path("/v1");
    }
    Ok(url)
}

/// An address of an upstream, without a trailing slash.
///
/// # Errors
/// [`RelayError::Misconfigured`] if it is not an `http` or `https` address, carries a user, a query or a fragment, or
/// names an address that the policy refuses. The text does not repeat it.
pub(crate) fn check_address(text: &str, policy: AddressPolicy) -> Result<Url, RelayError> {
    let wrong = |what: &str| RelayError::Misconfigured(what.to_owned());
    let form = || wrong("the base URL must look like https://host/v1");
    let mut url = Url::parse(text.trim()).map_err(|_| form())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(form());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the base URL must not contain a user or a password; the key has its own field"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the base URL must end with its path, without `?` and `#`"));
    }
    let host = url.host_str().ok_or_else(form)?;
    // Every spelling of an address, such as `0xa9fea9fe`, is in its plain form here: the URL standard says so.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(|address| !policy.allows(address)) {
        return Err(refused());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn refused() -> RelayError {
    RelayError::Misconfigured("its address is in a link-local network, which is not allowed here".to_owned())
}

/// Whether a connection to that address stays on the machine's own link, or reaches a metadata service.
fn is_link_local(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || embedded(v6).is_some_and(|v4| is_link_local(v4.into())),
        }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, or through the well-known prefix of NAT64.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [high @ .., a, b] = v6.segments();
    let translated = high == [0x64, 0xff9b, 0, 0, 0, 0];
    v6.to_ipv4().or_else(|| translated.then(|| Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))))
}

type Lookup = fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// Resolves names for the HTTP client and leaves out what the policy refuses.
#[derive(Clone, Copy)]
pub(crate) struct Resolver {
    policy: AddressPolicy,
    lookup: Lookup,
}

impl Resolver {
    /// A resolver that asks the operating system.
    pub(crate) fn new(policy: AddressPolicy) -> Self {
        Self { policy, lookup: |host| async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) }.boxed() }
    }
}

impl Resolver {
    /// Where a host is that the policy allows.
    ///
    /// # Errors
    /// Why it is refused, if it is; nobody knows that name otherwise.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Option<RelayError>> {
        let found = match host.parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, port)],
            Err(_) => (self.lookup)(host.to_owned()).await.map_err(|_| None)?,
        };
        let allowed = self.allowed(&found).map_err(|LinkLocal| Some(refused()))?;
        Ok(allowed.into_iter().map(|found| SocketAddr::new(found.ip(), port)).collect())
    }

    fn allowed(&self, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, LinkLocal> {
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|found| self.policy.allows(found.ip())).collect();
        if allowed.is_empty() && !found.is_empty() { Err(LinkLocal) } else { Ok(allowed) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = *self;
        Box::pin(async move {
            let found = (resolver.lookup)(name.as_str().to_owned()).await?;
            Ok(Box::new(resolver.allowed(&found)?.into_iter()) as Addrs)
        })
    }
}

/// Every address of a name was refused.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a link-local network")]
struct LinkLocal;

/// What a failed connection means, if the resolver refused it.
pub(crate) fn refusal(error: &reqwest::Error) -> Option<RelayError> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error.is::<LinkLocal>() {
            return Some(refused());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: AddressPolicy = AddressPolicy { allow_link_local: false };

    fn refusal_of(text: &str) -> String {
        let error = check_base_url(text, DEFAULT).expect_err(text);
        assert_eq!(error.code(), "misconfigured");
        error.to_string()
    }

    #[test]
    fn base_urls_of_all_common_forms_become_the_same() {
        for base in
            ["https://host.example/v1", "https://host.example/v1/", "https://host.example", " https://host.example/ "]
        {
            assert_eq!(check_base_url(base, DEFAULT).unwrap().as_str(), "https://host.example/v1");
        }
        assert_eq!(check_base_url("http://h:1/openai/v2//", DEFAULT).unwrap().as_str(), "http://h:1/openai/v2");
    }

    #[test]
    fn what_is_no_plain_http_address_is_refused_without_repeating_it() {
        for base in [
            "",
            "host/v1",
            "file:///etc/secret",
            "ftp://secret@host/v1",
            "gopher://secret/v1",
            "https://secret@host/v1",
            "https://user:secret@host/v1",
            "https://host/v1?key=secret",
            "https://host/v1#secret",
        ] {
            assert!(!refusal_of(base).contains("secret"), "{base}");
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "169.254.0.1:8080",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169。254。169。254",
            "１６９.254.169.254",
            "%31%36%39.254.169.254",
            "[fe80::1]",
            "[FEBF:0::1]:9",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[::169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[fd00:ec2::254]",
            "100.100.100.200",
        ] {
            assert!(refusal_of(&format!("http://{host}/v1")).contains("link-local"), "{host}");
        }
        assert!(check_base_url("http://[fe80::1%25eth0]/v1", DEFAULT).is_err(), "a zone is no part of a URL");
    }

    #[test]
    fn loopback_and_private_networks_are_where_local_servers_live() {
        for host in ["localhost:11434", "127.0.0.1", "[::1]", "10.1.2.3", "192.168.1.2", "172.17.0.1", "[fd12::1]"] {
            check_base_url(&format!("http://{host}/v1"), DEFAULT).expect(host);
        }
    }

    #[test]
    fn an_operator_may_allow_link_local_addresses() {
        let policy = AddressPolicy { allow_link_local: true };
        check_base_url("http://169.254.1.1:8000", policy).unwrap();
        assert!(check_base_url("ftp://169.254.1.1", policy).is_err());
    }

    /// A client for which every name leads to what `lookup` says.
    async fn connect(lookup: Lookup, policy: AddressPolicy, port: u16) -> Result<(), reqwest::Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Resolver { policy, lookup }).build()?;
        client.get(format!("http://upstream.example:{port}/")).send().await.map(drop)
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_link_local_address_is_refused_at_connect_time() {
        let lookup: Lookup = |_| async { Ok(vec![SocketAddr::from(([169, 254, 169, 254], 0))]) }.boxed();
        let error = connect(lookup, DEFAULT, 80).await.unwrap_err();
        assert_eq!(refusal(&error), Some(refused()));
    }

    #[tokio::test]
    async fn of_several_addresses_only_the_allowed_ones_are_tried() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lookup: Lookup = |_| {
            let addresses: [IpAddr; 2] = [Ipv4Addr::new(169, 254, 169, 254).into(), Ipv4Addr::LOCALHOST.into()];
            async move { Ok(addresses.map(|address| SocketAddr::new(address, 0)).to_vec()) }.boxed()
        };
        let server = tokio::spawn(async move { drop(listener.accept().await) });
        let error = connect(lookup, DEFAULT, port).await.unwrap_err();
        assert_eq!(refusal(&error), None, "it connected, and the server hung up");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_no_refusal() {
        let lookup: Lookup = |_| async { Err(io::Error::other("no such name")) }.boxed();
        assert_eq!(refusal(&connect(lookup, DEFAULT, 80).await.unwrap_err()), None);
    }
}
