# Launch template and group. What replaces machines without a reason is switched off: every replacement is a change of
# etcd's membership.

resource "aws_launch_template" "machine" {
  name                   = local.name
  image_id               = var.ami_id
  instance_type          = var.instance_type
  user_data              = module.user_data.base64
  update_default_version = true
  ebs_optimized          = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine.arn
  }

  # Version 2 only, and no further than the machine itself: a pod must not get the machine's credentials. Tags stay out
  # of it, because then one with a '/' in its name, as cloud providers use them, keeps the group from launching anything.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = concat([aws_security_group.machines.id], var.additional_security_group_ids)
    delete_on_termination       = true
  }

  block_device_mappings {
    device_name = data.aws_ami.machine.root_device_name

    ebs {
      volume_type           = "gp3"
      volume_size           = var.root_volume.size
      iops                  = var.root_volume.iops
      throughput            = var.root_volume.throughput
      encrypted             = true
      kms_key_id            = local.key_arns.volumes
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  # The operator's tags are not here: a machine would be out of date for a tag. It gets them from the group.
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = { "kubeboot-cluster" = var.cluster_name, Name = local.name }
    }
  }

  lifecycle {
    precondition {
      condition     = contains(data.aws_ec2_instance_type.machine.supported_architectures, data.aws_ami.machine.architecture)
      error_message = "The image ${var.ami_id} is ${data.aws_ami.machine.architecture}, and ${var.instance_type} is not: give an instance_type of that architecture."
    }

    precondition {
      condition     = var.root_volume.size >= local.image_size
      error_message = "The image ${var.ami_id} has a root disk of ${local.image_size} GiB: give a root_volume with a size of at least that."
    }

    precondition {
      condition     = module.user_data.bytes <= 16384
      error_message = "The user data has ${module.user_data.bytes} bytes, more than EC2 takes (16384): put kubeadm_config's larger parts into the image."
    }
  }
}

resource "aws_autoscaling_group" "control_plane" {
  name                    = local.name
  vpc_zone_identifier     = var.subnet_ids
  service_linked_role_arn = aws_iam_service_linked_role.group.arn

  # Where a zone has no room, the default launches in another one, and two of three voters in one zone are the quorum of
  # that zone. This one waits for its own.
  availability_zone_distribution {
    capacity_distribution_strategy = "balanced-only"
  }

  # Not elastic: the number of voters is a decision.
  min_size         = var.instance_count
  max_size         = var.instance_count
  desired_capacity = var.instance_count

  launch_template {
    id      = aws_launch_template.machine.id
    version = aws_launch_template.machine.latest_version
  }

  target_group_arns = concat(aws_lb_target_group.api[*].arn, var.target_group_arns)

  # EC2 and not ELB, although there is a load balancer: when etcd loses its quorum, /readyz answers 500 on the machines
  # that are left, too, and Auto Scaling would terminate the survivors, and with them the data.
  health_check_type         = "EC2"
  health_check_grace_period = 300

  # AZRebalance would end a healthy voter to even out the zones. Capacity rebalancing and a maximum lifetime would end
  # healthy voters as well, so there is neither.
  suspended_processes   = ["AZRebalance"]
  capacity_rebalance    = false
  max_instance_lifetime = 0

  termination_policies = ["OldestLaunchTemplate", "OldestInstance"]

  # The launch hook as the first machines need it: a hook of its own comes after the group, and they would not wait in it.
  # Every change in here would replace the group and with it all voters, so that Terraform looks at it once. From then on
  # aws_autoscaling_lifecycle_hook.launch is the same hook.
  initial_lifecycle_hook {
    name                 = local.launch_hook
    lifecycle_transition = local.launching
    default_result       = "ABANDON"
    heartbeat_timeout    = var.launch_hook_timeout
  }

  # A machine whose terminate hook ends before it has left keeps its disk, and runs on beside the group until somebody
  # terminates it: it may hold the last copy of the cluster. The hook is aws_autoscaling_lifecycle_hook.leave.
  dynamic "instance_lifecycle_policy" {
    for_each = var.terminate_hook ? [1] : []

    content {
      retention_triggers {
        terminate_hook_abandon = "retain"
      }
    }
  }

  # One at a time, the new one first, and the next only when the last is a voter: 100 for both means that. Then one voter
  # of three may fail at any moment of a refresh. The other way round two are left meanwhile, and two bear no failure.
  #
  # Without this block Terraform begins no refresh and cancels none. With it, each new version of the launch template
  # begins one, and cancels the one that runs.
  dynamic "instance_refresh" {
    for_each = var.refresh == "auto" ? [local.refresh] : []

    content {
      strategy = "Rolling"

      preferences {
        min_healthy_percentage       = instance_refresh.value.MinHealthyPercentage
        max_healthy_percentage       = instance_refresh.value.MaxHealthyPercentage
        instance_warmup              = instance_refresh.value.InstanceWarmup
        skip_matching                = instance_refresh.value.SkipMatching
        scale_in_protected_instances = instance_refresh.value.ScaleInProtectedInstances
        standby_instances            = instance_refresh.value.StandbyInstances
      }
    }
  }

  # The provider's own waiting ends with the first launch that fails, and then it marks the group as tainted: the next
  # apply would end every machine that did come up. guard.tf waits instead. The processes above are suspended only after
  # this waiting, too, and without it within seconds.
  wait_for_capacity_timeout = "0"

  enabled_metrics = ["GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"]

  dynamic "tag" {
    for_each = merge(local.tags, { Name = local.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  # Machines leave the cluster before they go, and one that waits in a hook may take as long as that.
  timeouts {
    delete = "3h"
  }

  lifecycle {
    ignore_changes = [initial_lifecycle_hook]

    precondition {
      condition     = length(local.zones) == 3
      error_message = "The subnet_ids are in ${length(local.zones)} zones, not in three: with two of three machines in one zone, that zone is the quorum."
    }

    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.control_plane : subnet.vpc_id == var.vpc_id])
      error_message = "The subnet_ids are not all in the VPC ${var.vpc_id}."
    }

    precondition {
      condition     = data.aws_vpc.control_plane.enable_dns_support && data.aws_vpc.control_plane.enable_dns_hostnames
      error_message = "Private zones, and the names of the machines, need a VPC with DNS support and DNS host names: switch on both."
    }
  }

  # A machine that boots before what it needs is there meets denials and names that nobody knows. The other way round,
  # this is destroyed before all of it.
  depends_on = [
    aws_iam_role_policy.kubeboot,
    module.role_policies,
    aws_lb_listener.api,
    aws_route53_record.api,
    aws_s3_bucket_policy.control_plane,
    aws_s3_bucket_server_side_encryption_configuration.control_plane,
    terraform_data.versioning_settled,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.private,
    aws_vpc_security_group_egress_rule.among_machines,
    aws_vpc_security_group_egress_rule.endpoint_to_machines,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.machines_to_endpoint,
    aws_vpc_security_group_egress_rule.to_private_services,
    aws_vpc_security_group_egress_rule.to_s3,
    aws_vpc_security_group_egress_rule.to_your_endpoint,
    aws_vpc_security_group_ingress_rule.among_machines,
    aws_vpc_security_group_ingress_rule.clients,
    aws_vpc_security_group_ingress_rule.endpoint_to_machines,
    aws_vpc_security_group_ingress_rule.machines_to_endpoint,
    aws_vpc_security_group_ingress_rule.to_private_services,
  ]
}

# A machine enters service when kubeboot says that it is a healthy voter, and not before. kubeboot keeps the hook
# alive while it works; this time runs once it has ended for good (docs/exit-codes.md: a wrong setting, or an operator
# must decide) or never began. AWS lets no hook last longer than 48 hours, however often it is kept alive.
#
# ABANDON, because with CONTINUE a machine that never joined would count as one more: an instance refresh would go on
# to the next voter, and one bad image would take the whole control plane away. A machine that is given up has not
# been a voter yet, or leaves as any other does. The time is long enough to look at it before.
#
# The same hook as in the group, under the same name: here its times may change. It must keep its name, since Terraform
# would delete it and make another, and AWS completes a deleted hook with CONTINUE for every machine that waits in it.
resource "aws_autoscaling_lifecycle_hook" "launch" {
  autoscaling_group_name = aws_autoscaling_group.control_plane.name
  name                   = local.launch_hook
  lifecycle_transition   = local.launching
  default_result         = "ABANDON"
  heartbeat_timeout      = var.launch_hook_timeout
}

# A machine that is terminated waits here until its agent has taken it out of its cluster (docs/agent.md), which keeps the
# hook alive as long as it takes. The time is for a machine whose agent is dead.
#
# ABANDON, because only that retains the machine: with CONTINUE as the default, one that did not leave would go with its
# data. It is no part of the group, so that no change of it replaces anything. Destroying it ends the waiting of all.
resource "aws_autoscaling_lifecycle_hook" "leave" {
  count = var.terminate_hook ? 1 : 0

  autoscaling_group_name = aws_autoscaling_group.control_plane.name
  name                   = local.terminate_hook
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  default_result         = "ABANDON"
  heartbeat_timeout      = 300
}

locals {
  # As the API has them: the output start_refresh says the same.
  refresh = {
    MinHealthyPercentage      = 100
    MaxHealthyPercentage      = 100
    InstanceWarmup            = 60
    SkipMatching              = true
    ScaleInProtectedInstances = "Wait"
    StandbyInstances          = "Wait"
  }

  image_size = max(0, [
    for disk in data.aws_ami.machine.block_device_mappings : try(tonumber(disk.ebs.volume_size), 0)
    if disk.device_name == data.aws_ami.machine.root_device_name
  ]...)

  encrypted_snapshots = [
    for disk in data.aws_ami.machine.block_device_mappings : disk.ebs.snapshot_id
    if try(tobool(disk.ebs.encrypted), false)
  ]

  launching = "autoscaling:EC2_INSTANCE_LAUNCHING"
}

# A warning and no refusal: AWS tells that a snapshot is encrypted, and to its owner alone by which key.
check "image_key" {
  assert {
    condition     = length(local.encrypted_snapshots) == 0
    error_message = "Disks of the image ${var.ami_id} are encrypted (${join(", ", local.encrypted_snapshots)}). If that is by a key of your own, the role that launches the machines (output launch_role_arn) needs a grant of it, or no machine starts: docs/terraform.md, An encrypted image."
  }
}
