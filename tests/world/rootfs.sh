#!/bin/sh
# Gives a machine its own root inside fresh mount, PID and UTS namespaces, and becomes its init.
#
# usage: rootfs.sh MACHINE PATH... -- INIT...
#   MACHINE  the machine's folder: disk/ survives a power cut, boot_id and pid belong to this boot
#   PATH     what must be visible inside although it lies below a folder that the machine has for itself
#
# /etc, /var/lib and /var/log come from the disk; /run, /tmp, /root and the rest of /var start empty (so that nothing
# of the developer's own, such as AWS credentials, is seen inside); /sys/class holds the firmware's word on the instance and
# nothing else; everything else is the host's. No overlay file system is needed, and nothing on the host is created or changed.
set -eu

machine=$1
shift

# Still the host's /proc: its number for us is what the world needs to know. "read" is the shell itself.
read -r pid _ </proc/self/stat
echo "$pid" >"$machine/pid.new"
mv "$machine/pid.new" "$machine/pid"

# The new root is built over /dev/shm, which exists everywhere and holds nothing that a machine needs.
root=/dev/shm
mount -n -t tmpfs -o mode=0755 machine $root

for entry in /* /.[!.]*; do
    name=${entry#/}
    case $name in
    etc | var | run | tmp | root | proc | dev | lost+found) continue ;;
    esac
    if [ -L "$entry" ]; then
        ln -s "$(readlink "$entry")" "$root/$name"
    elif [ -d "$entry" ]; then
        mkdir "$root/$name"
        mount -n --rbind "$entry" "$root/$name"
    fi
done

mkdir -p $root/etc $root/var/lib $root/var/log $root/var/tmp $root/var/cache $root/run $root/tmp $root/root $root/proc $root/dev/pts $root/dev/shm $root/old
chmod 0700 $root/root
chmod 1777 $root/tmp $root/var/tmp $root/dev/shm
ln -s /run $root/var/run
ln -s /proc/self/fd $root/dev/fd
for device in null zero full random urandom tty; do
    : >$root/dev/$device
    mount -n --bind /dev/$device $root/dev/$device
done
mount -n --rbind /dev/pts $root/dev/pts
for folder in etc var/lib var/log; do
    mount -n --bind "$machine/disk/$folder" "$root/$folder"
done

while [ "$1" != -- ]; do
    if [ ! -e "$root$1" ]; then
        mkdir -p "$root$1"
        mount -n --rbind "$1" "$root$1"
    fi
    shift
done
shift

# The firmware says which instance this is. This computer's own has another opinion, or none.
if [ -d $root/sys/class ]; then
    mount -n -t tmpfs -o mode=0755 class $root/sys/class
    mkdir -p $root/sys/class/dmi/id
    echo "Amazon EC2" >$root/sys/class/dmi/id/sys_vendor
    echo "${machine##*/}" >$root/sys/class/dmi/id/board_asset_tag
fi

mount -n -t proc proc $root/proc
# All machines share one kernel, so each boot gets an ID of its own in the place where programs look.
mount -n --bind "$machine/boot_id" $root/proc/sys/kernel/random/boot_id
# Whether this computer swaps is no affair of its machines.
printf 'Filename\tType\tSize\tUsed\tPriority\n' > "$machine/swaps"
mount -n --bind "$machine/swaps" $root/proc/swaps

cd $root
pivot_root . old
umount -n -l /old
exec "$@"
