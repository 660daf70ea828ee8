# A network without a way out: there is no gateway but the one to S3, and no NAT. What the machines ask of AWS goes to the
# endpoints that the control plane makes.

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:flow logs cost by traffic and are yours to add; nothing here reaches or is reached from outside
  cidr_block = var.vpc_cidr

  # For the names of the endpoints, of the API and of the machines.
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.cluster_name }
}

# Whatever is started without a security group of its own talks to nobody.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

# They have the VPC's own route table, which leads nowhere but inside of the VPC. The endpoint to S3 puts its route in.
resource "aws_subnet" "private" {
  count = 3

  vpc_id            = aws_vpc.this.id
  availability_zone = var.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 2, count.index)

  tags = { Name = "${var.cluster_name}-${var.zones[count.index]}" }
}
