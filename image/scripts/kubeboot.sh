#!/bin/sh
# Installs the package of kubeboot for this machine out of /tmp/kubeboot-packages. It enables its units and starts none. As root.
set -eu

packages=/tmp/kubeboot-packages

if command -v dpkg >/dev/null; then
    set -- "$packages"/kubeboot_*_"$(dpkg --print-architecture)".deb
else
    set -- "$packages"/kubeboot-*."$(uname -m)".rpm
fi

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
    echo "kubeboot.sh: one package for this machine is wanted in $packages, and there is: $*" >&2
    exit 1
fi

case $1 in
*.deb) DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install --yes "$1" ;;
*.rpm) dnf install --assumeyes "$1" ;;
esac
rm -rf "$packages"
