variable "settings" {
  description = "The settings of kubeboot by their names."
  type        = any
}

variable "kubeadm_config" {
  description = "kubeadm documents as text, or nothing."
  type        = string
}

variable "kubeboot_package_url" {
  description = "Where a package of kubeboot is. Empty if the image has kubeboot."
  type        = string
}

variable "kubeboot_package_sha256" {
  description = "The package's SHA-256."
  type        = string
}

variable "start" {
  description = "How cloud-init starts kubeboot: unit or runcmd."
  type        = string
}
