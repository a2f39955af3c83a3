//! A proxy between us and an upstream.

use std::net::IpAddr;

use reqwest::{Proxy, Url};

use crate::{AddressPolicy, RelayError};

/// The proxy at that URL: `http`, `https`, `socks5` or, where the proxy resolves names, `socks5h`; with user and password
/// where it wants them.
///
/// # Errors
/// [`RelayError::Misconfigured`] if it is no such URL or names an address that the policy refuses. The text does not
/// repeat it.
pub(super) fn check_proxy(text: &str, policy: AddressPolicy) -> Result<Proxy, RelayError> {
    let form =
        || RelayError::Misconfigured("the proxy must look like http://host:port or socks5://host:port".to_owned());
    let url = Url::parse(text.trim()).map_err(|_| form())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !is_bare {
        return Err(form());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(form)?;
    // The URL standard leaves hosts of `socks5` as they were written: what is no plain address is taken for a name, and
    // names are judged when they are resolved.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(|address| !policy.allows(address)) {
        return Err(RelayError::Misconfigured(
            "the proxy's address is in a link-local network, which is not allowed here".to_owned(),
        ));
    }
    Proxy::all(url).map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_every_kind_are_taken_and_others_refused_without_repeating_them() {
        let policy = AddressPolicy::default();
        for proxy in
            ["http://127.0.0.1:3128", "https://user:pass@proxy.example", "socks5://h:1080", "socks5h://[::1]:1"]
        {
            check_proxy(proxy, policy).expect(proxy);
        }
        for proxy in
            ["", "secret", "ftp://secret", "http://secret/path", "http://h/?secret", "http://169.254.169.254:80"]
        {
            let error = check_proxy(proxy, policy).unwrap_err();
            assert!(error.code() == "misconfigured" && !error.to_string().contains("secret"), "{proxy}");
        }
        check_proxy("http://169.254.1.1:80", AddressPolicy { allow_link_local: true }).unwrap();
    }
}
