# What is refused before anything is planned, each by its own variable.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  cluster_name = "demo"
  bucket       = "kubeboot-demo"
  vpc_id       = "vpc-0a1b2c3d4e5f60000"
  subnet_ids   = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002", "subnet-0a1b2c3d4e5f60003"]
  ami_id       = "ami-0123456789abcdef0"
}

run "an_even_number_of_machines" {
  command = plan

  variables {
    instance_count = 4
  }

  expect_failures = [var.instance_count]
}

run "a_bucket_without_the_key_of_its_objects" {
  command = plan

  variables {
    create_bucket = false
  }

  expect_failures = [var.kms_key_arns]
}

run "no_load_balancer_and_no_endpoint" {
  command = plan

  variables {
    create_load_balancer = false
    allowed_cidr_blocks  = ["10.0.0.0/16"]
  }

  expect_failures = [var.cluster_endpoint]
}

run "a_setting_that_kubeboot_does_not_know" {
  command = plan

  variables {
    settings = { claim_tll = "90s" }
  }

  expect_failures = [var.settings]
}

run "an_upgrade_that_is_neither_off_nor_by_image" {
  command = plan

  variables {
    kubernetes_upgrade = "auto"
  }

  expect_failures = [var.kubernetes_upgrade]
}
