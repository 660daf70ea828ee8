#!/usr/bin/env bash
# Makes the Debian roots that the machines of this bench boot, below the cache; quick when they are there already.
#
# usage: roots.sh [--vm] NAME...   prints "NAME FOLDER" for each
#
# --vm makes a root with a kernel, for a virtual machine: NAME is then bookworm or trixie all the same.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../dev/lib.sh"

# What a machine of a cluster has: D-Bus and logind, a network service that takes the network down when it stops, and a
# resolver that is a service. Python runs the stand-ins.
packages=systemd,systemd-sysv,dbus,libpam-systemd,iproute2,ifupdown,systemd-resolved,libnss-resolve,ca-certificates,python3
requirements=$here/../world/requirements.txt
kernel=linux-image-cloud-amd64,initramfs-tools,udev,kmod,kexec-tools,zstd
mirror=${KUBEBOOT_DEBIAN_MIRROR:-http://deb.debian.org/debian}

main() {
    local kind=machine name made=()
    if [ "${1:-}" = --vm ]; then
        kind=vm
        shift
    fi
    for name; do
        make "$kind" "$name" &
        made+=($!)
    done
    for name in "${made[@]}"; do
        wait "$name"
    done
}

make() {
    local kind=$1 name=$2 root wanted=$packages
    [ "$kind" = machine ] || wanted=$packages,$kernel
    # A change of this file makes new roots.
    root=$cache/systemd/$kind-$name-$(cat "${BASH_SOURCE[0]}" "$requirements" | sha256sum | cut -c 1-12)
    [ -d "$root" ] || make_root
    # Says when it was used last, see below.
    touch "$root"
    echo "$name $root"
}

# With the variables of `make`.
make_root() {
    mkdir -p "$cache/systemd"
    # Two runs at once take turns; half a root is never taken for a whole one.
    exec 9>"$cache/systemd/$kind-$name.lock"
    flock 9
    [ ! -d "$root" ] || return 0
    echo "making a root of Debian $name (1 to 2 minutes)" >&2
    rm -rf "$root.part"
    mmdebstrap --quiet --variant=minbase --include="$wanted" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Acquire::Retries "3"' \
        "$name" "$root.part" "$mirror" >&2
    python_packages "$root.part"
    mv "$root.part" "$root"
    # Those of other versions of this file, once nobody has used them for a day.
    find "$cache/systemd" -maxdepth 1 -name "$kind-$name-*" ! -name "*.part" -type d -mtime +0 -exec rm -rf {} +
    exec 9>&-
}

# What the stand-ins import, in the versions of the emulated world: Debian's are too old in bookworm.
python_packages() {
    local root=$1 version
    local wheels
    version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mapfile -t wheels < <(grep -E '^(cryptography|cffi|pycparser|PyYAML)==' "$requirements")
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version "$version" --implementation cp --platform "manylinux2014_$(uname -m)" \
        --platform "manylinux_2_28_$(uname -m)" --platform "manylinux_2_34_$(uname -m)" \
        --target "$root/usr/lib/python3/dist-packages" "${wheels[@]}" >&2
}

main "$@"
