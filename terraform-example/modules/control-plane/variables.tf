# Each variable, its default and what it is good for: docs/terraform.md, which a test compares with this file.

variable "cluster_name" {
  description = "The cluster's name. Everything that is made carries it, and it is the folder in the bucket."
  type        = string

  # Load balancers have the shortest names: 32 characters, "-control-plane" among them.
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,16}[a-z0-9])?$", var.cluster_name)) && !strcontains(var.cluster_name, "--")
    error_message = "The cluster_name must be one of at most 18 lower-case letters, digits and single '-', beginning with a letter."
  }
}

variable "bucket" {
  description = "The name of the bucket for the cluster record and the CA keys, which is made unless create_bucket says otherwise."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "The bucket must be a name of 3 to 63 lower-case letters, digits and '-'."
  }
}

variable "create_bucket" {
  description = "Whether the bucket is made. One that is there stays as it is (docs/terraform.md, What you bring)."
  type        = bool
  default     = true
}

variable "kms_key_arns" {
  description = "KMS keys that there are already, by what they are for: bucket, pki, volumes, snapshots. What is not among them is made."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.kms_key_arns), ["bucket", "pki", "volumes", "snapshots"])) == 0
    error_message = "The kms_key_arns must be for bucket, pki, volumes or snapshots."
  }

  validation {
    condition     = alltrue([for arn in values(var.kms_key_arns) : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$", arn))])
    error_message = "The kms_key_arns must be ARNs of keys, and of no aliases."
  }

  validation {
    condition     = var.create_bucket || contains(keys(var.kms_key_arns), "bucket")
    error_message = "The kms_key_arns must name the key under which a bucket that is there keeps its objects, as bucket."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets. It has DNS support and DNS host names."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "The vpc_id must be the ID of a VPC, such as vpc-0a1b2c3d4e5f60000."
  }
}

variable "subnet_ids" {
  description = "Three private subnets of one VPC, each in a zone of its own."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) == 3 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "The subnet_ids must be three different subnet IDs."
  }
}

variable "ami_id" {
  description = "The image of the machines, x86_64 or arm64, with containerd, kubelet and kubeadm in it (docs/getting-started.md)."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "The ami_id must be the ID of an image, such as ami-0123456789abcdef0."
  }
}

variable "instance_count" {
  description = "How many machines. Three can lose one of them, five can lose two."
  type        = number
  default     = 3

  validation {
    condition     = contains([3, 5], var.instance_count)
    error_message = "The instance_count must be 3 or 5."
  }
}

variable "instance_type" {
  description = "The type of the machines, of the image's architecture: m6g.large, for one, is arm64."
  type        = string
  default     = "m6i.large"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "The instance_type must be an instance type, such as m6i.large."
  }
}

variable "additional_security_group_ids" {
  description = "More security groups of the machines."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.additional_security_group_ids : startswith(id, "sg-")])
    error_message = "The additional_security_group_ids must be IDs of security groups."
  }
}

variable "root_volume" {
  description = "The disk of a machine (gp3), on which etcd lives: size in GiB (50), iops (3000), throughput in MiB/s (125)."
  type = object({
    size       = optional(number, 50)
    iops       = optional(number, 3000)
    throughput = optional(number, 125)
  })
  default = {}

  validation {
    condition     = var.root_volume.size >= 20 && var.root_volume.size <= 16384
    error_message = "The root_volume's size must be 20 to 16384 (GiB)."
  }

  validation {
    condition     = var.root_volume.iops >= 3000 && var.root_volume.iops <= 16000
    error_message = "The root_volume's iops must be 3000 to 16000."
  }

  validation {
    condition     = var.root_volume.throughput >= 125 && var.root_volume.throughput <= 1000
    error_message = "The root_volume's throughput must be 125 to 1000 (MiB/s)."
  }

  # What EC2 would refuse at each launch, and not when the launch template is made.
  validation {
    condition     = var.root_volume.iops <= 500 * var.root_volume.size && var.root_volume.throughput <= var.root_volume.iops / 4
    error_message = "The root_volume must have at most 500 iops for each GiB, and at most 0.25 MiB/s of throughput for each of them."
  }

  validation {
    condition     = alltrue([for number in values(var.root_volume) : floor(number) == number])
    error_message = "The root_volume must be of whole numbers."
  }
}

variable "refresh" {
  description = "Who replaces machines that are out of date: nobody but you (manual), or every apply that changes them (auto)."
  type        = string
  default     = "manual"

  validation {
    condition     = contains(["manual", "auto"], var.refresh)
    error_message = "The refresh must be manual or auto."
  }
}

variable "zone_name" {
  description = "The name of the private DNS zone for the VPC: CLUSTER.internal unless given. The endpoint is api.ZONE:6443."
  type        = string
  default     = null

  validation {
    condition     = var.zone_name == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.zone_name))
    error_message = "The zone_name must be a DNS name in lower case, such as demo.internal."
  }
}

variable "create_zone" {
  description = "Whether the private DNS zone is made."
  type        = bool
  default     = true
}

variable "zone_id" {
  description = "A zone that is there already, in place of one that is made: with zone_name, and without create_zone only."
  type        = string
  default     = null

  validation {
    condition     = var.create_zone == (var.zone_id == null) && (var.create_zone || var.zone_name != null)
    error_message = "The zone_id must be given with zone_name where create_zone is false, and only there."
  }
}

variable "create_load_balancer" {
  description = "Whether a load balancer and its name are made. Without, the endpoint is the one that cluster_endpoint names."
  type        = bool
  default     = true
}

variable "cluster_endpoint" {
  description = "The endpoint of your own, host:port, where create_load_balancer is false."
  type        = string
  default     = null

  validation {
    condition     = var.create_load_balancer ? var.cluster_endpoint == null : can(regex("^[a-z0-9][a-z0-9.-]*:[1-9][0-9]{0,4}$", var.cluster_endpoint))
    error_message = "The cluster_endpoint must be a name and a port, such as api.demo.example.com:6443, where create_load_balancer is false, and only there."
  }
}

variable "target_group_arns" {
  description = "More target groups for the machines: those of a load balancer of your own."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.target_group_arns : can(regex("^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/", arn))])
    error_message = "The target_group_arns must be ARNs of target groups."
  }
}

variable "health_check" {
  description = "What the load balancer asks a machine: https asks /readyz, tcp only whether the port is open (for anonymous-auth=false)."
  type        = string
  default     = "https"

  validation {
    condition     = contains(["https", "tcp"], var.health_check)
    error_message = "The health_check must be https or tcp."
  }
}

variable "allowed_cidr_blocks" {
  description = "Who may reach the endpoint besides the machines and workers, by IPv4 ranges."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidr_blocks : can(cidrnetmask(cidr))])
    error_message = "The allowed_cidr_blocks must be IPv4 ranges, such as 10.0.0.0/16."
  }

  # By these alone the machines themselves reach an endpoint that is not made here.
  validation {
    condition     = var.create_load_balancer || length(var.allowed_cidr_blocks) > 0
    error_message = "The allowed_cidr_blocks must name the ranges of the endpoint and of its clients where create_load_balancer is false."
  }
}

variable "pod_network_ports" {
  description = "What the pod network needs between the machines, workers among them. The default is VXLAN as Cilium and Flannel use it."
  type = list(object({
    protocol  = string
    from_port = number
    to_port   = number
  }))
  default = [{ protocol = "udp", from_port = 8472, to_port = 8472 }]

  validation {
    condition     = alltrue([for rule in var.pod_network_ports : contains(["tcp", "udp"], rule.protocol)])
    error_message = "The protocol of pod_network_ports must be tcp or udp."
  }

  # etcd and the kubelet have rules of their own, so that nobody opens them to others by widening these.
  validation {
    condition = alltrue([
      for rule in var.pod_network_ports : rule.from_port >= 1 && rule.from_port <= rule.to_port && rule.to_port <= 65535
    ])
    error_message = "The ports of pod_network_ports must be 1 to 65535, from_port not above to_port."
  }
}

variable "webhook_ports" {
  description = "The TCP ports on which webhooks and aggregated API servers run on workers, where the API servers reach them by the machines' own addresses."
  type        = list(number)
  default     = []

  validation {
    condition     = alltrue([for port in var.webhook_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "The webhook_ports must be whole numbers from 1 to 65535."
  }
}

variable "settings" {
  description = "More settings of kubeboot by their names (docs/configuration.md), such as { claim_ttl = \"90s\" }."
  type        = any
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "agent_listen",
      "claim_stagger",
      "claim_ttl",
      "cloud_provider",
      "deadline",
      "extra_shared_files",
      "gone_grace",
      "init_attempts",
      "launch_hook_on_failure",
      "lease_ttl",
      "leave_budget",
      "log_format",
      "log_level",
      "node_name",
      "prefetch",
      "renew_before",
      "server_side_encryption",
      "settle_timeout",
      "source_dest_check",
      "unhealthy_after",
      "workers",
    ])) == 0
    error_message = "The settings must be those of kubeboot (docs/configuration.md) that have no variable here and do not follow from one."
  }
}

variable "kubernetes_upgrade" {
  description = "Whether machines of a newer image upgrade Kubernetes when the group is refreshed (docs/upgrading.md): by-image, or off."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "by-image"], var.kubernetes_upgrade)
    error_message = "The kubernetes_upgrade must be off or by-image."
  }
}

variable "kubeadm_config" {
  description = "kubeadm documents (docs/kubeadm.md) for every machine, as text. No secrets: user data is no place for them."
  type        = string
  default     = ""

  validation {
    condition     = !strcontains(var.kubeadm_config, "PRIVATE KEY") && !can(regex("(?m)^certificateKey:", var.kubeadm_config))
    error_message = "The kubeadm_config must hold no keys: whoever may describe launch templates can read it."
  }
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

variable "pre_bootstrap_commands" {
  description = "Commands of sh that run as root before kubeboot, at the first boot. kubeboot does not start until they have succeeded."
  type        = list(string)
  default     = []
}

variable "launch_hook_timeout" {
  description = "Seconds until a machine that kubeboot does not keep in its launch hook any more is given up (machines.tf)."
  type        = number
  default     = 3600

  # kubeboot says every 15 seconds that it is at work, so this is the time to look at a machine where it is not.
  validation {
    condition     = var.launch_hook_timeout >= 1800 && var.launch_hook_timeout <= 7200
    error_message = "The launch_hook_timeout must be 1800 to 7200 (seconds)."
  }
}

variable "terminate_hook" {
  description = "Whether a machine that is terminated waits in a hook until it has left the cluster, and is retained if it cannot (docs/agent.md)."
  type        = bool
  default     = true
}

variable "wait_minutes" {
  description = "How long apply waits until all machines are in service, by the AWS CLI where Terraform runs. 0 does not wait."
  type        = number
  default     = 45

  validation {
    condition     = var.wait_minutes >= 0 && var.wait_minutes <= 600 && floor(var.wait_minutes) == var.wait_minutes
    error_message = "The wait_minutes must be a whole number of 0 to 600."
  }
}

variable "session_manager" {
  description = "Whether Session Manager gives a shell on the machines. Nothing else does: there is no key and no open port."
  type        = bool
  default     = true
}

variable "private_endpoints" {
  description = "Whether to make VPC endpoints for what the machines ask of AWS: needed in subnets without internet access."
  type        = bool
  default     = false
}

variable "route_table_ids" {
  description = "The route tables of the subnets, for the gateway endpoint to S3. With private_endpoints only."
  type        = list(string)
  default     = []

  validation {
    condition     = (var.private_endpoints && var.s3_endpoint_id == null) == (length(var.route_table_ids) > 0)
    error_message = "The route_table_ids must be given with private_endpoints, and only then, and not with an s3_endpoint_id."
  }
}

variable "s3_endpoint_id" {
  description = "A gateway endpoint to S3 that the subnets' route tables have already. With private_endpoints only, in place of route_table_ids."
  type        = string
  default     = null

  validation {
    condition     = var.s3_endpoint_id == null ? true : can(regex("^vpce-[0-9a-f]+$", var.s3_endpoint_id)) && var.private_endpoints
    error_message = "The s3_endpoint_id must be the ID of a VPC endpoint, such as vpce-0a1b2c3d4e5f60001, and given with private_endpoints only."
  }
}

variable "more_private_services" {
  description = "More services of AWS to make interface endpoints for, such as ecr.api and ecr.dkr, or by their whole names."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.more_private_services : can(regex("^[a-z0-9.-]+$", service))])
    error_message = "The more_private_services must be names of services, such as ecr.api."
  }
}

variable "iam_role_additional_policies" {
  description = "More IAM policies for the machines' role: ARNs by names of your own, such as ccm for that of a cloud controller manager."
  type        = map(string)
  default     = {}
}

variable "iam_role_permissions_boundary" {
  description = "The ARN of the policy that bounds the machines' role."
  type        = string
  default     = null

  validation {
    condition     = var.iam_role_permissions_boundary == null ? true : can(regex("^arn:[a-z-]+:iam::", var.iam_role_permissions_boundary))
    error_message = "The iam_role_permissions_boundary must be the ARN of an IAM policy."
  }
}

variable "operator_role_arns" {
  description = "IAM roles that may write to the bucket besides the machines, if their own policies let them: kubeboot retire needs it."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "The operator_role_arns must be ARNs of IAM roles, without '*'."
  }
}

variable "snapshot_minutes" {
  description = "How often etcd is saved, in minutes; the alarm fires when nothing was for three times as long. 0: never."
  type        = number
  default     = 15

  validation {
    condition     = var.snapshot_minutes >= 0 && var.snapshot_minutes <= 480 && floor(var.snapshot_minutes) == var.snapshot_minutes
    error_message = "The snapshot_minutes must be a whole number from 0 to 480."
  }
}

variable "snapshot_bucket" {
  description = "A bucket that is made for the snapshots of etcd, with Object Lock and a key of its own. Without one they are in the cluster's bucket."
  type        = string
  default     = ""

  validation {
    condition     = var.snapshot_bucket == "" || (can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.snapshot_bucket)) && var.snapshot_bucket != var.bucket)
    error_message = "The snapshot_bucket must be a name of 3 to 63 lower-case letters, digits and '-', and not that of the cluster's bucket."
  }
}

variable "snapshot_days" {
  description = "How many days a snapshot of etcd is kept. A final one, in which a hibernated cluster lives, is kept until it is deleted by hand."
  type        = number
  default     = 30

  validation {
    condition     = var.snapshot_days >= 1 && var.snapshot_days <= 3650 && floor(var.snapshot_days) == var.snapshot_days
    error_message = "The snapshot_days must be a whole number from 1 to 3650."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told when no snapshot of etcd was saved, and when one was again."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "The alarm_topic_arns must be ARNs of SNS topics."
  }
}

variable "allow_destroy" {
  description = "Whether terraform may destroy or replace the group, the bucket with all in it, keys and endpoint. It has to be applied first."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of the group and its machines. All else has the default_tags of the provider."
  type        = map(string)
  default     = {}

  # The group would launch nothing with such a tag if somebody shows tags by the metadata service.
  validation {
    condition     = !contains(keys(var.tags), "kubeboot-cluster")
    error_message = "The tag kubeboot-cluster is the example's own."
  }
}
