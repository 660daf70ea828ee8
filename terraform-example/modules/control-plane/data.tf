# What is asked of AWS: where we are, and what the operator's network, image and instance type are.

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

# Counted, because the IDs of subnets that are made along with this are not known when the first apply is planned.
data "aws_subnet" "control_plane" {
  count = 3

  id = var.subnet_ids[count.index]
}

data "aws_vpc" "control_plane" {
  id = var.vpc_id
}

data "aws_ami" "machine" {
  filter {
    name   = "image-id"
    values = [var.ami_id]
  }
}

data "aws_ec2_instance_type" "machine" {
  instance_type = var.instance_type
}

# EC2's name as a principal differs between partitions.
data "aws_service_principal" "ec2" {
  service_name = "ec2"
}

# The same for the names of VPC endpoints.
data "aws_vpc_endpoint_service" "s3" {
  service      = "s3"
  service_type = "Gateway"
}

data "aws_vpc_endpoint_service" "private" {
  for_each = toset(local.private_services)

  service_name = local.private_service_names[each.value]
  service_type = "Interface"
}

# The gateway endpoint that is there already.
data "aws_vpc_endpoint" "s3" {
  count = var.private_endpoints && !local.make_s3_endpoint ? 1 : 0

  id = var.s3_endpoint_id
}
