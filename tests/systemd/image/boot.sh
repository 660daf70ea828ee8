#!/bin/sh
# Gives a machine its root inside fresh mount, PID, UTS, IPC and cgroup namespaces, and becomes its systemd.
#
# usage: boot.sh MACHINE CONSOLE LOWER
#   MACHINE  the machine's folder: upper/ and work/ of its overlay, root/ to mount it on, binds, boot_id; gets pid
#   CONSOLE  the terminal that is /dev/console inside
#   LOWER    the layers below, as overlayfs takes them
#
# `binds` has lines "SOURCE TARGET": what lies outside the overlay, such as the disk that survives a power cut.
set -eu

machine=$1 console=$2 lower=$3
root=$machine/root

# Still the bench's /proc: its number for us is what the bench needs. "read" is the shell itself.
read -r pid _ </proc/self/stat
# At once: who sees the file reads a number.
echo "$pid" >"$machine/pid.new"
mv "$machine/pid.new" "$machine/pid"

mount -n -t overlay -o "lowerdir=$lower,upperdir=$machine/upper,workdir=$machine/work" machine "$root"
mount -n -t proc proc "$root/proc"
# One kernel serves all: no machine may turn its knobs.
mount -n --bind "$root/proc/sys" "$root/proc/sys"
mount -n --bind "$machine/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -n -o remount,bind,ro "$root/proc/sys"
mount -n -t sysfs -o ro sysfs "$root/sys"
# This computer's firmware knows nothing of the instance; if it says something, it is about another one.
[ ! -d "$root/sys/class/dmi/id" ] || mount -n -t tmpfs -o mode=0755 dmi "$root/sys/class/dmi/id"
mount -n -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -n -t tmpfs -o mode=0755 run "$root/run"
mount -n -t tmpfs -o mode=1777 tmp "$root/tmp"

mount -n -t tmpfs -o mode=0755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount -n --bind "/dev/$device" "$root/dev/$device"
done
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -n -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: >"$root/dev/console"
mount -n --bind "$console" "$root/dev/console"

while read -r source target; do
    if [ -d "$source" ]; then
        mkdir -p "$root$target"
    else
        mkdir -p "$(dirname "$root$target")"
        [ -e "$root$target" ] || : >"$root$target"
    fi
    mount -n --bind "$source" "$root$target"
done <"$machine/binds"

mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -n -l /old
exec env -i container=bench PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=false
