# Who may talk to whom. Rules of security groups do not count for the metadata service, for the VPC's own DNS and time.

resource "aws_security_group" "machines" {
  # checkov:skip=CKV2_AWS_5:the launch template attaches it
  name        = local.name
  description = "Machines of the control plane of ${var.cluster_name}"
  vpc_id      = var.vpc_id

  tags = { Name = local.name }
}

resource "aws_security_group" "endpoint" {
  count = local.make_load_balancer

  name        = "${local.name}-endpoint"
  description = "Load balancer before the API servers of ${var.cluster_name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${local.name}-endpoint" }
}

locals {
  # etcd answers to its own members and to nobody else. The API server's port is among these because a machine joins
  # straight at another one.
  among_machines = merge(
    {
      etcd    = { protocol = "tcp", from_port = 2379, to_port = 2380 }
      api     = { protocol = "tcp", from_port = local.port, to_port = local.port }
      kubelet = { protocol = "tcp", from_port = 10250, to_port = 10250 }
    },
    { for index, rule in var.pod_network_ports : "pods-${index}" => rule },
  )
}

resource "aws_vpc_security_group_ingress_rule" "among_machines" {
  for_each = local.among_machines

  security_group_id            = aws_security_group.machines.id
  referenced_security_group_id = aws_security_group.machines.id
  description                  = "${each.key}, among the machines"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
}

resource "aws_vpc_security_group_egress_rule" "among_machines" {
  for_each = local.among_machines

  security_group_id            = aws_security_group.machines.id
  referenced_security_group_id = aws_security_group.machines.id
  description                  = "${each.key}, among the machines"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
}

# Where no load balancer is made, clients reach the machines themselves, or by what you have put in between.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.allowed_cidr_blocks)

  security_group_id = var.create_load_balancer ? aws_security_group.endpoint[0].id : aws_security_group.machines.id
  cidr_ipv4         = each.value
  description       = "API clients"
  ip_protocol       = "tcp"
  from_port         = local.port
  to_port           = local.port
}

# The machines use the endpoint as everybody else does, wherever their addresses are.
resource "aws_vpc_security_group_ingress_rule" "machines_to_endpoint" {
  count = local.make_load_balancer

  security_group_id            = aws_security_group.endpoint[0].id
  referenced_security_group_id = aws_security_group.machines.id
  description                  = "API clients on the machines"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "machines_to_endpoint" {
  count = local.make_load_balancer

  security_group_id            = aws_security_group.machines.id
  referenced_security_group_id = aws_security_group.endpoint[0].id
  description                  = "The endpoint"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "endpoint_to_machines" {
  count = local.make_load_balancer

  security_group_id            = aws_security_group.endpoint[0].id
  referenced_security_group_id = aws_security_group.machines.id
  description                  = "API servers, and their health"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "endpoint_to_machines" {
  count = local.make_load_balancer

  security_group_id            = aws_security_group.machines.id
  referenced_security_group_id = aws_security_group.endpoint[0].id
  description                  = "The load balancer"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

# The way to an endpoint of your own, which lies in these ranges.
resource "aws_vpc_security_group_egress_rule" "to_your_endpoint" {
  for_each = var.create_load_balancer ? [] : toset(var.allowed_cidr_blocks)

  security_group_id = aws_security_group.machines.id
  cidr_ipv4         = each.value
  description       = "The endpoint"
  ip_protocol       = "tcp"
  from_port         = local.endpoint_port
  to_port           = local.endpoint_port
}

# AWS, and registries of images. Without internet access: the VPC endpoints in private.tf instead.
resource "aws_vpc_security_group_egress_rule" "https" {
  count = var.private_endpoints ? 0 : 1

  security_group_id = aws_security_group.machines.id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "AWS and registries of images"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
