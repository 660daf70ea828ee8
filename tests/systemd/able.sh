#!/usr/bin/env bash
# Whether a systemd can be PID 1 here: exit code 1 and the kernel's reason if not. Found out by trying.
set -euo pipefail

# A cgroup hierarchy, an overlay and a bridge of one's own, in namespaces that end with this.
try() {
    mount -n -t tmpfs try /mnt
    mkdir /mnt/cgroup /mnt/lower /mnt/upper /mnt/work /mnt/root
    mount -n -t cgroup2 cgroup2 /mnt/cgroup
    mount -n -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work try /mnt/root
    ip link add try type bridge
}

if [ "${1:-}" = try ]; then
    try
else
    exec unshare --mount --net --pid --uts --ipc --cgroup --fork --mount-proc "$0" try
fi
