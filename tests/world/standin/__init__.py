"""A stand-in for kubeadm, kubelet and the API server, around a real etcd. README.md tells what it keeps to."""
