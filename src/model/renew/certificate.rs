//! The certificates that kubeadm makes for a control-plane machine, beside its authorities.

use std::fmt;

/// kubelet's own client certificate and its key. kubelet renews it itself, for as long as it is valid.
pub const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// Who signs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// That of the cluster.
    Cluster,
    /// That of the front proxy.
    FrontProxy,
    /// That of etcd.
    Etcd,
}

impl Authority {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::FrontProxy, Self::Etcd];

    /// Its key: without it nothing can be signed on this machine.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Cluster => "/etc/kubernetes/pki/ca.key",
            Self::FrontProxy => "/etc/kubernetes/pki/front-proxy-ca.key",
            Self::Etcd => "/etc/kubernetes/pki/etcd/ca.key",
        }
    }
}

/// A program that reads its kubeconfig only when it starts. etcd and the API server read their certificates again by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartedProgram {
    /// The controller manager.
    ControllerManager,
    /// The scheduler.
    Scheduler,
}

impl RestartedProgram {
    /// Both, in the order in which they are restarted.
    pub const ALL: [Self; 2] = [Self::ControllerManager, Self::Scheduler];

    /// The name of its container.
    #[must_use]
    pub const fn container(self) -> &'static str {
        match self {
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }

    /// The certificate that it reads.
    #[must_use]
    pub const fn certificate(self) -> KubeadmCertificate {
        match self {
            Self::ControllerManager => KubeadmCertificate::ControllerManagerConf,
            Self::Scheduler => KubeadmCertificate::SchedulerConf,
        }
    }
}

impl fmt::Display for RestartedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.container())
    }
}

/// One line for each certificate, so that no list of them can lack one.
macro_rules! certificates {
    ($($(#[$doc:meta])+ $certificate:ident = $name:literal, $file:literal, $authority:ident;)+) => {
        /// A certificate that `kubeadm certs renew` renews.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum KubeadmCertificate {
            $($(#[$doc])+ $certificate,)+
        }

        impl KubeadmCertificate {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$certificate,)+];

            /// Its name for `kubeadm certs renew`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$certificate => $name,)+
                }
            }

            /// Its file, or the kubeconfig that it is in.
            #[must_use]
            pub const fn file(self) -> &'static str {
                match self {
                    $(Self::$certificate => $file,)+
                }
            }

            /// Who signs it.
            #[must_use]
            pub const fn authority(self) -> Authority {
                match self {
                    $(Self::$certificate => Authority::$authority,)+
                }
            }
        }
    };
}

certificates! {
    /// What the API server shows to its clients.
    ApiServer = "apiserver", "/etc/kubernetes/pki/apiserver.crt", Cluster;
    /// What the API server shows to kubelets.
    ApiServerKubeletClient = "apiserver-kubelet-client", "/etc/kubernetes/pki/apiserver-kubelet-client.crt", Cluster;
    /// What the API server shows to etcd.
    ApiServerEtcdClient = "apiserver-etcd-client", "/etc/kubernetes/pki/apiserver-etcd-client.crt", Etcd;
    /// What the API server shows to extension API servers.
    FrontProxyClient = "front-proxy-client", "/etc/kubernetes/pki/front-proxy-client.crt", FrontProxy;
    /// What etcd shows to its clients.
    EtcdServer = "etcd-server", "/etc/kubernetes/pki/etcd/server.crt", Etcd;
    /// What etcd shows to other members.
    EtcdPeer = "etcd-peer", "/etc/kubernetes/pki/etcd/peer.crt", Etcd;
    /// What etcd's health is asked with, also by kubeboot.
    EtcdHealthcheckClient = "etcd-healthcheck-client", "/etc/kubernetes/pki/etcd/healthcheck-client.crt", Etcd;
    /// The administrator's kubeconfig.
    AdminConf = "admin.conf", "/etc/kubernetes/admin.conf", Cluster;
    /// The kubeconfig that no access rule binds; only the machine that initialised has it.
    SuperAdminConf = "super-admin.conf", "/etc/kubernetes/super-admin.conf", Cluster;
    /// The controller manager's kubeconfig.
    ControllerManagerConf = "controller-manager.conf", "/etc/kubernetes/controller-manager.conf", Cluster;
    /// The scheduler's kubeconfig.
    SchedulerConf = "scheduler.conf", "/etc/kubernetes/scheduler.conf", Cluster;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_the_names_say() {
        for certificate in KubeadmCertificate::ALL {
            let name = certificate.name();
            let file = match name.strip_prefix("etcd-") {
                _ if name.ends_with(".conf") => format!("/etc/kubernetes/{name}"),
                Some(of_etcd) => format!("/etc/kubernetes/pki/etcd/{of_etcd}.crt"),
                None => format!("/etc/kubernetes/pki/{name}.crt"),
            };
            assert_eq!(certificate.file(), file);
            let of_etcd = name.contains("etcd");
            assert_eq!(certificate.authority() == Authority::Etcd, of_etcd, "{name}");
        }
        for program in RestartedProgram::ALL {
            let short = program.container().trim_start_matches("kube-");
            assert_eq!(program.certificate().name(), format!("{short}.conf"));
        }
    }
}
