//! Where the agent listens.

use std::net::SocketAddr;

/// The word that switches it off.
const OFF: &str = "off";

/// `ADDRESS:PORT`, or `off`. A name is refused: it may mean several addresses, and other ones tomorrow.
pub(super) fn parse(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == OFF {
        return Ok(None);
    }
    let address: SocketAddr = text.parse().map_err(|_| refusal(text))?;
    match address.port() {
        0 => Err("port 0 stands for any port, and nobody would know which".to_owned()),
        _ if address.ip().is_multicast() => Err(format!("nobody can listen on {}", address.ip())),
        _ => Ok(Some(address)),
    }
}

fn refusal(text: &str) -> String {
    if let Some((_, rest)) = text.split_once("://") {
        return format!("it is a URL; '{}' would do", rest.trim_end_matches('/'));
    }
    match text.split_once(':') {
        Some(("localhost", port)) => format!("it has a name in place of an address; '127.0.0.1:{port}' would do"),
        Some(("", port)) => format!("it has no address; '127.0.0.1:{port}' would have one"),
        _ => "it is no address with a port".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_port_are_taken_and_so_is_off() {
        for text in ["127.0.0.1:4040", "[::1]:1", "0.0.0.0:65535", "[fd00::1]:9100"] {
            assert_eq!(parse(text).map(|found| found.map(|found| found.to_string())), Ok(Some(text.to_owned())));
        }
        assert_eq!(parse("off"), Ok(None));
    }

    #[test]
    fn everything_else_is_refused_with_what_would_do() {
        for (text, wanted) in [
            ("localhost:4040", "'127.0.0.1:4040' would do"),
            (":4040", "'127.0.0.1:4040' would have one"),
            ("http://127.0.0.1:4040/", "'127.0.0.1:4040' would do"),
            ("127.0.0.1", "no address with a port"),
            ("127.0.0.1:65536", "no address with a port"),
            ("::1:4040", "no address"),
            ("127.0.0.1:0", "port 0"),
            ("224.0.0.1:4040", "nobody can listen"),
            ("OFF", "no address with a port"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
