variable "role" {
  description = "The role's name."
  type        = string
}

variable "partition" {
  description = "AWS's partition, as it stands in ARNs."
  type        = string
}

variable "region" {
  description = "The Region of the machines."
  type        = string
}

variable "account" {
  description = "The account of the machines."
  type        = string
}

variable "kubeboot_package_url" {
  description = "Where a package of kubeboot is. Empty if the image has kubeboot."
  type        = string
}

variable "session_manager" {
  description = "Whether Session Manager gives a shell on the machines."
  type        = bool
}

variable "source_dest_check" {
  description = "The setting of that name: off lets a machine change attributes of its own instance."
  type        = string
}

variable "iam_role_additional_policies" {
  description = "More IAM policies for the role: ARNs by names of your own."
  type        = map(string)

  validation {
    condition     = alltrue([for arn in values(var.iam_role_additional_policies) : can(regex("^arn:[a-z-]+:iam::", arn))])
    error_message = "The iam_role_additional_policies must be ARNs of IAM policies."
  }
}
