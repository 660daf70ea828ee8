#!/bin/sh
# Pulls the images of the control plane, takes away what is this machine's alone, and sees that the image is fit. As root.
set -eu

# A machine then comes up without a registry, and sooner with one.
kubeadm config images pull --kubernetes-version "$(kubeadm version --output short)"

# Nothing of this machine may be on the others: they would share an ID, keys, and who may log in.
for name in admin super-admin controller-manager scheduler kubelet bootstrap-kubelet; do
    rm -f "/etc/kubernetes/$name.conf"
done
rm -rf /etc/kubernetes/pki /var/lib/etcd /var/lib/kubelet/pki /var/lib/kubeboot
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
cloud-init clean --logs
truncate --size=0 /etc/machine-id

kubeboot check --image
