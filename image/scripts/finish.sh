#!/bin/sh
# Pulls the images of the control plane, takes away what is this machine's alone, and sees that the image is fit. As root.
set -eu

# A machine then comes up without a registry, and sooner with one.
kubeadm config images pull --kubernetes-version "$(kubeadm version --output short)"

# Nothing of this machine may be on the others: they would share an ID, keys, and who may log in.
rm -rf /etc/kubernetes/pki /etc/kubernetes/*.conf /var/lib/etcd /var/lib/kubelet/pki /var/lib/kubeboot
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
cloud-init clean --logs
truncate --size=0 /etc/machine-id

kubeboot check --image
