# The variant without internet access: a gateway endpoint for S3, interface endpoints for the rest. KMS is not among
# them, because S3 asks it for the machines. Images of containers must be in the machine image, or in ECR (see
# more_private_services).

locals {
  private_services = var.private_endpoints ? distinct(concat(
    ["autoscaling", "ec2"],
    var.session_manager ? ["ssm", "ssmmessages"] : [],
    var.more_private_services,
  )) : []

  private = var.private_endpoints ? 1 : 0

  # Whether there are route tables, and not whether there is no s3_endpoint_id: that may be one that is not known yet.
  make_s3_endpoint = var.private_endpoints && length(var.route_table_ids) > 0
  s3_prefix_list   = !var.private_endpoints ? null : local.make_s3_endpoint ? aws_vpc_endpoint.s3[0].prefix_list_id : data.aws_vpc_endpoint.s3[0].prefix_list_id

  # Outside the commercial Regions some services have the partition's own prefix and the others the common one. Whatever
  # has an "amazonaws." in it is a whole name.
  own_prefix = ["autoscaling", "ebs", "ec2", "ecr.api", "ecr.dkr", "elasticfilesystem", "monitoring", "sqs", "sts"]
  private_service_names = {
    for service in local.private_services : service => strcontains(service, "amazonaws.") ? service : join(".", [
      contains(local.own_prefix, service) ? data.aws_partition.current.reverse_dns_prefix : "com.amazonaws",
      local.region,
      service,
    ])
  }

  # ECR keeps layers in a bucket of its own.
  ecr_layers = contains(local.private_services, "ecr.dkr") ? ["arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"] : []

  package_bucket = startswith(var.kubeboot_package_url, "s3://") ? ["arn:${local.partition}:s3:::${split("/", var.kubeboot_package_url)[2]}/*"] : []
}

# One that the route tables have already is used as it is: AWS takes no second one for the same tables.
resource "aws_vpc_endpoint" "s3" {
  count = local.make_s3_endpoint ? 1 : 0

  vpc_id            = var.vpc_id
  vpc_endpoint_type = "Gateway"
  service_name      = data.aws_vpc_endpoint_service.s3.service_name
  route_table_ids   = var.route_table_ids

  # Nothing can be carried to other buckets this way.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:*"
      Resource = concat(
        [local.bucket_arn, "${local.bucket_arn}/*"],
        local.own_bucket ? [local.snapshots_arn, "${local.snapshots_arn}/*"] : [],
        local.package_bucket,
        local.ecr_layers,
      )
    }]
  })

  tags = { Name = "${local.name}-s3" }
}

resource "aws_vpc_endpoint" "private" {
  for_each = toset(local.private_services)

  vpc_id              = var.vpc_id
  vpc_endpoint_type   = "Interface"
  service_name        = data.aws_vpc_endpoint_service.private[each.key].service_name
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.private_services[0].id]
  private_dns_enabled = true

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_security_group" "private_services" {
  count = local.private

  name        = "${local.name}-private-services"
  description = "VPC endpoints for the control plane of ${var.cluster_name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${local.name}-private-services" }
}

resource "aws_vpc_security_group_ingress_rule" "to_private_services" {
  count = local.private

  security_group_id            = aws_security_group.private_services[0].id
  referenced_security_group_id = aws_security_group.machines.id
  description                  = "The machines"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_private_services" {
  count = local.private

  security_group_id            = aws_security_group.machines.id
  referenced_security_group_id = aws_security_group.private_services[0].id
  description                  = "AWS, by the VPC endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_s3" {
  count = local.private

  security_group_id = aws_security_group.machines.id
  prefix_list_id    = local.s3_prefix_list
  description       = "S3, by the gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
