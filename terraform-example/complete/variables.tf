# What is said in terraform.tfvars. What has a check there is checked by the modules.

variable "region" {
  description = "The Region of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "The region must be the name of an AWS Region, such as eu-central-1."
  }
}

variable "cluster_name" {
  description = "The cluster's name. Everything that is made carries it, and it is the folder in the bucket."
  type        = string
}

variable "bucket" {
  description = "The name of the bucket for the cluster record and the CA keys, which is made unless create_bucket says otherwise."
  type        = string
}

variable "subnet_ids" {
  description = "Three private subnets of one VPC, each in a zone of its own."
  type        = list(string)
}

variable "ami_id" {
  description = "The image of the machines, x86_64 or arm64, with containerd, kubelet and kubeadm in it (docs/getting-started.md)."
  type        = string
}

variable "workers" {
  description = "Groups of workers by their names, such as { workers = { max_size = 10 } } (docs/terraform.md, Workers)."
  type = map(object({
    instance_types                = optional(list(string), ["m6i.large"])
    min_size                      = optional(number, 1)
    max_size                      = optional(number, 3)
    spot_percentage               = optional(number, 0)
    on_demand_base                = optional(number, 0)
    subnet_ids                    = optional(list(string))
    ami_id                        = optional(string)
    volume_size                   = optional(number, 50)
    warm_pool                     = optional(string, "")
    launch_hook_timeout           = optional(number, 1800)
    terminate_hook_timeout        = optional(number, 300)
    settings                      = optional(map(string), {})
    kubeadm_config                = optional(string, "")
    iam_role_additional_policies  = optional(map(string), {})
    iam_role_permissions_boundary = optional(string)
    pre_bootstrap_commands        = optional(list(string), [])
    tags                          = optional(map(string), {})
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.workers) : can(regex("^[a-z0-9-]{1,40}$", name)) && name != "control-plane"])
    error_message = "The workers must have names of at most 40 lower-case letters, digits and '-', and not that of the control plane."
  }
}

variable "kubeadm_config" {
  description = "kubeadm documents (docs/kubeadm.md) for every machine, as text. No secrets: user data is no place for them."
  type        = string
  default     = ""
}

variable "pod_network_ports" {
  description = "What the pod network needs between the machines, workers among them. The default is VXLAN as Cilium and Flannel use it."
  type = list(object({
    protocol  = string
    from_port = number
    to_port   = number
  }))
  default = [{ protocol = "udp", from_port = 8472, to_port = 8472 }]
}

variable "kubeboot_package_url" {
  description = "Where a package of kubeboot (.deb or .rpm) is, s3:// or https://. Empty if the image has kubeboot."
  type        = string
  default     = ""
}

variable "kubeboot_package_sha256" {
  description = "The package's SHA-256, in lower-case hexadecimal. Another package is not installed."
  type        = string
  default     = ""
}

variable "start" {
  description = "How cloud-init starts kubeboot: by its unit, or straight from runcmd."
  type        = string
  default     = "unit"
}

variable "session_manager" {
  description = "Whether Session Manager gives a shell on the machines. Nothing else does: there is no key and no open port."
  type        = bool
  default     = true
}

variable "iam_role_permissions_boundary" {
  description = "The ARN of the policy that bounds the machines' role."
  type        = string
  default     = null
}

variable "allow_destroy" {
  description = "Whether terraform may destroy or replace the group, the bucket with all in it, keys and endpoint. It has to be applied first."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
