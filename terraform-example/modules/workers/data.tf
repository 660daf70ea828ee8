# What is asked of AWS: where we are, and what the image and the instance types are.

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_ami" "machine" {
  filter {
    name   = "image-id"
    values = [var.ami_id]
  }
}

data "aws_ec2_instance_type" "machine" {
  count = length(var.instance_types)

  instance_type = var.instance_types[count.index]
}

# EC2's name as a principal differs between partitions.
data "aws_service_principal" "ec2" {
  service_name = "ec2"
}
