"""The figures of kubeboot, measured beside what people use today: `dev/bench`, docs/testing.md."""
