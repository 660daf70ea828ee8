# What AWS would answer to terraform-example/data.tf: the same data sources, with what they find. The names are those of
# the emulated world (tests/world/account.py), where these policies are tried.

data "aws_partition" "current" {
  partition  = "aws"
  dns_suffix = "amazonaws.com"
}

data "aws_caller_identity" "current" {
  account_id = "123456789012"
}

data "aws_subnet" "control_plane" {
  for_each = toset(var.subnet_ids)

  id                = each.value
  vpc_id            = "vpc-0a1b2c3d4e5f60000"
  availability_zone = "${var.region}${substr(strrev(each.value), 0, 1)}"
}

data "aws_vpc" "control_plane" {
  id                   = local.vpc_id
  cidr_block           = "10.0.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

data "aws_ami" "machine" {
  root_device_name = "/dev/xvda"
  architecture     = "x86_64"
}

data "aws_ec2_instance_type" "machine" {
  supported_architectures = startswith(var.instance_type, "m6g.") ? ["arm64"] : ["x86_64"]
}

data "aws_service_principal" "ec2" {
  name = "ec2.amazonaws.com"
}

data "aws_vpc_endpoint_service" "s3" {
  service_name = "com.amazonaws.${var.region}.s3"
}

data "aws_vpc_endpoint_service" "private" {
  for_each = toset(local.private_services)

  service_name = "com.amazonaws.${var.region}.${each.value}"
}
