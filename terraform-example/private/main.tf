# A control plane in a network without a way out, which is made along with it (network.tf). Whatever else the module takes is
# written into its block here: docs/terraform.md lists it, and says what the image must bring (Without internet access).
# Groups of workers are made as in ../complete/main.tf.

module "control_plane" {
  source = "../modules/control-plane"

  cluster_name = var.cluster_name
  bucket       = var.bucket
  vpc_id       = aws_vpc.this.id
  ami_id       = var.ami_id

  subnet_ids          = aws_subnet.private[*].id
  allowed_cidr_blocks = [var.vpc_cidr]

  private_endpoints = true
  route_table_ids   = [aws_vpc.this.default_route_table_id]

  allow_destroy = var.allow_destroy
}
