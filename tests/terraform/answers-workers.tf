# What AWS would answer to terraform-example/modules/workers/data.tf: as answers.tf.

data "aws_partition" "current" {
  partition  = "aws"
  dns_suffix = "amazonaws.com"
}

data "aws_region" "current" {
  region = "eu-central-1"
}

data "aws_caller_identity" "current" {
  account_id = "123456789012"
}

data "aws_ami" "machine" {
  root_device_name = "/dev/xvda"
  architecture     = "x86_64"
}

data "aws_ec2_instance_type" "machine" {
  count = length(var.instance_types)

  supported_architectures = startswith(var.instance_types[count.index], "m6g.") ? ["arm64"] : ["x86_64"]
}

data "aws_service_principal" "ec2" {
  name = "ec2.amazonaws.com"
}
