#!/bin/sh
# What Kubernetes wants of a machine, a container runtime, and kubelet, kubeadm, kubectl and crictl of KUBERNETES_VERSION (such as
# 1.36): on Ubuntu and Debian, and on Amazon Linux 2023. As root.
#
# Mirrors: KUBERNETES_REPOSITORY stands for https://pkgs.k8s.io/core:/stable:/vVERSION, DOCKER_REPOSITORY for
# https://download.docker.com/linux/DISTRIBUTION.
set -eu

version=${KUBERNETES_VERSION:?the minor version, such as 1.36}
kubernetes=${KUBERNETES_REPOSITORY:-https://pkgs.k8s.io/core:/stable:/v$version}

main() {
    # shellcheck source=/dev/null
    . /etc/os-release
    kernel
    case $ID in
    ubuntu | debian) with_apt ;;
    amzn) with_dnf ;;
    *) fail "no way is known to install on '$ID': docs/operating-systems.md says what it takes" ;;
    esac
    runtime
    systemctl enable containerd.service kubelet.service
}

fail() {
    echo "kubernetes.sh: $1" >&2
    exit 1
}

# At every boot, and now, for what the image is checked by.
kernel() {
    printf 'overlay\nbr_netfilter\n' >/etc/modules-load.d/kubernetes.conf
    printf 'net.ipv4.ip_forward = 1\n' >/etc/sysctl.d/kubernetes.conf
}

# containerd 2 is Docker's: Ubuntu's own is older, and Kubernetes 1.36 wants no older one.
with_apt() {
    docker=${DOCKER_REPOSITORY:-https://download.docker.com/linux/$ID}
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p /etc/apt/keyrings
    fetch "$docker/gpg" /etc/apt/keyrings/docker.asc
    fetch "$kubernetes/deb/Release.key" /etc/apt/keyrings/kubernetes.asc
    echo "deb [signed-by=/etc/apt/keyrings/docker.asc] $docker $VERSION_CODENAME stable" >/etc/apt/sources.list.d/docker.list
    echo "deb [signed-by=/etc/apt/keyrings/kubernetes.asc] $kubernetes/deb/ /" >/etc/apt/sources.list.d/kubernetes.list
    apt-get update
    # Unattended upgrades may have dpkg's lock.
    apt-get -o DPkg::Lock::Timeout=600 install --yes containerd.io kubelet kubeadm kubectl cri-tools
    # An upgrade is another image.
    apt-mark hold containerd.io kubelet kubeadm kubectl
}

with_dnf() {
    cat >/etc/yum.repos.d/kubernetes.repo <<EOF
[kubernetes]
name=Kubernetes
baseurl=$kubernetes/rpm/
enabled=1
gpgcheck=1
gpgkey=$kubernetes/rpm/repodata/repomd.xml.key
exclude=kubelet kubeadm kubectl cri-tools kubernetes-cni
EOF
    dnf install --assumeyes containerd
    dnf install --assumeyes --disableexcludes=kubernetes kubelet kubeadm kubectl cri-tools
}

# With systemd's cgroups, as kubeadm tells kubelet.
runtime() {
    case $(containerd --version) in
    *" v2."* | *" 2."*) ;;
    *) fail "Kubernetes 1.36 wants containerd 2, and this is $(containerd --version)" ;;
    esac
    mkdir -p /etc/containerd
    containerd config default | sed 's/SystemdCgroup = false/SystemdCgroup = true/' >/etc/containerd/config.toml
    grep -q 'SystemdCgroup = true' /etc/containerd/config.toml || fail "containerd's settings have no SystemdCgroup"
    systemctl restart containerd.service
}

fetch() {
    curl --fail --silent --show-error --location --retry 5 --output "$2" "$1"
}

main
