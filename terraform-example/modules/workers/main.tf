# A group of workers for a control plane of kubeboot: docs/workers.md. Read on in iam.tf: what they may do, and nothing else.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  prefix    = coalesce(var.prefix, var.cluster_name)

  launch_hook    = "come"
  terminate_hook = "go"
  launching      = "autoscaling:EC2_INSTANCE_LAUNCHING"

  # AWS launches one type on demand from a launch template alone, and all else by a policy for mixed instances.
  mixed = length(var.instance_types) > 1 || var.spot_percentage > 0

  tags = merge(var.tags, { "kubeboot-cluster" = var.cluster_name, Name = var.name })
}

module "user_data" {
  source = "../user-data"

  # No endpoint: that stands in join/cluster.json. The group is told, because a worker asks nobody.
  settings = merge(
    {
      role           = "worker"
      cluster        = var.cluster_name
      bucket         = var.bucket
      prefix         = local.prefix
      region         = local.region
      group          = var.name
      launch_hook    = local.launch_hook
      terminate_hook = local.terminate_hook
    },
    var.settings,
  )
  kubeadm_config          = var.kubeadm_config
  kubeboot_package_url    = var.kubeboot_package_url
  kubeboot_package_sha256 = var.kubeboot_package_sha256
  start                   = var.start
  pre_bootstrap_commands  = var.pre_bootstrap_commands
}

resource "aws_launch_template" "machine" {
  name                   = var.name
  image_id               = var.ami_id
  instance_type          = var.instance_types[0]
  user_data              = module.user_data.base64
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine.arn
  }

  # Version 2 only, and no further than the machine itself: a pod must not get the machine's credentials, with which it
  # could read the bootstrap token. Tags stay out of it, because one with a '/' keeps the group from launching anything.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = var.security_group_ids
    delete_on_termination       = true
  }

  # Under AWS's own key: nothing on it outlives the machine, and the role that launches it needs no grant.
  block_device_mappings {
    device_name = data.aws_ami.machine.root_device_name

    ebs {
      volume_type           = "gp3"
      volume_size           = var.volume_size
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = { "kubeboot-cluster" = var.cluster_name, Name = var.name }
    }
  }

  lifecycle {
    precondition {
      condition = alltrue([
        for type in data.aws_ec2_instance_type.machine : contains(type.supported_architectures, data.aws_ami.machine.architecture)
      ])
      error_message = "The image ${var.ami_id} is ${data.aws_ami.machine.architecture}, and not all of ${join(", ", var.instance_types)} are: give instance_types of that architecture."
    }

    precondition {
      condition     = var.warm_pool == "" || !local.mixed
      error_message = "The warm_pool of ${var.name} cannot be made, because AWS takes none with mixed instances or Spot: give one type and no spot_percentage, or no warm_pool."
    }

    precondition {
      condition     = module.user_data.bytes <= 16384
      error_message = "The user data of ${var.name} has ${module.user_data.bytes} bytes, more than EC2 takes (16384): put kubeadm_config's larger parts into the image."
    }
  }
}

resource "aws_autoscaling_group" "workers" {
  name                = var.name
  vpc_zone_identifier = var.subnet_ids

  # How many there are in between is the word of a cluster autoscaler, or yours: without a desired capacity here, no
  # apply takes it back.
  min_size = var.min_size
  max_size = var.max_size

  dynamic "launch_template" {
    for_each = local.mixed ? [] : [1]

    content {
      id      = aws_launch_template.machine.id
      version = aws_launch_template.machine.latest_version
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = local.mixed ? [1] : []

    content {
      instances_distribution {
        on_demand_base_capacity                  = var.on_demand_base
        on_demand_percentage_above_base_capacity = 100 - var.spot_percentage
        spot_allocation_strategy                 = "price-capacity-optimized"
      }

      launch_template {
        launch_template_specification {
          launch_template_id = aws_launch_template.machine.id
          version            = aws_launch_template.machine.latest_version
        }

        dynamic "override" {
          for_each = var.instance_types

          content {
            instance_type = override.value
          }
        }
      }
    }
  }

  # A machine passes the hook `come` on its way into the pool, and joins when it has left it.
  dynamic "warm_pool" {
    for_each = var.warm_pool == "" ? [] : [var.warm_pool]

    content {
      pool_state = warm_pool.value
    }
  }

  # Where EC2 says that it may soon want a Spot instance back, a new one comes before that one is drained and goes.
  capacity_rebalance = var.spot_percentage > 0

  health_check_type = "EC2"

  termination_policies = ["OldestLaunchTemplate", "OldestInstance"]

  # The launch hook as the first machines need it: a hook of its own comes after the group. Every change in here would
  # replace the group, so that Terraform looks at it once. From then on aws_autoscaling_lifecycle_hook.come is the same hook.
  initial_lifecycle_hook {
    name                 = local.launch_hook
    lifecycle_transition = local.launching
    default_result       = "ABANDON"
    heartbeat_timeout    = var.launch_hook_timeout
  }

  # The provider's own waiting marks the group as tainted when one launch fails. And until there is a control plane,
  # workers wait.
  wait_for_capacity_timeout = "0"

  enabled_metrics = ["GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"]

  dynamic "tag" {
    for_each = local.tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  # Each machine is drained before it goes.
  timeouts {
    delete = "3h"
  }

  lifecycle {
    ignore_changes = [initial_lifecycle_hook]
  }

  # A machine that boots before what it needs is there meets denials. The other way round, this is destroyed before it.
  depends_on = [
    aws_iam_role_policy.kubeboot,
    module.role_policies,
  ]
}

# A machine enters service when its Node is registered and kubelet answers. kubeboot keeps the hook alive while it works.
# ABANDON, because a machine that never joined must not count as one. The name stays: AWS completes a hook that is deleted
# with CONTINUE.
resource "aws_autoscaling_lifecycle_hook" "come" {
  autoscaling_group_name = aws_autoscaling_group.workers.name
  name                   = local.launch_hook
  lifecycle_transition   = local.launching
  default_result         = "ABANDON"
  heartbeat_timeout      = var.launch_hook_timeout
}

# A machine that is terminated waits here until its agent has drained it, which keeps the hook alive meanwhile. The time is
# for one whose agent is dead. Nothing is retained, so that it goes by ABANDON as well, and no other hook is waited for.
resource "aws_autoscaling_lifecycle_hook" "go" {
  autoscaling_group_name = aws_autoscaling_group.workers.name
  name                   = local.terminate_hook
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  default_result         = "ABANDON"
  heartbeat_timeout      = var.terminate_hook_timeout
}
