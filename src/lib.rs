//! kubeboot
