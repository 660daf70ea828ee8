//! Whether this machine's kubelet says of itself that it is well.

use crate::host::files;
use crate::kube::kubelet_answers;
use crate::kubeadm::documents::yaml;
use std::net::IpAddr;
use std::path::Path;

/// kubelet's configuration, which kubeadm has written.
const CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// The largest that is read, in bytes.
const LIMIT: u64 = 256 * 1024;
/// Where kubelet answers unless its configuration says otherwise.
const DEFAULT_PORT: u16 = 10248;
/// This machine itself.
const HERE: &str = "localhost";

/// Whether kubelet answers; `None` where its configuration lets it tell nobody.
pub async fn answers() -> Option<bool> {
    let text = files::read_if_there(Path::new(CONFIG), LIMIT).ok().flatten().unwrap_or_default();
    let (host, port) = place(&String::from_utf8_lossy(&text))?;
    Some(kubelet_answers(&host, port).await)
}

/// Where kubelet answers, by its configuration.
fn place(config: &str) -> Option<(String, u16)> {
    let config = yaml(config).unwrap_or_default();
    let port = match config.get("healthzPort") {
        None => DEFAULT_PORT,
        Some(port) => port.as_u64().and_then(|port| port.try_into().ok()).unwrap_or(DEFAULT_PORT),
    };
    let given = config.get("healthzBindAddress").and_then(|address| address.as_str()?.parse::<IpAddr>().ok());
    let other = given.filter(|address| !address.is_unspecified() && !address.is_loopback());
    (port > 0).then(|| (other.map_or_else(|| HERE.to_owned(), |address| address.to_string()), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelet_is_asked_where_its_configuration_says() {
        let here = |port| Some((HERE.to_owned(), port));
        let rows = [
            ("", here(10248)),
            ("kind: KubeletConfiguration\nhealthzBindAddress: 127.0.0.1\nhealthzPort: 10248\n", here(10248)),
            ("healthzBindAddress: 0.0.0.0\nhealthzPort: 11111\n", here(11111)),
            ("healthzBindAddress: 10.0.0.1\n", Some(("10.0.0.1".to_owned(), 10248))),
            ("healthzPort: 0\n", None),
            ("healthzPort: 99999999\n", here(10248)),
            ("[", here(10248)),
        ];
        for (config, expected) in rows {
            assert_eq!(place(config), expected, "{config}");
        }
    }
}
