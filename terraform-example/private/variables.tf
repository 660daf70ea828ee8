# What is said in terraform.tfvars. What has a check there is checked by the module.

variable "region" {
  description = "The Region of everything."
  type        = string
}

variable "cluster_name" {
  description = "The cluster's name. Everything that is made carries it, and it is the folder in the bucket."
  type        = string
}

variable "bucket" {
  description = "The name of the bucket that is made for the cluster record and the CA keys."
  type        = string
}

variable "ami_id" {
  description = "The image of the machines, with kubeboot, containerd, kubelet, kubeadm and the container images of the control plane in it."
  type        = string
}

variable "vpc_cidr" {
  description = "The IPv4 range of the VPC that is made, /16 to /24. Each subnet has a quarter of it."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && can(regex("/(1[6-9]|2[0-4])$", var.vpc_cidr))
    error_message = "The vpc_cidr must be an IPv4 range of /16 to /24, such as 10.0.0.0/16."
  }
}

variable "zones" {
  description = "Three availability zones of the Region, one for each subnet."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == 3 && alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "The zones must be three different ones of the Region, such as eu-central-1a."
  }
}

variable "allow_destroy" {
  description = "Whether terraform may destroy or replace the group, the bucket with all in it, keys and endpoint. It has to be applied first."
  type        = bool
  default     = false
}
