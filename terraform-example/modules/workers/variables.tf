# docs/terraform.md has the table of these, which a test compares with this file. The first ones are outputs of
# modules/control-plane, where that is in the same configuration.

variable "name" {
  description = "The name of the group, and of its role, instance profile and launch template."
  type        = string

  # Roles have 64 characters at most.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "The name must be one of at most 63 lower-case letters, digits and '-', beginning with a letter."
  }
}

variable "cluster_name" {
  description = "The cluster's name."
  type        = string
}

variable "bucket" {
  description = "The name of the bucket in which the cluster record is."
  type        = string
}

variable "prefix" {
  description = "The cluster's folder in the bucket, without a '/' at its end. The cluster's name unless given."
  type        = string
  default     = null
}

variable "bucket_kms_key_arn" {
  description = "The KMS key under which the bucket keeps what workers read."
  type        = string
}

variable "security_group_ids" {
  description = "The workers' security groups."
  type        = list(string)
}

variable "subnet_ids" {
  description = "The subnets of the workers."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "The subnet_ids must be subnet IDs."
  }
}

variable "ami_id" {
  description = "The image of the workers, with containerd, kubelet and kubeadm in it."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "The ami_id must be the ID of an image, such as ami-0123456789abcdef0."
  }
}

variable "instance_types" {
  description = "The types of the workers, of the image's architecture. More than one are mixed instances, the first ones first."
  type        = list(string)
  default     = ["m6i.large"]

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for one in var.instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", one))])
    error_message = "The instance_types must be instance types, such as m6i.large."
  }
}

variable "min_size" {
  description = "How many there are at least."
  type        = number
  default     = 1

  validation {
    condition     = var.min_size >= 0 && floor(var.min_size) == var.min_size
    error_message = "The min_size must be a whole number from 0 on."
  }
}

variable "max_size" {
  description = "How many there are at most."
  type        = number
  default     = 3

  validation {
    condition     = var.max_size >= max(1, var.min_size) && floor(var.max_size) == var.max_size
    error_message = "The max_size must be a whole number, 1 or more and not below min_size."
  }
}

variable "spot_percentage" {
  description = "How many of a hundred are Spot instances, beyond on_demand_base."
  type        = number
  default     = 0

  validation {
    condition     = var.spot_percentage >= 0 && var.spot_percentage <= 100 && floor(var.spot_percentage) == var.spot_percentage
    error_message = "The spot_percentage must be a whole number from 0 to 100."
  }
}

variable "on_demand_base" {
  description = "How many are on demand before any is a Spot instance."
  type        = number
  default     = 0

  validation {
    condition     = var.on_demand_base >= 0 && floor(var.on_demand_base) == var.on_demand_base && (var.on_demand_base == 0 || var.spot_percentage > 0)
    error_message = "The on_demand_base must be a whole number from 0 on, and given with a spot_percentage only."
  }
}

variable "volume_size" {
  description = "The disk of a worker (gp3), in GiB."
  type        = number
  default     = 50

  validation {
    condition     = var.volume_size >= 20 && var.volume_size <= 16384 && floor(var.volume_size) == var.volume_size
    error_message = "The volume_size must be a whole number from 20 to 16384 (GiB)."
  }
}

variable "warm_pool" {
  description = "The state in which machines wait in a warm pool, as many as the group may still grow: Stopped, Running or Hibernated. Empty: there is none."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "Stopped", "Running", "Hibernated"], var.warm_pool)
    error_message = "The warm_pool must be Stopped, Running, Hibernated or empty."
  }
}

variable "launch_hook_timeout" {
  description = "Seconds until a worker that kubeboot does not keep in its launch hook any more is given up."
  type        = number
  default     = 1800

  # kubeboot says once a minute that it is at work.
  validation {
    condition     = var.launch_hook_timeout >= 180 && var.launch_hook_timeout <= 7200
    error_message = "The launch_hook_timeout must be 180 to 7200 (seconds)."
  }
}

variable "terminate_hook_timeout" {
  description = "Seconds until a worker whose agent is dead goes without being drained."
  type        = number
  default     = 300

  validation {
    condition     = var.terminate_hook_timeout >= 180 && var.terminate_hook_timeout <= 7200
    error_message = "The terminate_hook_timeout must be 180 to 7200 (seconds)."
  }
}

variable "settings" {
  description = "More settings of kubeboot by their names (docs/workers.md), such as { drain_timeout = \"5m\" }."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "agent_listen",
      "deadline",
      "drain_timeout",
      "log_format",
      "log_level",
      "node_name",
      "rejoin",
      "source_dest_check",
    ])) == 0
    error_message = "The settings must be those of a worker (docs/configuration.md) that have no variable here and do not follow from one."
  }
}

variable "kubeadm_config" {
  description = "kubeadm documents (docs/workers.md) for every worker, as text. No secrets."
  type        = string
  default     = ""

  validation {
    condition     = !strcontains(var.kubeadm_config, "PRIVATE KEY")
    error_message = "The kubeadm_config must hold no keys: whoever may describe launch templates can read it."
  }
}

variable "kubeboot_package_url" {
  description = "Where a package of kubeboot is. Empty if the image has kubeboot."
  type        = string
  default     = ""
}

variable "kubeboot_package_sha256" {
  description = "The package's SHA-256."
  type        = string
  default     = ""
}

variable "start" {
  description = "How cloud-init starts kubeboot: by its unit, or straight from runcmd."
  type        = string
  default     = "unit"
}

variable "pre_bootstrap_commands" {
  description = "Commands of sh that run as root before kubeboot, at the first boot."
  type        = list(string)
  default     = []
}

variable "session_manager" {
  description = "Whether Session Manager gives a shell on the workers."
  type        = bool
  default     = true
}

variable "iam_role_additional_policies" {
  description = "More IAM policies for the role: ARNs by names of your own, such as cni for that of a pod network."
  type        = map(string)
  default     = {}
}

variable "iam_role_permissions_boundary" {
  description = "The ARN of the policy that bounds the role."
  type        = string
  default     = null

  validation {
    condition     = var.iam_role_permissions_boundary == null ? true : can(regex("^arn:[a-z-]+:iam::", var.iam_role_permissions_boundary))
    error_message = "The iam_role_permissions_boundary must be the ARN of an IAM policy."
  }
}

variable "tags" {
  description = "Tags of the group and its machines, such as those by which a cluster autoscaler finds it."
  type        = map(string)
  default     = {}
}
