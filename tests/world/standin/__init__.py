"""A stand-in for kubeadm, kubelet and the API server, around a real etcd. README.md tells what it keeps to."""

import gc

# Hardly anything here refers to itself in a circle, and most of these programs end within a second.
gc.set_threshold(50_000, 50, 50)
