# What AWS answers in these tests.

mock_data "aws_partition" {
  defaults = {
    partition          = "aws"
    dns_suffix         = "amazonaws.com"
    reverse_dns_prefix = "com.amazonaws"
  }
}

mock_data "aws_region" {
  defaults = {
    region = "eu-central-1"
  }
}

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_service_principal" {
  defaults = {
    name = "ec2.amazonaws.com"
  }
}

mock_data "aws_vpc" {
  defaults = {
    enable_dns_support   = true
    enable_dns_hostnames = true
  }
}

mock_data "aws_subnet" {
  defaults = {
    vpc_id            = "vpc-0a1b2c3d4e5f60000"
    availability_zone = "eu-central-1a"
  }
}

mock_data "aws_ami" {
  defaults = {
    architecture     = "x86_64"
    root_device_name = "/dev/xvda"
    block_device_mappings = [
      {
        device_name = "/dev/xvda"
        ebs = {
          encrypted   = "false"
          snapshot_id = "snap-1"
          volume_size = "30"
        }
      },
    ]
  }
}

mock_data "aws_ec2_instance_type" {
  defaults = {
    supported_architectures = ["x86_64"]
  }
}
