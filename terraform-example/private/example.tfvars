# What must be given. Terraform reads it from a file named terraform.tfvars.

region       = "eu-central-1"
zones        = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
cluster_name = "demo"
bucket       = "kubeboot-demo"
ami_id       = "ami-0123456789abcdef0"
