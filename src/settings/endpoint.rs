//! The control-plane endpoint.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::shapes;

/// The control-plane endpoint, by which everybody but the nodes themselves reaches the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// A DNS name in lower case or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port, 1 to 65535.
    pub port: u16,
}

impl Endpoint {
    /// Reads `HOST:PORT`, with brackets around an IPv6 address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text)
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match self.ip() {
            Some(IpAddr::V6(_)) => write!(f, "[{host}]:{port}"),
            _ => write!(f, "{host}:{port}"),
        }
    }
}

/// `HOST:PORT`, with brackets around an IPv6 address.
pub(super) fn parse(text: &str) -> Result<Endpoint, String> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("it is a URL; '{}' would do", rest.trim_end_matches('/')));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address needs brackets and a port, such as '[{text}]:6443'"));
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else {
        return Err(format!("it has no port; '{text}:6443' would have one"));
    };
    let port = match port.parse() {
        Ok(port @ 1..) if !port_has_sign(text) => port,
        _ => return Err(format!("'{port}' is no port from 1 to 65535")),
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => address(inner.parse::<Ipv6Addr>().map_err(|_| format!("'{inner}' is no IPv6 address"))?)?,
        None => name_or_ipv4(host)?,
    };
    Ok(Endpoint { host, port })
}

/// Rust's own parser takes `+6443` for a number.
fn port_has_sign(text: &str) -> bool {
    text.contains(":+")
}

fn name_or_ipv4(host: &str) -> Result<String, String> {
    if let Ok(ip) = host.parse::<std::net::Ipv4Addr>() {
        return address(ip);
    }
    // No top-level domain is a number: such a name is a slip in an address.
    if host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("'{host}' is neither an IPv4 address nor a DNS name"));
    }
    shapes::dns_name(host).map_err(|why| format!("'{host}': {why}"))
}

/// An address that one can connect to.
fn address(ip: impl Into<IpAddr>) -> Result<String, String> {
    let ip = ip.into();
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(format!("nobody can be reached at {ip}"));
    }
    Ok(ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_taken_apart_and_put_together() {
        for (text, host, is_ip) in [
            ("api.demo.internal:6443", "api.demo.internal", false),
            ("api:1", "api", false),
            ("10.0.1.10:65535", "10.0.1.10", true),
            ("[fd00::10]:443", "fd00::10", true),
        ] {
            let endpoint = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((endpoint.host.as_str(), endpoint.ip().is_some()), (host, is_ip));
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_would_do() {
        for (text, wanted) in [
            ("api.demo.internal", "'api.demo.internal:6443' would have one"),
            ("https://api:6443/", "'api:6443' would do"),
            ("fd00::10", "'[fd00::10]:6443'"),
            ("[fd00::10]", "no port"),
            ("[fd00::10", "no DNS name"),
            ("[10.0.0.1]:6443", "no IPv6 address"),
            ("api:0", "no port from 1"),
            ("api:65536", "no port from 1"),
            ("api:+6443", "no port from 1"),
            ("api:", "no port from 1"),
            (":6443", "neither"),
            ("10.0.0.256:6443", "neither an IPv4"),
            ("10.0.1:6443", "neither an IPv4"),
            ("0.0.0.0:6443", "nobody can be reached"),
            ("[::]:6443", "nobody can be reached"),
            ("224.0.0.1:6443", "nobody can be reached"),
            ("API.demo.internal:6443", "lower case"),
            ("a_b.internal:6443", "no DNS name"),
            ("api.internal.:6443", "neither"),
            ("a b:6443", "no DNS name"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
