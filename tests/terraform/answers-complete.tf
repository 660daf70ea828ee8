# What AWS would answer to terraform-example/complete/data.tf: as answers.tf.

data "aws_subnet" "first" {
  vpc_id = "vpc-0a1b2c3d4e5f60000"
}

data "aws_vpc" "this" {
  id         = data.aws_subnet.first.vpc_id
  cidr_block = "10.0.0.0/16"
  cidr_block_associations = [
    { cidr_block = "10.0.0.0/16", state = "associated" },
    { cidr_block = "100.64.0.0/16", state = "associated" },
    { cidr_block = "10.9.0.0/16", state = "disassociated" },
  ]
}
