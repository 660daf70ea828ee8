# What AWS would answer to terraform-example/modules/control-plane/data.tf: the same data sources, with what they find. The names are those of
# the emulated world (tests/world/account.py), where these policies are tried.

data "aws_partition" "current" {
  partition  = "aws"
  dns_suffix = "amazonaws.com"

  reverse_dns_prefix = startswith(local.region, "cn-") ? "cn.com.amazonaws" : "com.amazonaws"
}

data "aws_region" "current" {
  region = "eu-central-1"
}

data "aws_caller_identity" "current" {
  account_id = "123456789012"
}

data "aws_subnet" "control_plane" {
  count = 3

  vpc_id = var.vpc_id
  # By the ID's last digit, or where it is not known yet, one after the other.
  availability_zone = "${local.region}${try(substr(strrev(regex("^subnet-.*", var.subnet_ids[count.index])), 0, 1), "of-${count.index}")}"
}

data "aws_vpc" "control_plane" {
  enable_dns_support   = true
  enable_dns_hostnames = true
}

data "aws_ami" "machine" {
  root_device_name = "/dev/xvda"
  architecture     = "x86_64"

  block_device_mappings = [
    { device_name = "/dev/xvda", ebs = { snapshot_id = "snap-1", encrypted = "false", volume_size = "30" } },
    { device_name = "/dev/sdb", ebs = {} },
  ]
}

data "aws_ec2_instance_type" "machine" {
  supported_architectures = startswith(var.instance_type, "m6g.") ? ["arm64"] : ["x86_64"]
}

data "aws_service_principal" "ec2" {
  name = "ec2.amazonaws.com"
}

data "aws_vpc_endpoint_service" "s3" {
  service_name = "com.amazonaws.${local.region}.s3"
}

data "aws_vpc_endpoint_service" "private" {
  for_each = toset(local.private_services)

  service_name = local.private_service_names[each.value]
}

data "aws_vpc_endpoint" "s3" {
  count = var.private_endpoints && !local.make_s3_endpoint ? 1 : 0

  id             = var.s3_endpoint_id
  prefix_list_id = "pl-of-${var.s3_endpoint_id}"
}
