"""The bench that proves `kubeboot reset` on real systemd; README.md says how it works."""
