# Both roles have these, and here they are checked for both.

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

  validation {
    condition     = var.kubeboot_package_url == "" || can(regex("^(s3|https)://[A-Za-z0-9._~/%+-]+\\.(deb|rpm)$", var.kubeboot_package_url))
    error_message = "The kubeboot_package_url must begin with s3:// or https:// and end with .deb or .rpm."
  }
}

variable "kubeboot_package_sha256" {
  description = "The package's SHA-256."
  type        = string

  validation {
    condition     = var.kubeboot_package_url == "" ? var.kubeboot_package_sha256 == "" : can(regex("^[0-9a-f]{64}$", var.kubeboot_package_sha256))
    error_message = "The kubeboot_package_sha256 must be 64 hexadecimal digits if kubeboot_package_url is set, and empty if it is not."
  }
}

variable "pre_bootstrap_commands" {
  description = "Commands of sh that run as root before kubeboot, at the first boot."
  type        = list(string)

  validation {
    condition     = alltrue([for command in var.pre_bootstrap_commands : trimspace(command) != ""])
    error_message = "The pre_bootstrap_commands must be commands, none of them empty."
  }
}

variable "start" {
  description = "How cloud-init starts kubeboot: unit or runcmd."
  type        = string

  validation {
    condition     = contains(["unit", "runcmd"], var.start)
    error_message = "The start must be unit or runcmd."
  }
}
