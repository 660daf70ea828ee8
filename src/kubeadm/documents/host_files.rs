//! Which files and folders of the machine the documents name. kubeadm checks few of them in advance; if one is missing, the control
//! plane does not start, and that shows only minutes later.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::value::{Flag, flags, list, text};
use super::{CLUSTER, Documents, INIT, JOIN};
use crate::kubeadm::pki::PKI_DIR;

/// One file or folder that the documents name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Its path on the machine.
    pub path: PathBuf,
    /// The field that names it, with the document's kind.
    pub field: String,
    /// What must be there.
    pub expected: Expected,
}

/// What must be at a path before kubeadm starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A unix socket.
    Socket,
    /// A device.
    Device,
    /// Anything at all.
    Anything,
    /// Nothing, because kubelet makes the file; or a file.
    FileOrNothing,
    /// Nothing, because kubelet makes the folder; or a folder.
    FolderOrNothing,
    /// It does not matter what is there: no volume mounts the file into the component's container, so it cannot work.
    NoVolume,
}

/// The argument that names the file with the keys by which secrets in etcd are encrypted.
const ENCRYPTION: &str = "encryption-provider-config";
/// The arguments of a component that name a file of the host.
const API_SERVER_FILES: [&str; 15] = [
    "admission-control-config-file",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authentication-token-webhook-config-file",
    "authorization-config",
    "authorization-policy-file",
    "authorization-webhook-config-file",
    "egress-selector-config-file",
    ENCRYPTION,
    "oidc-ca-file",
    "tls-cert-file",
    "tls-private-key-file",
    "token-auth-file",
    "tracing-config-file",
];
const CONTROLLER_FILES: [&str; 4] =
    ["cloud-config", "cluster-signing-cert-file", "cluster-signing-key-file", "root-ca-file"];
const SCHEDULER_FILES: [&str; 1] = ["config"];
const KUBELET_FILES: [(&str, Expected); 4] = [
    ("image-credential-provider-config", Expected::File),
    ("image-credential-provider-bin-dir", Expected::Folder),
    ("tls-cert-file", Expected::File),
    ("tls-private-key-file", Expected::File),
];
/// Fields of a `KubeletConfiguration` that name a file of the host.
const KUBELET_FIELDS: [(&str, Expected); 5] = [
    ("authentication.x509.clientCAFile", Expected::File),
    ("tlsCertFile", Expected::File),
    ("tlsPrivateKeyFile", Expected::File),
    ("resolvConf", Expected::File),
    ("staticPodPath", Expected::FolderOrNothing),
];
/// Folders that kubeadm mounts into the API server by itself, under the same path.
const MOUNTED: [&str; 7] = [
    PKI_DIR,
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
];

impl Documents {
    /// Every file and folder of the machine that the documents name, except those that kubeadm makes.
    #[must_use]
    pub fn host_files(&self) -> Vec<HostFile> {
        let cluster = self.kubeadm(CLUSTER);
        let mut found = Vec::new();
        for (component, files) in [
            ("apiServer", API_SERVER_FILES.as_slice()),
            ("controllerManager", &CONTROLLER_FILES),
            ("scheduler", &SCHEDULER_FILES),
        ] {
            found.extend(volumes(cluster, component));
            found.extend(arguments(cluster, component, files));
        }
        if let Some(etcd) = self.external_etcd() {
            let file = |path: &Path| host_file(path, format!("{CLUSTER} etcd.external"), Expected::File);
            found.extend(etcd.files().map(file));
        }
        for kind in [INIT, JOIN] {
            found.extend(self.registration(kind));
        }
        found.extend(self.kubelet());
        found.retain(|file| !made_by_kubeadm(&file.path));
        found
    }

    /// The file of the encryption provider configuration, if the documents name one. Every API server must have the same.
    #[must_use]
    pub fn encryption_config(&self) -> Option<PathBuf> {
        let field = format!("apiServer.extraArgs[{ENCRYPTION}]");
        self.host_files().into_iter().find(|file| file.field.ends_with(&field)).map(|file| file.path)
    }

    fn registration(&self, kind: &str) -> Vec<HostFile> {
        let document = self.kubeadm(kind);
        let mut found = Vec::new();
        if let Some(folder) = text(document, "patches.directory") {
            found.push(host_file(folder, format!("{kind} patches.directory"), Expected::Folder));
        }
        if let Some(socket) = text(document, "nodeRegistration.criSocket") {
            let path = socket.strip_prefix("unix://").unwrap_or(socket);
            found.push(host_file(path, format!("{kind} nodeRegistration.criSocket"), Expected::Socket));
        }
        for Flag { name, value, .. } in flags(document, "nodeRegistration.kubeletExtraArgs") {
            if let Some((_, expected)) = KUBELET_FILES.iter().find(|(flag, _)| *flag == name) {
                found.push(host_file(value, format!("{kind} kubeletExtraArgs[{name}]"), *expected));
            }
        }
        found
    }

    fn kubelet(&self) -> Vec<HostFile> {
        let Some(kubelet) = self.all.iter().find(|document| document.kind == "KubeletConfiguration") else {
            return Vec::new();
        };
        let given = KUBELET_FIELDS.iter().filter_map(|(field, expected)| {
            Some(host_file(text(&kubelet.value, field)?, format!("KubeletConfiguration {field}"), *expected))
        });
        given.collect()
    }
}

fn host_file(path: impl AsRef<Path>, field: String, expected: Expected) -> HostFile {
    HostFile { path: path.as_ref().to_owned(), field, expected }
}

/// The extra volumes of a component.
fn volumes(cluster: &Value, component: &str) -> Vec<HostFile> {
    let path = format!("{component}.extraVolumes");
    let volume = |volume| {
        let expected = match text(volume, "pathType").unwrap_or_default() {
            "File" => Expected::File,
            "FileOrCreate" => Expected::FileOrNothing,
            "Directory" => Expected::Folder,
            "DirectoryOrCreate" => Expected::FolderOrNothing,
            "Socket" => Expected::Socket,
            "CharDevice" | "BlockDevice" => Expected::Device,
            // Without a type nothing is checked by kubelet, and a missing path becomes an empty folder in the
            // container.
            _ => Expected::Anything,
        };
        let name = text(volume, "name").unwrap_or_default();
        Some(host_file(text(volume, "hostPath")?, format!("{CLUSTER} {path}[{name}]"), expected))
    };
    list(cluster, &path).iter().filter_map(volume).collect()
}

/// The arguments of a component that name files, as paths of the host: a container sees only what a volume mounts.
fn arguments(cluster: &Value, component: &str, files: &[&str]) -> Vec<HostFile> {
    let volumes = list(cluster, &format!("{component}.extraVolumes"));
    let path = format!("{component}.extraArgs");
    let argument = |Flag { name, value, .. }: Flag<'_>| {
        if !files.contains(&name.as_str()) {
            return None;
        }
        let field = format!("{CLUSTER} {path}[{name}]");
        let outside = volumes.iter().find_map(|volume| {
            let inside = Path::new(value).strip_prefix(text(volume, "mountPath")?).ok()?;
            let outside = Path::new(text(volume, "hostPath")?);
            Some(if inside.as_os_str().is_empty() { outside.to_owned() } else { outside.join(inside) })
        });
        let mounted = MOUNTED.iter().any(|folder| Path::new(value).starts_with(folder));
        Some(match outside {
            Some(outside) => host_file(outside, field, Expected::File),
            None if mounted => host_file(value, field, Expected::File),
            None => host_file(value, field, Expected::NoVolume),
        })
    };
    flags(cluster, &path).filter_map(argument).collect()
}

/// Whether kubeadm makes the file itself, so that it need not be there before.
fn made_by_kubeadm(path: &Path) -> bool {
    let own = ["ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "front-proxy-ca.crt", "sa.key", "sa.pub"];
    own.iter().any(|name| path == Path::new(PKI_DIR).join(name)) || path == Path::new("/etc/kubernetes/manifests")
}
