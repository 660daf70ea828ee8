# Who may talk to workers, and they to whom. The groups of workers are the root's (modules/workers) or yours: whatever is in
# this security group reaches the control plane, and the control plane it.

resource "aws_security_group" "workers" {
  # checkov:skip=CKV2_AWS_5:the launch templates of workers attach it
  name        = "${var.cluster_name}-workers"
  description = "Workers of ${var.cluster_name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.cluster_name}-workers" }
}

locals {
  security_groups = {
    machines = aws_security_group.machines.id
    workers  = aws_security_group.workers.id
    endpoint = one(aws_security_group.endpoint[*].id)
  }

  both_ways = [["machines", "workers"], ["workers", "machines"], ["workers", "workers"]]

  # What there is beside the rules of network.tf: by what it is for, who begins it, and with whom. Pods reach the API
  # servers by the machines' own addresses, which stand behind the service `kubernetes`.
  with_workers = merge(
    {
      for to in var.create_load_balancer ? ["endpoint", "machines"] : ["machines"] : "api, workers to ${to}" =>
      { from = "workers", to = to, protocol = "tcp", from_port = local.port, to_port = local.port }
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

resource "aws_vpc_security_group_egress_rule" "workers_to_your_endpoint" {
  for_each = var.create_load_balancer ? [] : toset(var.allowed_cidr_blocks)

  security_group_id = aws_security_group.workers.id
  cidr_ipv4         = each.value
  description       = "The endpoint"
  ip_protocol       = "tcp"
  from_port         = local.endpoint_port
  to_port           = local.endpoint_port
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
