# Machine images for control planes and workers: Ubuntu 24.04 and Amazon Linux 2023, x86_64 and arm64. README.md says how.

packer {
  required_version = ">= 1.9.0"

  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
  }
}

variable "region" {
  description = "The Region in which the images are made."
  type        = string
}

variable "subnet_id" {
  description = "A subnet from which the machines reach the internet: the default VPC's unless given."
  type        = string
  default     = null
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes, of which the newest patch is installed."
  type        = string
  default     = "1.36"

  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version))
    error_message = "The kubernetes_version must be a minor version, such as 1.36."
  }
}

variable "packages" {
  description = "The folder with the packages of kubeboot, for the architectures that are built."
  type        = string
  default     = "target/package"
}

variable "name" {
  description = "What the images' names begin with."
  type        = string
  default     = "kubeboot"
}

variable "iam_instance_profile" {
  description = "An instance profile for Session Manager, by which Packer then reaches the machines. Without one it comes by SSH, from outside."
  type        = string
  default     = null
}

variable "kms_key_id" {
  description = "A KMS key for the images' snapshots. The role that launches machines then needs a grant of it (docs/terraform.md, An encrypted image)."
  type        = string
  default     = null
}

locals {
  made = formatdate("YYYYMMDDhhmm", timestamp())
}

source "amazon-ebs" "image" {
  region               = var.region
  subnet_id            = var.subnet_id
  iam_instance_profile = var.iam_instance_profile
  ssh_interface        = var.iam_instance_profile == null ? null : "session_manager"
  communicator         = "ssh"

  encrypt_boot = var.kms_key_id == null ? null : true
  kms_key_id   = var.kms_key_id

  # Of the machines that are made from the image, too: version 2 of the metadata service alone.
  imds_support = "v2.0"

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  tags = {
    Name       = "${var.name} ${local.made}"
    kubernetes = var.kubernetes_version
  }
}

build {
  name = "kubeboot"

  source "source.amazon-ebs.image" {
    name          = "ubuntu-x86_64"
    ami_name      = "${var.name}-ubuntu-24.04-x86_64-${var.kubernetes_version}-${local.made}"
    instance_type = "m6i.large"
    ssh_username  = "ubuntu"

    source_ami_filter {
      owners      = ["099720109477"]
      most_recent = true
      filters = {
        name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
        virtualization-type = "hvm"
      }
    }
  }

  source "source.amazon-ebs.image" {
    name          = "ubuntu-arm64"
    ami_name      = "${var.name}-ubuntu-24.04-arm64-${var.kubernetes_version}-${local.made}"
    instance_type = "m6g.large"
    ssh_username  = "ubuntu"

    source_ami_filter {
      owners      = ["099720109477"]
      most_recent = true
      filters = {
        name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"
        virtualization-type = "hvm"
      }
    }
  }

  source "source.amazon-ebs.image" {
    name          = "amazon-linux-x86_64"
    ami_name      = "${var.name}-amazon-linux-2023-x86_64-${var.kubernetes_version}-${local.made}"
    instance_type = "m6i.large"
    ssh_username  = "ec2-user"

    source_ami_filter {
      owners      = ["amazon"]
      most_recent = true
      filters = {
        name                = "al2023-ami-2023.*-x86_64"
        virtualization-type = "hvm"
      }
    }
  }

  source "source.amazon-ebs.image" {
    name          = "amazon-linux-arm64"
    ami_name      = "${var.name}-amazon-linux-2023-arm64-${var.kubernetes_version}-${local.made}"
    instance_type = "m6g.large"
    ssh_username  = "ec2-user"

    source_ami_filter {
      owners      = ["amazon"]
      most_recent = true
      filters = {
        name                = "al2023-ami-2023.*-arm64"
        virtualization-type = "hvm"
      }
    }
  }

  provisioner "shell" {
    inline = ["mkdir /tmp/kubeboot-packages", "cloud-init status --wait || true"]
  }

  provisioner "file" {
    source      = "${var.packages}/"
    destination = "/tmp/kubeboot-packages"
  }

  # finish.sh ends with `kubeboot check --image`: an image that is not fit is not made.
  provisioner "shell" {
    scripts = [
      "${path.root}/scripts/kubernetes.sh",
      "${path.root}/scripts/kubeboot.sh",
      "${path.root}/scripts/finish.sh",
    ]
    environment_vars = ["KUBERNETES_VERSION=${var.kubernetes_version}"]
    execute_command  = "sudo env {{ .Vars }} sh '{{ .Path }}'"
  }
}
