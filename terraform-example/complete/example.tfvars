# What must be given. Terraform reads it from a file named terraform.tfvars.

region       = "eu-central-1"
cluster_name = "demo"
bucket       = "kubeboot-demo"
subnet_ids   = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002", "subnet-0a1b2c3d4e5f60003"]
ami_id       = "ami-0123456789abcdef0"
