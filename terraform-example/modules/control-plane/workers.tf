# Groups of workers, which join the control plane by themselves (docs/workers.md), and who may talk to whom then. Without
# any there is the security group alone: workers of your own go into that. Nothing here waits for the control plane, since
# a worker waits itself, and says for what.

module "workers" {
  source   = "./modules/workers"
  for_each = var.workers

  name               = "${var.cluster}-${each.key}"
  cluster            = var.cluster
  bucket             = aws_s3_bucket.control_plane.bucket
  prefix             = local.prefix
  bucket_key_arn     = aws_kms_key.bucket.arn
  s3_service         = local.s3_service
  region             = var.region
  security_group_ids = [aws_security_group.workers.id]

  subnet_ids             = coalesce(each.value.subnet_ids, var.subnet_ids)
  ami_id                 = coalesce(each.value.ami_id, var.ami_id)
  instance_types         = each.value.instance_types
  min_size               = each.value.min_size
  max_size               = each.value.max_size
  spot_percentage        = each.value.spot_percentage
  on_demand_base         = each.value.on_demand_base
  volume_size            = each.value.volume_size
  warm_pool              = each.value.warm_pool
  launch_hook_timeout    = each.value.launch_hook_timeout
  terminate_hook_timeout = each.value.terminate_hook_timeout
  settings               = each.value.settings
  kubeadm_config         = each.value.kubeadm_config
  additional_policy_arns = each.value.additional_policy_arns
  tags                   = merge(var.tags, each.value.tags)

  kubeboot_package_url    = var.kubeboot_package_url
  kubeboot_package_sha256 = var.kubeboot_package_sha256
  start                   = var.start
  policies                = local.policies
}

# A destroy that is a mistake ends no worker, either. One that is meant for a group of them (its name is taken out of
# workers) does: this is not replaced with it, as the guard of the control plane would be.
resource "terraform_data" "guard_of_workers" {
  input = { allow_destroy = var.allow_destroy }

  provisioner "local-exec" {
    when    = destroy
    command = self.input.allow_destroy ? "exit 0" : "echo This would destroy all workers. It was refused before that. If it is meant, apply allow_destroy=true first: docs/terraform.md, Destroy. 1>&2 && exit 1"
  }

  depends_on = [
    module.workers,
    aws_vpc_security_group_egress_rule.with_workers,
    aws_vpc_security_group_egress_rule.workers_https,
    aws_vpc_security_group_egress_rule.workers_to_private_services,
    aws_vpc_security_group_egress_rule.workers_to_s3,
    aws_vpc_security_group_ingress_rule.with_workers,
    aws_vpc_security_group_ingress_rule.workers_to_private_services,
  ]
}

resource "aws_security_group" "workers" {
  # checkov:skip=CKV2_AWS_5:the launch templates of workers attach it
  name        = "${var.cluster}-workers"
  description = "Workers of ${var.cluster}"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.cluster}-workers" }
}

locals {
  security_groups = {
    machines = aws_security_group.machines.id
    workers  = aws_security_group.workers.id
    endpoint = aws_security_group.endpoint.id
  }

  both_ways = [["machines", "workers"], ["workers", "machines"], ["workers", "workers"]]

  # What there is beside the rules of network.tf: by what it is for, who begins it, and with whom. Pods reach the API
  # servers by the machines' own addresses, which stand behind the service `kubernetes`.
  with_workers = merge(
    {
      "endpoint" = { from = "workers", to = "endpoint", protocol = "tcp", from_port = local.port, to_port = local.port }
      "api"      = { from = "workers", to = "machines", protocol = "tcp", from_port = local.port, to_port = local.port }
    },
    {
      for way in local.both_ways : "kubelet, ${way[0]} to ${way[1]}" =>
      { from = way[0], to = way[1], protocol = "tcp", from_port = 10250, to_port = 10250 }
    },
    {
      for port in var.webhook_ports : "webhooks-${port}" =>
      { from = "machines", to = "workers", protocol = "tcp", from_port = port, to_port = port }
    },
    merge([
      for way in local.both_ways : {
        for index, rule in var.pod_network_ports : "pods-${index}, ${way[0]} to ${way[1]}" => merge(rule, { from = way[0], to = way[1] })
      }
    ]...),
  )
}

resource "aws_vpc_security_group_ingress_rule" "with_workers" {
  for_each = local.with_workers

  security_group_id            = local.security_groups[each.value.to]
  referenced_security_group_id = local.security_groups[each.value.from]
  description                  = each.key
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
}

resource "aws_vpc_security_group_egress_rule" "with_workers" {
  for_each = local.with_workers

  security_group_id            = local.security_groups[each.value.from]
  referenced_security_group_id = local.security_groups[each.value.to]
  description                  = each.key
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
}

resource "aws_vpc_security_group_egress_rule" "workers_https" {
  count = var.private_endpoints ? 0 : 1

  security_group_id = aws_security_group.workers.id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "AWS and registries of images"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "workers_to_private_services" {
  count = local.private

  security_group_id            = aws_security_group.private_services[0].id
  referenced_security_group_id = aws_security_group.workers.id
  description                  = "The workers"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "workers_to_private_services" {
  count = local.private

  security_group_id            = aws_security_group.workers.id
  referenced_security_group_id = aws_security_group.private_services[0].id
  description                  = "AWS, by the VPC endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "workers_to_s3" {
  count = local.private

  security_group_id = aws_security_group.workers.id
  prefix_list_id    = local.s3_prefix_list
  description       = "S3, by the gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
